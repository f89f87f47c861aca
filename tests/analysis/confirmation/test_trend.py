import math

import numpy as np
import pytest

from mollitune.analysis.confirmation import trend

EXACT = [-0.1, 0.0, 0.1]


def around(**means: float) -> dict[int, list[float]]:
    """Three seeds that hardly differ at each budget."""
    return {int(name[1:]): [mean + own for own in EXACT] for name, mean in means.items()}


@pytest.mark.parametrize(
    ("differences", "kind", "said"),
    [
        (around(b300=9, b4800=-9), "starts", "it starts to pay at about 1,200 steps (1,200 to"),
        (around(b300=-9, b4800=9), "stops", "it stops paying at about 1,200 steps"),
        (
            around(b300=-9, b600=-8),
            "pays",
            "it beats vanilla at both budgets measured, 300 to 600 steps",
        ),
        (around(b300=9, b600=8), "costs", "it is worse than vanilla at both budgets"),
        (
            around(b300=0, b600=0, b1200=-9),
            "open",
            "it beats vanilla at 1,200; cannot be told apart from vanilla at 300 and 600 steps",
        ),
        (
            around(b300=-9, b600=9, b1200=-9),
            "open",
            "it beats vanilla at 300 and 1,200 and is worse at 600 steps: its effect changes more",
        ),
        ({300: [1.0]}, "open", "it cannot be told apart from vanilla at 300 steps"),
    ],
)
def test_what_is_said(differences: dict[int, list[float]], kind: str, said: str) -> None:
    found = trend(differences)
    assert found.kind == kind
    assert found.sentence("it").startswith(said)
    assert (found.crossing is None) is (kind not in ("starts", "stops"))


def test_a_crossing_is_where_the_line_in_log_budget_is_zero() -> None:
    found = trend(around(b300=6, b600=5, b1200=1, b2400=-3, b4800=-9))
    assert found.crossing is not None
    assert found.crossing.at == pytest.approx(1200 * 2**0.25, rel=0.01)
    assert found.crossing.low < found.crossing.at < found.crossing.high
    noisy = {
        b: [m - 1, m, m + 1] for b, m in {300: 6, 600: 5, 1200: 1, 2400: -3, 4800: -9}.items()
    }
    wider = trend(noisy)
    assert wider.crossing is not None
    assert wider.crossing.high / wider.crossing.low > found.crossing.high / found.crossing.low


def test_order_and_unit_of_budgets_change_nothing() -> None:
    ordered = around(b300=6, b1200=1, b4800=-9)
    images = {32 * b: own for b, own in reversed(ordered.items())}
    one, other = trend(ordered), trend(images, unit="images")
    assert one.crossing is not None
    assert other.crossing is not None
    assert [32 * end for end in one.crossing] == pytest.approx(list(other.crossing))
    assert "images" in other.sentence("it")


def test_budgets_lend_each_other_their_spread() -> None:
    """With five seeds at three budgets intervals are narrower than each budget's own."""
    rng = np.random.default_rng(0)
    noise = {b: rng.normal(0, 1, 5).tolist() for b in (300, 600, 1200)}
    ratio = [
        (own.interval.high - own.interval.low) / (alone.interval.high - alone.interval.low)
        for b, own in zip(noise, trend(noise).rungs, strict=True)
        for alone in trend({b: noise[b]}, level=1 - 0.05 / 3).rungs
        if own.interval is not None and alone.interval is not None
    ]
    assert len(ratio) == 3
    assert math.prod(ratio) < 0.75


def test_budgets_must_be_positive() -> None:
    for wrong in ({}, {0: [1.0, 2.0]}):
        with pytest.raises(ValueError, match="budgets must be positive"):
            trend(wrong)
