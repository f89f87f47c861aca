"""What every family promises, checked over the registry on random points of its search space."""

import copy
import itertools
import json
import math
import pickle
import random

import numpy as np
import pytest
import torch

from mollitune.schedules import (
    Float,
    Mollifier,
    NoiseSchedule,
    Schedule,
    Sigmoid,
    Vanilla,
    families,
    load,
    lookup,
)

SIDE = 16
GRID = [i / 1024 for i in range(1025)]


def draw(family: str, rng: random.Random) -> Schedule:
    cls: type[Schedule] = lookup(family)
    return cls.from_point({k: v.sample(rng) for k, v in cls.search_space(SIDE).items()})


CASES = [
    pytest.param(draw(family, random.Random(seed)), id=f"{family}-{seed}")
    for family in families()
    for seed in range(4)
]
each_case = pytest.mark.parametrize("schedule", CASES)
each_mollifier = pytest.mark.parametrize(
    "schedule", [case for case in CASES if isinstance(case.values[0], Mollifier)]
)


@pytest.mark.parametrize("family", families())
def test_every_point_of_the_search_space_is_valid(family: str) -> None:
    rng = random.Random(1)
    for _ in range(500):
        schedule = draw(family, rng)
        assert schedule.family == family
        assert 0.0 <= schedule.level(0.0) < math.inf


@pytest.mark.parametrize("family", families())
def test_every_corner_of_the_search_space_is_valid(family: str) -> None:
    cls = lookup(family)
    floats = {k: v for k, v in cls.search_space(SIDE).items() if isinstance(v, Float)}
    others = {
        k: v.options[0] for k, v in cls.search_space(SIDE).items() if not isinstance(v, Float)
    }
    for corner in range(2 ** len(floats)):
        ends = {k: v.high if corner >> i & 1 else v.low for i, (k, v) in enumerate(floats.items())}
        schedule = cls.from_point({**others, **ends})
        assert schedule.level(0.0) >= schedule.level(0.05) >= 0.0


@pytest.mark.parametrize("family", families())
def test_search_space_names_parameters_and_excludes_constants(family: str) -> None:
    cls = lookup(family)
    names = set(draw(family, random.Random(0)).to_dict()["params"])
    assert set(cls.search_space(SIDE)) <= names
    assert set(cls.search_constants) <= names
    assert not set(cls.search_space(SIDE)) & set(cls.search_constants)


@pytest.mark.parametrize("family", [name for name in families() if name != "vanilla"])
def test_every_mollifying_family_searches_until(family: str) -> None:
    assert lookup(family).search_space(SIDE)["until"] == Float(0.1, 0.9)


def independence(cls: type[Schedule], space: dict[str, Float], rng: random.Random) -> float:
    """The smallest relative change of the curve along any direction of the space, at a point.

    It is the ratio of the extreme singular values of the derivative of the levels by the
    parameters, each in units of its range; 0 if one parameter can make up for others.
    """
    steps = {name: 1e-4 * (dimension.high - dimension.low) for name, dimension in space.items()}
    # A step away from the bounds, which may be those of legal values.
    point = {
        name: min(max(v.sample(rng), v.low + steps[name]), v.high - steps[name])
        for name, v in space.items()
    }
    columns = []
    for name, step in steps.items():
        levels = [
            [cls.from_point({**point, name: point[name] + sign * step}).level(p) for p in GRID]
            for sign in (-1, 1)
        ]
        columns.append((np.array(levels[1]) - np.array(levels[0])) / 2e-4)
    singular = np.linalg.svd(np.array(columns), compute_uv=False)
    return float(singular[-1] / singular[0])


@pytest.mark.parametrize("family", [name for name in families() if name != "vanilla"])
def test_no_searched_parameter_is_redundant(family: str) -> None:
    cls, rng = lookup(family), random.Random(4)
    space = {k: v for k, v in cls.search_space(SIDE).items() if isinstance(v, Float)}
    # Some points may lie where a parameter matters little, but a redundant one never matters.
    assert max(independence(cls, space, rng) for _ in range(5)) > 1e-3


def test_a_redundant_parameter_would_be_found() -> None:
    space = {
        "start": Float(-2, 1),
        "end": Float(2, 5),
        "tau": Float(0.5, 2),
        "until": Float(0.1, 0.9),
    }
    assert independence(Sigmoid, space, random.Random(4)) < 1e-6


@each_case
def test_level_is_bounded_and_nonincreasing(schedule: Schedule) -> None:
    levels = [schedule.level(p) for p in GRID]
    assert all(0.0 <= level <= levels[0] < math.inf for level in levels)
    # 1e-12 allows for rounding in the last digits.
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(levels))


@each_mollifier
def test_level_falls_all_the_way_within_the_phase(schedule: Schedule) -> None:
    # The steepest end in the spaces is (1 - q)^(1/4), and the nearest q below 1 is at 1 - 2e-16.
    just_before = math.nextafter(schedule.until, 0.0)
    assert schedule.level(0.0) > 0.0
    assert 0.0 <= schedule.level(just_before) < 2e-4 * schedule.level(0.0)


@each_mollifier
def test_many_levels_are_the_single_ones(schedule: Mollifier) -> None:
    shares = [k / 50 for k in range(50)]
    assert schedule.phase_levels(shares) == [schedule.phase_level(q) for q in shares]


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.values[0], NoiseSchedule)])
def test_noise_curves_run_from_exactly_one_to_exactly_zero(case: NoiseSchedule) -> None:
    assert (case.h(0.0), case.h(1.0)) == (1.0, 0.0)


@each_case
def test_clean_phase_begins_at_until(schedule: Schedule) -> None:
    for progress in (schedule.until, math.nextafter(schedule.until, 2.0), 1.0, 1.5):
        assert not schedule.mollified(progress)
        assert schedule.level(progress) == 0.0


@each_mollifier
def test_mollified_until_just_before_until(schedule: Schedule) -> None:
    assert schedule.mollified(0.0)
    assert schedule.mollified(math.nextafter(schedule.until, 0.0))


@each_case
def test_clean_phase_returns_the_batch_itself_and_draws_nothing(schedule: Schedule) -> None:
    x = torch.randn(2, 1, 4, 4)
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert schedule(x, schedule.until, generator=generator) is x
    assert schedule(x, 7.0, generator=generator) is x
    assert torch.equal(generator.get_state(), before)


@each_mollifier
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_mollified_batch_keeps_shape_dtype_and_device(
    schedule: Schedule, dtype: torch.dtype, device: torch.device
) -> None:
    x = torch.randn(3, 2, 6, 5).to(device, dtype)
    kept = x.clone()
    y = schedule(x, 0.5 * schedule.until)
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
    assert y.is_contiguous()
    assert torch.isfinite(y).all()
    assert torch.equal(x, kept), "the batch was changed in place"
    assert not torch.equal(y, x)


@each_mollifier
def test_same_generator_seed_same_batch_and_other_seed_another(
    schedule: Schedule, device: torch.device
) -> None:
    x = torch.randn(3, 2, 6, 6, device=device)

    def mollified(seed: int) -> torch.Tensor:
        generator = torch.Generator(device).manual_seed(seed)
        return schedule(x, 0.3 * schedule.until, generator=generator)

    assert torch.equal(mollified(1), mollified(1))
    assert not torch.equal(mollified(1), mollified(2))


@each_mollifier
def test_gradients_reach_the_batch(schedule: Schedule) -> None:
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(schedule(x, 0.5 * schedule.until).sum(), x)
    assert (gradient > 0.0).all()


@each_mollifier
def test_an_empty_batch_is_legal(schedule: Schedule) -> None:
    assert schedule(torch.empty(0, 3, 8, 8), 0.0).shape == (0, 3, 8, 8)


@each_case
@pytest.mark.parametrize("progress", [math.nan, math.inf, -math.inf, -1e-9])
def test_illegal_progress_is_rejected(schedule: Schedule, progress: float) -> None:
    message = r"progress must be a finite number >= 0, got (nan|-?inf|-1e-09)"
    with pytest.raises(ValueError, match=message):
        schedule.level(progress)
    with pytest.raises(ValueError, match=message):
        schedule.mollified(progress)
    with pytest.raises(ValueError, match=message):
        schedule(torch.zeros(1, 1, 2, 2), progress)


@each_case
@pytest.mark.parametrize("progress", [0.0, 2.0])
def test_integer_batch_is_rejected_with_a_remedy(schedule: Schedule, progress: float) -> None:
    x = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"floating-point.*torch\.uint8.*x\.float\(\) / 127\.5"):
        schedule(x, progress)


@each_case
def test_a_batch_that_is_no_tensor_is_rejected(schedule: Schedule) -> None:
    with pytest.raises(ValueError, match=r"x must be a torch\.Tensor, got list"):
        schedule([1.0], 0.0)  # type: ignore[arg-type]


@each_case
def test_progress_may_be_a_scalar_tensor(schedule: Schedule) -> None:
    level = schedule.level(torch.tensor(0.0625))  # type: ignore[arg-type]
    assert type(level) is float
    assert level == schedule.level(0.0625)


@each_case
def test_round_trips(schedule: Schedule, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("schedule") / "best.json"
    schedule.save(path, note="kept")
    for twin in (
        Schedule.from_dict(schedule.to_dict()),
        type(schedule).from_dict(json.loads(json.dumps(schedule.to_dict()))),
        pickle.loads(pickle.dumps(schedule)),
        copy.deepcopy(schedule),
        eval(repr(schedule), {type(schedule).__name__: type(schedule)}),
        load(path),
    ):
        assert twin == schedule
        assert hash(twin) == hash(schedule)
        assert [twin.level(p) for p in GRID[::64]] == [schedule.level(p) for p in GRID[::64]]


@each_mollifier
def test_other_parameters_make_an_unequal_schedule(schedule: Schedule) -> None:
    params = schedule.to_dict()["params"]
    other = type(schedule)(**{**params, "until": 0.5 * schedule.until})
    assert other != schedule
    assert schedule != Vanilla()


@each_case
def test_schedules_are_frozen(schedule: Schedule) -> None:
    with pytest.raises(AttributeError, match="until"):
        schedule.until = 0.5  # type: ignore[misc]


@each_mollifier
@pytest.mark.parametrize("until", [0.0, -0.1, 1.0000001, math.nan, math.inf, True, "0.5", None])
def test_illegal_until_is_rejected(schedule: Schedule, until: object) -> None:
    params = {**schedule.to_dict()["params"], "until": until}
    with pytest.raises(ValueError, match=r"until must be (in \(0, 1\]|a (finite )?number), got"):
        type(schedule)(**params)
