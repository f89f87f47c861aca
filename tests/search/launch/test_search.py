"""Real searches through the command line, as a user runs them: small, but nothing is replaced."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
import torch
import yaml
from PIL import Image

from mollitune.analysis import Results, load_results
from mollitune.analysis.ranking import best
from mollitune.models import models
from mollitune.schedules import load
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.store.schema import KEYS

BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
STEPS = {"vae": 30, "realnvp": 9}
MAIN = {
    "name": "main",
    "model": [{"name": name, "steps": steps} for name, steps in STEPS.items()],
    "families": ["linear", "cosine", "sigmoid", "blur"],
    "trials": 12,
    "arms": 5,
    "stopping": {"within": "late_cut"},
    "fid": {"samples": 200, "every": 0.3334},
}
TINY = {
    "name": "tiny",
    "model": "vae",
    "families": ["linear", "sigmoid"],
    "steps": 6,
    "trials": 6,
    "workers": 1,
    "fid": {"samples": 50, "every": 0.3334},
}


EVERY_MODEL = {
    "name": "every-model",
    "model": [
        {"name": name, "steps": 12, "preset": "paper" if name == "vae" else "quick"}
        for name in models()
    ],
    "families": ["linear"],
    "trials": 2 * len(models()),
    "arms": 2,
    "stopping": {"policy": "none"},
    "fid": {"samples": 50, "every": 1.0},
}


class Place:
    """A folder to type commands in, with a home and a temporary folder of its own."""

    def __init__(self, folder: Path, short: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.temporary = short
        self.environment = {
            **os.environ,
            "HOME": str(self.home),
            "TMPDIR": str(short),
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *args: str) -> list[str]:
        return [str(BIN / "mollitune"), *args]

    def config(self, values: dict[str, object]) -> str:
        name = f"{values['name']}.yaml"
        (self.folder / name).write_text(yaml.safe_dump(values))
        return name

    def run(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def results(self, name: str) -> Results:
        return load_results(name, self.folder / "results")

    def left_behind(self) -> list[str]:
        """Temporary files, and processes that still work in the temporary folder."""
        found = [str(path) for path in self.temporary.iterdir()]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes()
            except OSError:  # it has ended
                continue
            if str(self.temporary).encode() + b"/" in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, lenet: Extractor) -> Iterator[Place]:
    # a short path: Ray's sockets lie below it, and their paths must not exceed 107 bytes
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as short:
        yield Place(tmp_path_factory.mktemp("place"), Path(short))


@pytest.fixture(scope="module")
def searched(place: Place) -> subprocess.CompletedProcess[str]:
    """One whole search over all families and two models."""
    return place.run("search", place.config(MAIN))


@pytest.fixture(scope="module")
def main(place: Place, searched: subprocess.CompletedProcess[str]) -> Results:
    return place.results("main")


@pytest.mark.parametrize("table", ["reports", "decisions", "trials"])
def test_every_reader_finds_every_row_once(place: Place, main: Results, table: str) -> None:
    folder = place.folder / "results" / "main" / table
    glob = str(folder / "*.parquet")
    frame = pd.read_parquet(folder)
    assert len(frame) == len(frame.drop_duplicates(list(KEYS[table]))) > 0
    assert len(getattr(main, table)) == len(frame)
    assert pl.read_parquet(glob).height == len(frame)
    assert ds.dataset(folder, format="parquet").count_rows() == len(frame)
    assert duckdb.execute("select count(*) from read_parquet(?)", [glob]).fetchone() == (
        len(frame),
    )


def test_every_trial_has_its_evaluations(main: Results) -> None:
    trials = main.trials
    assert trials["trial"].tolist() == list(range(12))
    assert set(trials["status"]) <= {"completed", "stopped"}
    for row in trials.to_dict("records"):
        steps = STEPS[row["model"]]
        marks = [round(steps * share) for share in (1 / 3, 2 / 3, 1)]
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
        *("search.json", "report.html", "best.json"),
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


def test_query_prints_the_table(place: Place, main: Results) -> None:
    sql = "select family, count(*), min(fid) from reports where comparable group by family"
    lines = [line.split() for line in place.run("query", "main", sql).stdout.splitlines()]
    compared = main.reports[main.reports["comparable"]].groupby("family")["fid"]
    expected = {name: [str(len(fids)), f"{fids.min():.6g}"] for name, fids in compared}
    assert {line[0]: line[1:] for line in lines[1:]} == expected


def test_best_exports_what_a_loop_of_ones_own_loads(place: Place, main: Results) -> None:
    place.run("best", "main", "--model", "vae", "--export", "mine.json")
    assert load(place.folder / "mine.json") == best(main, "vae").schedule
    (place.folder / "models").mkdir()
    (place.folder / "models" / "__init__.py").write_text("raise SystemExit('not this one')\n")
    script = place.folder / "own_loop.py"
    script.write_bytes((EXAMPLES / "own_loop.py").read_bytes())
    done = subprocess.run(
        [sys.executable, script.name, "mine.json"],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(best(main, "vae").schedule))


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (("query", "main", "selct 1"), "selct"),
        (("query", "main", "select fdi from reports"), "fdi"),
        (("query", "mian", "select 1"), "did you mean 'main'?"),
        (("best", "main", "--model", "vea"), "vea"),
        (("best", "main", "--export", "main.yaml"), "main.yaml"),
        (("search", "main.yaml"), "the search 'main' exists already"),
    ],
)
def test_bad_requests_leave_a_finished_search_alone(
    place: Place, main: Results, args: tuple[str, ...], part: str
) -> None:
    files = [path for path in sorted(place.folder.rglob("*")) if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    done = place.run(*args, code=2)
    assert done.stderr.startswith("mollitune: ")
    assert part in done.stderr
    assert done.stderr.count("\n") == 1
    files = [path for path in sorted(place.folder.rglob("*")) if path.is_file()]
    assert {path: path.read_bytes() for path in files} == before


def test_one_worker_repeats_itself_and_another_seed_does_not(place: Place) -> None:
    config = place.config(TINY)
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        place.run("search", config, f"name={name}", f"seed={seed}")
    first, again, other = (place.results(name) for name in ("first", "again", "other"))
    timings = ["search", "time", "start", "end", "step_seconds", "eval_seconds"]
    for table in ("trials", "reports", "decisions"):
        one, two = (
            getattr(results, table).drop(columns=timings, errors="ignore")
            for results in (first, again)
        )
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    params = [column for column in first.trials.columns if column.startswith("params.")]
    assert not first.trials[params].equals(other.trials[params])
    assert (first.trials["seed"] != other.trials["seed"]).all()
    vanilla_fids = [results.reports["fid"].iloc[0] for results in (first, other)]
    assert vanilla_fids[0] != vanilla_fids[1]


def test_a_model_of_ones_own_and_one_that_diverges(place: Place) -> None:
    (place.folder / "own_model.py").write_bytes((EXAMPLES / "own_model.py").read_bytes())
    (place.folder / "broken.py").write_text(
        "from own_model import FactorPCA\n\n\nclass Diverging(FactorPCA):\n"
        "    def loss(self, x):\n        return super().loss(x) * float('nan')\n"
    )
    models = [{"name": "own_model:FactorPCA", "hparams": {"rank": 4}}, "broken:Diverging"]
    values = {**TINY, "name": "own", "model": models, "families": ["linear"], "steps": 20}
    done = place.run("search", place.config(values))
    results = place.results("own")
    own = results.trials.query("model == 'own_model:FactorPCA'")
    diverging = results.trials.query("model == 'broken:Diverging'")
    assert set(own["status"]) <= {"completed", "stopped"}
    assert best(results).model == "own_model:FactorPCA"
    assert set(diverging["status"]) == {"failed"}
    assert set(diverging["attempt"]) == {1}  # the run is deterministic: not tried again
    assert (
        diverging["error"]
        .str.contains("steps without a finite loss and gradient up to step")
        .all()
    )
    assert not results.reports.query("model == 'broken:Diverging'")["comparable"].any()
    assert results.metadata["status"] == "finished"
    assert "3 failed" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: str(s.name))
def test_a_signal_ends_a_search_in_order(place: Place, number: signal.Signals) -> None:
    name = f"cut-{number.name}"
    values = {**TINY, "name": name, "steps": 10**6, "fid": {"samples": 50, "every": 1e-4}}
    process = subprocess.Popen(
        place.command("search", place.config(values)),
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        reports = place.folder / "results" / name / "reports"
        deadline = time.monotonic() + 120
        while not list(reports.glob("*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        seen = place.results(name).reports
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert f"interrupted; what was reported is in results/{name}" in out
    results = place.results(name)
    assert results.trials["status"].tolist() == ["interrupted"]
    assert results.metadata["status"] == "interrupted"
    assert len(results.reports) >= len(seen) > 0
    pd.testing.assert_frame_equal(results.reports.iloc[: len(seen)], seen)
    assert place.left_behind() == []


@pytest.fixture
def cluster(place: Place) -> Iterator[str]:
    """A Ray cluster of one node, started as an administrator would."""
    host = "127.0.0.2"
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="c-", ignore_cleanup_errors=True) as folder:
        start = [str(BIN / "ray"), "start", "--head", "--block", f"--port={port}"]
        own = [f"--node-ip-address={host}", f"--temp-dir={folder}", "--num-cpus=2"]
        log = (Path(folder) / "log").open("w+")
        head = subprocess.Popen(
            [*start, *own, "--include-dashboard=false", "--disable-usage-stats"],
            env=place.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 60
            while "Ray runtime started" not in (Path(folder) / "log").read_text():
                assert head.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield f"{host}:{port}"
        finally:
            head.terminate()
            head.wait(timeout=30)
            log.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other loopback addresses are a Linux habit")
def test_a_search_joins_a_cluster(place: Place, cluster: str) -> None:
    values = {**TINY, "name": "joined", "trials": 3, "workers": 2}
    place.run("search", place.config(values), "--address", cluster)
    results = place.results("joined")
    assert results.metadata["status"] == "finished"
    assert results.metadata["config"]["address"] == cluster
    assert len(results.trials) == 3
    assert set(results.trials["status"]) <= {"completed", "stopped"}


def test_a_cluster_that_is_not_there(place: Place) -> None:
    config = place.config({**TINY, "name": "nowhere"})
    done = place.run("search", config, "--address", "127.0.0.2:1", code=2)
    assert done.stderr.startswith("mollitune: cannot use Ray on 127.0.0.2:1")
    assert done.stderr.count("\n") == 1
    assert not (place.folder / "results" / "nowhere").exists()


def test_every_model_trains_in_a_search(place: Place) -> None:
    """Each registered model is a legal ``model`` and gets vanilla and a mollified trial."""
    place.run("search", place.config(EVERY_MODEL))
    results = place.results("every-model")
    assert set(results.trials["status"]) == {"completed"}
    arms = results.trials.groupby("model")["family"].agg(set).to_dict()
    assert arms == {name: {"vanilla", "linear"} for name in models()}
    reports = results.reports
    assert reports["comparable"].all()
    assert not reports[["fid", "bpd", "train_loss"]].isna().any(axis=None)
    assert (reports[["non_finite_losses", "non_finite_samples"]] == 0).all(axis=None)
    # Twelve steps from scratch: a few bits more than uniform noise costs, at most.
    assert reports["bpd"].between(0, 16).all()


class Pooled(torch.nn.Module):
    """Sixteen features of a gray image: means of patches."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 4).flatten(1)


def test_own_features_more_metrics_and_averaged_weights(place: Place) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but still about
        torch.jit.script(Pooled()).save(str(place.folder / "pooled.pt"))
    fid = {"extractor": "file:pooled.pt", "samples": 120, "every": 0.5, "ema": 0.05}
    config = {**TINY, "name": "metrics", "steps": 20, "trials": 3}
    done = place.run(
        "search",
        place.config({**config, "fid": {**fid, "extra": ["kid", "prc", "fid_infinity"]}}),
    )
    assert "(resize: its own)" in done.stdout
    reports = place.results("metrics").reports
    metrics = reports[["fid", "kid", "precision", "recall", "fid_infinity"]]
    assert not metrics.isna().any(axis=None)
    shares = reports[["precision", "recall"]].to_numpy()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert set(reports["ema"]) == {0.05}
    assert set(reports["extractor_resize"]) == {"its own"}
    assert reports["extractor"].str.contains("pooled.pt").all()


def test_plain_searches_leave_the_extra_columns_empty(
    searched: subprocess.CompletedProcess[str], place: Place
) -> None:
    reports = place.results("main").reports
    assert reports[["kid", "precision", "recall", "fid_infinity"]].isna().all(axis=None)
    assert set(reports["ema"]) == {0.0}
    assert set(reports["extractor_resize"]) == {"none"}
