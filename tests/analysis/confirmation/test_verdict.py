import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs
from tests.analysis.conftest import PARAMS, STEPS, FakeTrial, MakeSearch

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results, verdicts, write_verdict
from mollitune.analysis.confirmation import verdict
from mollitune.analysis.tables.rows import Rows, Tables
from mollitune.schedules import Schedule, build
from mollitune.search.store.schema import (
    CONFIRM_TRIALS,
    KEYS,
    decisions_schema,
    reports_schema,
    trials_schema,
)

VANILLA = build("vanilla")
X = build("sigmoid", start=0.0, end=3.0, tau=0.7, until=0.6)
Y = build("linear", until=0.4)
Z = build("linear", until=0.6)
ARMS = {0: VANILLA, 4: X, 7: Y, 9: Z}
# four seeds, vanilla first
BASE = (70.1, 65.2, 74.8, 69.0)
GOOD = (56.0, 51.3, 60.2, 55.1)  # about 14 lower
GOOD_TOO = (56.9, 50.1, 61.9, 53.8)
ALIKE = (71.0, 63.9, 75.2, 70.4)
BAD = (88.0, 83.3, 92.2, 87.1)
WIDE = (48.0, 64.3, 53.2, 65.1)
WIDE_TOO = (48.7, 64.6, 53.9, 65.7)

Fids = Mapping[int, Sequence[float | None]]
Confirm = Callable[..., Results]


def runs(
    fids: Fids, number: int = 1, model: str = "glow", first: int = 0
) -> tuple[FakeTrial, ...]:
    """Runs of a confirmation, seed by seed; None for one that failed."""
    made: list[FakeTrial] = []
    for seed in range(max(map(len, fids.values()), default=0)):
        for arm, own in fids.items():
            if seed >= len(own):
                continue
            fid = own[seed]
            failed: dict[str, Any] = {
                "status": "failed",
                "end": 0.4,
                "error": "loss is not finite",
            }
            made.append(
                FakeTrial(
                    number * CONFIRM_TRIALS + first + len(made),
                    ARMS[arm],
                    fid or 99.0,
                    model=model,
                    stage="confirm",
                    seed=1000 + seed,
                    configuration=arm,
                    **({} if fid is not None else failed),
                )
            )
    return tuple(made)


@pytest.fixture
def confirm(tmp_path: Path) -> Confirm:
    """A function that makes the results of a confirmed search, without the way over Parquet."""
    made: list[Path] = []

    def make(
        trials: Sequence[FakeTrial],
        drops: Mapping[int, str] | None = None,
        plan: Mapping[str, Any] | None = None,
        last_report: Mapping[str, Any] | None = None,
        last_trial: Mapping[str, Any] | None = None,
    ) -> Results:
        folder = tmp_path / str(len(made)) / "fake"
        (folder / "confirm").mkdir(parents=True)
        made.append(folder)
        if plan is not None:
            (folder / "confirm" / "1.json").write_text(json.dumps(plan))
        everyone = [FakeTrial(0, VANILLA, 70.0), FakeTrial(4, X, 55.0), *trials]
        reports = [run.report(p) for run in everyone for p in run.evaluations()[-1:]]
        reports[-1] |= last_report or {}
        ended = [run.row() for run in everyone]
        ended[-1] |= last_trial or {}
        decided = [
            run.decision(0, 1.0) | {"policy": "confirm", "action": "drop", "reason": reason}
            for arm, reason in (drops or {}).items()
            for run in trials
            if run.group == arm
        ]
        tables = {
            "reports": pa.Table.from_pylist(reports, schema=reports_schema(PARAMS)),
            "decisions": pa.Table.from_pylist(decided, schema=decisions_schema()),
            "trials": pa.Table.from_pylist(ended, schema=trials_schema(PARAMS)),
        }
        rows = Tables({name: Rows(table, KEYS[name]) for name, table in tables.items()})
        return Results("fake", {}, rows, fs.LocalFileSystem(), str(folder))

    return make


def planned(seeds: int, arms: Sequence[int] = tuple(ARMS), **over: Any) -> dict[str, Any]:
    return {
        "number": 1,
        "top": len(arms) - 2,
        "seeds": seeds,
        "fid_samples": 500,
        "level": 0.95,
        "steps": {"glow": STEPS},
        "arms": {
            "glow": [{"configuration": arm, "schedule": ARMS[arm].to_dict()} for arm in arms]
        },
        **over,
    }


# ---------------------------------------------------------------- what is read


def test_what_the_verdict_holds(make_search: MakeSearch) -> None:
    location = make_search((FakeTrial(0, VANILLA, 70.0), *runs({0: BASE, 4: GOOD, 7: BAD})))
    found = verdict(load_results(location))
    assert (found.search, found.number, found.model, found.dataset) == (
        "fake",
        1,
        "glow",
        "digits",
    )
    assert (found.steps, found.extractor, found.fid_samples) == (1000, "lenet", 500)
    assert (found.reference, found.level) == ("validation", 0.95)
    assert (found.planned, found.complete) == (4, True)
    assert [arm.configuration for arm in found.arms] == [4, 0, 7]  # lowest mean first
    best = found.arms[0]
    assert (best.schedule, best.text) == (X, str(X))
    assert best.trials == tuple(CONFIRM_TRIALS + i for i in (1, 4, 7, 10))
    assert (best.seeds, best.fids) == ((1000, 1001, 1002, 1003), GOOD)
    assert best.mean == pytest.approx(np.mean(GOOD))
    assert best.error == pytest.approx(np.std(GOOD, ddof=1) / 2)
    assert best.difference == pytest.approx(np.mean(GOOD) - np.mean(BASE))
    assert best.beats_vanilla
    assert not best.failed
    assert best.half_width == pytest.approx(((best.high or 0) - (best.low or 0)) / 2)
    assert found.vanilla is found.arms[1]
    assert (found.vanilla.difference, found.vanilla.half_width) == (None, None)
    assert found.tie_set == (best,)
    assert found.choice is best


def test_runs_of_the_search_do_not_count(confirm: Confirm) -> None:
    lucky = dataclasses.replace(FakeTrial(11, Z, 1.0), stage="search", seed=1000)
    old = FakeTrial(12, Z, 1.0, stage="confirm", seed=1000)  # of tables before confirmations
    found = verdict(confirm((*runs({0: BASE, 4: GOOD}), lucky, old)))
    assert {arm.configuration for arm in found.arms} == {0, 4}


def test_the_latest_confirmation_counts(confirm: Confirm) -> None:
    first, second = runs({0: BASE, 4: GOOD}), runs({0: BASE, 7: ALIKE}, number=2)
    found = verdict(confirm((*first, *second)))
    assert found.number == 2
    assert {arm.configuration for arm in found.arms} == {0, 7}


def test_without_a_confirmation(results: Results) -> None:
    assert verdicts(results) == []
    assert write_verdict(results) == []
    assert results.read_file("verdict.json") is None
    message = r"^no confirmation of 'fake' yet; run: mollitune confirm fake$"
    with pytest.raises(MollituneError, match=message):
        verdict(results)


def test_several_models(confirm: Confirm) -> None:
    both = confirm((*runs({0: BASE, 4: GOOD}), *runs({0: BASE, 4: ALIKE}, model="vae", first=100)))
    assert [found.model for found in verdicts(both)] == ["glow", "vae"]
    assert verdict(both, "vae") == verdicts(both)[1]
    with pytest.raises(MollituneError, match=r"has several models; name one of: glow, vae$"):
        verdict(both)
    with pytest.raises(MollituneError, match=r"has no model 'maf'; it has: glow, vae$"):
        verdict(both, "maf")


def test_a_dropped_arm_is_out_whatever_it_shows(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD, 7: BAD[:3]}), {7: "clearly worse"}))
    out = found.arms[-1]
    assert (out.configuration, out.out, out.failed) == (7, "clearly worse", False)
    assert not out.tied
    assert found.complete
    lucky = verdict(confirm(runs({0: BASE, 4: ALIKE, 7: GOOD[:3]}), {7: "clearly worse"}))
    assert not lucky.arms[-1].beats_vanilla
    assert lucky.choice is lucky.vanilla


def test_vanilla_is_never_dropped(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD}), {0: "clearly worse"}))
    assert found.vanilla is not None
    assert found.vanilla.out is None
    assert found.arms[0].beats_vanilla


def test_a_failed_run_puts_its_arm_out(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: (*GOOD[:3], None), 7: ALIKE})))
    out = found.arms[-1]
    assert (out.configuration, out.out, out.failed) == (4, "loss is not finite", True)
    assert (out.seeds, out.tied, out.beats_vanilla) == ((1000, 1001, 1002), False, False)
    assert out.high is not None  # still told
    assert found.choice is found.vanilla
    assert found.complete


def test_a_run_that_failed_and_was_made_again_has_not_failed(confirm: Confirm) -> None:
    again = FakeTrial(
        2 * CONFIRM_TRIALS - 1, X, GOOD[3], stage="confirm", seed=1003, configuration=4
    )
    found = verdict(confirm((*runs({0: BASE, 4: (*GOOD[:3], None)}), again)))
    assert (found.arms[0].out, found.arms[0].fids) == (None, GOOD)


def test_seeds_on_which_vanilla_failed_are_left_out(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: (*BASE[:3], None), 4: GOOD})))
    assert found.vanilla is not None
    assert (found.vanilla.out, len(found.vanilla.seeds)) == (None, 3)
    assert found.arms[0].difference == pytest.approx(np.mean(GOOD[:3]) - np.mean(BASE[:3]))
    assert len(found.arms[0].seeds) == 4
    assert found.complete
    assert "(3 paired seeds, 95 %)" in found.sentence


def test_without_a_finite_fid_the_run_has_failed(confirm: Confirm) -> None:
    none = {"fid": None, "comparable": False}
    results = confirm(runs({0: BASE, 4: GOOD}), last_report=none, last_trial={"final_fid": None})
    found = verdict(results)
    assert found.arms[-1].out == "no finite FID on clean data at full budget"


def test_a_run_whose_report_is_not_yet_seen_has_not_failed(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD}), last_report={"comparable": False}))
    assert (found.arms[0].out, found.arms[0].fids) == (None, GOOD[:3])


def test_the_plan_tells_how_many_seeds_and_arms(confirm: Confirm) -> None:
    few = runs({0: BASE[:2], 4: GOOD[:2]})
    assert verdict(confirm(few)).complete
    found = verdict(confirm(few, plan=planned(5, (0, 4, 7), level=0.9)))
    assert (found.planned, found.complete, found.level) == (5, False, 0.9)
    assert [arm.configuration for arm in found.arms] == [4, 0, 7]
    later = found.arms[-1]
    assert (later.schedule, later.seeds, later.out) == (Y, (), None)
    assert (later.difference, later.tied) == (None, False)
    assert math.isnan(later.mean)
    assert math.isnan(later.error)


def test_before_the_first_run_has_ended(confirm: Confirm) -> None:
    young = [
        dataclasses.replace(run, status="running", end=0.0) for run in runs({0: BASE, 4: GOOD})
    ]
    found = verdict(confirm(young, plan=planned(4, (0, 4))))
    assert (found.fid_samples, found.extractor, found.steps) == (500, "", 1000)
    assert found.choice is found.vanilla
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["arms"][0]["mean"] is None


def test_comparisons_are_fixed_beforehand(confirm: Confirm) -> None:
    """An arm that is out, or has not begun, makes the others' intervals no narrower."""
    alone = verdict(confirm(runs({0: BASE, 4: GOOD})))
    three = verdict(confirm(runs({0: BASE, 4: GOOD}), plan=planned(4)))
    assert (alone.arms[0].half_width or 0) < (three.arms[0].half_width or 0)


def test_unlike_measurements_are_refused(confirm: Confirm) -> None:
    results = confirm(runs({0: BASE, 4: GOOD}), last_report={"fid_samples": 5000})
    message = (
        r"^the FIDs of 'glow' in 'fake' cannot be ranked: they differ in fid_samples "
        r"\(500, 5000\); confirm the search anew$"
    )
    with pytest.raises(MollituneError, match=message):
        verdict(results)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"seeds": 0}', '{"seeds": 5, "level": 1}', '{"seeds": "many"}']
)
def test_a_corrupt_plan(confirm: Confirm, text: str) -> None:
    results = confirm(runs({0: BASE, 4: GOOD}), plan={"seeds": 4})
    assert results.folder is not None
    (results.folder / "confirm" / "1.json").write_text(text)
    with pytest.raises(MollituneError, match=r"^confirm/1\.json of 'fake' is corrupt"):
        verdict(results)


def test_a_family_that_is_not_registered(confirm: Confirm) -> None:
    plan = planned(4, (0, 4))
    plan["arms"]["glow"][1]["schedule"]["family"] = "mine"
    message = r"^the schedule of configuration 4 cannot be built: .*; import the module"
    with pytest.raises(MollituneError, match=message):
        verdict(confirm(runs({0: BASE, 4: GOOD}), plan=plan))


# ---------------------------------------------------------------- what is said


def text_of(fids: Fids, confirm: Confirm, **over: Any) -> str:
    return verdict(confirm(runs(fids), **over)).sentence


def test_one_beats_vanilla(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD})))
    arm = found.arms[0]
    assert arm.difference is not None
    assert arm.half_width is not None
    assert found.sentence == (
        f"On glow, {X} beats vanilla by {-arm.difference:.2f} ± {arm.half_width:.2f} FID "
        "(4 paired seeds, 95 %)."
    )


def test_one_beats_vanilla_and_the_others(confirm: Confirm) -> None:
    said = text_of({0: BASE, 4: GOOD, 7: ALIKE, 9: BAD}, confirm)
    assert said.startswith(f"On glow, {X} beats vanilla by 14.12 ± ")
    assert said.endswith(" FID (4 paired seeds, 95 %), and no other ties with it.")


def test_two_cannot_be_told_apart_and_both_beat_vanilla(confirm: Confirm) -> None:
    said = text_of({0: BASE, 4: GOOD, 7: GOOD_TOO}, confirm)
    assert said.startswith(
        f"On glow, {X} and {Y} cannot be told apart; each beats vanilla, {X} by 14.12 ± "
    )


def test_three_cannot_be_told_apart_and_one_beats_vanilla(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: WIDE, 7: GOOD, 9: WIDE_TOO})))
    assert found.sentence.startswith(
        f"On glow, {Y}, {X} and {Z} cannot be told apart; only {Y} beats vanilla, by 14.12 ± "
    )
    assert found.choice is not None
    assert found.choice.schedule == Y


def test_some_of_those_that_cannot_be_told_apart_beat_vanilla(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: WIDE, 7: GOOD, 9: GOOD_TOO})))
    assert found.sentence.startswith(
        f"On glow, {Y}, {Z} and {X} cannot be told apart; {Y} and {Z} beat vanilla, {Y} by 14.1 ±"
    )


def test_no_difference(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: ALIKE, 7: BASE[::-1]})))
    arms = {arm.configuration: arm for arm in found.arms}
    assert arms[4].difference is not None
    assert found.sentence.startswith(
        "On glow, no schedule is distinguishable from vanilla (largest difference: 0.4 ± "
    )
    assert found.sentence.endswith(
        f" FID of {X}; 4 paired seeds, 95 %); a true difference of {found.detectable:.2g} FID "
        "would be found with probability 0.8."
    )
    assert found.choice is found.vanilla
    assert len(found.tie_set) == 3


def test_the_largest_difference_has_its_sign(confirm: Confirm) -> None:
    said = text_of({0: BASE, 4: (69.0, 66.2, 72.0, 68.1), 7: BASE}, confirm)
    assert "(largest difference: \N{MINUS SIGN}0.9 ± " in said


def test_some_are_worse_and_some_alike(confirm: Confirm) -> None:
    said = text_of({0: BASE, 4: ALIKE, 7: BAD}, confirm)
    assert said.startswith(
        f"On glow, no schedule beats vanilla, and {X} cannot be told apart from it "
        "(largest difference: 0.4 ± "
    )


def test_vanilla_beats_all(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: BAD, 7: [fid + 9 for fid in BAD]})))
    assert found.sentence.startswith(
        f"On glow, vanilla beats every schedule; the closest, {X}, is worse by 17.88 ± "
    )
    assert found.sentence.endswith(" FID (4 paired seeds, 95 %).")
    assert found.choice is found.vanilla
    assert found.tie_set == (found.vanilla,)


def test_all_were_dropped(confirm: Confirm) -> None:
    said = text_of({0: BASE, 4: BAD[:3], 7: BAD[:3]}, confirm, drops={4: "worse", 7: "worse"})
    assert said == "On glow, vanilla beats every schedule."


def test_failures_are_told(confirm: Confirm) -> None:
    said = text_of({0: BASE, 4: GOOD, 7: (None,), 9: (50.0, None)}, confirm)
    assert said.startswith(f"On glow, {X} beats vanilla by ")
    assert said.endswith(f"; {Z} and {Y} failed and cannot be judged.")


def test_all_failed(confirm: Confirm) -> None:
    assert text_of({0: BASE, 4: (None,)}, confirm) == (
        f"On glow, there is no verdict: there is no schedule to compare with vanilla; {X} failed "
        "and cannot be judged."
    )


def test_not_complete(confirm: Confirm) -> None:
    said = text_of({0: BASE[:3], 4: GOOD[:3]}, confirm, plan=planned(5, (0, 4)))
    assert said.startswith(
        f"On glow, so far (3 of 5 seeds, not complete), {X} beats vanilla by 14.2 ± "
    )


def test_too_few_seeds(confirm: Confirm) -> None:
    few = "an interval needs two paired seeds."
    one = {0: BASE[:1], 4: GOOD[:1]}
    assert text_of(one, confirm) == f"On glow, there is no verdict: {few}"
    waiting = text_of(one, confirm, plan=planned(5, (0, 4)))
    assert waiting == f"On glow, there is no verdict yet: {few}"


def test_vanilla_has_no_runs(confirm: Confirm) -> None:
    none = "vanilla has no complete run to compare with."
    failed = {0: (None, None), 4: GOOD[:2]}
    assert text_of(failed, confirm) == f"On glow, there is no verdict: {none}"
    waiting = verdict(confirm(runs({4: GOOD[:2]}), plan=planned(5, (4,))))
    assert waiting.sentence == f"On glow, there is no verdict yet: {none}"
    assert (waiting.vanilla, waiting.choice, waiting.detectable) == (None, None, None)


def test_detectable_is_what_the_spread_allows(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD})))
    twice = verdict(
        confirm(runs({0: (0.0,) * 4, 4: [2 * (a - b) for a, b in zip(GOOD, BASE, strict=True)]}))
    )
    assert found.detectable is not None
    assert twice.detectable == pytest.approx(2 * found.detectable)


# ---------------------------------------------------------------- where it goes


def test_table(confirm: Confirm) -> None:
    table = verdict(confirm(runs({0: BASE, 4: GOOD, 7: (None,)}))).table()
    assert list(table["schedule"]) == [str(X), "vanilla", str(Y)]
    assert list(table["seeds"]) == [4, 4, 0]
    assert list(table["beats"]) == [True, False, False]
    assert list(table["tied"]) == [True, False, False]
    assert list(table["out"]) == ["", "", "loss is not finite"]
    assert table["difference"].isna().tolist() == [False, True, True]
    assert table[["fid", "error", "low", "high"]].dtypes.eq("float64").all()


def test_verdict_file(confirm: Confirm) -> None:
    results = confirm(
        (*runs({0: BASE, 4: GOOD, 7: (None,)}), *runs({0: BASE}, model="vae", first=50))
    )
    found = write_verdict(results)
    data = results.read_file("verdict.json")
    assert data is not None
    content = json.loads(data, parse_constant=pytest.fail)  # NaN is no JSON
    assert (content["format"], content["version"]) == ("mollitune.verdict", 1)
    assert content["verdicts"] == [one.to_dict() for one in found]
    glow = content["verdicts"][0]
    assert (glow["format"], glow["version"]) == ("mollitune.verdict", 1)
    assert (glow["choice"], glow["tie_set"]) == (4, [4])
    assert glow["sentence"] == found[0].sentence
    best, _, failed = glow["arms"]
    assert Schedule.from_dict(best["schedule"]) == X
    assert (best["fids"], best["low"]) == (list(GOOD), found[0].arms[0].low)
    assert best["beats_vanilla"] is True
    assert (failed["mean"], failed["error"], failed["failed"]) == (None, None, True)
    assert write_verdict(results) == found  # replaces itself


def test_verdict_file_on_another_file_system(confirm: Confirm) -> None:
    """Nothing needs a local folder."""
    local = confirm(runs({0: BASE, 4: GOOD}))
    assert local.folder is not None
    remote = fs.SubTreeFileSystem(str(local.folder.parent), fs.LocalFileSystem())
    results = dataclasses.replace(local, filesystem=remote, root="fake")
    assert results.folder is None
    assert write_verdict(results) == verdicts(local)
    assert results.read_file("verdict.json") is not None


def test_a_folder_that_cannot_be_written(confirm: Confirm) -> None:
    results = confirm(runs({0: BASE, 4: GOOD}))
    assert results.folder is not None
    (results.folder / "verdict.json").mkdir()
    with pytest.raises(MollituneError, match=r"^cannot write .*verdict\.json: "):
        write_verdict(results)
