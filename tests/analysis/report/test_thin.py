import numpy as np
import pytest

from mollitune.analysis.report.figures.drawing import thinned, thinned_evenly
from mollitune.schedules import build, families


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10])
def test_short_curves_stay_as_they_are(count: int) -> None:
    assert list(thinned([1.0] * count, [], 10)) == list(range(count))


@pytest.mark.parametrize("most", [2, 3, 7, 50])
def test_ends_extremes_and_what_must_stay_are_kept(most: int) -> None:
    values = np.random.default_rng(0).normal(size=1000)
    kept = np.asarray(thinned(values.tolist(), [17, 500], most))
    assert len(kept) <= most + 4
    assert {0, 17, 500, 999} <= set(kept.tolist())
    inside = values[1:-1]
    assert {inside.argmin() + 1, inside.argmax() + 1} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


@pytest.mark.parametrize("family", families())
def test_schedules_look_the_same(family: str) -> None:
    schedule = build(family, **({"sigma_max": 3.0} if family == "blur" else {}))
    progress = np.linspace(0, 1, 201)
    start = schedule.level(0.0) or 1.0
    level = np.array([schedule.level(float(p)) / start for p in progress])
    kept = thinned_evenly(progress.tolist(), level.tolist())
    assert np.abs(np.interp(progress, progress[kept], level[kept]) - level).max() <= 0.004
    assert len(kept) < 120
