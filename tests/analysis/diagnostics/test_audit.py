import dataclasses
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm, spearmanr
from tests.analysis.conftest import UNLIKE, YOUNG, FakeTrial, Search

from mollitune._errors import MollituneError
from mollitune.analysis import PolicyAudit, Results
from mollitune.analysis.diagnostics import audit
from mollitune.schedules import build
from mollitune.search.store.writer import Store

CONFIG = {"config": {"stopping": {"policy": "race", "reduction_factor": 3}}}
RUNG = 0.8


@dataclasses.dataclass
class Judged(FakeTrial):
    """A run that a late cut judges once, at 80 % of its training."""

    action: str = "continue"
    value: float | None = None
    policy: str = "late_cut"

    def write(self, store: Store) -> None:
        for progress in self.evaluations():
            store.report(self.report(progress))
        own = {"policy": self.policy, "action": self.action, "value": self.value}
        store.decision({**self.decision(0, RUNG), **own})
        store.trial(self.row())


def only(results: Results) -> PolicyAudit:
    (found,) = audit(results).policies
    return found


@pytest.fixture
def judged(search: Search) -> Search:
    """A function that makes a search of judged runs."""
    return partial(search, metadata=CONFIG)


def run(number: int, final: float, action: str = "continue", **more: Any) -> Judged:
    """A run with the shape of its number; stopped runs end at the rung."""
    if action == "stop":
        more = {"status": "stopped", "end": RUNG, **more}
    schedule = build("linear", until=0.05 * (number % 15 + 1))
    return Judged(
        number, schedule, final, action=action, value=more.pop("value", final + 5), **more
    )


def test_false_stops_are_audited_runs_among_the_best_third(judged: Search) -> None:
    """Nine complete runs: the best third ends at 21.83, by linear interpolation."""
    kept = [run(i, 20.0 + i) for i in range(7)]
    audited = [run(7, 21.5, "audit"), run(8, 40.0, "audit")]
    stopped = [run(9, 50.0, "stop"), run(10, 50.0, "stop")]
    found = only(judged(*kept, *audited, *stopped))
    assert np.quantile([*range(20, 27), 21.5, 40], 1 / 3) == pytest.approx(21.8333, abs=1e-3)
    assert (found.model, found.policy, found.eta) == ("glow", "late_cut", 3.0)
    assert (found.stopped, found.audited, found.finished, found.false_stops) == (2, 2, 2, 1)
    wilson = binomtest(1, 2).proportion_ci(0.9, method="wilson")
    assert (found.low, found.high) == (wilson.low, wilson.high)
    assert found.steps_saved == 400
    assert found.share_saved == pytest.approx(400 / 11000)
    assert found.sentence == (
        "On glow, late_cut stopped 2 runs and saved 4% of the training steps. 2 runs due to be "
        "stopped went on as a check: 1 of 2 ended among the best 1/3 (90 % interval of the share: "
        f"{wilson.low:.0%} to {wilson.high:.0%})."
    )


def test_further_seeds_of_the_winners_do_not_raise_the_bar(judged: Search) -> None:
    kept = [run(i, 20.0 + i) for i in range(7)]
    seeds = [run(20 + i, 10.0, configuration=0, seed=8 + i) for i in range(6)]
    found = only(judged(*kept, *seeds, run(7, 21.5, "audit")))
    assert (found.false_stops, found.finished) == (1, 1)


@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0])
def test_correlation_is_spearmans_over_the_runs_that_were_finished(
    judged: Search, noise: float
) -> None:
    rng = np.random.default_rng(2)
    finals = rng.normal(30, 2, 12)
    values = finals + 5 + noise * rng.normal(size=12)
    runs = [
        run(i, float(final), "audit" if i == 3 else "continue", value=float(value))
        for i, (final, value) in enumerate(zip(finals, values, strict=True))
    ]
    (rung,) = only(judged(*runs, run(12, 50.0, "stop"))).rungs
    r = float(spearmanr(values, finals).statistic)
    assert (rung.rung, rung.progress, rung.runs) == (0, RUNG, 12)
    assert rung.correlation == pytest.approx(r)
    if noise == 0:
        assert r == pytest.approx(1)
        assert (rung.low, rung.high) == (None, None)
        return
    half = norm.ppf(0.95) * math.sqrt((1 + r * r / 2) / 9)
    assert rung.low == pytest.approx(math.tanh(math.atanh(r) - half))
    assert rung.high == pytest.approx(math.tanh(math.atanh(r) + half))


def test_three_runs_or_equal_values_have_no_correlation(judged: Search) -> None:
    (rung,) = only(judged(*(run(i, 20.0 + i) for i in range(3)))).rungs
    assert (rung.runs, rung.correlation, rung.low) == (3, None, None)
    (rung,) = only(judged(*(run(i, 20.0 + i, value=30.0) for i in range(5)))).rungs
    assert (rung.runs, rung.correlation) == (5, None)


def test_promotions_and_skipped_values_are_no_part_of_it(judged: Search) -> None:
    promoted = (run(i, 20.0, "promote", policy="race") for i in range(3))
    assert audit(judged(*promoted)).policies == ()
    skipped = (run(i, 20.0 + i, "skip", value=None) for i in range(5))
    assert only(judged(*skipped)).rungs == ()


def test_models_and_rules_are_apart(judged: Search) -> None:
    others = run(1, 20.0, "stop", policy="asha"), run(2, 20.0, "stop", model="vae")
    results = judged(run(0, 20.0, "stop"), *others)
    found = audit(results)
    names = [(each.model, each.policy, each.stopped) for each in found.policies]
    assert names == [("glow", "asha", 1), ("glow", "late_cut", 1), ("vae", "late_cut", 1)]
    assert found.sentence == " ".join(each.sentence for each in found.policies)
    assert [each.model for each in audit(results, "vae").policies] == ["vae"]


def test_nothing_was_judged(judged: Search) -> None:
    found = audit(judged(YOUNG))
    assert found.policies == ()
    assert found.sentence == "No run was judged before its end, so there is nothing to audit."


def test_nothing_was_audited(judged: Search) -> None:
    found = only(judged(run(0, 20.0), run(1, 30.0, "stop")))
    assert (found.audited, found.false_stops, found.low) == (0, None, None)
    assert found.sentence.endswith("so what stopping cost in quality is unknown.")


def test_audited_run_that_is_still_going_on(judged: Search) -> None:
    open_run = run(1, 20.0, "audit", status="running", end=RUNG)
    found = only(judged(run(0, 20.0), open_run))
    assert (found.audited, found.finished, found.false_stops) == (1, 0, None)
    assert found.sentence.endswith("1 run due to be stopped went on as a check; none has a final "
                                   "FID yet.")  # fmt: skip


@pytest.mark.parametrize("config", [{}, "text", {"stopping": "text"}, {"stopping": {}}])
def test_without_the_reduction_factor_nothing_is_judged(search: Search, config: object) -> None:
    runs = run(0, 20.0), run(1, 20.0, "audit")
    found = only(search(*runs, metadata={"config": config}))
    assert (found.eta, found.finished, found.false_stops) == (None, 1, None)
    assert "does not hold the reduction factor" in found.sentence


def test_what_is_refused(judged: Search) -> None:
    results = judged(run(0, 20.0), run(1, 20.0, "audit"), reports=[UNLIKE])
    with pytest.raises(MollituneError, match=r"cannot be ranked: they differ in fid_samples"):
        audit(results)
    with pytest.raises(MollituneError, match="has no model 'gan'"):
        audit(results, "gan")
