from pathlib import Path
from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.schedules import Knots, Sigmoid, Vanilla
from mollitune.search.production.settings import (
    ScheduleSource,
    TrainSettings,
    beyond,
    parse_hparams,
    read_schedule,
    settle,
)
from mollitune.search.training.settings import Training

MOLLIFY = Sigmoid(until=0.6)
TRAINING: dict[str, Any] = {
    **Training().model_dump(),
    **{"preset": "paper", "hparams": {"hidden": 32}, "batch_size": 64},
    **{"lr": 0.0005, "clip_norm": None, "ema": 0.02},
}
FOUND: dict[str, Any] = {
    **{"model": "glow", "dataset": "cifar10", "steps": 1000, "fid_samples": 500},
    "extractor": "inception-v3-compat",
}
PROVENANCE = {**FOUND, "training": TRAINING}
SEARCHED = ScheduleSource("best.json", MOLLIFY, {"provenance": PROVENANCE})
LEAST: dict[str, Any] = {"model": "vae", "dataset": "digits", "steps": 10}


def test_what_is_not_asked_for_is_as_in_the_search() -> None:
    found = settle(SEARCHED, {"steps": 50_000, "model": None})
    assert found == TrainSettings(**{**FOUND, "steps": 50_000}, **TRAINING)


def test_what_is_asked_for_goes_first() -> None:
    asked: dict[str, Any] = {
        **{"batch_size": 8, "lr": 0.1, "ema": 0, "seed": 3, "extractor": "lenet"},
        **{"hparams": {"levels": 2}, "dataset": "digits", "evaluations": 3, "fid_samples": 9},
    }
    found = settle(SEARCHED, asked)
    assert found.hparams == {"hidden": 32, "levels": 2}
    assert found.ema is None
    assert settle(SEARCHED, {"clip_norm": 0.0}).clip_norm is None
    assert (found.batch_size, found.lr, found.seed, found.evaluations) == (8, 0.1, 3, 3)
    assert (found.dataset, found.extractor, found.fid_samples) == ("digits", "lenet", 9)


def test_another_model_starts_from_the_defaults() -> None:
    assert settle(SEARCHED, {"model": "vae"}) == TrainSettings(**{**FOUND, "model": "vae"})
    assert settle(SEARCHED, {"model": "glow"}).batch_size == 64
    found = settle(SEARCHED, {"preset": "quick", "hparams": {"steps": 2}})
    assert (found.preset, found.hparams, found.lr) == ("quick", {"steps": 2}, 0.0005)
    old = settle(ScheduleSource("best.json", MOLLIFY, {"provenance": FOUND}), {})  # no training
    assert (old.model, old.preset, old.batch_size) == ("glow", "quick", 128)


def test_a_training_beyond_the_search_is_an_extrapolation() -> None:
    def told(**asked: int) -> str:
        return beyond(SEARCHED, settle(SEARCHED, asked)) or ""

    assert told() == told(steps=1040) == told(steps=500, batch_size=128) == ""
    assert told(steps=200_000).startswith(
        "measured to 1,000 steps; at 200,000 this is an extrapolation (ratio 200): whether"
    )
    assert told(batch_size=128).startswith("measured to 1,000 steps of 64 images; at 1,000 this")
    alone = ScheduleSource("vanilla", Vanilla())
    assert beyond(alone, settle(alone, LEAST)) is None


def test_the_spec_is_that_of_the_settings() -> None:
    spec = settle(SEARCHED, {"evaluations": 4, "seed": 5}).spec(MOLLIFY)
    assert spec.evaluation_steps() == [250, 500, 750, 1000]
    assert (spec.model, spec.training) == ("glow", Training(**TRAINING))
    assert (spec.seed, spec.schedule) == (5, MOLLIFY)


def test_an_illegal_value_is_named_with_its_option_or_file() -> None:
    def of(name: str, **found: Any) -> ScheduleSource:
        return ScheduleSource(name, MOLLIFY, {"provenance": found})

    cases: list[tuple[ScheduleSource, dict[str, Any], str]] = [
        (ScheduleSource("vanilla", Vanilla()), {}, "--model is missing: vanilla does not say"),
        (ScheduleSource("a.json", MOLLIFY), {"model": "vae"}, "--dataset is missing: a.json do"),
        (SEARCHED, {"lr": 0.0}, "--lr is 0.0: Input should be greater than 0"),
        (SEARCHED, {"batch_size": 0}, "--batch-size is 0: Input should be greater"),
        (SEARCHED, {"steps": 1}, "--steps is 1"),
        (SEARCHED, {"ema": 1.5}, "--ema is 1.5: Input should be less than 1"),
        (SEARCHED, {"precision": "fp16"}, "--precision is 'fp16'.*'fp32', 'tf32' or 'bf16'"),
        (SEARCHED, {"extractor": "lennet"}, "--extractor is 'lennet': .*did you mean 'lenet'"),
        (SEARCHED, {"hparams": {"hidden": [1]}}, r"--hparams is \[1\]"),
        (of("b.json", **{**LEAST, "steps": "many"}), {}, "b.json: steps of its search is 'many'"),
        (of("b.json", **LEAST, training={"lr": -1.0}), {}, "b.json: lr of its search is -1.0"),
    ]
    for source, asked, message in cases:
        with pytest.raises(MollituneError, match=message):
            settle(source, asked)


def test_odd_provenance_is_as_good_as_none() -> None:
    for provenance in ("none", None, {"training": "none", **LEAST}):
        found = settle(ScheduleSource("a.json", MOLLIFY, {"provenance": provenance}), LEAST)
        assert found == TrainSettings(**LEAST)


def test_a_training_has_a_folder_of_its_own() -> None:
    cases = {
        ("glow", "cifar10"): "runs/glow-cifar10-sigmoid",
        ("glow", "cifar10:/data/cifar"): "runs/glow-cifar10-sigmoid",
        ("my.nets:Flow", "folder:data/flowers@32"): "runs/my.nets-Flow-flowers-sigmoid",
        ("vae", "parquet:train.parquet"): "runs/vae-train-sigmoid",
        ("vae", "~/data/flowers@32"): "runs/vae-flowers-sigmoid",
    }
    for (model, dataset), folder in cases.items():
        settings = TrainSettings(model=model, dataset=dataset, steps=10)
        assert settings.folder(MOLLIFY) == folder


def test_hyperparameters_are_yaml() -> None:
    assert parse_hparams(["net=conv", "hidden=64", "dreg=true", "beta=2.5"]) == {
        **{"net": "conv", "hidden": 64, "dreg": True, "beta": 2.5}
    }
    for text, message in [("hidden", "not of the form key=value"), ("a=[", "not valid YAML")]:
        with pytest.raises(MollituneError, match=message):
            parse_hparams([text])


def test_a_schedule_comes_from_a_file_or_a_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.json"
    MOLLIFY.save(path, provenance=PROVENANCE, verdict=None)
    source = read_schedule(str(path))
    assert source.schedule == MOLLIFY
    assert source.provenance == PROVENANCE
    assert read_schedule("vanilla") == ScheduleSource("vanilla", Vanilla())
    assert read_schedule("knots").schedule == Knots(until=0.6)  # as arms of a search are
    monkeypatch.chdir(tmp_path)
    MOLLIFY.save("vanilla")  # a file goes before a family
    assert read_schedule("vanilla").schedule == MOLLIFY
    with pytest.raises(MollituneError, match=r"bst.json: no such file, and no family; make one"):
        read_schedule(str(tmp_path / "bst.json"))
    path.write_text("{}")
    with pytest.raises(MollituneError, match=r"best.json: format must be"):
        read_schedule(str(path))


def test_the_papers_preset_brings_its_recipe_in_place_of_the_searchs() -> None:
    provenance = {**PROVENANCE, "training": {"preset": "quick", "lr": 5e-4, "ema": 0.1}}
    searched = ScheduleSource("best.json", MOLLIFY, {"provenance": provenance})
    found = settle(searched, {"preset": "paper", "batch_size": 16})
    assert (found.optimiser, found.lr, found.batch_size, found.ema) == ("adamax", 1e-3, 16, 0.1)


def test_a_search_from_before_the_recipe_is_trained_as_it_was() -> None:
    provenance = {**PROVENANCE, "training": {"preset": "paper", "lr": 5e-4}}
    found = settle(ScheduleSource("best.json", MOLLIFY, {"provenance": provenance}), {})
    assert (found.preset, found.optimiser, found.weight_decay) == ("paper", "adam", 0)
    assert (found.batch_size, found.clip_norm) == (128, 10)
