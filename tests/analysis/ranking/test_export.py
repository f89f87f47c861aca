"""What an exported schedule tells beside itself."""

import json
from pathlib import Path
from typing import Any

from tests.analysis.conftest import CONFIRMED, LATE, TRIALS, MakeSearch

from mollitune.analysis import Results, export_best, load_results
from mollitune.analysis.confirmation import verdict
from mollitune.schedules import load
from mollitune.search.config import SearchConfig

CONFIG = SearchConfig.model_validate(
    {
        "name": "fake",
        "model": [
            "vae",
            {"name": "glow", "preset": "paper", "hparams": {"steps": 4}, "batch_size": 32},
        ],
        "fid": {"ema": 0.02},
    }
)
METADATA = {
    "config": CONFIG.to_dict(),
    "dataset": {"name": "digits", "sha256": "d" * 64, "train": 1200},
    "extractor": {"name": "lenet", "sha256": "e" * 64, "resize": "none", "features": 84},
}


def exported(results: Results, path: Path, model: str | None = None) -> dict[str, Any]:
    file = export_best(results, path / f"{model}.json", model)
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_it_tells_how_the_search_trained(make_search: MakeSearch, tmp_path: Path) -> None:
    provenance = exported(load_results(make_search(metadata=METADATA)), tmp_path)["provenance"]
    assert provenance["training"] == {
        "preset": "paper",
        "hparams": {"steps": 4},
        "batch_size": 32,
        "lr": 0.001,
        "clip_norm": 10.0,
        "precision": "fp32",
        "ema": 0.02,
    }
    assert provenance["dataset_sha256"] == "d" * 64
    assert (provenance["extractor"], provenance["extractor_sha256"]) == ("lenet", "e" * 64)
    assert provenance["extractor_resize"] == "none"


def test_it_tells_how_to_rescale(results: Results, tmp_path: Path) -> None:
    rescale = exported(results, tmp_path, "glow")["rescale"]
    assert "progress = step / total_steps" in rescale["rule"]
    assert rescale["until"] == TRIALS[2].schedule.until == 0.6
    assert (rescale["search_steps"], rescale["search_mollified_steps"]) == (1000, 600)
    vanilla = exported(results, tmp_path, "vae")["rescale"]
    assert (vanilla["until"], vanilla["search_mollified_steps"]) == (0, 0)


def test_a_confirmed_schedule_comes_with_its_verdict(
    make_search: MakeSearch, tmp_path: Path
) -> None:
    results = load_results(make_search((*TRIALS, *CONFIRMED)))
    document = exported(results, tmp_path, "glow")
    assert load(tmp_path / "glow.json") == LATE
    assert document["verdict"] == verdict(results, "glow").to_dict()
    assert document["verdict"]["choice"] == 9
    assert document["provenance"]["note"].startswith("chosen by a confirmation")
    assert document["rescale"]["until"] == LATE.until
    # the figures of the search stay those of the search's own recommendation
    assert document["provenance"]["configuration"] == 2


def test_before_a_confirmation_it_says_so(results: Results, tmp_path: Path) -> None:
    document = exported(results, tmp_path)
    assert document["verdict"] is None
    assert "not yet confirmed on fresh seeds" in document["provenance"]["note"]


def test_a_verdict_on_other_models_is_none_on_this_one(
    make_search: MakeSearch, tmp_path: Path
) -> None:
    results = load_results(make_search((*TRIALS, *CONFIRMED)))
    document = exported(results, tmp_path, "vae")
    assert document["verdict"] is None
    assert "not yet confirmed" in document["provenance"]["note"]


def test_a_file_of_an_earlier_version_still_loads(tmp_path: Path) -> None:
    """As `export_best` wrote it before there were verdicts."""
    schedule = TRIALS[2].schedule
    provenance = {"search": "fake", "model": "glow", "steps": 1000, "note": "not yet confirmed"}
    old = {"format": "mollitune.schedule", "version": 1, **schedule.to_dict()}
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**old, "provenance": provenance}))
    assert load(path) == schedule
