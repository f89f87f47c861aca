import itertools
import math

import pytest

from mollitune.schedules import Choice, Cosine, Float


@pytest.mark.parametrize(
    ("progress", "level"),
    [
        (0.0, 1.0),
        (0.25, (2.0 + math.sqrt(2.0)) / 4.0),  # cos^2(pi/8)
        (0.5, 0.5),  # cos^2(pi/4)
        (2 / 3, 0.25),  # cos^2(pi/3)
        (1.0, 0.0),
    ],
)
def test_default_is_the_raised_cosine(progress: float, level: float) -> None:
    assert Cosine().level(progress) == pytest.approx(level, abs=1e-15)


def test_matches_the_formula_written_out() -> None:
    def c(u: float) -> float:
        return math.pow(math.cos(math.pi * u / 2.0), 2.0 * tau)

    b, e, tau = 0.2, 0.9, 2.5
    schedule = Cosine(start=b, end=e, tau=tau)
    for q in (0.0, 0.1, 0.5, 0.99):
        expected = (c(e) - c(q * (e - b) + b)) / (c(e) - c(b))
        assert schedule.level(q) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tau", [0.01, 0.3, 1.0, 4.0, 1e3])
def test_monotone_over_a_wide_range_of_tau(tau: float) -> None:
    levels = [Cosine(tau=tau).level(i / 1024) for i in range(1025)]
    assert levels[0] == 1.0
    assert all(0.0 <= b <= a + 1e-12 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"start": -0.1}, r"start must be in \[0, 1\), got -0.1"),
        ({"start": 1.0}, r"start must be in \[0, 1\), got 1.0"),
        ({"start": math.nan}, r"start must be a finite number, got nan"),
        ({"end": 1.1}, r"end must be in \(start=0.0, 1\], got 1.1"),
        ({"start": 0.5, "end": 0.5}, r"end must be in \(start=0.5, 1\], got 0.5"),
        ({"start": 0.6, "end": 0.4}, r"end must be in \(start=0.6, 1\], got 0.4"),
        ({"tau": 0.0}, r"tau must be > 0, got 0.0"),
        ({"tau": -1.0}, r"tau must be > 0, got -1.0"),
        ({"tau": math.inf}, r"tau must be a finite number, got inf"),
        ({"start": 0.8, "end": 0.9, "tau": 50.0}, r"tau must be such that .* 1e-6 .*, got 50.0"),
        ({"tau": 1e-9}, r"tau must be such that .* 1e-6 .*, got 1e-09"),
    ],
)
def test_illegal_arguments_are_rejected(params: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cosine(**params)


def test_search_space() -> None:
    expected: dict[str, Float | Choice] = {
        "start": Float(0.0, 0.4),
        "end": Float(0.6, 1.0),
        "tau": Float(0.3, 4.0, log=True),
        "until": Float(0.1, 0.9),
    }
    assert Cosine.search_space(32) == expected
