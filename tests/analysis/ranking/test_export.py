"""What an exported schedule tells beside itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.analysis.conftest import (
    CONFIRMED,
    CROSSING,
    LATE,
    LINEAR,
    METADATA,
    TRIALS,
    Search,
    climb,
)

from mollitune._errors import MollituneError
from mollitune.analysis import Results, export_best
from mollitune.analysis.confirmation import verdict
from mollitune.schedules import Vanilla, load
from mollitune.search.config import SearchConfig
from mollitune.search.training.settings import Training

PAPER = {"name": "glow", "preset": "paper", "hparams": {"steps": 4}, "batch_size": 32}
CONFIG = SearchConfig.model_validate(
    {"name": "fake", "model": ["vae", PAPER], "fid": {"ema": 0.02}}
)
UNCONFIRMED = "lowest expected FID of one search, not yet confirmed on fresh seeds"


def exported(results: Results, path: Path, model: str | None = None) -> dict[str, Any]:
    file = export_best(results, path / f"{model}.json", model)
    assert file == path / f"{model}.json"
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_round_trip_with_provenance(results: Results, tmp_path: Path) -> None:
    document = exported(results, tmp_path)
    assert load(tmp_path / "None.json") == TRIALS[2].schedule
    assert document["verdict"] is None
    fids = ("trial_fid", "fid_expected", "fid_mean", "fid_lowest", "lowest_fid")
    unknown = (
        *("fid_low", "fid_high", "fid_run_low", "fid_run_high"),
        "dataset_sha256",
        "extractor_sha256",
        "extractor_resize",
    )
    assert document["provenance"] == {
        "search": "fake",
        "model": "glow",
        "dataset": "digits",
        **dict.fromkeys(("configuration", "trial", "lowest_configuration"), 2),
        **{"others_tried": 5, "others_finished": 3},
        **dict.fromkeys(("runs", "vanilla_runs", "lowest_runs"), 1),
        "seeds": [7],
        **dict.fromkeys(fids, 20.0),
        **dict.fromkeys(("vanilla_expected", "vanilla_mean"), 30.0),
        "lowest_text": "sigmoid(start=-2, tau=1, until=0.6)",
        "vanilla_text": "vanilla",
        "at_an_end": [],
        # no hyperparameters were searched
        **{"equal": None, "searched": {}},
        **{"metric": "FID", "constraint": None},
        "extractor": "lenet",
        "fid_samples": 500,
        **{"steps": 1000, "budgets": [1000], "trend": None, "target": None},
        **dict.fromkeys(unknown),
        "keep": "last",
        "training": {},
        "note": UNCONFIRMED,
        "versions": METADATA["versions"],
    }


def test_it_tells_how_the_search_trained(search: Search, tmp_path: Path) -> None:
    metadata = {
        "config": CONFIG.to_dict(),
        "dataset": {"name": "digits", "sha256": "d" * 64, "train": 1200},
        "extractor": {"name": "lenet", "sha256": "e" * 64, "resize": "none", "features": 84},
    }
    provenance = exported(search(*TRIALS, metadata=metadata), tmp_path)["provenance"]
    assert provenance["training"] == {
        **Training(preset="paper", ema=0.02).model_dump(),
        **{name: PAPER[name] for name in ("preset", "hparams", "batch_size")},
    }
    assert provenance["dataset_sha256"] == "d" * 64
    assert (provenance["extractor"], provenance["extractor_sha256"]) == ("lenet", "e" * 64)
    assert provenance["extractor_resize"] == "none"


def test_the_average_of_an_older_search_is_told(search: Search, tmp_path: Path) -> None:
    older = {"model": [{"name": "glow", "lr": 0.01}], "fid": {"samples": 50, "ema": 0.1}}
    document = exported(search(*TRIALS, metadata={"config": older}), tmp_path, "glow")
    assert document["provenance"]["training"] == {"ema": 0.1, "lr": 0.01}


def test_it_tells_how_to_rescale(results: Results, tmp_path: Path) -> None:
    rescale = exported(results, tmp_path, "glow")["rescale"]
    assert "progress = step / total_steps" in rescale["rule"]
    assert rescale["until"] == TRIALS[2].schedule.until == 0.6
    assert (rescale["search_steps"], rescale["search_mollified_steps"]) == (1000, 600)
    vanilla = exported(results, tmp_path, "vae")["rescale"]
    assert (vanilla["until"], vanilla["search_mollified_steps"]) == (0, 0)


def test_it_tells_the_budgets_that_were_measured(search: Search, tmp_path: Path) -> None:
    ladder = {"scales": [1, 4], "target": 200}
    document = exported(search(*climb(CROSSING), metadata={"ladder": ladder}), tmp_path)
    assert load(tmp_path / "None.json") == LINEAR
    provenance = document["provenance"]
    assert (provenance["budgets"], provenance["target"]) == ([1000, 4000], 200_000)
    assert provenance["steps"] == 4000
    assert provenance["trend"].startswith("linear(until=0.5) starts to pay at about 2,000 steps")


def test_a_confirmed_schedule_comes_with_its_verdict(search: Search, tmp_path: Path) -> None:
    results = search(*TRIALS, *CONFIRMED)
    document = exported(results, tmp_path, "glow")
    assert load(tmp_path / "glow.json") == LATE
    assert document["verdict"] == verdict(results, "glow").to_dict()
    assert document["verdict"]["choice"] == 9
    assert document["provenance"]["note"].startswith("chosen by a confirmation")
    assert document["rescale"]["until"] == LATE.until
    # the figures of the search stay those of the search's own recommendation
    assert document["provenance"]["configuration"] == 2
    # a verdict on one model is none on another
    other = exported(results, tmp_path, "vae")
    assert (other["verdict"], other["provenance"]["note"]) == (None, UNCONFIRMED)


def test_a_file_of_an_earlier_version_still_loads(tmp_path: Path) -> None:
    """As `export_best` wrote it before there were verdicts."""
    schedule = TRIALS[2].schedule
    provenance = {"search": "fake", "model": "glow", "steps": 1000, "note": "not yet confirmed"}
    old = {"format": "mollitune.schedule", "version": 1, **schedule.to_dict()}
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**old, "provenance": provenance}))
    assert load(path) == schedule


def test_a_file_is_replaced_only_when_told(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    path.write_text("mine")
    with pytest.raises(MollituneError, match=r"best.json exists already"):
        export_best(results, path)
    assert path.read_text() == "mine"
    export_best(results, path, model="vae", overwrite=True)
    assert load(path) == Vanilla()
    with pytest.raises(MollituneError, match=r"cannot write .*best.json/a.json"):
        export_best(results, path / "a.json")
