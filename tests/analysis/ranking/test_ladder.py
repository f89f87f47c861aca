import math
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pytest
from tests.analysis.conftest import (
    BATCH,
    CROSSING,
    LINEAR,
    PLAN,
    STEPS,
    TRIALS,
    VANILLA,
    FakeTrial,
    Search,
    climb,
    runs_of,
)

from mollitune._errors import MollituneError
from mollitune.analysis import Results, compare, importance, ladder, leaderboard, trends
from mollitune.analysis.ranking import best, per_budget
from mollitune.search.store.schema import CONFIRM_TRIALS


def crossing(search: Search, **more: object) -> Results:
    return search(*climb(CROSSING), **more)


def test_a_row_per_budget_and_arm_whatever_its_number(search: Search) -> None:
    table = ladder(crossing(search))
    shown = table[["budget", "steps", "arm", "seeds", "pairs", "source"]].values.tolist()
    assert shown == [
        [BATCH * STEPS, STEPS, "vanilla", 3, 0, "search"],
        [BATCH * STEPS, STEPS, "linear(until=0.5)", 3, 3, "search"],
        [4 * BATCH * STEPS, 4 * STEPS, "linear(until=0.5)", 3, 3, "search"],
        [4 * BATCH * STEPS, 4 * STEPS, "vanilla", 3, 0, "search"],
    ]
    assert table["difference"].tolist() == pytest.approx(
        [math.nan, 10 + 0.05 / 3, -10 + 0.05 / 3, math.nan], nan_ok=True
    )
    assert table["low"][1] < table["difference"][1] < table["high"][1]
    assert table["vanilla_mean"][1] == pytest.approx(table["fid_mean"][0])


def test_an_old_search_is_a_ladder_of_one_rung(search: Search) -> None:
    results = search(*TRIALS[:3])
    table = ladder(results)
    assert table["budget"].nunique() == 1
    assert table["low"].isna().all()
    (found,) = trends(results)
    assert (found.arms, found.choice, found.sentences, found.extrapolation) == ((), None, [], None)
    assert ladder(search(FakeTrial(0, VANILLA, 30.0, status="running", end=0.4))).empty


def test_a_confirmation_replaces_the_arms_of_the_search(search: Search) -> None:
    fresh = climb({VANILLA: {4: 28.0}, LINEAR: {4: 20.0}}, CONFIRM_TRIALS, stage="confirm")
    results = search(*climb(CROSSING), *fresh, plan=PLAN)
    table = ladder(results)
    assert table["source"].tolist() == ["search", "search", "confirm", "confirm"]
    assert table["fid_mean"][2] == pytest.approx(20.05, abs=0.01)
    # test and validation images do not mix: the trend stays that of the search
    (found,) = trends(results)
    assert [arm.source for arm in found.arms] == ["search"]
    assert found.arms[0].trend.rungs[-1].interval is not None
    assert found.arms[0].trend.rungs[-1].interval.mean == pytest.approx(-10, abs=0.1)


def test_trends_and_choice_in_words(search: Search) -> None:
    (found,) = trends(crossing(search))
    assert found.sentences == [
        "On glow, linear(until=0.5) starts to pay at about 2,000 steps (2,000 to 2,000, 90 %); "
        "not confirmed yet.",
        "On glow, the choice changes between 1,000 and 4,000 steps; not confirmed yet.",
    ]
    fresh = search(*climb(CROSSING, CONFIRM_TRIALS, stage="confirm"), plan=PLAN)
    (found,) = trends(fresh)
    assert found.confirmed
    assert not any("not confirmed" in sentence for sentence in found.sentences)
    assert per_budget(fresh, "glow") == [
        "at 1,000 steps vanilla has the lowest mean, FID 40.03; next linear(until=0.5), +10.02 "
        "from vanilla (9.83 to 10.21, 95 %) on 3 paired seeds",
        "at 4,000 steps linear(until=0.5) has the lowest mean, FID 16.05, \N{MINUS SIGN}9.98 from "
        "vanilla (\N{MINUS SIGN}10.17 to \N{MINUS SIGN}9.79, 95 %) on 3 paired seeds",
    ]


def test_one_seed_has_no_interval_and_no_trend(search: Search) -> None:
    results = search(*(run for run in climb(CROSSING) if run.seed == 0))
    table = ladder(results)
    assert table["low"].isna().all()
    assert table["pairs"].max() == 1
    (found,) = trends(results)
    assert found.arms == ()
    assert found.sentences == [
        "On glow, it cannot be told whether the choice depends on the budget; not confirmed yet."
    ]


@pytest.mark.parametrize(
    ("ladder", "target", "warning"),
    [
        (None, None, None),
        ({"scales": [1, 4], "target": 4}, None, None),  # it is what the search has trained
        ({"scales": [1], "target": 4}, 4000, None),
        (
            {"scales": [1, 4], "target": 200},
            200_000,
            "measured to 4,000 steps; at 200,000 this is an extrapolation (ratio 50)",
        ),
    ],
)
def test_the_target_is_told_in_the_unit_of_the_budgets(
    search: Search, ladder: dict[str, object] | None, target: int | None, warning: str | None
) -> None:
    (found,) = trends(crossing(search, metadata={"ladder": ladder}))
    assert (found.unit, found.budgets, found.target) == ("steps", (1000, 4000), target)
    assert found.extrapolation == warning


def test_a_search_over_budgets_recommends_what_is_expected_at_the_target(search: Search) -> None:
    found = best(crossing(search, metadata={"ladder": {"scales": [1, 4], "target": 16}}))
    assert (found.text, found.steps, found.target) == ("linear(until=0.5)", 4000, 16_000)
    assert found.sentence.startswith("On glow at 16,000 steps, linear(until=0.5) looks best")
    assert found.vanilla_expected is not None
    assert found.fid_expected < found.vanilla_expected
    assert "Measured at 4,000 steps" in found.details


def test_best_is_about_the_largest_budget(search: Search) -> None:
    results = crossing(search)
    found = best(results)
    assert (found.text, found.steps, found.budgets, found.runs) == (
        *("linear(until=0.5)", 4000, 2, 3),
    )
    assert found.sentence.startswith("On glow at 4,000 steps, linear(until=0.5) looks best")
    assert found.others_tried == 1


def test_a_verdict_is_about_the_largest_budget_too(search: Search) -> None:
    fresh = climb(CROSSING, CONFIRM_TRIALS, stage="confirm")
    found = best(search(*climb(CROSSING), *fresh, plan=PLAN))
    assert found.verdict is not None
    assert found.verdict.steps == 4000
    assert found.production == LINEAR
    other = {VANILLA: {1: 30.0, 4: 16.0}, LINEAR: {1: 20.0, 4: 26.0}}
    fresh = climb(other, CONFIRM_TRIALS, stage="confirm")
    assert best(search(*climb(CROSSING), *fresh, plan=PLAN)).production == VANILLA


def tuned(search: Search, finals: Sequence[float], lrs: Sequence[float]) -> Results:
    """Two seeds of vanilla, vanilla and linear, each at a learning rate of its own."""
    arms = zip((VANILLA, VANILLA, LINEAR), finals, lrs, strict=True)
    runs = [
        run
        for i, (schedule, final, lr) in enumerate(arms)
        for run in runs_of(schedule, [final, final + 0.5], i, 2 * i, settings={"lr": lr})
    ]
    return search(*runs, params={"lr": pa.float64()})


def test_where_hyperparameters_are_searched_vanilla_is_the_tuned_one(search: Search) -> None:
    table = ladder(tuned(search, (40.0, 30.0, 25.0), (0.1, 0.01, 0.1)))
    assert table["difference"].tolist() == pytest.approx([-5, math.nan, 10], nan_ok=True)
    assert table["arm"][0] == "linear(until=0.5) with lr=0.1"


def test_unlike_measurements_are_refused(search: Search) -> None:
    other = {**TRIALS[0].report(1.0), "trial": 99, "seed": 99, "fid_samples": 50_000}
    with pytest.raises(MollituneError, match="differ in fid_samples"):
        ladder(search(*TRIALS[:3], reports=[other]))
    with pytest.raises(MollituneError, match="has no model 'maf'"):
        ladder(search(*TRIALS[:3]), "maf")


def test_what_asks_for_one_budget_takes_the_largest(search: Search) -> None:
    results = crossing(search, metadata={"ladder": {"scales": [1, 4], "target": 16}})
    pairs = compare(results, "vanilla", "linear")
    assert set(pairs["step"]) == {4000}
    assert len(importance(results)) == 0  # of two configurations there, not of four


def test_one_budget_alone_is_no_ground_for_another(search: Search) -> None:
    results = search(*TRIALS[:3], metadata={"ladder": {"scales": [1, 4], "target": 16}})
    plain = search(*TRIALS[:3])
    shared = ["schedule", "fid_expected", "fid_low", "fid_high"]
    pd.testing.assert_frame_equal(leaderboard(results)[shared], leaderboard(plain)[shared])
    assert best(results).target is None
    assert best(results).sentence == best(plain).sentence
    (known,) = trends(results)
    assert known.extrapolation is not None
