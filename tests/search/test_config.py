from pathlib import Path
from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.schedules import families
from mollitune.search.config import SearchConfig, StoppingConfig, check_models, load_config

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


def test_storage_replaces_the_results_folder(tmp_path: Path) -> None:
    assert read(tmp_path, BASE, "storage=s3://bucket/runs").root == "s3://bucket/runs"


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
    assert plain["families"] == ["linear", {"sigmoid": {"tau": 0.7, "until": [0.2, 0.5]}}]
    assert plain["arms"] == 3
    again = SearchConfig.model_validate(plain)
    assert again == config.model_copy(update={"arms": 3})
    assert again.to_dict() == plain


@pytest.mark.parametrize(
    ("values", "rule", "races", "marks"),
    [
        ({}, "none", True, ()),
        ({"within": "late_cut"}, "late_cut", True, (2 / 3,)),
        ({"within": "asha", "grace": 0.1}, "asha", True, (0.1, 0.3, 0.9)),
        ({"within": "probe", "grace": 0.25, "reduction_factor": 2}, "probe", True, (0.25, 0.5)),
        # `within` is of a race alone
        ({"policy": "asha", "within": "none", "grace": 0.25}, "asha", False, (0.25, 0.75)),
        ({"policy": "probe", "grace": 0.5}, "probe", False, (0.5,)),
        ({"policy": "late_cut", "grace": 0.1}, "late_cut", False, (0.1,)),
        ({"policy": "late_cut", "grace": 1}, "late_cut", False, ()),
        ({"policy": "none", "grace": 0.1}, "none", False, ()),
    ],
)
def test_rule_and_rungs_inside_a_run(
    values: dict[str, Any], rule: str, races: bool, marks: tuple[float, ...]
) -> None:
    config = StoppingConfig(**values)
    assert (config.rule, config.races) == (rule, races)
    assert config.marks == pytest.approx(marks)


BAD = {
    "unknown key, close": ("trails: 5", r"unknown key 'trails'; did you mean 'trials'\? allowed:"),
    "unknown key, far": ("zzz: 5", "unknown key 'zzz'; allowed: name, dataset, model"),
    "unknown nested key": (
        "fid: {sample: 5}",
        r"unknown key 'fid.sample'; did you mean 'samples'\? allowed: extractor, samples",
    ),
    "wrong type": ('trials: "8"', r"key 'trials' is '8': .*valid integer"),
    "bool for a number": ("trials: true", r"key 'trials' is True: .*valid integer"),
    "out of range": ("workers: 0", r"key 'workers' is 0: .*greater than or equal to 1"),
    "not among the choices": ("sampler: grid", r"key 'sampler' is 'grid': .*'gp' or 'random'"),
    "nested out of range": (
        "stopping: {grace: 1.5}",
        r"key 'stopping.grace' is 1.5: .*equal to 1",
    ),
    "unknown policy": ("stopping: {policy: hyperband}", r"stopping.policy.*'late_cut', 'probe'"),
    "race in a race": ("stopping: {within: race}", r"stopping.within' is 'race'.*'late_cut'"),
    "no seed": ("stopping: {max_seeds: 0}", "max_seeds.*greater than or equal to 1"),
    "branch without steps": ("stopping: {probe_extra: 0}", "probe_extra.*greater than 0"),
    "audit of more than all": ("stopping: {audit: 1.1}", "audit.*less than or equal to 1"),
    "bad name": ("name: a/b", r"key 'name' is 'a/b': .*pattern"),
    "name that leaves the folder": ("name: ..", r"key 'name' is '\.\.': .*pattern"),
    "illegal fixed parameter": (
        "families: [{sigmoid: {tau: 0}}]",
        r"key 'families'.*family sigmoid.*tau.*> 0.*0",
    ),
    "unknown family": ("families: [sigmoyd]", r"'sigmoyd' is unknown; allowed: .*sigmoid"),
    "unknown parameter": (
        "families: [{linear: {tau: 1}}]",
        r"linear has no parameter 'tau'; allowed: floor, peak, until",
    ),
    "too few trials": (
        "trials: 2\nfamilies: [linear, cosine]\narms: 3",
        r"trials is 2; at least 3 are needed for 3 arm\(s\)",
    ),
    "too few trials for the models": ("model: [vae, maf]\ntrials: 1", "trials is 1; at least 2"),
    "no arms": ("arms: 0", "arms.*greater than or equal to 1"),
    "family twice": ("families: [linear, linear]", "families lists linear more than once"),
    "model twice": ("model: [vae, vae]", "model lists vae more than once"),
    "no model": ("model: []", r"key 'model'.*at least 1"),
    "unknown extractor": (
        "fid: {extractor: vgg}",
        "'vgg'.*lenet, inception-v3-compat, efficientnet-lite0, file:PATH .*module:Class",
    ),
    "extra twice": ("fid: {extra: [kid, kid]}", "extra lists kid more than once"),
    "unknown extra": ("fid: {extra: [fad]}", "fid.extra.*'kid', 'prc' or 'fid_infinity'"),
    "ema of whole steps": ("fid: {ema: 100}", "ema.*less than 1"),
    "budget above all": ("fid: {budget: 1.5}", "budget.*less than 1"),
    "no gradient allowed": ("model: {name: vae, clip_norm: 0}", "clip_norm.*greater than 0"),
    "unknown preset": ("model: {name: vae, preset: 3}", "preset.*string"),
    "a stack of averages": (
        "resources: {stack: 2}\nfid: {ema: 0.1}",
        r"search\.yaml: resources\.stack trains no averaged weights; leave it out, or fid\.ema$",
    ),
    "a stack of none": (
        "resources: {stack: 0}",
        "key 'resources.stack' is 0: must be auto, or a whole number from 1 to 1024",
    ),
    "weights of lenet": ("fid: {weights: a.pth}", "weights belongs to inception-v3-compat"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_value_is_named_in_one_line(tmp_path: Path, case: str) -> None:
    line, message = BAD[case]
    key = line.partition(":")[0]
    kept = [kept for kept in BASE.splitlines() if not kept.startswith(f"{key}:")]
    with pytest.raises(MollituneError, match=message) as caught:
        read(tmp_path, "\n".join([*kept, line, ""]))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(tmp_path / "search.yaml"))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(MollituneError, match="key 'model' is missing"):
        read(tmp_path, "name: run\n")


def test_several_findings_are_counted(tmp_path: Path) -> None:
    with pytest.raises(MollituneError, match=r"\(and 1 more\)$"):
        read(tmp_path, BASE + "workers: 0\ntrials: 0\n")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trials", "override 'trials' is not of the form key=value"),
        ("=3", "override '=3' is not of the form key=value"),
        ("trials=[", r"override 'trials=\[': the value is not valid YAML"),
        ("name.first=3", "override 'name.first=3': name has no keys of its own"),
        ("fid.sampels=3", r"unknown key 'fid.sampels'; did you mean 'samples'\?"),
    ],
)
def test_a_bad_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(MollituneError, match=message):
        read(tmp_path, BASE, override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [run\n", r"search.yaml: not valid YAML: "),
        ("- name\n", "a config is a mapping of keys to values"),
        ("", "a config is a mapping of keys to values"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MollituneError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "search.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(MollituneError, match="not valid YAML"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MollituneError, match=r"none.yaml: cannot read the config \(No such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("vea", "model vea: .*vae"),
        ("{name: vae, hparams: {hiden: 3}}", "model vae: .*hiden.*hidden"),
        ("{name: vae, hparams: {latent: 0}}", "model vae: latent.*0"),
    ],
)
def test_models_are_built_before_any_trial(tmp_path: Path, model: str, message: str) -> None:
    config = read(tmp_path, f"name: run\nmodel: [{model}]\n")
    with pytest.raises(MollituneError, match=message):
        check_models(config, (1, 8, 8))


def test_legal_models_pass(tmp_path: Path) -> None:
    config = read(tmp_path, "name: run\nmodel: [vae, {name: realnvp, hparams: {hidden: 4}}]\n")
    check_models(config, (1, 8, 8))
