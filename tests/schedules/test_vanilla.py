import torch

from mollitune.schedules import Vanilla


def test_never_mollifies() -> None:
    schedule, x = Vanilla(), torch.zeros(2, 3)
    for progress in (0.0, 0.5, 1.0):
        assert schedule(x, progress) is x
        assert schedule.level(progress) == 0.0
        assert not schedule.mollified(progress)


def test_has_no_parameters() -> None:
    assert Vanilla().to_dict() == {"family": "vanilla", "params": {}}
    assert Vanilla.search_space(32) == {}
    assert Vanilla() == Vanilla.from_point({})
