"""A production training: what it leaves, and that no kill or damage changes its numbers."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console
from tests.search.bench import HPARAMS, MOLLIFY, Bench

from mollitune._errors import MollituneError
from mollitune.schedules import Vanilla
from mollitune.search.cli import main
from mollitune.search.data.images import Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.production.folder import COLUMNS, TrainFolder
from mollitune.search.production.settings import ScheduleSource, TrainSettings
from mollitune.search.production.train import Trained, train
from mollitune.search.production.trained import load_model
from mollitune.search.training.settings import Training

SETTINGS: dict[str, Any] = {
    **{"model": "vae", "dataset": "digits", "steps": 40, "hparams": HPARAMS["vae"]},
    **{"batch_size": 32, "fid_samples": 80, "evaluations": 4, "seed": 3},
}
TIMES = ["step_seconds", "eval_seconds"]

Go = Callable[..., Trained]


@pytest.fixture
def go(lenet: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Train in the folder ``name`` below an empty one; ``lenet`` is there already."""
    monkeypatch.chdir(tmp_path)

    def run(name: str = "run", *, seconds: float = 60.0, **settings: Any) -> Trained:
        source = ScheduleSource("sigmoid", settings.pop("schedule", MOLLIFY))
        return train(
            source,
            TrainSettings(**{**SETTINGS, **settings}),
            name,
            Console(file=io.StringIO()),
            checkpoint_seconds=seconds,
            device="cpu",
        )

    return run


def described(name: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(name, "train.json").read_text())
    return found


def rows(name: str) -> pd.DataFrame:
    return pd.read_parquet(Path(name, "metrics.parquet")).drop(columns=TIMES)


def assert_same(one: str, two: str) -> None:
    pd.testing.assert_frame_equal(rows(one), rows(two), check_exact=True)
    assert described(one)["result"] == described(two)["result"]
    for path in sorted(Path(one).rglob("*.pt")):
        if path.parent.name != "checkpoints":
            first = torch.load(path, weights_only=True)
            second = torch.load(Path(two) / path.relative_to(one), weights_only=True)
            assert all(torch.equal(first[key], second[key]) for key in first | second)
    assert pictures(one) == pictures(two)


def pictures(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(name, "samples").iterdir()}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_is_the_trial_of_a_search_at_its_own_budget(
    go: Go, digits: Splits, bench: Bench, reference: Reference
) -> None:
    ended = go()
    assert (ended.status, ended.step, ended.before) == ("finished", 40, False)
    trial = bench.trial("vae", MOLLIFY, seed=3, steps=40, every=1 / 4)
    expected = list(trial.run())
    table = rows("run")
    assert list(table.columns) == [name for name in COLUMNS if name not in TIMES]
    assert table["step"].tolist() == [10, 20, 30, 40, 40]
    assert table["fid_reference"].tolist() == ["validation"] * 4 + ["test"]
    for name in ("fid", "bpd", "train_loss", "level", "phase"):
        assert table[name].tolist()[:4] == [getattr(row, name) for row in expected]
    weights = torch.load("run/model.pt", weights_only=True)
    state = trial.model.state_dict()
    assert all(torch.equal(weights[name], state[name]) for name in state)
    unseen = Reference.measure(reference.extractor, digits.test, "test")
    measured, bpd = trial.judge(digits.test, unseen)
    assert described()["result"] == ended.result
    assert ended.result == {
        **{"step": 40, "fid": measured.fid, "bpd": bpd, "fid_samples": 80, "weights": "last"},
        "nll": trial.nats(bpd),
        **{"fid_reference": "test", "fid_reference_size": len(digits.test)},
    }
    last = table.iloc[-1]
    assert (last["fid"], last["bpd"]) == (measured.fid, bpd)


def typed(output: str, more: str) -> list[str]:
    """The command line of `SETTINGS` beside a saved schedule."""
    MOLLIFY.save("sigmoid.json")
    command = (
        "train --schedule sigmoid.json --model vae --dataset digits --batch-size 32 "
        f"--fid-samples 80 --seed 3 --device cpu --output {output} {more}"
    )
    hparams = [f"{key}={value}" for key, value in HPARAMS["vae"].items()]
    return [*command.split(), "--hparams", *hparams]


def test_the_folder_tells_everything(go: Go, digits: Splits) -> None:
    go(ema=0.1)
    names = {str(path.relative_to("run")) for path in Path("run").rglob("*") if path.is_file()}
    steps = {f"samples/{step}.png" for step in (10, 20, 30, 40)}
    assert names - {"checkpoints/0000-0.pt", "checkpoints/0000-1.pt"} == steps | {
        *("train.json", "metrics.parquet", "model.pt", "ema.pt", "samples/real.png")
    }
    found = described()
    assert found["status"] == "finished"
    assert found["settings"] == {
        **Training(ema=0.1).model_dump(),
        **{"extractor": "lenet", "device": "cpu", "keep": "last"},
        **SETTINGS,
    }
    assert found["schedule"] == MOLLIFY.to_dict()
    assert found["dataset"]["sha256"] == digits.train.sha256
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["seconds"] > 0
    with Image.open("run/samples/40.png") as grid:
        assert grid.size == (8 * 9 - 1, 8 * 9 - 1)
        assert np.asarray(grid).std() > 10  # something was drawn


@pytest.mark.slow
def test_a_killed_training_ends_with_the_numbers_of_a_whole_one(go: Go) -> None:
    go("whole", ema=0.1)
    args = typed("killed", "--steps 40 --evaluations 4 --ema 0.1 --checkpoint-seconds 0")
    process = subprocess.Popen(
        [sys.executable, "-m", "mollitune.search.cli", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    while not Path("killed/samples/20.png").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert described("killed")["status"] == "running"
    assert not Path("killed/model.pt").exists()
    assert 20 <= max(state["step"] for state in checkpoints("killed")) < 40
    assert go("killed", ema=0.1).status == "finished"
    assert_same("killed", "whole")


def checkpoints(name: str) -> list[dict[str, Any]]:
    return [torch.load(p, weights_only=True) for p in Path(name, "checkpoints").glob("*.pt")]


@pytest.mark.slow
def test_sigterm_leaves_a_checkpoint_and_says_how_to_go_on(
    go: Go, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    go("whole", steps=400, evaluations=20)
    args = typed("stopped", "--steps 400 --evaluations 20")
    monkeypatch.setattr(sys, "argv", ["mollitune", *args])
    monkeypatch.setattr(sys, "path", list(sys.path))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    thread = threading.Thread(target=terminate_after, args=(Path("stopped/samples/020.png"),))
    thread.start()
    with pytest.raises(SystemExit) as ended:
        main(args)
    thread.join()
    assert ended.value.code == 130
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    out = capsys.readouterr().out
    (step,) = re.findall(r"interrupted at step (\d+); a checkpoint is in stopped", out)
    assert f"resume with: mollitune {' '.join(args)}\n" in out
    (state,) = checkpoints("stopped")
    assert state["step"] == int(step) < 400
    assert described("stopped")["status"] == "interrupted"
    assert go("stopped", steps=400, evaluations=20).status == "finished"
    assert_same("stopped", "whole")


def terminate_after(path: Path) -> None:
    """Send this process a SIGTERM, as a cluster does, when a file has appeared."""
    while not path.exists():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_damaged_checkpoint_falls_back(go: Go) -> None:
    go("whole")
    for damaged in (1, 2):
        name = f"other{damaged}"
        go(name, seconds=0)
        files = sorted(Path(name, "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime)
        for path in files[-damaged:]:
            path.write_bytes(path.read_bytes()[:100])
        unfinish(name)
        Path(name, "model.pt").unlink()
        assert go(name).status == "finished"
        assert_same(name, "whole")


def unfinish(name: str, **changes: Any) -> None:
    found = {**described(name), **changes, "status": "running", "result": None}
    Path(name, "train.json").write_text(json.dumps(found))


def test_a_finished_training_is_left_alone(go: Go) -> None:
    first, before = go(), tree(Path("run"))
    again = go()
    assert again.before
    assert again.result == first.result
    assert tree(Path("run")) == before


def test_a_folder_of_another_training_is_refused(go: Go) -> None:
    go(evaluations=1)
    before = tree(Path("run"))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"steps": 41}, "run holds another training: steps is 40 there, 41 here; choose another"),
        ({"schedule": Vanilla()}, "another training: schedule is {'family': 'sigmoid'"),
        ({"lr": 0.1, "seed": 4}, r"seed is 3 there, 4 here \(and 1 more\)|lr is 0.001 there"),
        ({"hparams": {}}, "hparams is {'latent': 4, 'hidden': 16} there, {} here"),
    ]
    for change, message in cases:
        with pytest.raises(MollituneError, match=message):
            go(**{"evaluations": 1, **change})
        assert tree(Path("run")) == before
    found = described()
    for what in ("dataset", "extractor"):
        unfinish("run", **{**found, what: {**found[what], "sha256": "0" * 64}})
        message = f"the {what} has changed since the training in run"
        with pytest.raises(MollituneError, match=message):
            go(evaluations=1)
    unfinish("run", **found)
    lease = {"token": "x", "pid": 1, "host": "elsewhere", "expires": time.time() + 60}
    Path("run/lease.json").write_text(json.dumps(lease))
    with pytest.raises(MollituneError, match="another driver works on run: process 1 on elsewher"):
        go(evaluations=1)


def test_a_folder_of_something_else_or_damaged_is_refused(go: Go) -> None:
    Path("run").mkdir()
    Path("run/thesis.tex").write_text("mine")
    with pytest.raises(MollituneError, match=r"run holds other files \(thesis.tex\) and no train"):
        go()
    assert tree(Path("run")) == {"run/thesis.tex": b"mine"}
    for text in ("", "[]", '{"format": "mollitune.search"}'):
        Path("run/train.json").write_text(text)
        with pytest.raises(
            MollituneError, match=r"run/train.json is not that of a training, or d"
        ):
            go()


def test_a_training_that_diverges_says_so_and_is_not_tried_again(go: Go) -> None:
    with pytest.raises(MollituneError, match=r"the training diverged: .* lower the learning rate"):
        go(lr=1e30)
    assert described()["status"] == "failed"
    assert not Path("run/model.pt").exists()
    with pytest.raises(MollituneError, match=r"the training in run failed: .*; change the setti"):
        go(lr=1e30)


def test_a_write_that_the_storage_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "train.json").mkdir()
    message = r"^cannot write [^\n]*train.json: [^\n]*; free some space[^\n]*$"
    with pytest.raises(MollituneError, match=message):
        TrainFolder(str(tmp_path)).describe({})


def test_the_average_is_what_is_loaded_where_there_is_one(go: Go, digits: Splits) -> None:
    go(ema=0.1)
    go("plain")
    generator = torch.get_rng_state()
    last, average = load_model("run", "last"), load_model("run")
    assert torch.equal(torch.get_rng_state(), generator)
    assert not average.training
    plain, again = load_model("plain").state_dict(), last.state_dict()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert any(not torch.equal(v, again[name]) for name, v in average.state_dict().items())
    images = average.sample(2, torch.Generator().manual_seed(0))
    assert images.shape == (2, *digits.shape)
    assert described()["result"]["weights"] == "ema"
    assert described("plain")["result"]["weights"] == "last"


def test_what_cannot_be_loaded(go: Go) -> None:
    def refuse(message: str, *what: Any) -> None:
        with pytest.raises(MollituneError, match=message):
            load_model(*what)

    refuse(r"nowhere has no train.json", "nowhere")
    go(evaluations=1)
    refuse(r"run has no ema.pt; mollitune train .* with --ema", "run", "ema")
    Path("run/model.pt").write_bytes(b"half")
    refuse(r"run/model.pt does not hold these weights", "run")
    Path("run/model.pt").unlink()
    refuse(r"run has no model.pt; mollitune train makes it at", "run")
    Path("run/train.json").write_text("{}")
    refuse(r"run/train.json is damaged", "run")
