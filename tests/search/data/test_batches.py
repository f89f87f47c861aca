from itertools import chain

import torch

from mollitune.search.data.batches import Batches


def draw(batches: Batches, count: int) -> list[list[int]]:
    return [batches.next().tolist() for _ in range(count)]


def test_an_epoch_shows_each_image_at_most_once() -> None:
    batches = Batches(count=10, size=3, seed=0)
    first, second = draw(batches, 3), draw(batches, 3)
    for epoch in (first, second):
        shown = list(chain.from_iterable(epoch))
        assert len(shown) == len(set(shown)) == 9
        assert set(shown) <= set(range(10))
    assert first != second
    shown = list(chain.from_iterable(draw(Batches(count=12, size=4, seed=1), 3)))
    assert sorted(shown) == list(range(12))


def test_a_seed_gives_its_own_stream() -> None:
    state = torch.get_rng_state()
    one, again, other = (draw(Batches(50, 8, seed=seed), 9) for seed in (1, 1, 2))
    assert one == again != other
    assert torch.equal(torch.get_rng_state(), state)  # torch's global generator is not used


def test_no_batch_is_larger_than_the_data() -> None:
    assert sorted(Batches(count=5, size=8, seed=0).next().tolist()) == list(range(5))


def test_a_stream_goes_on_where_it_was_saved() -> None:
    for position in (0, 1, 3, 5):
        batches, other = Batches(count=10, size=3, seed=0), Batches(count=10, size=3, seed=99)
        draw(batches, position)
        other.load_state_dict(batches.state_dict())
        assert draw(other, 7) == draw(batches, 7)
