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

SETTINGS: dict[str, Any] = {
    "model": "vae",
    "dataset": "digits",
    "steps": 40,
    "hparams": HPARAMS["vae"],
    "batch_size": 32,
    "fid_samples": 80,
    "evaluations": 4,
    "seed": 3,
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
    go: Go, digits: Splits, reference: Reference
) -> None:
    ended = go()
    assert (ended.status, ended.step, ended.before) == ("finished", 40, False)
    trial = Bench(digits, reference).trial("vae", MOLLIFY, seed=3, steps=40, every=1 / 4)
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


def test_the_last_word_has_the_test_images(go: Go, digits: Splits, reference: Reference) -> None:
    result = go().result
    assert result is not None
    trial = Bench(digits, reference).trial("vae", MOLLIFY, seed=3, steps=40, every=1.0)
    list(trial.run())
    unseen = Reference.measure(reference.extractor, digits.test, "test")
    measured, bpd = trial.judge(digits.test, unseen)
    assert result == {
        "step": 40,
        "fid": measured.fid,
        "bpd": bpd,
        "fid_reference": "test",
        "fid_reference_size": len(digits.test),
        "fid_samples": 80,
        "weights": "last",
    }
    assert described()["result"] == result
    last = rows("run").iloc[-1]
    assert (last["fid"], last["bpd"]) == (measured.fid, bpd)


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
        **{"preset": "quick", "lr": 0.001, "clip_norm": 10.0, "ema": 0.1},
        **{"precision": "fp32"},
        **{"extractor": "lenet", "device": "cpu"},
        **SETTINGS,
    }
    assert found["schedule"] == MOLLIFY.to_dict()
    assert found["dataset"]["sha256"] == digits.train.sha256
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["seconds"] > 0
    with Image.open("run/samples/40.png") as grid:
        assert grid.size == (8 * 9 - 1, 8 * 9 - 1)
        assert np.asarray(grid).std() > 10  # something was drawn


def test_a_killed_training_ends_with_the_numbers_of_a_whole_one(go: Go) -> None:
    go("whole", ema=0.1)
    MOLLIFY.save("sigmoid.json")
    hparams = [f"{key}={value}" for key, value in HPARAMS["vae"].items()]
    command = (
        "train --schedule sigmoid.json --model vae --dataset digits --steps 40 --batch-size 32 "
        "--fid-samples 80 --evaluations 4 --seed 3 --ema 0.1 --output killed --device cpu "
        "--checkpoint-seconds 0 --hparams"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mollitune.search.cli", *command.split(), *hparams],
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
    step = max(state["step"] for state in checkpoints("killed"))
    assert 20 <= step < 40
    assert go("killed", ema=0.1).status == "finished"
    assert_same("killed", "whole")


def checkpoints(name: str) -> list[dict[str, Any]]:
    return [torch.load(p, weights_only=True) for p in Path(name, "checkpoints").glob("*.pt")]


def test_sigterm_leaves_a_checkpoint_and_says_how_to_go_on(
    go: Go, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    go("whole", steps=400, evaluations=20)
    MOLLIFY.save("sigmoid.json")
    args = [
        *("train", "--schedule", "sigmoid.json", "--model", "vae", "--dataset", "digits"),
        *("--steps", "400", "--fid-samples", "80", "--evaluations", "20", "--seed", "3"),
        *("--batch-size", "32", "--output", "stopped", "--device", "cpu"),
        *("--hparams", "latent=4", "hidden=16"),
    ]
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
    assert f"go on with: mollitune {' '.join(args)}\n" in out
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


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_falls_back(go: Go, damaged: int) -> None:
    go("whole")
    go("other", seconds=0)
    files = sorted(Path("other/checkpoints").iterdir(), key=lambda path: path.stat().st_mtime)
    for path in files[-damaged:]:
        path.write_bytes(path.read_bytes()[:100])
    unfinish("other")
    Path("other/model.pt").unlink()
    assert go("other").status == "finished"
    assert_same("other", "whole")


def unfinish(name: str, **changes: Any) -> None:
    found = {**described(name), "status": "running", "result": None, **changes}
    Path(name, "train.json").write_text(json.dumps(found))


def test_a_finished_training_is_left_alone(go: Go) -> None:
    first = go()
    before = tree(Path("run"))
    again = go()
    assert again.before
    assert again.result == first.result
    assert tree(Path("run")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 41}, "run holds another training: steps is 40 there, 41 here; choose another"),
        ({"schedule": Vanilla()}, "another training: schedule is {'family': 'sigmoid'"),
        ({"lr": 0.1, "seed": 4}, r"seed is 3 there, 4 here \(and 1 more\)|lr is 0.001 there"),
        ({"hparams": {}}, "hparams is {'latent': 4, 'hidden': 16} there, {} here"),
    ],
)
def test_a_folder_of_another_training_is_refused(
    go: Go, change: dict[str, Any], message: str
) -> None:
    go(steps=40, evaluations=1)
    before = tree(Path("run"))
    with pytest.raises(MollituneError, match=message):
        go(**{"evaluations": 1, **change})
    assert tree(Path("run")) == before


def test_a_folder_of_something_else_is_refused(go: Go) -> None:
    Path("run").mkdir()
    Path("run/thesis.tex").write_text("mine")
    with pytest.raises(MollituneError, match=r"run holds other files \(thesis.tex\) and no train"):
        go()
    assert tree(Path("run")) == {"run/thesis.tex": b"mine"}


@pytest.mark.parametrize("text", ["", "[]", '{"format": "mollitune.search"}'])
def test_a_damaged_description_is_refused(go: Go, text: str) -> None:
    Path("run").mkdir()
    Path("run/train.json").write_text(text)
    with pytest.raises(MollituneError, match=r"run/train.json is not that of a training, or dama"):
        go()


@pytest.mark.parametrize("what", ["dataset", "extractor"])
def test_other_images_or_another_extractor_are_refused(go: Go, what: str) -> None:
    go(evaluations=1)
    unfinish("run", **{what: {**described()[what], "sha256": "0" * 64}})
    with pytest.raises(MollituneError, match=f"the {what} has changed since the training in run"):
        go(evaluations=1)


def test_two_at_once_are_refused(go: Go) -> None:
    go(evaluations=1)
    unfinish("run")
    lease = {"token": "x", "pid": 1, "host": "elsewhere", "expires": time.time() + 60}
    Path("run/lease.json").write_text(json.dumps(lease))
    with pytest.raises(MollituneError, match="another driver works on run: process 1 on elsewher"):
        go(evaluations=1)


def test_a_training_that_diverges_says_so_and_is_not_tried_again(go: Go) -> None:
    with pytest.raises(MollituneError, match=r"the training diverged: .* lower the learning rate"):
        go(lr=1e30)
    assert described()["status"] == "failed"
    assert not Path("run/model.pt").exists()
    with pytest.raises(MollituneError, match=r"the training in run failed: .*; change the setti"):
        go(lr=1e30)


def test_a_write_that_the_storage_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "train.json").mkdir()
    with pytest.raises(
        MollituneError, match=r"cannot write .*train.json: .*; free some space"
    ) as e:
        TrainFolder(str(tmp_path)).describe({})
    assert "\n" not in str(e.value)


def test_the_average_is_what_is_loaded_where_there_is_one(go: Go, digits: Splits) -> None:
    go(ema=0.1)
    go("plain")
    last, average = load_model("run", "last"), load_model("run")
    assert not average.training
    plain, again = load_model("plain").state_dict(), last.state_dict()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert any(not torch.equal(v, again[name]) for name, v in average.state_dict().items())
    images = average.sample(2, torch.Generator().manual_seed(0))
    assert images.shape == (2, *digits.shape)
    assert described()["result"]["weights"] == "ema"
    assert described("plain")["result"]["weights"] == "last"


def test_loading_leaves_the_global_generator_alone(go: Go) -> None:
    go(evaluations=1)
    torch.manual_seed(11)
    state = torch.get_rng_state()
    load_model("run")
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_be_loaded(go: Go) -> None:
    with pytest.raises(MollituneError, match=r"nowhere has no train.json"):
        load_model("nowhere")
    go(evaluations=1)
    with pytest.raises(MollituneError, match=r"run has no ema.pt; mollitune train .* with --ema"):
        load_model("run", "ema")
    Path("run/model.pt").write_bytes(b"half")
    with pytest.raises(MollituneError, match=r"run/model.pt does not hold these weights"):
        load_model("run")
    Path("run/model.pt").unlink()
    with pytest.raises(MollituneError, match=r"run has no model.pt; mollitune train makes it at"):
        load_model("run")
    Path("run/train.json").write_text("{}")
    with pytest.raises(MollituneError, match=r"run/train.json is damaged"):
        load_model("run")
