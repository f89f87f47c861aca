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
MOLLIFYING = [family for family in families() if family != "vanilla"]


def draws(family: str, count: int = 4, seed: int = 0) -> list[Schedule]:
    rng, cls = random.Random(seed), lookup(family)
    space = cls.search_space(SIDE).items()
    return [cls.from_point({k: v.sample(rng) for k, v in space}) for _ in range(count)]


each_family = pytest.mark.parametrize("family", families())
each_mollifier = pytest.mark.parametrize("family", MOLLIFYING)


@each_family
def test_every_point_of_the_search_space_is_valid(family: str) -> None:
    for schedule in draws(family, 500, seed=1):
        assert schedule.family == family
        assert 0.0 <= schedule.level(0.0) < math.inf


@each_family
def test_every_corner_of_the_search_space_is_valid(family: str) -> None:
    cls = lookup(family)
    space = cls.search_space(SIDE)
    floats = {k: v for k, v in space.items() if isinstance(v, Float)}
    others = {k: v.options[0] for k, v in space.items() if not isinstance(v, Float)}
    for corner in itertools.product(*((v.low, v.high) for v in floats.values())):
        schedule = cls.from_point({**others, **dict(zip(floats, corner, strict=True))})
        assert schedule.level(0.0) >= schedule.level(0.05) >= 0.0


@each_family
def test_search_space_names_parameters_and_excludes_constants(family: str) -> None:
    cls = lookup(family)
    names, searched = set(draws(family)[0].to_dict()["params"]), set(cls.search_space(SIDE))
    assert searched <= names
    assert set(cls.search_constants) <= names - searched
    assert cls.search_space(SIDE).get("until") == (Float(0.1, 0.9) if searched else None)


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


@each_mollifier
def test_no_searched_parameter_is_redundant(family: str) -> None:
    cls, rng = lookup(family), random.Random(4)
    space = {k: v for k, v in cls.search_space(SIDE).items() if isinstance(v, Float)}
    # Some points may lie where a parameter matters little, but a redundant one never matters.
    assert any(independence(cls, space, rng) > 1e-3 for _ in range(5))


def test_a_redundant_parameter_would_be_found() -> None:
    space = {**Sigmoid.search_space(SIDE), "tau": Float(0.5, 2)}
    assert independence(Sigmoid, space, random.Random(4)) < 1e-6  # type: ignore[arg-type]


@each_family
def test_the_curve_falls_to_exactly_zero(family: str) -> None:
    for schedule in draws(family):
        levels = [schedule.level(p) for p in GRID]
        assert all(0.0 <= level <= levels[0] < math.inf for level in levels)
        # 1e-12 allows for rounding in the last digits.
        assert all(b <= a + 1e-12 for a, b in itertools.pairwise(levels))
        for progress in (schedule.until, math.nextafter(schedule.until, 2.0), 1.0, 1.5):
            assert not schedule.mollified(progress)
            assert schedule.level(progress) == 0.0
        if isinstance(schedule, Mollifier):
            just_before = math.nextafter(schedule.until, 0.0)
            assert schedule.mollified(0.0)
            assert schedule.mollified(just_before)
            assert schedule.level(0.0) > 0.0
            # The steepest end is (1 - q)^(1/4), and the nearest q below 1 is at 1 - 2e-16.
            assert 0.0 <= schedule.level(just_before) < 2e-4 * schedule.level(0.0)
            shares = [k / 50 for k in range(50)]
            assert schedule.phase_levels(shares) == [schedule.phase_level(q) for q in shares]
        if isinstance(schedule, NoiseSchedule):
            assert (schedule.h(0.0), schedule.h(1.0)) == (1.0, 0.0)
        level = schedule.level(torch.tensor(0.0625))  # type: ignore[arg-type]
        assert type(level) is float
        assert level == schedule.level(0.0625)


@each_family
def test_clean_phase_returns_the_batch_itself_and_draws_nothing(family: str) -> None:
    x, generator = torch.randn(2, 1, 4, 4), torch.Generator().manual_seed(3)
    before = generator.get_state()
    for schedule in draws(family):
        assert schedule(x, schedule.until, generator=generator) is x
        assert schedule(x, 7.0, generator=generator) is x
    assert torch.equal(generator.get_state(), before)


@each_mollifier
def test_mollified_batches(family: str, device: torch.device) -> None:
    def mollified(x: torch.Tensor, schedule: Schedule, seed: int) -> torch.Tensor:
        generator = torch.Generator(device).manual_seed(seed)
        return schedule(x, 0.5 * schedule.until, generator=generator)

    for schedule in draws(family):
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            x = torch.randn(3, 2, 6, 5).to(device, dtype)
            kept = x.clone()
            y = mollified(x, schedule, 1)
            assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
            assert y.is_contiguous()
            assert torch.isfinite(y).all()
            assert torch.equal(x, kept), "the batch was changed in place"
            assert not torch.equal(y, x)
        assert torch.equal(mollified(x, schedule, 1), y)
        assert not torch.equal(mollified(x, schedule, 2), y)
        assert schedule(torch.empty(0, 3, 8, 8), 0.0).shape == (0, 3, 8, 8)
        x = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(schedule(x, 0.5 * schedule.until).sum(), x)
        assert (gradient > 0.0).all()


@each_family
def test_illegal_progress_and_batches_are_rejected(family: str) -> None:
    schedule, x = draws(family)[0], torch.zeros(1, 1, 2, 2)
    for progress in (math.nan, math.inf, -math.inf, -1e-9):
        message = r"progress must be a finite number >= 0, got (nan|-?inf|-1e-09)"
        for call in (schedule.level, schedule.mollified, lambda p: schedule(x, p)):
            with pytest.raises(ValueError, match=message):
                call(progress)
    for progress in (0.0, 2.0):
        with pytest.raises(ValueError, match=r"floating-point.*uint8.*x\.float\(\) / 127\.5"):
            schedule(x.byte(), progress)
        with pytest.raises(ValueError, match=r"x must be a torch\.Tensor, got list"):
            schedule([1.0], progress)  # type: ignore[arg-type]


@each_family
def test_round_trips(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("schedule") / "best.json"
    for schedule in draws(family):
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
        with pytest.raises(AttributeError, match="until"):
            schedule.until = 0.5  # type: ignore[misc]


@each_mollifier
def test_every_parameter_counts_and_is_checked(family: str) -> None:
    schedule = draws(family)[0]
    params = schedule.to_dict()["params"]
    assert type(schedule)(**{**params, "until": 0.5 * schedule.until}) != schedule != Vanilla()
    for name in [name for name, value in params.items() if isinstance(value, float)]:
        for value in (math.nan, math.inf, -math.inf, True, "0.5", None, 10**400):
            message = rf"{name} must be a (finite )?number, got"
            with pytest.raises(ValueError, match=message):
                type(schedule)(**{**params, name: value})
    for value in (0.0, -0.1, 1.0000001):
        with pytest.raises(ValueError, match=r"until must be in \(0, 1\], got"):
            type(schedule)(**{**params, "until": value})
