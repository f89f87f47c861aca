import itertools
import math

import pytest

from mollitune.schedules import EDM, Choice, Float, shape_features


@pytest.mark.parametrize(
    ("params", "progress", "level"),
    [
        ({}, 0.0, 1.0),
        ({}, 1.0, 0.0),
        # s falls from 3 to 1 through 2, s^2 / (1 + s^2) from 9/10 to 1/2 through 4/5
        ({"rho": 1, "sigma_max": 3, "sigma_min": 1}, 0.5, 3 / 4),
        # roots 3 and 1, so s falls from 9 to 1 through 4: 81/82, 16/17, 1/2
        ({"rho": 2, "sigma_max": 9, "sigma_min": 1}, 0.5, (15 / 34) / (40 / 82)),
        # sqrt(s) doubles from 1 to 2: s = 4 through 2.25 to 1, s^2 = 81/16
        ({"rho": 2, "sigma_max": 4, "sigma_min": 1}, 0.5, (81 / 97 - 1 / 2) / (16 / 17 - 1 / 2)),
    ],
)
def test_values(params: dict[str, float], progress: float, level: float) -> None:
    assert EDM(**params).level(progress) == pytest.approx(level, rel=1e-13)


def test_defaults_are_those_of_the_paper() -> None:
    assert EDM() == EDM(rho=7, sigma_max=80, sigma_min=0.002, until=1, peak=1, floor=0)


@pytest.mark.parametrize(("sigma_min", "area"), [(0.002, 0.591), (0.01, 0.637)])
def test_mean_level(sigma_min: float, area: float) -> None:
    features = shape_features(EDM(sigma_min=sigma_min))
    assert features["area"] == pytest.approx(area, abs=5e-4)


def test_matches_the_formula_written_out() -> None:
    def g(q: float) -> float:
        s = math.pow(80.0 ** (1 / 7) + q * (0.002 ** (1 / 7) - 80.0 ** (1 / 7)), 7.0)
        return s**2 / (1.0 + s**2)

    for q in (0.1, 0.3, 0.5, 0.9, 0.99):
        expected = (g(q) - g(1.0)) / (g(0.0) - g(1.0))
        assert EDM().h(q) == pytest.approx(expected, rel=1e-9)


def test_a_large_rho_tends_to_the_geometric_fall() -> None:
    # Halfway s is the geometric mean of 10 and 0.1, which is 1: (1/2 - 1/101) / (99/101).
    for rho, tolerance in ((100.0, 2e-2), (1000.0, 2e-3)):
        level = EDM(rho=rho, sigma_max=10, sigma_min=0.1).level(0.5)
        assert level == pytest.approx(0.5, abs=tolerance)


@pytest.mark.parametrize(
    "params",
    [
        {"rho": 1e-300},
        {"rho": 1e-3, "sigma_max": 1e300},
        {"rho": 1000.0, "sigma_max": 1e300, "sigma_min": 1e-300},
        {"rho": 1.0, "sigma_max": 1e300},
        {"rho": 15.0, "sigma_max": 1.0},
        {"sigma_max": 0.003},
    ],
)
def test_extreme_arguments_stay_bounded_and_monotone(params: dict[str, float]) -> None:
    levels = [EDM(**params).h(i / 1024) for i in range(1025)]
    assert (levels[0], levels[-1]) == (1.0, 0.0)
    assert all(0.0 <= b <= a + 1e-12 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rho": 0.0}, r"rho must be in \(0, 1000\], got 0.0"),
        ({"rho": -7}, r"rho must be in \(0, 1000\], got -7.0"),
        ({"rho": 1001}, r"rho must be in \(0, 1000\], got 1001.0"),
        ({"rho": math.nan}, r"rho must be a finite number, got nan"),
        ({"sigma_min": 0.0}, r"sigma_min must be > 0, got 0.0"),
        ({"sigma_max": 0.002}, r"sigma_max must be above sigma_min=0.002, got 0.002"),
        ({"sigma_max": -1}, r"sigma_max must be above sigma_min=0.002, got -1.0"),
        ({"sigma_max": math.inf}, r"sigma_max must be a finite number, got inf"),
        (
            {"sigma_max": 1e9, "sigma_min": 1e8},
            r"sigma_max must be such that .* 1e-6 .*, got 1000000000",
        ),
    ],
)
def test_illegal_arguments_are_rejected(params: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EDM(**params)


def test_search_holds_sigma_min_at_its_default() -> None:
    expected: dict[str, Float | Choice] = {
        "rho": Float(1.0, 15.0),
        "sigma_max": Float(1.0, 80.0, log=True),
        "until": Float(0.1, 0.9),
    }
    assert EDM.search_space(32) == expected
    point = {"rho": 3.0, "sigma_max": 10.0, "until": 0.5}
    assert EDM.from_point(point).sigma_min == 0.002
