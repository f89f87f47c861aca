from pathlib import Path
from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.models import models
from mollitune.schedules import Choice, Float, Int, families
from mollitune.search.config import (
    MODELS,
    FidConfig,
    SearchConfig,
    StoppingConfig,
    check_models,
    load_config,
)
from mollitune.search.policy.ladder import Ladder

BASE = "name: run\nmodel: vae\n"


def read(folder: Path, text: str, *overrides: str) -> SearchConfig:
    path = folder / "search.yaml"
    path.write_text(text)
    return load_config(path, list(overrides))


def test_two_keys_are_enough(tmp_path: Path) -> None:
    config = read(tmp_path, BASE)
    assert config.dataset == "digits"
    assert [entry.name for entry in config.model] == ["vae"]
    assert [space.family for space in config.families] == [
        name for name in families() if name != "vanilla"
    ]
    assert (config.stopping.policy, config.stopping.rule) == ("race", "none")
    assert config.root == "results"
    assert read(tmp_path, BASE, "storage=s3://bucket/runs").root == "s3://bucket/runs"


def test_overrides_reach_top_level_and_nested_keys(tmp_path: Path) -> None:
    text = BASE + "fid: {samples: 100, extractor: lenet}\n"
    config = read(
        tmp_path, text, "trials=50", "fid.samples=500", "stopping.policy=none", "families=[linear]"
    )
    assert config.trials == 50
    assert config.fid.samples == 500
    assert config.fid.extractor == "lenet"  # its neighbour in the file stays
    assert config.stopping.policy == "none"  # a section that the file does not have
    assert [space.family for space in config.families] == ["linear"]


@pytest.mark.parametrize("model", ["glow", "{name: glow}", "[vae, {name: glow, lr: 1.0}]"])
def test_an_override_of_the_model_is_for_all_models(tmp_path: Path, model: str) -> None:
    config = read(tmp_path, f"name: run\nmodel: {model}\n", "model.lr=0.5", "model.hparams.a=2")
    assert config.model[-1].name == "glow"
    assert [(entry.lr, entry.hparams) for entry in config.model] == [(0.5, {"a": 2})] * len(
        config.model
    )


def test_steps_of_a_model_replace_those_of_the_search(tmp_path: Path) -> None:
    config = read(
        tmp_path, "name: run\nsteps: 40\nmodel: [vae, {name: realnvp, steps: 7, lr: 0.01}]\n"
    )
    assert config.steps_of("vae") == 40
    assert config.steps_of("realnvp") == 7
    assert config.model_entry("realnvp").lr == 0.01
    with pytest.raises(KeyError, match="glow"):
        config.model_entry("glow")


def test_the_resolved_config_is_plain_and_reads_back(tmp_path: Path) -> None:
    text = BASE + "families: [linear, {sigmoid: {tau: 0.7, until: [0.2, 0.5]}}]\ntrials: 9\n"
    config = read(tmp_path, text)
    plain = config.to_dict()
    span = {"low": 0.2, "high": 0.5, "log": False, "int": False}
    assert plain["families"] == ["linear", {"sigmoid": {"tau": 0.7, "until": span}}]
    assert plain["arms"] == 3
    again = SearchConfig.model_validate(plain)
    assert again == config.model_copy(update={"arms": 3})
    assert again.to_dict() == plain


def test_rule_and_rungs_inside_a_run() -> None:
    cases: list[tuple[dict[str, Any], str, bool, tuple[float, ...]]] = [
        ({}, "none", True, ()),
        ({"within": "late_cut"}, "late_cut", True, (2 / 3,)),
        ({"within": "asha", "grace": 0.1}, "asha", True, (0.1, 0.3, 0.9)),
        ({"within": "probe", "grace": 0.25, "reduction_factor": 2}, "probe", True, (0.25, 0.5)),
        # `within` is of a race alone
        ({"policy": "asha", "within": "none", "grace": 0.25}, "asha", False, (0.25, 0.75)),
        ({"policy": "late_cut", "grace": 0.1}, "late_cut", False, (0.1,)),
        ({"policy": "late_cut", "grace": 1}, "late_cut", False, ()),
        ({"policy": "none", "grace": 0.1}, "none", False, ()),
    ]
    for values, rule, races, marks in cases:
        config = StoppingConfig(**values)
        assert (config.rule, config.races) == (rule, races)
        assert config.marks == pytest.approx(marks)


BAD = {
    "trails: 5": r"unknown key 'trails'; did you mean 'trials'\? allowed:",
    "zzz: 5": "unknown key 'zzz'; allowed: name, dataset, model",
    "lr: 5": r"unknown key 'lr'; did you mean 'model.lr'\? allowed: name,",
    "fid: {final: {mark: 5}}": r"unknown key 'fid.final.mark'; did you mean 'marks'\?",
    "fid: {final: first}": r"'fid.final' is 'first': write last, best, or \{marks: 3, share: .1\}",
    "samples: 5": r"did you mean 'fid.samples' or 'confirm.samples'\?",
    "model: [vae, {name: glow, step: 5}]": r"unknown key 'model.1.step'; did you mean 'steps'\?",
    "fid: {sample: 5}": r"unknown key 'fid.sample'; did you mean 'samples'\? allowed: extractor",
    'trials: "8"': r"key 'trials' is '8': .*valid integer",
    "trials: true": r"key 'trials' is True: .*valid integer",
    "workers: 0": r"key 'workers' is 0: .*greater than or equal to 1",
    "sampler: grid": r"key 'sampler' is 'grid': .*'gp' or 'random'",
    "stopping: {grace: 1.5}": r"key 'stopping.grace' is 1.5: .*equal to 1",
    "stopping: {policy: hyperband}": r"stopping.policy.*'late_cut', 'probe'",
    "stopping: {within: race}": r"stopping.within' is 'race'.*'late_cut'",
    "stopping: {max_seeds: 0}": "max_seeds.*greater than or equal to 1",
    "stopping: {probe_extra: 0}": "probe_extra.*greater than 0",
    "stopping: {audit: 1.1}": "audit.*less than or equal to 1",
    "name: a/b": r"key 'name' is 'a/b': .*pattern",
    "name: ..": r"key 'name' is '\.\.': .*pattern",
    "families: [{sigmoid: {tau: 0}}]": r"key 'families'.*family sigmoid.*tau.*> 0.*0",
    "families: [sigmoyd]": r"'sigmoyd' is unknown; allowed: .*sigmoid",
    "families: [{linear: {tau: 1}}]": r"linear has no parameter 'tau'; allowed: floor, peak, unti",
    "families: [linear, linear]": "families lists linear more than once",
    "trials: 2\nfamilies: [linear, cosine]\narms: 3": (
        r"trials is 2; at least 3 are needed for 3 arm\(s\)"
    ),
    "model: [vae, maf]\ntrials: 1": "trials is 1; at least 2",
    "arms: 0": "arms.*greater than or equal to 1",
    "model: [vae, vae]": "model lists vae more than once",
    "model: []": r"key 'model'.*at least 1",
    "model: {name: vae, clip_norm: 0}": "clip_norm.*greater than 0",
    "model: {name: vae, preset: 3}": "preset.*string",
    "fid: {extractor: vgg}": (
        "'vgg'.*lenet, lenet-unlabelled, inception-v3-compat, .*, file:PATH .*module:Class"
    ),
    "fid: {extra: [kid, kid]}": "extra lists kid more than once",
    "fid: {extra: [fad]}": "fid.extra.*'kid', 'prior', 'prc', 'fid_infinity' or 'mind'",
    "fid: {beside: vgg}": "fid.*'vgg'; allowed: lenet, lenet-unlabelled, inception-v3-compat",
    "fid: {beside: lenet}": "beside names lenet, which decides already; leave it out",
    "fid: {beside: [columns, columns]}": "beside lists extra.fid_columns more than once",
    "fid: {beside: ['file:a/net.pt', 'file:b/net.pt2']}": "beside lists extra.fid_net more than",
    "fid: {ema: 100}": r"key 'fid\.ema' is 100: .*less than 1",
    "model: {name: vae, ema: 1}": r"key 'model\.0\.ema' is 1: .*less than 1",
    "fid: {weights: a.pth}": "weights belongs to inception-v3-compat",
    "loggers: [mlflw]": "key 'loggers.0' is 'mlflw': .*'tensorboard', 'mlflow' or 'wandb'",
    "loggers: [wandb, wandb]": "loggers lists wandb more than once",
    "objective: kid\nfid: {extra: []}": "objective 'kid': .*not measured in this search; add it",
    "objective: loss": "objective 'loss': must be one of fid, bpd,",
    "objective: bpd\nstopping: {policy: probe}": "'bpd': a cooldown branch measures FID alone",
    "constraint: {bpd: 3}": "constraint.bpd.*string",
    "constraint: {bpd: < 3}": "constraint {'bpd': '< 3'}: '< 3' is no bound",
    "constraint: {fid: <= 3}": "it bounds the objective itself; name another metric",
    "constraint: {}": "must name one metric, as in",
    "resources: {stack: 2}\nfid: {ema: 0.1}": (
        r"search\.yaml: resources\.stack trains no averaged weights, and every model has ema; "
        r"leave one of the two out$"
    ),
    "prior: [a, a]": "prior lists a more than once",
    "prior: a\nsampler: tpe": "sampler 'tpe' learns from no prior; shape does",
    "resources: {stack: 0}": (
        "key 'resources.stack' is 0: must be auto, or a whole number from 1 to 1024"
    ),
    "workers: 0\ntrials: 0": r"\(and 1 more\)$",
    "worker: 0\ntrial: 0": r"\(and 1 more\)$",
}


def test_a_bad_value_is_named_in_one_line(tmp_path: Path) -> None:
    for lines, message in BAD.items():
        key = lines.partition(":")[0]
        kept = [kept for kept in BASE.splitlines() if not kept.startswith(f"{key}:")]
        with pytest.raises(MollituneError, match=message) as caught:
            read(tmp_path, "\n".join([*kept, lines, ""]))
        text = str(caught.value)
        assert "\n" not in text
        assert text.startswith(str(tmp_path / "search.yaml"))


def test_a_bad_override_is_named(tmp_path: Path) -> None:
    for override, message in {
        "trials": "override 'trials' is not of the form key=value",
        "=3": "override '=3' is not of the form key=value",
        "trials=[": r"override 'trials=\[': the value is not valid YAML",
        "name.first=3": "override 'name.first=3': name has no keys of its own",
        "fid.sampels=3": r"unknown key 'fid.sampels'; did you mean 'samples'\?",
    }.items():
        with pytest.raises(MollituneError, match=message):
            read(tmp_path, BASE, override)


def test_a_file_that_is_no_config_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "search.yaml"
    for data, message in {
        b"name: [run\n": r"search.yaml: not valid YAML: ",
        b"\xff\xfe\x00\xd8": "not valid YAML",
        b"- name\n": "a config is a mapping of keys to values",
        b"": "a config is a mapping of keys to values",
        b"name: run\n": "key 'model' is missing",
    }.items():
        path.write_bytes(data)
        with pytest.raises(MollituneError, match=message) as caught:
            load_config(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(MollituneError, match=r"none.yaml: cannot read the config \(No such file"):
        load_config(tmp_path / "none.yaml")


def test_models_are_known_without_torch() -> None:
    assert models() == MODELS


def test_models_are_built_before_any_trial(tmp_path: Path) -> None:
    for model, message in {
        "vea": "model vea: .*vae",
        "{name: vae, hparams: {hiden: 3}}": "model vae: .*hiden.*hidden",
        "{name: vae, hparams: {latent: 0}}": "model vae: latent.*0",
    }.items():
        config = read(tmp_path, f"name: run\nmodel: [{model}]\n")
        with pytest.raises(MollituneError, match=message):
            check_models(config, (1, 8, 8))
    for model, message in {
        "vea": "vea",
        "{name: vae, preset: papr}": "did you mean 'paper'",
    }.items():
        with pytest.raises(MollituneError, match=message):
            check_models(read(tmp_path, f"name: run\nmodel: [{model}]\n"), None)
    config = read(tmp_path, "name: run\nmodel: [vae, {name: realnvp, hparams: {hidden: 4}}]\n")
    check_models(config, (1, 8, 8))


def test_images_alone_are_a_config(tmp_path: Path) -> None:
    for source, name in {
        "folder:data/my flowers@32": "my-flowers",
        "parquet:a/train.parquet": "train",
        "digits": "digits",
        str(tmp_path): tmp_path.name,
    }.items():
        config = load_config(source, ["trials=4"])
        found = (config.name, config.dataset, config.model[0].name, config.trials)
        assert found == (name, source, "vae", 4)
    with pytest.raises(MollituneError, match="cannot read the config"):
        load_config("nowhere.yaml")


JOINT = """
name: run
images: 12800
model:
  name: realnvp
  lr: [1.0e-4, 1.0e-2]
  batch_size: {choices: [32, 128]}
  lr_decay: [constant, cosine]
  hparams: {hidden: [16, 64], scales: 2}
"""


def test_hyperparameters_are_searched_in_the_notation_of_schedules(tmp_path: Path) -> None:
    config = read(tmp_path, JOINT)
    (entry,) = config.model
    assert entry.hyperspace.dimensions == {
        "batch_size": Choice((32, 128)),
        "hparams.hidden": Int(16, 64, log=True),
        "lr": Float(1e-4, 1e-2, log=True),
        "lr_decay": Choice(("constant", "cosine")),
    }
    # the first runs have the defaults, or what is searched next to them
    first = {"batch_size": 128, "hparams.hidden": 32, "lr": 1e-3, "lr_decay": "constant"}
    assert dict(entry.hyperspace.first) == first
    assert (entry.lr, entry.batch_size, entry.hparams) == (1e-3, 128, {"hidden": 32, "scales": 2})
    again = SearchConfig.model_validate(config.to_dict())
    assert again.model[0].hyperspace == entry.hyperspace
    assert again.to_dict() == config.to_dict()
    assert not read(tmp_path, BASE).model[0].hyperspace


def test_an_average_is_a_setting_like_others_and_zero_is_none(tmp_path: Path) -> None:
    for searched, dimension, first in [
        ("{choices: [0.1, 0, 0.05]}", Choice((0.1, 0, 0.05)), 0),
        ("[0.02, 0.2]", Float(0.02, 0.2, log=True), 0.02),
    ]:
        (entry,) = read(tmp_path, f"name: run\nmodel: {{name: vae, ema: {searched}}}\n").model
        assert entry.hyperspace.dimensions == {"ema": dimension}
        assert dict(entry.hyperspace.first) == {"ema": first}
        assert entry.ema == (first or None)


def test_an_average_for_all_models_goes_to_those_without_their_own(tmp_path: Path) -> None:
    models = "[vae, {name: maf, ema: 0}, {name: glow, ema: {choices: [0, 0.2]}}, {name: hvae}]"
    older = read(tmp_path, f"name: run\nmodel: {models}\nfid: {{ema: 0.1, samples: 50}}\n")
    assert [entry.ema for entry in older.model] == [0.1, None, None, 0.1]
    assert list(older.model[2].hyperspace.dimensions) == ["ema"]
    assert (older.fid.ema, older.fid.samples) == (None, 50)
    plain = older.to_dict()
    assert "ema" not in plain["fid"]
    assert SearchConfig.model_validate(plain).to_dict() == plain
    # the same in Python, and in a search of before
    made = SearchConfig(name="run", model=list(older.model[1:3]), fid=FidConfig(ema=0.1))
    assert [entry.ema for entry in made.model] == [None, None]
    del plain["model"][0]["ema"]
    again = SearchConfig.model_validate(plain | {"fid": plain["fid"] | {"ema": 0.3}})
    assert [entry.ema for entry in again.model] == [0.3, None, None, 0.1]


def test_unlike_batches_see_equally_many_images(tmp_path: Path) -> None:
    config = read(tmp_path, JOINT)
    steps = [config.steps_of("realnvp", {"batch_size": batch}) for batch in (32, 128)]
    assert steps == [400, 100]
    assert config.images_of("realnvp") == 12800
    epochs = read(tmp_path, JOINT.replace("images: 12800", "epochs: 2.5")).for_images(1000)
    assert (epochs.images, epochs.steps_of("realnvp")) == (2500, 20)
    assert "steps" not in epochs.to_dict()
    steps_alone = read(tmp_path, BASE + "steps: 50\n")
    assert steps_alone.images_of("vae") == 50 * 128
    with pytest.raises(MollituneError, match="up to 128, more than the 100 training images"):
        config.for_images(100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("images: 12800", "steps: 100"), "batch_size of realnvp is searched, and so many steps"),
        (("images: 12800", "images: 12800\nsteps: 9"), "steps and images all say how long"),
        (("[1.0e-4, 1.0e-2]", "[0, 1.0e-2]"), "lr: low must be > 0 on a logarithmic scale"),
        (("[1.0e-4, 1.0e-2]", "{low: -1, high: 1, log: false}"), "lr' is -1.0: Input should be"),
        (("[constant, cosine]", "[constant, never]"), "lr_decay' is 'never'"),
        (("{choices: [32, 128]}", "[32, 64, 128]"), r"batch_size: \[32, 64, 128\] is no range"),
        (("{choices: [32, 128]}", "{choices: [32, 0]}"), "batch_size' is 0: Input should be"),
        (("[16, 64]", "{choices: [16, many]}"), "hparams.hidden: options must be all texts"),
    ],
)
def test_a_dimension_that_is_not_legal_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(MollituneError, match=message):
        read(tmp_path, JOINT.replace(*change))


def test_impossible_corners_are_refused_before_any_trial(tmp_path: Path) -> None:
    check_models(read(tmp_path, JOINT), (1, 8, 8))
    wrong = read(tmp_path, JOINT.replace("scales: 2", "scales: [1, 9]"))
    with pytest.raises(MollituneError, match="model realnvp: "):
        check_models(wrong, (1, 8, 8))


@pytest.mark.parametrize(
    ("lines", "scales", "target"),
    [
        ("steps: 600\ntarget_steps: 4800", (1, 2, 4), 8),
        ("steps: 600\nbudgets: [300, 600, 2400]\ntarget_steps: 4800", (0.5, 1, 4), 8),
        ("images: 6400\nbudgets: [1, 4]\ntarget_images: 64000", (1, 4), 10),
        ("epochs: 2\nbudgets: [2, 6]\ntarget_epochs: 64", (1, 3), 32),
        ("steps: 600\nbudgets: [1, 4]", (1, 4), 4),
    ],
)
def test_budgets_are_multiples_of_the_length_in_whatever_unit(
    tmp_path: Path, lines: str, scales: tuple[float, ...], target: float
) -> None:
    config = read(tmp_path, BASE + lines)
    for known in (config, config.for_images(1000)):
        assert known.ladder == Ladder(tuple(map(float, scales)), target)
    assert config.steps_of("vae", scale=scales[-1]) == scales[-1] * config.steps_of("vae")
    assert SearchConfig.model_validate(config.to_dict()).ladder == config.ladder


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("steps: 600\nbudgets: [4, 1]", r"budgets \[4.0, 1.0\]: must be numbers"),
        ("steps: 600\nbudgets: [1, 4]\ntarget_steps: 1200", "target_steps 1,200: lies below"),
        ("steps: 600\ntarget_steps: 300", "lies below the length of a trial, 600"),
        ("epochs: 2\ntarget_steps: 300", "this search counts in epochs; say target_epochs"),
        ("budgets: [1, 4]\nsampler: tpe", "sampler 'tpe' chooses no budgets"),
        ("budgets: [1, 4]\nstopping: {within: late_cut}", "leave late_cut out of stopping"),
    ],
)
def test_budgets_that_go_with_nothing_else_are_refused(
    tmp_path: Path, lines: str, message: str
) -> None:
    with pytest.raises(MollituneError, match=message):
        read(tmp_path, BASE + lines)


def test_the_papers_preset_is_a_recipe_that_every_key_may_change() -> None:
    plain = SearchConfig.model_validate({"name": "a", "model": {"name": "vae", "preset": "paper"}})
    (own,) = plain.model
    assert (own.optimiser, own.lr, own.weight_decay, own.batch_size) == ("adamax", 1e-3, 1e-5, 64)
    assert (own.warmup, own.clip_norm) == (0, None)
    assert plain.images_of("vae") == 3_200_000
    assert plain.steps_of("vae") == 50_000
    entry = {"name": "vae", "preset": "paper", "batch_size": 32, "lr": {"low": 1e-4, "high": 1e-2}}
    changed = SearchConfig.model_validate({"name": "a", "model": [entry, "maf"]})
    assert changed.steps_of("vae") == 1000  # maf is not the paper's
    assert changed.model[0].weight_decay == 1e-5
    assert changed.model[0].batch_size == 32
    assert set(changed.model[0].hyperspace.dimensions) == {"lr"}
    assert changed.model[1].weight_decay == 0
    for config in (plain, changed):
        again = SearchConfig.model_validate(config.to_dict())
        assert again.to_dict() == config.to_dict()
    short = SearchConfig.model_validate({"name": "a", "steps": 20, "model": [entry]})
    assert short.steps_of("vae") == 20
