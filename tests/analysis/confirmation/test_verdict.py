import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs
from rich.console import Console
from tests.analysis.conftest import STEPS, FakeTrial, Row, Search

from mollitune._errors import MollituneError
from mollitune.analysis import Results, best, verdicts, write_verdict
from mollitune.analysis.confirmation import verdict
from mollitune.analysis.confirmation.judgement import kept_level
from mollitune.analysis.confirmation.paired import critical
from mollitune.schedules import Schedule, build
from mollitune.search.cli import _print_frame
from mollitune.search.store.schema import CONFIRM_TRIALS

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
WIDE = (66.1, 53.2, 69.8, 58.0)  # about 8 lower, and not always
WIDE_TOO = (58.1, 61.2, 64.8, 63.0)

Fids = Mapping[int, Sequence[float | None]]
Confirm = Callable[..., Results]
FAILED: dict[str, Any] = {"status": "failed", "end": 0.4, "error": "loss is not finite"}


def runs(
    fids: Fids, number: int = 1, model: str = "glow", first: int = 0, scale: float = 1.0
) -> tuple[FakeTrial, ...]:
    """Runs of a confirmation, seed by seed; None for one that failed.

    At another budget the arms are 100 configurations further on.
    """
    first += number * CONFIRM_TRIALS
    seeds = range(max(map(len, fids.values()), default=0))
    found = [(arm, seed) for seed in seeds for arm, own in fids.items() if seed < len(own)]
    made = []
    for trial, (arm, seed) in enumerate(found, first):
        fid = fids[arm][seed]
        own: dict[str, Any] = {"seed": 1000 * number + seed, "configuration": arm, "model": model}
        own["scale"] = scale
        failed = FAILED if fid is None else {}
        made.append(
            FakeTrial(trial, ARMS[arm % 100], fid or 99.0, stage="confirm", **own, **failed)
        )
    return tuple(made)


@pytest.fixture
def confirm(search: Search) -> Confirm:
    """A function that makes the results of a confirmed search."""

    def make(
        trials: Sequence[FakeTrial],
        drops: Mapping[int, str] | None = None,
        plan: Row | None = None,
        last_report: Row | None = None,
        last_trial: Row | None = None,
        reports: Sequence[Row] = (),
    ) -> Results:
        dropped = [
            run.decision(0, 1.0) | {"policy": "confirm", "action": "drop", "reason": reason}
            for arm, reason in (drops or {}).items()
            for run in trials
            if run.group == arm
        ]
        return search(
            *(FakeTrial(0, VANILLA, 70.0), FakeTrial(4, X, 55.0), *trials),
            decisions=dropped,
            reports=[
                *reports,
                *([{**trials[-1].report(1.0), **last_report}] if last_report else []),
            ],
            ended=[{**trials[-1].row(), **last_trial}] if last_trial else [],
            plan=plan,
        )

    return make


def planned(seeds: int, arms: Sequence[int] = tuple(ARMS), **over: Any) -> dict[str, Any]:
    schedules = [{"configuration": arm, "schedule": ARMS[arm].to_dict()} for arm in arms]
    return {
        **{"number": 1, "top": len(arms) - 2, "seeds": seeds, "fid_samples": 500, "level": 0.95},
        **{"steps": {"glow": STEPS}, "arms": {"glow": schedules}},
        **over,
    }


def test_what_the_verdict_holds(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD, 7: BAD})))
    assert (found.search, found.number, found.model) == ("fake", 1, "glow")
    assert (found.dataset, found.steps, found.extractor) == ("digits", 1000, "lenet")
    assert (found.fid_samples, found.reference, found.level) == (500, "test", 0.95)
    assert (found.planned, found.complete) == (4, True)
    best, vanilla, worst = found.arms  # lowest mean first
    assert (best.configuration, worst.configuration, found.vanilla) == (4, 7, vanilla)
    assert (best.schedule, best.text) == (X, str(X))
    assert best.trials == tuple(CONFIRM_TRIALS + i for i in (1, 4, 7, 10))
    assert (best.seeds, best.fids) == ((1000, 1001, 1002, 1003), GOOD)
    assert best.mean == pytest.approx(np.mean(GOOD))
    assert best.error == pytest.approx(np.std(GOOD, ddof=1) / 2)
    assert best.difference == pytest.approx(np.mean(GOOD) - np.mean(BASE))
    assert (best.beats_vanilla, best.failed) == (True, False)
    assert best.half_width == pytest.approx(((best.high or 0) - (best.low or 0)) / 2)
    assert (vanilla.difference, vanilla.half_width) == (None, None)
    assert found.tie_set == (best,)
    assert found.choice is best


def test_the_latest_confirmation_counts_and_runs_of_the_search_do_not(confirm: Confirm) -> None:
    lucky = FakeTrial(11, Z, 1.0, seed=1000)
    old = FakeTrial(12, Z, 1.0, stage="confirm", seed=1000)  # of tables before confirmations
    first, second = runs({0: BASE, 4: GOOD}), runs({0: BASE, 7: ALIKE}, number=2)
    for number, arms, trials in ((1, {0, 4}, first), (2, {0, 7}, (*first, *second))):
        found = verdict(confirm((*trials, lucky, old)))
        assert (found.number, {arm.configuration for arm in found.arms}) == (number, arms)


def test_the_seeds_of_the_confirmation_before_count_too(confirm: Confirm) -> None:
    first = runs({0: BASE, 4: GOOD, 7: BAD[:3], 9: ALIKE})
    second = runs({0: BASE[:2], 4: GOOD[:2]}, number=2)
    plan = planned(2, (0, 4), number=2, level=0.992)
    results = confirm((*first, *second), {7: "clearly worse"}, plan=plan)
    found = verdict(results)
    best, vanilla, *out = found.arms
    assert (found.number, found.earlier, found.planned, found.complete) == (2, (1,), 6, True)
    assert best.seeds == vanilla.seeds == (1000, 1001, 1002, 1003, 2000, 2001)
    assert best.fids == (*GOOD, *GOOD[:2])
    assert len(best.trials) == 6
    # they are compared with as many arms as at first
    assert {arm.configuration: arm.out for arm in out} == {
        7: "clearly worse",
        9: "no longer recommended by the search",
    }
    assert best.half_width == pytest.approx(
        critical(3, kept_level(0.992), 5)
        * np.std(np.subtract(best.fids, vanilla.fids), ddof=1)
        / math.sqrt(6)
    )
    assert "(6 paired seeds, 99.2 %, look 2)" in found.sentence
    assert found.to_dict()["earlier"] == [1]


def test_a_third_confirmation_has_the_seeds_of_both(confirm: Confirm) -> None:
    pair = {0: BASE[:2], 4: GOOD[:2]}
    trials = [run for number in (1, 2, 3) for run in runs(pair, number=number)]
    found = verdict(confirm(trials))
    assert (found.number, found.earlier) == (3, (1, 2))
    assert found.arms[0].seeds == (1000, 1001, 2000, 2001, 3000, 3001)


@pytest.mark.parametrize(
    ("first", "second", "before"),
    [
        ({0: BASE, 4: GOOD}, {0: BASE, 4: GOOD, 7: ALIKE}, {}),  # a new arm
        ({0: BASE, 4: (*GOOD[:3], None)}, {0: BASE, 4: GOOD}, {}),  # it failed
        ({0: BASE, 4: GOOD}, {0: BASE, 4: GOOD}, {"fid_samples": 600}),
    ],
)
def test_seeds_that_do_not_compare_are_left_out(
    confirm: Confirm, first: Fids, second: Fids, before: Row
) -> None:
    one, two = runs(first), runs(second, number=2)
    unlike = [{**run.report(1.0), **before} for run in one if before]
    found = verdict(confirm((*one, *two), reports=unlike))
    assert found.earlier == ()
    assert {seed for arm in found.arms for seed in arm.seeds} == {2000, 2001, 2002, 2003}


def test_a_verdict_at_any_time_says_so(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD}), plan=planned(4, (0, 4), anytime=True)))
    assert found.anytime
    assert found.arms[0].half_width is None  # so few seeds show nothing
    assert found.sentence.startswith("On glow, there is no verdict")


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
    # vanilla is never dropped
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
    # once it was made again it has not failed
    again = runs({4: GOOD}, first=50)[3]
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


def test_without_a_finite_fid_the_run_has_failed_but_not_before_it_is_seen(
    confirm: Confirm,
) -> None:
    made, none = runs({0: BASE, 4: GOOD}), {"fid": None, "comparable": False}
    found = verdict(confirm(made, last_report=none, last_trial={"final_fid": None}))
    assert found.arms[-1].out == "no finite value on clean data at full budget"
    found = verdict(confirm(made, last_report={"comparable": False}))
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
    made = runs({0: BASE, 4: GOOD})
    young = [dataclasses.replace(run, status="running", end=0.0) for run in made]
    found = verdict(confirm(young, plan=planned(4, (0, 4))))
    assert (found.fid_samples, found.extractor, found.steps) == (500, "", 1000)
    assert found.choice is found.vanilla
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["arms"][0]["mean"] is None


def test_comparisons_are_fixed_beforehand(confirm: Confirm) -> None:
    """An arm that is out, or has not begun, makes the others' intervals no narrower."""
    alone = verdict(confirm(runs({0: BASE, 4: GOOD})))
    three = verdict(confirm(runs({0: BASE, 4: GOOD}), plan=planned(4)))
    assert (alone.arms[0].half_width or 0) < (three.arms[0].half_width or 0)


def test_unlike_measurements_and_unknown_families_are_refused(confirm: Confirm) -> None:
    made, plan = runs({0: BASE, 4: GOOD}), planned(4, (0, 4))
    message = (
        r"^the FIDs of 'glow' in 'fake' cannot be ranked: they differ in fid_samples "
        r"\(500, 5000\); confirm the search again$"
    )
    with pytest.raises(MollituneError, match=message):
        verdict(confirm(made, last_report={"fid_samples": 5000}))
    plan["arms"]["glow"][1]["schedule"]["family"] = "mine"
    message = r"^the schedule of configuration 4 cannot be built: .*; import the module"
    with pytest.raises(MollituneError, match=message):
        verdict(confirm(made, plan=plan))


def test_a_corrupt_plan(confirm: Confirm) -> None:
    results = confirm(runs({0: BASE, 4: GOOD}), plan={"seeds": 4})
    assert results.folder is not None
    for text in ("{", "[]", "{}", '{"seeds": 0}', '{"seeds": 5, "level": 1}', '{"seeds": "many"}'):
        (results.folder / "confirm" / "1.json").write_text(text)
        with pytest.raises(MollituneError, match=r"confirm/1\.json.* is corrupt"):
            verdict(results)


FEW = "an interval takes two seeds, each with and without the schedule."
NONE = "vanilla has no complete run to compare with."
NOT_YET = {"plan": planned(5, (0, 4))}
WORSE = {"drops": {4: "worse", 7: "worse"}}
# FIDs, how the sentence begins after "On glow, ", how it ends, and what else is known
SAID: tuple[tuple[Any, ...], ...] = (
    (
        {0: BASE, 4: GOOD, 7: ALIKE, 9: BAD},
        f"{X} beats vanilla by 14.1",
        " FID (4 paired seeds, 95 %), and nothing ties with it.",
    ),
    (
        {0: BASE, 4: GOOD, 7: GOOD_TOO},
        f"{X} and {Y} cannot be told apart; each beats vanilla, {X} by 14.1",
    ),
    (
        {0: BASE, 4: WIDE, 7: GOOD, 9: WIDE_TOO},
        f"{Y}, {X} and {Z} cannot be told apart; only {Y} beats vanilla, by 14 ± ",
    ),
    (
        {0: BASE, 4: WIDE, 7: GOOD, 9: GOOD_TOO},
        f"{Y}, {Z} and {X} cannot be told apart; {Y} and {Z} beat vanilla, {Y} by 14.1",
    ),
    (
        {0: BASE, 4: (69.0, 66.2, 72.0, 68.2), 7: BASE},
        "no schedule can be told apart from vanilla (largest difference: \N{MINUS SIGN}0.9 ± ",
    ),
    (
        {0: BASE, 4: ALIKE, 7: BAD},
        f"no schedule beats vanilla, and {X} cannot be told apart from it (largest difference: "
        "0.4 ± ",
    ),
    (
        {0: BASE, 4: BAD, 7: [fid + 9 for fid in BAD]},
        f"vanilla beats every schedule; the closest, {X}, is worse by 17.88 ± ",
        " FID (4 paired seeds, 95 %).",
    ),
    ({0: BASE, 4: BAD[:3], 7: BAD[:3]}, "vanilla beats every schedule.", "schedule.", WORSE),
    (
        {0: BASE, 4: GOOD, 7: (None,), 9: (50.0, None)},
        f"{X} beats vanilla by ",
        f"; {Z} and {Y} failed and cannot be judged.",
    ),
    (
        {0: BASE, 4: (None,)},
        "there is no verdict: no schedule has a complete run to compare with vanilla; ",
        f"vanilla; {X} failed and cannot be judged.",
    ),
    (
        {0: BASE[:3], 4: GOOD[:3]},
        f"so far (3 of 5 seeds done), {X} beats vanilla by 14.2 ± ",
        "",
        NOT_YET,
    ),
    ({0: BASE[:1], 4: GOOD[:1]}, "there is no verdict: ", f": {FEW}"),
    ({0: BASE[:1], 4: GOOD[:1]}, "there is no verdict yet: ", FEW, NOT_YET),
    ({0: (None, None), 4: GOOD[:2]}, "there is no verdict: ", f": {NONE}"),
)


def test_what_is_said(confirm: Confirm) -> None:
    for fids, begin, *more in SAID:
        end, known = more[0] if more else "", dict(*more[1:])
        found = verdict(confirm(runs(fids), **known))
        assert found.sentence.startswith(f"On glow, {begin}")
        assert found.sentence.endswith(end)
        assert found.choice is not None or "no verdict" in begin
        if begin.startswith("vanilla beats"):
            assert found.choice is found.vanilla
            assert found.tie_set == (found.vanilla,)
        if found.choice is not None and "only" in begin:
            assert found.choice.schedule == Y


def test_one_beats_vanilla(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: GOOD})))
    arm = found.arms[0]
    assert arm.difference is not None
    assert arm.half_width is not None
    assert found.sentence == (
        f"On glow, {X} beats vanilla by {-arm.difference:.2f} ± {arm.half_width:.2f} FID "
        "(4 paired seeds, 95 %)."
    )
    # what is detectable grows with the spread
    twice = [2 * (a - b) for a, b in zip(GOOD, BASE, strict=True)]
    wider = verdict(confirm(runs({0: (1e-9,) * 4, 4: twice})))
    assert found.detectable is not None
    assert wider.detectable == pytest.approx(2 * found.detectable)


def test_no_difference(confirm: Confirm) -> None:
    found = verdict(confirm(runs({0: BASE, 4: ALIKE, 7: BASE[::-1]})))
    assert found.sentence.startswith(
        "On glow, no schedule can be told apart from vanilla (largest difference: 0 ± "
    )
    assert found.sentence.endswith(
        f" FID, {X}; 4 paired seeds, 95 %); this test had an 80 % chance to detect a true "
        f"difference of {found.detectable:.2f} FID."
    )
    assert found.choice is found.vanilla
    assert len(found.tie_set) == 3
    # before vanilla has a run nothing is said
    waiting = verdict(confirm(runs({4: GOOD[:2]}), plan=planned(5, (4,))))
    assert waiting.sentence == f"On glow, there is no verdict yet: {NONE}"
    assert (waiting.vanilla, waiting.choice, waiting.detectable) == (None, None, None)


def test_table(confirm: Confirm, capsys: pytest.CaptureFixture[str]) -> None:
    fids = {0: BASE, 4: GOOD, 7: (None,), 9: BAD[:3]}
    table = verdict(confirm(runs(fids), {9: "clearly worse"})).table()
    assert list(table) == ["schedule", "seeds", "test FID", "from vanilla", "verdict"]
    assert table.to_numpy().tolist()[1:] == [
        ["vanilla", "4", "69.8 ± 2.0", "", ""],
        [str(Z), "3", "87.8 ± 2.6", table["from vanilla"][2], "dropped: clearly worse"],
        [str(Y), "0", "", "", "failed: loss is not finite"],
    ]
    assert table["from vanilla"][0].startswith("\N{MINUS SIGN}14.12 ± ")
    assert table["verdict"][0] == "choice, beats vanilla"
    # at 80 columns all of it is there, and words are whole
    _print_frame(table, Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    words = " ".join(lines).split()
    assert {*" ".join([*table, *table.to_numpy().ravel()]).split()} <= {*words}


def test_verdict_file(confirm: Confirm) -> None:
    other = runs({0: BASE}, model="vae", first=50)
    results = confirm((*runs({0: BASE, 4: GOOD, 7: (None,)}), *other))
    found = write_verdict(results)
    data = results.read_file("verdict.json")
    assert data is not None
    content = json.loads(data, parse_constant=pytest.fail)  # NaN is no JSON
    assert (content["format"], content["version"]) == ("mollitune.verdict", 1)
    assert content["verdicts"] == [one.to_dict() for one in found]
    glow = content["verdicts"][0]
    assert (glow["format"], glow["version"]) == (content["format"], content["version"])
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
    # a folder that cannot be written
    (local.folder / "verdict.json").unlink()
    (local.folder / "verdict.json").mkdir()
    with pytest.raises(MollituneError, match=r"^cannot write .*verdict\.json: "):
        write_verdict(local)


JOINT = {0: (VANILLA, 0.01), 4: (X, 0.001), 5: (VANILLA, 0.001)}
TUNED = "On glow, tuned against tuned: "


@pytest.mark.parametrize(
    ("mollified", "twin", "beats", "words"),
    [
        (GOOD, BASE, True, r"beats vanilla with lr=0.01 by 14.*ies with it; at equal .* by 14"),
        (GOOD, GOOD_TOO, False, r"is better than vanilla with lr=0.01 .* do not show that"),
        (GOOD, (), False, r"is better than vanilla .* \(no interval yet\): so many seeds"),
        (ALIKE, BAD, False, r"no schedule can be told apart .*; at equal hyperparameters .17"),
        (BAD, BAD, False, r"vanilla with lr=0.01 beats every schedule"),
    ],
)
def test_tuned_meets_tuned_and_the_schedule_must_help_at_equal_hyperparameters(
    search: Search, mollified: Sequence[float], twin: Sequence[float], beats: bool, words: str
) -> None:
    fids = {0: BASE, 4: mollified, 5: twin}
    trials = [
        FakeTrial(
            CONFIRM_TRIALS + 10 * arm + seed,
            JOINT[arm][0],
            fid,
            stage="confirm",
            seed=1000 + seed,
            configuration=arm,
            model="glow",
            settings={"lr": JOINT[arm][1]},
        )
        for arm, own in fids.items()
        for seed, fid in enumerate(own)
    ]
    arms = [
        {"configuration": arm, "schedule": schedule.to_dict(), "settings": {"lr": lr}}
        for arm, (schedule, lr) in JOINT.items()
    ]
    plan = planned(4) | {"arms": {"glow": arms}}
    found = verdict(search(*trials, plan=plan, params={"lr": pa.float64()}))
    (arm,) = found.schedules
    assert arm.beats_vanilla == beats
    assert found.sentence.startswith(TUNED)
    assert re.search(words, found.sentence)
    assert found.vanilla is not None
    assert (found.vanilla.configuration, found.vanilla.settings) == (0, (("lr", 0.01),))
    assert found.choice == (arm if beats else found.vanilla)
    cells = dict(zip(found.table()["schedule"], found.table()["alone"], strict=True))
    assert bool(cells[arm.text]) == bool(twin)
    assert cells[found.vanilla.text] == ""
    own = json.loads(json.dumps(found.to_dict(), allow_nan=False))["arms"]
    rates = {one["configuration"]: one["settings"]["lr"] for one in own}
    assert rates == {0: 0.01, 4: 1e-3, 5: 1e-3}


def bounded(search: Search, extra: Mapping[int, float], limit: float = 0.05) -> Results:
    """A confirmation in which arms have more bits per dim than vanilla on every seed."""
    made = runs({0: BASE, 4: GOOD, 7: [fid + 3 for fid in GOOD]})
    rows = [
        {**run.report(1.0), "bpd": 3.0 + run.seed / 1000 + extra.get(run.group, 0.0)}
        for run in made
    ]
    told = {"metric": {"column": "bpd", "negated": False}}
    constraint = {**told, "bound": {"limit": limit, "relative": True}}
    return search(*made, reports=rows, metadata={"constraint": constraint})


def test_the_choice_keeps_the_constraint(search: Search) -> None:
    found = verdict(bounded(search, {4: 0.1, 7: 0.02}))
    assert found.choice is not None
    assert (found.choice.schedule, found.choice.allowed) == (Y, True)
    assert found.choice.second == pytest.approx(0.02)
    assert found.sentence.endswith("; bits per dim +0.0200 from vanilla, allowed +0.0500.")
    shown = found.table()["bits per dim"].tolist()
    assert shown == ["+0.100", "+0.0200", "+0.00"]
    assert found.table()["verdict"][0].startswith("not allowed")


def test_what_only_breaks_the_constraint_is_not_chosen(search: Search) -> None:
    found = verdict(bounded(search, {4: 0.1, 7: 0.2}))
    assert found.choice is found.vanilla
    assert found.sentence.endswith(
        "but breaks the constraint (bits per dim +0.100 from vanilla, allowed +0.0500)."
    )


def test_the_verdict_is_on_what_was_optimised(search: Search) -> None:
    made = runs({0: BASE, 4: GOOD})
    rows = [{**run.report(1.0), "bpd": 5.0 - run.final / 100} for run in made]
    metadata = {"objective": {"column": "bpd", "negated": False}}
    found = verdict(search(*made, reports=rows, metadata=metadata))
    assert found.choice is found.vanilla  # which has more FID, and fewer bits per dim
    assert "is worse by 0.14" in found.sentence
    assert " bits per dim (4 paired seeds, 95 %)" in found.sentence
    assert "test bits per dim" in found.table()


SHORT = {0: BASE, 4: BAD, 7: ALIKE}
LONG = {100: BASE, 104: GOOD, 107: BAD}
LADDER = (*runs(SHORT), *runs(LONG, first=50, scale=4.0))


def test_each_budget_has_a_verdict_of_its_own(confirm: Confirm) -> None:
    results = confirm(LADDER)
    short, long = found = verdicts(results)
    assert [(own.steps, own.budget, own.scale) for own in found] == [
        (STEPS, 128 * STEPS, 1.0),
        (4 * STEPS, 512 * STEPS, 4.0),
    ]
    assert [arm.configuration for arm in short.arms] == [0, 7, 4]
    assert [arm.configuration for arm in long.arms] == [104, 100, 107]
    # each is what it would be alone, but for its name
    for own, trials in ((short, LADDER[:12]), (long, LADDER[12:])):
        (alone,) = verdicts(confirm(trials))
        assert [arm.to_dict() for arm in own.arms] == [arm.to_dict() for arm in alone.arms]
        told = alone.sentence.replace("On glow", f"On glow at {own.steps:,} steps")
        assert (own.ladder, alone.ladder, own.sentence) == (True, False, told)
    assert short.choice is short.vanilla
    assert (long.choice or long.arms[-1]).text == str(X)
    assert verdict(results) == long  # the largest, unless another is named
    assert verdict(results, "glow", 128 * STEPS) == short
    with pytest.raises(MollituneError, match=r"of 77 images; it has: 128,000 and 512,000$"):
        verdict(results, budget=77)
    assert best(results, "glow").verdict == long
    assert best(results, "glow").production == X
    write_verdict(results)
    content = json.loads(results.read_file("verdict.json") or b"")
    assert [own["budget"] for own in content["verdicts"]] == [short.budget, long.budget]


def test_an_arm_is_dropped_at_one_budget_alone(confirm: Confirm) -> None:
    short, long = verdicts(confirm(LADDER, {107: "clearly worse"}))
    assert [arm.out for arm in long.arms] == [None, None, "clearly worse"]
    assert all(arm.out is None for arm in short.arms)


def test_a_budget_that_has_not_begun_is_known_from_the_plan(confirm: Confirm) -> None:
    plan = planned(4, (0, 4, 7))
    longer = [
        {**arm, "configuration": 100 + arm["configuration"], "scale": 4.0}
        for arm in plan["arms"]["glow"]
    ]
    whole = plan | {"arms": {"glow": [*plan["arms"]["glow"], *longer]}}
    (short,) = verdicts(confirm(LADDER[:12], plan=whole))
    assert (short.complete, len(short.arms)) == (True, 3)
    assert short.sentence.startswith("On glow at 1,000 steps, ")


def test_drops_are_read_where_a_second_metric_is_bounded(search: Search) -> None:
    made = runs({0: BASE, 4: GOOD, 7: BAD[:3]})
    told = {"metric": {"column": "bpd", "negated": False}}
    constraint = {**told, "bound": {"limit": 0.05, "relative": True}}
    worst = [run for run in made if run.group == 7][-1]
    drop = worst.decision(0, 1.0) | {"policy": "confirm", "action": "drop", "reason": "worse"}
    found = verdict(search(*made, decisions=[drop], metadata={"constraint": constraint}))
    assert (found.number, found.arms[-1].out) == (1, "worse")


def with_metrics(trials: Sequence[FakeTrial], **shift: Sequence[float]) -> list[Row]:
    """Reports of runs with a KID and a recall of vanilla, moved for all others, seed by seed."""
    found: list[Row] = []
    for run in trials:
        own = {"kid": 1.0 + 0.01 * (run.seed % 10), "recall": 0.5}
        if run.schedule != VANILLA:
            own = {name: value + shift[name][run.seed % 10] for name, value in own.items()}
        found.append({**run.report(1.0), **own})
    return found


def test_the_metrics_that_do_not_decide_stand_beside_the_verdict(confirm: Confirm) -> None:
    """They know their direction; one that says the opposite is said first."""
    trials = runs({0: BASE, 4: GOOD})
    moved = {"kid": (0.5, 0.6, 0.5, 0.6), "recall": (0.1, 0.11, 0.1, 0.09)}
    found = verdict(confirm(trials, reports=with_metrics(trials, **moved)))
    assert found.choice is not None
    own = found.choice.measures
    assert own["kid"].mean == pytest.approx(1.565)
    assert own["kid"].difference == pytest.approx(0.55)
    assert own["recall"].difference == pytest.approx(-0.1)  # higher is better
    half = critical(1, 0.95, 3) * np.std(moved["kid"], ddof=1) / 2
    assert own["kid"].high == pytest.approx(0.55 + half)
    assert set(own) == {"kid", "recall", "bpd"}
    assert found.also == (
        f"Not all metrics agree. {X} by other metrics, each with 95 %: better in -recall "
        "(\N{MINUS SIGN}0.100 ± 0.013) and bits per dim (\N{MINUS SIGN}0.141 ± 0.005); "
        "worse in KID (0.550 ± 0.092)."
    )
    written = found.to_dict()
    assert written["also"] == found.also
    assert written["arms"][0]["measures"]["kid"]["seeds"] == 4


def test_what_the_search_minimises_is_no_other_metric(confirm: Confirm) -> None:
    trials = runs({0: BASE[:1], 4: GOOD[:1]})
    results = confirm(trials, reports=with_metrics(trials, kid=(0.5,), recall=(0.1,)))
    assert verdict(results).also == ""  # one seed shows no spread
    by_kid = dataclasses.replace(
        results, metadata={**results.metadata, "objective": {"column": "kid", "negated": False}}
    )
    measures = verdict(by_kid).arms[0].measures
    assert set(measures) == {"fid", "recall", "bpd"}
    assert measures["fid"].mean in (BASE[0], GOOD[0])


def test_a_tied_arm_that_another_metric_condemns_is_named(confirm: Confirm) -> None:
    trials = runs({0: BASE, 4: GOOD, 7: GOOD_TOO})
    made = with_metrics(trials, kid=(-0.5, -0.6, -0.5, -0.6), recall=(0.0,) * 4)
    shift = {7: 1.1}  # .5 or .6 above vanilla
    rows = [
        {**row, "kid": row["kid"] + shift.get(run.group, 0.0)}
        for row, run in zip(made, trials, strict=True)
    ]
    found = verdict(confirm(trials, reports=rows))
    assert {arm.configuration for arm in found.tie_set} == {4, 7}
    assert found.also.startswith(f"{X} by other metrics, each with 95 %: better in KID (")
    assert found.also.endswith(
        f" {Y}, tied with it, is worse than vanilla in KID (0.550 ± 0.092)."
    )
