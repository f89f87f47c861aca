"""Real searches through the command line, as a user runs them: small, but nothing is replaced."""

import json
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from tests.search.launch.conftest import TINY, Place, wait

from mollitune.analysis import Results
from mollitune.analysis.ranking import best
from mollitune.schedules import load
from mollitune.search import cli
from mollitune.search.data.images import Splits
from mollitune.search.store.schema import KEYS

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
STEPS = {"vae": 30, "realnvp": 9}
MAIN = {
    "name": "main",
    "model": [{"name": name, "steps": steps} for name, steps in STEPS.items()],
    "families": ["linear", "cosine", "sigmoid", "blur"],
    "trials": 12,
    "arms": 5,
    "stopping": {"within": "late_cut"},
    "fid": {"samples": 200, "every": 0.3334, "ema": 0.05},
}


@pytest.fixture(scope="module")
def searched(place: Place) -> subprocess.CompletedProcess[str]:
    """One whole search over all families and two models."""
    return place.run("search", place.config(MAIN))


@pytest.fixture(scope="module")
def main(place: Place, searched: subprocess.CompletedProcess[str]) -> Results:
    return place.results("main")


def test_every_row_is_there_once(place: Place, main: Results) -> None:
    for table in ("reports", "decisions", "trials"):
        frame = pd.read_parquet(place.folder / "results" / "main" / table)
        rows = len(frame)
        assert rows == len(getattr(main, table)) == len(frame.drop_duplicates(list(KEYS[table])))
        assert rows > 0


def test_every_trial_has_its_evaluations(main: Results) -> None:
    trials = main.trials
    assert trials["trial"].tolist() == list(range(12))
    assert set(trials["status"]) <= {"completed", "stopped"}
    for row in trials.to_dict("records"):
        steps = STEPS[row["model"]]
        marks = sorted({round(steps * share) for share in (1 / 3, 2 / 3, 0.9, 0.95, 1)})
        expected = marks if row["status"] == "completed" else marks[:2]
        reports = main.reports[main.reports["trial"] == row["trial"]]
        assert reports["step"].tolist() == expected
        assert (row["step"], row["steps"], row["attempt"]) == (expected[-1], steps, 1)


def test_every_model_meets_vanilla_and_every_family_first(main: Results) -> None:
    arms = main.trials[main.trials["trial"] < 10]
    families = ["vanilla", "sigmoid", "cosine", "linear", "blur"]
    assert arms["family"].tolist() == [family for family in families for _ in STEPS]
    assert arms["model"].tolist() == [*STEPS] * len(families)
    vanilla = main.trials[main.trials["family"] == "vanilla"]
    assert set(vanilla["status"]) == {"completed"}
    assert vanilla["seed"].tolist()[:2] == [0, 0]


def test_only_clean_values_at_full_budget_compare(main: Results) -> None:
    reports = main.reports
    expected = (reports["progress"] == 1) & (reports["phase"] == "clean") & reports["fid"].notna()
    assert (reports["comparable"] == expected).all()
    assert reports["comparable"].any()
    assert set(reports["extractor"]) == {"lenet"}
    assert set(reports["fid_samples"]) == {200}
    # what was not asked for
    assert reports[["precision", "recall", "fid_infinity"]].isna().all(axis=None)
    # what is there unasked: KID always, at the end of a training what a VAE's prior does
    assert (reports["kid"].notna() == reports["fid"].notna()).all()
    ended = (reports["progress"] == 1) & reports["fid"].notna()
    of_vaes = ended & ~reports["model"].isin(["realnvp", "glow", "maf"])
    assert (reports["train_bpd"].notna() == ended).all()
    assert (reports["extra.fid_fitted_prior"].notna() == of_vaes).all()
    assert of_vaes.any()
    assert set(reports["ema"]) == {0.05}
    assert set(reports["extractor_resize"]) == {"none"}
    completed = main.trials[main.trials["status"] == "completed"].set_index("trial")["final_fid"]
    final = reports[reports["comparable"]].set_index("trial")["fid"]
    pd.testing.assert_series_equal(completed, final, check_names=False)


def test_decisions_and_outcomes_agree(main: Results) -> None:
    decisions, trials = main.decisions, main.trials.set_index("trial")
    race = decisions["policy"] == "race"
    promoted, decisions = decisions[race], decisions[~race]
    first = trials.index[~trials["configuration"].duplicated()]
    assert sorted(decisions["trial"]) == list(first)  # one rung, and every first run passes it
    assert ((decisions["action"] == "skip") == (decisions["phase"] == "mollified")).all()
    assert set(promoted["action"]) == {"promote"}
    repeats = trials[trials["configuration"].duplicated()]
    assert sorted(promoted["configuration"]) == sorted(repeats["configuration"])
    assert (repeats["seed"] > 0).all()
    assert set(repeats["status"]) == {"completed"}
    stopped = decisions[decisions["action"] == "stop"]
    assert set(stopped["trial"]) == set(trials.index[trials["status"] == "stopped"])
    assert (stopped["value"] > stopped["cutoff"]).all()
    judged = main.reports.set_index(["trial", "step"])["fid"]
    for row in decisions.to_dict("records"):
        assert row["value"] == judged[row["trial"], row["step"]]


def test_what_lies_beside_the_tables(place: Place, main: Results) -> None:
    folder = place.folder / "results" / "main"
    completed = main.trials[main.trials["status"] == "completed"]["trial"]
    names = {path.name for path in (folder / "samples").iterdir()}
    assert names == {"real.png", *(f"{trial:04d}.png" for trial in completed)}
    for name in names:
        with Image.open(folder / "samples" / name) as grid:
            assert (grid.mode, grid.size) == ("L", (8 * 9 - 1, 8 * 9 - 1))
    metadata = json.loads((folder / "search.json").read_text())
    assert metadata["status"] == "finished"
    assert metadata["config"]["trials"] == 12
    assert {path.name for path in folder.iterdir()} == {
        *("reports", "decisions", "trials", "samples", "journal"),
        *("search.json", "report.html", "best.json", "best-vae.json", "best-realnvp.json"),
    }


def test_nothing_is_left_behind(place: Place, main: Results) -> None:
    assert place.left_behind() == []
    # Ray itself keeps its token there
    assert [path.name for path in place.home.iterdir()] in ([], [".ray"])


def test_the_search_prints_and_exports_its_winner(
    place: Place, searched: subprocess.CompletedProcess[str], main: Results
) -> None:
    winner = best(main)
    assert load(place.folder / "results" / "main" / "best.json") == winner.schedule
    for model in STEPS:
        assert best(main, model).sentence in searched.stdout
    assert "[12/12] trial" in searched.stdout
    assert "report.html" in searched.stdout
    assert searched.stderr == ""


def test_bad_requests_leave_a_finished_search_alone(
    place: Place,
    main: Results,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}

    before = files()
    monkeypatch.chdir(place.folder)
    for args, part in (
        (("query", "main", "select fdi from reports"), "fdi"),
        (("best", "main", "--model", "vea"), "vea"),
        (("best", "main", "--export", "main.yaml"), "main.yaml"),
        (("search", "main.yaml"), "the search 'main' exists already"),
    ):
        with pytest.raises(SystemExit, match=r"^2$"):
            cli.main(list(args))
        said = capsys.readouterr().err
        assert said.startswith("mollitune: ")
        assert part in said
        assert said.count("\n") == 1
    assert files() == before


@pytest.fixture(scope="module")
def odd(place: Place, digits: Splits) -> str:
    """What a search prints of images alone, an own model, one that diverges, and a late Ctrl-C."""
    (place.folder / "mine").mkdir()
    for i, pixels in enumerate(digits.train.pixels[:150, 0]):
        Image.fromarray(pixels).save(place.folder / "mine" / f"{i}.png")
    (place.folder / "own_model.py").write_bytes((EXAMPLES / "own_model.py").read_bytes())
    (place.folder / "broken.py").write_text(
        "from own_model import FactorPCA\n\n\nclass Diverging(FactorPCA):\n"
        "    steps = 0\n\n    def loss(self, x):\n        self.steps += 1\n"
        "        return super().loss(x) * (1 if self.steps < 3 else float('nan'))\n"
    )
    models = [{"name": "own_model:FactorPCA", "hparams": {"rank": 4}}, "broken:Diverging"]
    values = {"name": "odd", "dataset": "mine", "model": models, "families": ["linear"]}
    process = place.start("search", place.config({**TINY, **values, "steps": 20}))
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if f"[{TINY['trials']}/{TINY['trials']}]" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    return "".join([*lines, out])


def test_a_model_of_ones_own_and_one_that_diverges(place: Place, odd: str) -> None:
    results = place.results("odd")
    own = results.trials.query("model == 'own_model:FactorPCA'")
    diverging = results.trials.query("model == 'broken:Diverging'")
    assert set(own["status"]) <= {"completed", "stopped"}
    assert best(results).model == "own_model:FactorPCA"
    assert set(diverging["status"]) == {"failed"}
    assert set(diverging["attempt"]) == {1}  # the run is deterministic: not tried again
    failure = "steps without a finite loss and gradient up to step"
    assert diverging["error"].str.contains(failure).all()
    assert not results.reports.query("model == 'broken:Diverging'")["comparable"].any()
    assert results.metadata["status"] == "finished"
    assert "3 failed" in odd


def test_a_folder_of_images_alone(place: Place, odd: str) -> None:
    """Their labels are not known, and search.json says what took LeNet's place."""
    metadata = place.results("odd").metadata
    taken = metadata["extractor"]["name"]
    assert f"FID: the images have no labels, so {taken} takes the place of lenet" in odd
    assert metadata["config"]["fid"]["extractor"] == taken
    reports = place.results("odd").reports
    assert set(reports["extractor"]) == {taken}
    assert set(reports["ema"]) == {0.0}


def test_ctrl_c_after_the_last_trial_costs_nothing(place: Place, odd: str) -> None:
    assert "next:     mollitune confirm odd" in odd
    assert (place.folder / "results" / "odd" / "report.html").exists()


def test_ctrl_c_ends_a_search_in_order(place: Place) -> None:
    name = "cut"
    values = {**TINY, "name": name, "steps": 10**6, "fid": {"samples": 50, "every": 1e-4}}
    process = place.start("search", place.config(values))
    try:
        reports = place.folder / "results" / name / "reports"
        wait(process, 120, lambda: bool(list(reports.glob("*.parquet"))))
        seen = place.results(name).reports
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert f"Interrupted. Everything reported so far is in results/{name}" in out
    results = place.results(name)
    assert results.trials["status"].tolist() == ["interrupted"]
    assert results.metadata["status"] == "interrupted"
    assert len(results.reports) >= len(seen) > 0
    pd.testing.assert_frame_equal(results.reports.iloc[: len(seen)], seen)
    assert place.left_behind() == []


def test_the_same_command_again_does_no_harm(place: Place) -> None:
    config = place.config({**TINY, "name": "again"})
    place.run("search", config, "--or-resume")
    trials = place.results("again").trials
    done = place.run("search", config, "--or-resume")
    assert done.stdout.startswith("results/again has ended already\n")
    assert "next:     mollitune confirm again" in done.stdout
    pd.testing.assert_frame_equal(place.results("again").trials, trials)
    longer = place.config({**TINY, "name": "again", "trials": 11})
    done = place.run("search", longer, "--or-resume", code=2)
    assert "was begun with 5 trials fewer; add them with mollitune extend again" in done.stderr
    changed = place.config({**TINY, "name": "again", "seed": 9})
    done = place.run("search", changed, "--or-resume", code=2)
    assert done.stderr == (
        "mollitune: results/again was begun with another seed, and a search cannot change on its "
        "way; choose another name, such as name=again-2\n"
    )


def test_a_cluster_that_is_not_there(place: Place) -> None:
    config = place.config({**TINY, "name": "nowhere"})
    done = place.run("search", config, "--address", "127.0.0.2:1", code=2)
    assert done.stderr.startswith("mollitune: cannot use Ray on 127.0.0.2:1")
    assert done.stderr.count("\n") == 1
    assert not (place.folder / "results" / "nowhere").exists()
