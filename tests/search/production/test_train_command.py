"""``mollitune train`` as it is typed: what it prints, and what it refuses."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mollitune.schedules import Sigmoid
from mollitune.search.cli import app, main
from mollitune.search.config import SearchConfig
from mollitune.search.production.folder import COLUMNS
from mollitune.search.training.settings import Training

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "production.md").read_text("utf-8")

TRAINING = {"preset": "quick", "hparams": {"latent": 4, "hidden": 16}, "batch_size": 32}
PROVENANCE = {
    **{"model": "vae", "dataset": "digits", "steps": 20, "fid_samples": 60, "extractor": "lenet"},
    **{"training": TRAINING, "note": "not yet confirmed"},
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    lenet: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Type a command beside an exported ``best.json``; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Sigmoid(until=0.6).save("best.json", provenance=PROVENANCE, verdict=None)

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["train", "--device", "cpu", *args])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return call


def test_a_schedule_is_all_it_takes(run: Run) -> None:
    code, out, err = run("--schedule", "best.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "schedule of best.json: not yet confirmed"
    assert "20 steps as in the search; use --steps to train longer" in lines
    assert "folder: runs/vae-digits-sigmoid" in lines
    assert any("mollified for 12 of 20 steps" in line for line in lines)
    assert len([line for line in lines if line.startswith("step ")]) == 10
    assert any("step 6 of 20: FID " in line and ", level " in line for line in lines)
    assert any("against 359 test images (60 samples)" in line for line in lines)
    assert "load:   mollitune.search.load_model('runs/vae-digits-sigmoid')" in lines
    code, out, err = run("--schedule", "best.json")
    assert (code, err) == (0, "")
    assert "runs/vae-digits-sigmoid is finished already; nothing was changed" in out
    (snippet,) = blocks("python")
    found: dict[str, Any] = {}
    exec(snippet, found)  # as the page says it
    assert found["images"].shape == (64, 1, 8, 8)
    assert found["images"].abs().max() <= 1


def test_options_reach_the_training(run: Run) -> None:
    code, _, err = run(
        *("--schedule", "vanilla", "--model", "vae", "--dataset", "digits", "--steps", "10"),
        *("--hparams", "latent=2", "hidden=8", "--batch-size", "16", "--lr", "0.01"),
        *("--precision", "bf16", "--ema", "0.2", "--seed", "4", "--fid-samples", "50"),
        *("--evaluations", "2", "--output", "mine"),
    )
    assert (code, err) == (0, "")
    found = json.loads(Path("mine/train.json").read_text())
    assert found["schedule"] == {"family": "vanilla", "params": {}}
    assert found["settings"] == {
        **Training().model_dump(),
        **{"model": "vae", "dataset": "digits", "steps": 10, "seed": 4},
        **{"hparams": {"latent": 2, "hidden": 8}, "batch_size": 16, "lr": 0.01, "ema": 0.2},
        **{"extractor": "lenet", "fid_samples": 50, "evaluations": 2, "keep": "last"},
        **{"device": "cpu", "precision": "bf16"},
    }


@pytest.mark.slow
def test_a_compiled_training(run: Run) -> None:
    code, out, err = run("--schedule", "best.json", "--compile", "--evaluations", "1")
    assert (code, err) == (0, "")
    assert "after 20 steps" in out


def test_compiling_without_a_compiler(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    code, _, err = run("--schedule", "best.json", "--compile")
    assert (code, err.count("\n")) == (2, 1)
    assert "--compile needs a C++ compiler, and no-such-compiler is not installed on" in err
    assert not Path("runs").exists()


def test_the_verdict_is_repeated(run: Run) -> None:
    verdict = {"model": "vae", "sentence": "On vae, sigmoid beats vanilla."}
    Sigmoid(until=0.6).save("best.json", provenance=PROVENANCE, verdict=verdict)
    _, out, _ = run("--schedule", "best.json", "--evaluations", "1")
    assert out.startswith("verdict: On vae, sigmoid beats vanilla.\n")


def test_what_cannot_be_trained_leaves_nothing_behind(run: Run) -> None:
    cases = {
        "--schedule bst.json": ["--schedule bst.json", "no such file", "best NAME --expor"],
        "--schedule linear": ["--model is missing", "linear does not say"],
        "--model vea": ["model vea", "vae"],
        "--hparams latnet=3": ["model vae", "latnet", "latent"],
        "--hparams latent": ["'latent' is not of the form key=value"],
        "--preset huge": ["preset", "huge", "paper"],
        "--dataset digit": ["'digit' is unknown", "did you mean 'digits'"],
        "--lr 0": ["--lr is 0.0", "greater than 0"],
        "--device gpu": ["--device gpu", "give cpu or cuda"],
        "--extractor file:none.pt": ["none.pt"],
        "--model pkg:Mine --compile": ["--compile is for Mollitune's own"],
        "--output nosuch://bucket": ["nosuch://bucket"],
        "--output best.json": ["best.json"],
    }
    for given, parts in cases.items():
        code, out, err = run("--schedule", "best.json", *given.split())
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith("mollitune: ")
        assert all(part in err for part in parts), err
        assert "Traceback" not in out + err
        assert [path.name for path in Path().iterdir()] == ["best.json"]


def test_the_page_has_commands_that_exist_and_every_column() -> None:
    parser: Any = typer.main.get_command(app)
    (block,) = blocks("console")
    for line in block.splitlines():
        program, command, *args = shlex.split(line)
        assert program == "mollitune"
        parser.get_command(None, command).make_context(command, args)
    cells = [
        re.findall(r"`(\w+)`", line.split("|")[1]) for line in PAGE.splitlines() if "|" in line
    ]
    assert set(COLUMNS) <= {name for names in cells for name in names}
    (config,) = blocks("yaml")
    assert SearchConfig.model_validate(yaml.safe_load(config)).loggers
