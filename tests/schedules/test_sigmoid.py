import itertools
import math

import pytest

from mollitune.schedules import Sigmoid


@pytest.mark.parametrize(
    ("progress", "level"),
    [
        (0.0, 1.0),  # pure noise
        (0.05, 0.890),
        (0.1, 0.783),
        (0.25, 0.497),
        (0.5, 0.188),
        (0.75, 0.0515),
        (0.9, 0.0146),
        (0.95, 0.0066),
        (0.99, 0.0012),
        (1.0, 0.0),  # clean
    ],
)
def test_values_of_the_paper_defaults(progress: float, level: float) -> None:
    assert Sigmoid().level(progress) == pytest.approx(level, abs=5.1e-4)


def test_defaults_are_those_of_the_paper() -> None:
    assert Sigmoid() == Sigmoid(start=0, end=3, tau=0.7, until=1, peak=1, floor=0)


def test_mean_level_of_the_paper_defaults() -> None:
    levels = [Sigmoid().level((i + 0.5) / 4096) for i in range(4096)]
    assert math.fsum(levels) / 4096 == pytest.approx(0.298, abs=5e-4)


def test_until_rescales_progress() -> None:
    full, part = Sigmoid(), Sigmoid(until=0.5)
    assert part.level(0.125) == full.level(0.25)
    assert 0.0 < part.level(math.nextafter(0.5, 0.0)) < 1e-14
    assert part.level(0.5) == 0.0


def test_matches_the_formula_written_out() -> None:
    def s(u: float) -> float:
        return 1.0 / (1.0 + math.exp(-u))

    b, e, tau = -3.0, 3.0, 1.3
    schedule = Sigmoid(start=b, end=e, tau=tau)
    for q in (0.0, 0.1, 0.4, 0.8, 0.99):
        top, bottom = s(e / tau) - s((q * (e - b) + b) / tau), s(e / tau) - s(b / tau)
        assert schedule.level(q) == pytest.approx(top / bottom, rel=1e-13)


def test_only_the_ratios_to_tau_matter() -> None:
    one, other = Sigmoid(start=-1, end=3, tau=1), Sigmoid(start=-2, end=6, tau=2)
    for q in (0.0, 0.3, 0.7):
        assert one.level(q) == other.level(q)


def test_start_above_end_is_the_mirrored_curve() -> None:
    mirrored = Sigmoid(start=3, end=0)
    for q, level in ((0.05, 0.99), (0.25, 0.95), (0.5, 0.81), (0.75, 0.50)):
        assert mirrored.level(q) == pytest.approx(level, abs=6e-3)
        assert mirrored.level(q) == pytest.approx(1.0 - Sigmoid().level(1.0 - q), abs=1e-13)


@pytest.mark.parametrize(
    ("start", "end", "tau"),
    [
        (-1e308, 1e308, 1.0),  # end - start overflows
        (-1.0, 1.0, 1e-300),  # a step in the middle
        (0.0, 1e6, 1.0),  # a spike at the start
        (-800.0, 0.0, 1.0),  # exp(800) overflows
        (0.0, 3.0, 1e5),  # almost a straight line
        (12.0, 15.0, 1.0),  # far out in the flat tail, where s(12) and s(15) nearly cancel
    ],
)
def test_extreme_arguments_stay_finite_bounded_and_monotone(
    start: float, end: float, tau: float
) -> None:
    schedule = Sigmoid(start=start, end=end, tau=tau)
    levels = [schedule.level(i / 1024) for i in range(1025)]
    assert levels[0] == 1.0
    assert levels[-1] == 0.0
    assert all(0.0 <= b <= a + 1e-12 for a, b in itertools.pairwise(levels))


def test_large_tau_tends_to_the_straight_line() -> None:
    schedule = Sigmoid(start=0, end=3, tau=1e4)
    assert schedule.level(0.3) == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize("tau", [0, -1, math.nan, math.inf, "1", True])
def test_illegal_tau_is_rejected(tau: float) -> None:
    with pytest.raises(ValueError, match=r"tau must be (> 0|a (finite )?number), got"):
        Sigmoid(tau=tau)


@pytest.mark.parametrize(
    ("start", "end", "tau"),
    [(1.0, 1.0, 1.0), (3.0, 6.0, 0.05), (-60.0, -30.0, 1.0), (0.0, 3.0, 1e7)],
)
def test_a_curve_without_a_difference_is_rejected(start: float, end: float, tau: float) -> None:
    with pytest.raises(ValueError, match=r"end must be such that .* differs .* 1e-6"):
        Sigmoid(start=start, end=end, tau=tau)


def test_ratios_that_overflow_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"tau must be large enough"):
        Sigmoid(start=-1.0, end=1.0, tau=1e-310)


@pytest.mark.parametrize("name", ["start", "end"])
@pytest.mark.parametrize("value", [math.nan, math.inf, "0", None, 10**400])
def test_illegal_ends_are_rejected(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a (finite )?number, got"):
        Sigmoid(**{name: value})


def test_search_holds_tau_at_one() -> None:
    point = {"start": -2.0, "end": 4.0, "until": 0.4}
    assert set(Sigmoid.search_space(32)) == set(point)
    assert Sigmoid.from_point(point) == Sigmoid(start=-2, end=4, tau=1, until=0.4)
