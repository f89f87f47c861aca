"""The curves of noise by hand, by their formulas written out, at their extremes, and refused."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from mollitune.schedules import (
    EDM,
    Choice,
    Cosine,
    CosineShift,
    Exponential,
    Float,
    Knots,
    Linear,
    NoiseSchedule,
    Polynomial,
    Schedule,
    Sigmoid,
    Vanilla,
    curve_distance,
    lookup,
    shape_features,
)

LN2 = math.log(2.0)
GRID = [i / 1024 for i in range(1025)]
UNTIL = Float(0.1, 0.9)
Params = dict[str, Any]

VALUES: dict[str, list[tuple[Schedule, dict[float, float]]]] = {
    "vanilla": [(Vanilla(), {0.0: 0.0, 0.5: 0.0, 1.0: 0.0})],
    "linear": [
        (
            Linear(until=0.5, peak=0.9, floor=0.1),
            {0.0: 0.9, 0.25: 0.5, 0.375: 0.3, math.nextafter(0.5, 0.0): 0.1, 0.5: 0.0, 1: 0.0},
        ),
        (Linear(peak=0.01, floor=0.01), {0.0: 0.01, 0.3: 0.01, 0.999: 0.01, 1.0: 0.0}),
    ],
    # cos^2(pi / 8), cos^2(pi / 4), cos^2(pi / 3)
    "cosine": [(Cosine(), {0.0: 1.0, 0.25: (2 + math.sqrt(2)) / 4, 0.5: 0.5, 2 / 3: 0.25, 1: 0})],
    "cosine_shift": [
        # 1 / (1 + a^2), where sine and cosine are equal
        (CosineShift(shift=0.25), {0.0: 1.0, 0.5: 16 / 17}),
        (CosineShift(shift=4), {0.5: 1 / 17, 1.0: 0.0}),
        (CosineShift(shift=1), {2 / 3: 0.25}),  # cos^2(pi / 3)
        (CosineShift(shift=3), {1 / 3: 0.25}),  # cos^2 = 3/4, sin^2 = 1/4: 3 / (3 + 9)
    ],
    "edm": [
        (EDM(), {0.0: 1.0, 1.0: 0.0}),
        # s falls from 3 to 1 through 2, s^2 / (1 + s^2) from 9/10 to 1/2 through 4/5
        (EDM(rho=1, sigma_max=3, sigma_min=1), {0.5: 3 / 4}),
        # roots 3 and 1, so s falls from 9 to 1 through 4: 81/82, 16/17, 1/2
        (EDM(rho=2, sigma_max=9, sigma_min=1), {0.5: (15 / 34) / (40 / 82)}),
        # sqrt(s) doubles from 1 to 2: s = 4 through 2.25 to 1, s^2 = 81/16
        (EDM(rho=2, sigma_max=4, sigma_min=1), {0.5: (81 / 97 - 1 / 2) / (16 / 17 - 1 / 2)}),
    ],
    "exponential": [
        (Exponential(rate=2 * LN2), {0.0: 1.0, 0.5: 1 / 3, 1.0: 0.0}),  # (1/2 - 1/4) / (1 - 1/4)
        (Exponential(rate=-2 * LN2), {0.5: 2 / 3}),  # (2 - 4) / (1 - 4)
        # (1/2 - 1/16) / (1 - 1/16) and (1/8 - 1/16) / (1 - 1/16)
        (Exponential(rate=4 * LN2), {0.25: 7 / 15, 0.75: 1 / 15}),
    ],
    "polynomial": [
        (Polynomial(), {0.0: 1.0, 0.25: 0.5625, 0.5: 0.25, 1.0: 0.0}),
        (Polynomial(power=0.5), {0.75: 0.5}),  # sqrt(1/4)
        (Polynomial(power=0.25), {15 / 16: 0.5}),  # the fourth root of 1/16
        (Polynomial(power=8), {0.5: 1 / 256}),
    ],
    # q e / tau = 1/2 log 3 at q = 1/2, and s(log 3) = 3/4
    "sigmoid": [
        (
            Sigmoid(start=0, end=1, tau=1 / math.log(3)),
            {0.0: 1.0, 0.5: 4 * (0.75 - math.sqrt(3) / (1 + math.sqrt(3))), 1.0: 0.0},
        )
    ],
}


@pytest.mark.parametrize("family", VALUES)
def test_values_by_hand(family: str) -> None:
    for schedule, levels in VALUES[family]:
        for progress, level in levels.items():
            assert schedule.level(progress) == pytest.approx(level, rel=1e-13, abs=1e-15)


def test_values_of_the_papers_sigmoid() -> None:
    levels = (1.0, 0.783, 0.497, 0.188, 0.0515, 0.0146, 0.0012, 0.0)
    for progress, level in zip((0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1), levels, strict=True):
        assert Sigmoid().level(progress) == pytest.approx(level, abs=5.1e-4)


def _sigmoid(q: float) -> float:
    def s(u: float) -> float:
        return 1.0 / (1.0 + math.exp(-u))

    b, e, tau = -3.0, 3.0, 1.3
    return (s(e / tau) - s((q * (e - b) + b) / tau)) / (s(e / tau) - s(b / tau))


def _cosine(q: float) -> float:
    def c(u: float) -> float:
        return math.pow(math.cos(math.pi * u / 2.0), 2.0 * tau)

    b, e, tau = 0.2, 0.9, 2.5
    return (c(e) - c(q * (e - b) + b)) / (c(e) - c(b))


def _cosine_shift(q: float) -> float:
    log_snr = -2.0 * math.log(math.tan(0.5 * math.pi * (1.0 - q))) + 2.0 * math.log(0.3)
    return 1.0 / (1.0 + math.exp(log_snr))


def _edm(q: float) -> float:
    def g(q: float) -> float:
        s = math.pow(80.0 ** (1 / 7) + q * (0.002 ** (1 / 7) - 80.0 ** (1 / 7)), 7.0)
        return s**2 / (1.0 + s**2)

    return (g(q) - g(1.0)) / (g(0.0) - g(1.0))


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (Sigmoid(start=-3, end=3, tau=1.3), _sigmoid),
        (Cosine(start=0.2, end=0.9, tau=2.5), _cosine),
        (CosineShift(shift=0.3), _cosine_shift),
        (EDM(), _edm),
    ],
    ids=["sigmoid", "cosine", "cosine_shift", "edm"],
)
def test_the_formula_written_out(schedule: Schedule, formula: Callable[[float], float]) -> None:
    for q in (0.01, 0.1, 0.4, 0.5, 0.8, 0.99):
        assert schedule.level(q) == pytest.approx(formula(q), rel=1e-9)


def test_defaults() -> None:
    whole: Params = {"until": 1, "peak": 1, "floor": 0}
    assert Sigmoid() == Sigmoid(start=0, end=3, tau=0.7, **whole)
    assert EDM() == EDM(rho=7, sigma_max=80, sigma_min=0.002, **whole)
    assert Exponential() == Exponential(rate=3, **whole)
    assert Polynomial() == Polynomial(power=2, **whole)
    assert CosineShift() == CosineShift(shift=1, **whole)
    assert Cosine() == Cosine(start=0, end=1, tau=1, **whole)
    assert Vanilla().to_dict() == {"family": "vanilla", "params": {}}


def test_mean_levels() -> None:
    areas: dict[Schedule, float] = {
        **{Exponential(rate=k): 1 / k - 1 / math.expm1(k) for k in (-5.0, 0.5, 3.0, 50.0)},
        **{Polynomial(power=power): 1 / (power + 1) for power in (0.25, 1.0, 8.0)},
        **{CosineShift(shift=shift): 1 / (1 + shift) for shift in (0.1, 0.25, 4)},
        **{EDM(sigma_min=0.002): 0.591, EDM(sigma_min=0.01): 0.637, Sigmoid(): 0.298},
    }
    for schedule, area in areas.items():
        tolerance = 5e-4 if isinstance(schedule, EDM | Sigmoid) else 1e-6
        assert shape_features(schedule)["area"] == pytest.approx(area, abs=tolerance), schedule


EXTREMES: dict[str, list[Schedule]] = {
    "cosine": [Cosine(tau=tau) for tau in (0.01, 0.3, 4.0, 1e3)],
    "cosine_shift": [CosineShift(shift=a) for a in (1e-308, 1e-200, 1e-3, 1e3, 1e200, 1.7e308)],
    "edm": [
        *(EDM(rho=1e-300), EDM(rho=1e-3, sigma_max=1e300), EDM(rho=1.0, sigma_max=1e300)),
        EDM(rho=1000.0, sigma_max=1e300, sigma_min=1e-300),
        *(EDM(rho=15.0, sigma_max=1.0), EDM(sigma_max=0.003)),
    ],
    "exponential": [Exponential(rate=k) for k in (-1e308, -1000, -50, 50, 1000, 1e308)],
    "knots": [
        Knots(**dict(zip(("w1", "w2", "w3", "w4", "w5"), logits, strict=True)))
        for logits in (
            (-3, 3, -3, 3, -3),
            (3, -3, -3, -3, 3),
            (3, -3, -3, -3, -3),  # the parabola at the end would turn around
            (-3, -3, -3, -3, -3),
            (1e308, -1e308, 0, 0, 0),  # one step
            (-1e308, -1e308, -1e308, -1e308, -1e308),
            (800, 0, 0, 800, 0),  # flat in between, and exp(800) overflows
        )
    ],
    "polynomial": [Polynomial(power=power) for power in (1e-300, 1e-3, 1e3, 1e300)],
    "sigmoid": [
        Sigmoid(start=-1e308, end=1e308, tau=1),  # end - start overflows
        Sigmoid(start=-1, end=1, tau=1e-300),  # a step in the middle
        Sigmoid(start=0, end=1e6, tau=1),  # a spike at the start
        Sigmoid(start=-800, end=0, tau=1),  # exp(800) overflows
        Sigmoid(start=0, end=3, tau=1e5),  # almost a straight line
        Sigmoid(start=12, end=15, tau=1),  # far out, where s(12) and s(15) nearly cancel
    ],
}


@pytest.mark.parametrize("family", EXTREMES)
def test_extreme_arguments_stay_bounded_and_monotone(family: str) -> None:
    for schedule in EXTREMES[family]:
        levels = [schedule.level(p) for p in GRID]
        assert (levels[0], levels[-1]) == (1.0, 0.0), schedule
        assert all(0.0 <= b <= a + 1e-12 for a, b in itertools.pairwise(levels)), schedule


TINY = r"such that .* 1e-6"
ILLEGAL: dict[str, list[tuple[Params, str]]] = {
    "linear": [
        ({"peak": 0.0}, r"peak must be in \(0, 1\], got 0.0"),
        ({"peak": 1.01}, r"peak must be in \(0, 1\], got 1.01"),
        ({"floor": -0.01}, r"floor must be in \[0, peak=1.0\], got -0.01"),
        ({"peak": 0.5, "floor": 0.51}, r"floor must be in \[0, peak=0.5\], got 0.51"),
    ],
    "cosine": [
        ({"start": -0.1}, r"start must be in \[0, 1\), got -0.1"),
        ({"start": 1.0}, r"start must be in \[0, 1\), got 1.0"),
        ({"end": 1.1}, r"end must be in \(start=0.0, 1\], got 1.1"),
        ({"start": 0.5, "end": 0.5}, r"end must be in \(start=0.5, 1\], got 0.5"),
        ({"tau": 0.0}, r"tau must be > 0, got 0.0"),
        ({"start": 0.8, "end": 0.9, "tau": 50.0}, rf"tau must be {TINY} .*, got 50.0"),
        ({"tau": 1e-9}, rf"tau must be {TINY} .*, got 1e-09"),
    ],
    "cosine_shift": [({"shift": 0.0}, r"shift must be > 0, got 0.0")],
    "edm": [
        ({"rho": 0.0}, r"rho must be in \(0, 1000\], got 0.0"),
        ({"rho": 1001}, r"rho must be in \(0, 1000\], got 1001.0"),
        ({"sigma_min": 0.0}, r"sigma_min must be > 0, got 0.0"),
        ({"sigma_max": 0.002}, r"sigma_max must be above sigma_min=0.002, got 0.002"),
        ({"sigma_max": 1e9, "sigma_min": 1e8}, rf"sigma_max must be {TINY} .*, got 1000000000"),
    ],
    "polynomial": [({"power": 0.0}, r"power must be > 0, got 0.0")],
    "sigmoid": [
        ({"tau": 0}, r"tau must be > 0, got 0.0"),
        ({"tau": 1e-310, "start": -1}, r"tau must be large enough"),
        *(
            ({"start": start, "end": end, "tau": tau}, rf"end must be {TINY}")
            for start, end, tau in ((1, 1, 1), (3, 6, 0.05), (-60, -30, 1), (0, 3, 1e7))
        ),
    ],
}


@pytest.mark.parametrize("family", ILLEGAL)
def test_illegal_arguments_are_rejected(family: str) -> None:
    for params, message in ILLEGAL[family]:
        with pytest.raises(ValueError, match=message):
            lookup(family)(**params)


SPACES: dict[str, dict[str, Float | Choice]] = {
    "linear": {},
    "cosine": {"start": Float(0.0, 0.4), "end": Float(0.6, 1.0), "tau": Float(0.3, 4.0, log=True)},
    "cosine_shift": {"shift": Float(0.1, 10.0, log=True)},
    "edm": {"rho": Float(1.0, 15.0), "sigma_max": Float(1.0, 80.0, log=True)},
    "exponential": {"rate": Float(-5.0, 10.0)},
    "knots": {f"w{k}": Float(-3.0, 3.0) for k in range(1, 6)},
    "polynomial": {"power": Float(0.25, 8.0, log=True)},
    "blur": {"sigma_max": Float(0.5, 14.0, log=True), "curve": Choice(("linear", "log", "sine"))},
}


def test_search_spaces() -> None:
    for family, space in SPACES.items():
        assert lookup(family).search_space(28) == {**space, "until": UNTIL}
    assert set(Sigmoid.search_space(28)) == {"start", "end", "until"}
    point = {"start": -2.0, "end": 4.0, "until": 0.4}
    assert Sigmoid.from_point(point) == Sigmoid(start=-2, end=4, tau=1, until=0.4)
    assert EDM.from_point({"rho": 3.0, "sigma_max": 10.0, "until": 0.5}).sigma_min == 0.002
    assert Vanilla.search_space(28) == {}


def test_until_rescales_progress() -> None:
    assert Sigmoid(until=0.5).level(0.125) == Sigmoid().level(0.25)


def test_mirrored_curves() -> None:
    pairs: list[tuple[NoiseSchedule, NoiseSchedule]] = [
        (CosineShift(shift=5), CosineShift(shift=0.2)),
        (Sigmoid(start=3, end=0), Sigmoid()),
        *((Exponential(rate=-k), Exponential(rate=k)) for k in (0.3, 3.0, 50.0)),
    ]
    for one, other in pairs:
        for q in (0.0, 0.1, 0.4, 0.5, 0.7, 0.9, 1.0):
            assert one.h(q) == pytest.approx(1.0 - other.h(1.0 - q), abs=1e-13), one


def test_limits_of_the_parameters() -> None:
    assert Sigmoid(start=0, end=3, tau=1e4).level(0.3) == pytest.approx(0.7, abs=1e-6)
    # Halfway s is the geometric mean of 10 and 0.1, which is 1: (1/2 - 1/101) / (99/101).
    for rho, tolerance in ((100.0, 2e-2), (1000.0, 2e-3)):
        level = EDM(rho=rho, sigma_max=10, sigma_min=0.1).level(0.5)
        assert level == pytest.approx(0.5, abs=tolerance)
    assert curve_distance(Polynomial(power=1, until=0.7), Linear(until=0.7)) == 0.0
    for rate in (0.0, 5e-324, 1e-300, 1e-17, 1.1e-16, 1e-12, 1e-6, 1e-3):
        for k, q in itertools.product((rate, -rate), (0.0, 0.1, 0.5, 0.9, 1.0)):
            # To first order in k the curve is (1 - q)(1 - k q / 2).
            expected = (1.0 - q) * (1.0 - 0.5 * k * q)
            assert Exponential(rate=k).h(q) == pytest.approx(expected, abs=1e-15 + 0.1 * k**2)
            assert Exponential(rate=0).h(q) == Linear().h(q)
