import dataclasses

import pytest
from tests.analysis.conftest import CONFIRMED, LATE, TRIALS, FakeTrial, Search, stranger

from mollitune._errors import MollituneError
from mollitune.analysis import Results
from mollitune.analysis.ranking import best
from mollitune.schedules import Vanilla, build

# One lucky run of the linear schedule, three good ones of the sigmoid.
LUCKY = (
    TRIALS[0],
    dataclasses.replace(TRIALS[1], final=18.0),
    TRIALS[1].again(number=20, final=28.0, seed=8),
    TRIALS[2],
    TRIALS[2].again(number=21, final=19.0, seed=8),
    TRIALS[2].again(number=22, final=22.5, seed=9),
)
OTHER = FakeTrial(10, build("linear", until=0.5), 1.0).report(1.0)


def test_best_of_all_models(results: Results) -> None:
    found = best(results)
    assert (found.configuration, found.trial, found.model) == (2, 2, "glow")
    assert (found.fid_expected, found.vanilla_expected, found.vanilla_mean) == (20.0, 30.0, 30.0)
    assert found.schedule == TRIALS[2].schedule
    assert (found.runs, found.seeds, found.vanilla_runs) == (1, (7,), 1)
    assert (found.steps, found.extractor, found.fid_samples) == (1000, "lenet", 500)
    assert found == best(results, "glow")
    # runs of a confirmation do not compete
    assert min(results.reports["fid"]) == 1.0 < found.lowest_fid == 20.0


def test_lowest_mean_wins_over_the_lowest_single_fid(search: Search) -> None:
    found = best(search(*LUCKY))
    assert (found.configuration, found.runs, found.seeds) == (2, 3, (7, 8, 9))
    assert (found.fid_expected, found.fid_mean, found.fid_lowest) == (20.5, 20.5, 19.0)
    assert (found.lowest_configuration, found.lowest_fid, found.lowest_runs) == (1, 18.0, 2)
    assert (found.fid_low or 99) < 20.5 < (found.fid_high or 0)
    assert found.details == (
        f"The mean over seeds lies in {found.fid_low:.2f} to {found.fid_high:.2f}, one fresh run "
        f"in {found.fid_run_low:.2f} to {found.fid_run_high:.2f} (90 % each). Measured: 20.50 on "
        "average over 3 runs, 19.00 at best; vanilla 30.00 in 1 run. The best single run (FID "
        "18.00) used linear(until=0.5), which has 2 runs."
    )


@pytest.mark.parametrize(("runs", "trial"), [(1, 2), (2, 21), (3, 2)])
def test_the_run_that_is_shown_has_the_median_fid(search: Search, runs: int, trial: int) -> None:
    found = best(search(*LUCKY[3 : 3 + runs]))
    assert (found.trial, found.trial_fid) == (trial, {2: 20.0, 21: 19.0}[trial])


def test_many_configurations_are_chosen_by_shape(search: Search) -> None:
    """One low value among high neighbours is not believed, a low one among low ones is."""
    finals = [30.0, 29.5, 29.0, 21.9, 28.5, 24.0, 23.0, 22.0, 22.5, 23.5]
    found = best(
        search(
            *(FakeTrial(i, build("linear", until=0.05 + i / 10), f) for i, f in enumerate(finals))
        )
    )
    assert (found.configuration, found.lowest_configuration) == (7, 3)
    assert found.lowest_fid == 21.9 < found.fid_expected
    assert found.fid_low is not None


def test_the_recommendation_is_one_sentence_and_the_rest_are_details(search: Search) -> None:
    found = best(search(*TRIALS[:3]))
    assert found.sentence == (
        "On glow, sigmoid(start=-2, tau=1, until=0.6) looks best: expected FID 20.00, vanilla "
        "30.00; not confirmed yet."
    )
    assert found.details == (
        "No schedule was trained with a second seed, so there is no interval. Measured: 20.00 in "
        "1 run; vanilla 30.00 in 1 run. The best single run (FID 20.00) used this schedule too."
    )
    alone = best(search(TRIALS[1]))
    assert (alone.vanilla_expected, alone.vanilla_mean, alone.vanilla_runs) == (None, None, 0)
    assert "there is no vanilla run to compare with" in alone.sentence


def test_vanilla_alone_has_beaten_nobody(search: Search) -> None:
    said = [
        best(search(TRIALS[0], *others)).sentence
        for others in ((), (TRIALS[5],))  # none, and one that failed
    ]
    assert said == [
        f"On glow, no schedule {nothing} to compare with vanilla (expected FID 30.00)."
        for nothing in ("was tried", "has finished yet")
    ]


def test_after_a_confirmation_the_verdict_speaks(search: Search) -> None:
    results = search(*TRIALS, *CONFIRMED)
    found = best(results, "glow")
    assert found.verdict is not None
    assert found.sentence == found.verdict.sentence
    assert found.schedule == TRIALS[2].schedule  # of the search
    assert found.production == LATE  # of the confirmation
    assert found.details.startswith(f"For production: {LATE}. The search recommended ")
    other = best(results, "vae")
    assert other.verdict is None
    assert "not confirmed yet" in other.sentence


def test_a_confirmation_that_goes_on_decides_nothing_yet(search: Search) -> None:
    running = dataclasses.replace(CONFIRMED[-1], status="running", end=0.6)
    found = best(search(*TRIALS, *CONFIRMED[:-1], running), "glow")
    assert found.confirmed is None
    assert found.production == found.schedule
    assert "so far" in found.sentence


def test_where_nothing_beats_vanilla_vanilla_is_for_production(search: Search) -> None:
    finals = {3: 30.0, 2: 30.5, 1: 29.0}
    equal = [dataclasses.replace(t, final=finals[t.seed - 10_000]) for t in CONFIRMED]
    assert best(search(*TRIALS, *equal), "glow").production == Vanilla()


def test_vanilla_may_be_the_best(results: Results) -> None:
    found = best(results, "vae")
    assert found.is_vanilla
    assert found.schedule == Vanilla()
    assert found.sentence == (
        "On vae, no schedule tried is expected to beat vanilla (expected FID 50.00); not "
        "confirmed yet."
    )


def test_nothing_finished(search: Search) -> None:
    young = dataclasses.replace(TRIALS[1], status="running", end=0.6)
    noisy = FakeTrial(9, build("linear", until=1.0, peak=0.5), 1.0, status="stopped", end=0.8)
    results = search(young, noisy)
    with pytest.raises(MollituneError, match=r"no trial of the search 'fake' has finished"):
        best(results)
    with pytest.raises(MollituneError, match=r"no trial of model 'glow' of the search"):
        best(results, "glow")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**OTHER, "fid_samples": 50000}, r"differ in fid_samples \(500, 50000\)"),
        (
            {**OTHER, "extractor": "inception", "model": "vae"},
            r"'glow' and 'vae' .* differ in extractor",
        ),
        (stranger(fid=1.0), r"trial 9 cannot be built: .*'stairs'"),
    ],
)
def test_what_cannot_be_ranked(search: Search, row: dict[str, object], message: str) -> None:
    results = search(*TRIALS[:2], reports=[row])
    with pytest.raises(MollituneError, match=message):
        best(results)
    if row["model"] == "vae":
        assert best(results, "glow").fid_expected == 25.0


def test_models_may_have_budgets_of_their_own(search: Search) -> None:
    results = search(*TRIALS[:2], reports=[{**OTHER, "model": "vae", "budget": 640_000}])
    assert best(results).model == "vae"
