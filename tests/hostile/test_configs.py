"""Configs that are none: both commands that read one refuse each in one line and write nothing."""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from tests.hostile.conftest import CONFIG, SENTINEL, Refused

from mollitune.search.config import (
    FidConfig,
    ModelConfig,
    ResourcesConfig,
    SearchConfig,
    StoppingConfig,
)
from mollitune.search.plain_yaml import MAX_BYTES

SECTIONS: dict[str, type[BaseModel]] = {
    "": SearchConfig,
    "fid": FidConfig,
    "stopping": StoppingConfig,
    "resources": ResourcesConfig,
    "model": ModelConfig,
}
KEYS = [(section, key) for section, model in SECTIONS.items() for key in model.model_fields]


def _line(section: str, key: str, value: str) -> str:
    """A config's line that gives a key of a section a value."""
    if section == "":
        return f"{key}: {value}"
    name = "name: vae, " if section == "model" and key != "name" else ""
    return f"{section}: {{{name}{key}: {value}}}"


def _config(line: str) -> str:
    """A valid config, but for one line."""
    key = line.partition(":")[0]
    kept = [kept for kept in CONFIG.splitlines() if not kept.startswith(f"{key}:")]
    return "\n".join([*kept, line, ""])


def _kinds(section: str, key: str) -> set[Any]:
    annotation = SECTIONS[section].model_fields[key].annotation
    return {annotation, *get_args(annotation)}


def _numbers(kind: type) -> list[tuple[str, str]]:
    return [(section, key) for section, key in KEYS if kind in _kinds(section, key)]


def _bomb(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


def _typed() -> Iterator[str]:
    """Each key with a value of another type; each number with one that is none."""
    others = itertools.cycle(("2001-02-03", "!!binary aGk=", "[[[1]]]", "{3: 1}"))
    for (section, key), value in zip(KEYS, others, strict=False):
        yield _config(_line(section, key, value))
    for section, key in _numbers(float):
        for value in (".nan", ".inf", "-.inf"):
            yield _config(_line(section, key, value))
    for section, key in _numbers(int):
        for value in ("9" * 30, "-1", "4.5", "true"):
            yield _config(_line(section, key, value))
    yield _config(_line("", "trials", "9" * 5000))
    for section in SECTIONS:
        yield _config(_line(section, "zzz", "1"))


TAGS = [
    *(f"!!python/object/apply:os.mkdir [{SENTINEL}]", "!!python/name:os.system"),
    *("!!python/object:os.PathLike {}", "!!python/tuple [1]", "!unknown 1", "!!int twelve"),
    *('!!int ""', "!!bool perhaps", "!!timestamp soon", "2001-99-99", "!!binary '*'"),
    *("!!set {a, b}", "!!omap [a: 1]"),
]
NAMES = ["..", ".", "../up", "a/b", "a\\b", "~", " ", ".hidden", "a:b", "é", "a" * 101, "$HOME"]
ESCAPES = ['"a\\0b"', '"run1\\n"', '"\\e[31m"', '"\\ud800"', '"\\u2028"', '"\\x7f"']
TEXTS: dict[str, list[str]] = {
    "nothing, or no mapping": ["", "# nothing", "~", "name", "3", "- name: run1"],
    "broken YAML": [
        *(CONFIG + "---\n" + CONFIG, CONFIG + "fid: {", CONFIG + "fid:\n\tsamples: 3\n"),
        *(CONFIG + "fid: *none\n", _config("families: &a [*a]"), _config("fid: &a {<<: *a}")),
    ],
    "too much": [
        *(CONFIG + _bomb(9), _config("families: [" + "linear, " * 20_000 + "]")),
        _config("families: " + "[" * 5000 + "]" * 5000),
        _config("fid: " + "{a: " * 5000 + "}" * 5000),
        *(CONFIG + "k" * 100_000 + ": 1\n", _config("families: [" + "k" * 100_000 + "]")),
        _config("stopping: {grace: 1.0e-9, reduction_factor: 1.0000001}"),  # rungs
    ],
    "keys": [
        *(_config("fid: {[1]: 2}"), _config("fid: {{a: 1}: 2}"), CONFIG + "3: 4\n"),
        *(CONFIG + "~: 4\n", CONFIG + '"a\\nb": 1\n', CONFIG + '"name": run2\n'),
        *(_config("fid: {samples: 3, samples: 4}"), _config("model: [{name: vae, name: vae}]")),
        _config("model: {name: vae, hparams: {latent: 3, latent: 4}}"),
    ],
    "families and arguments": [
        *(_config(f"families: [{{linear: {{until: {v}}}}}]") for v in (".nan", "1" + "0" * 400)),
        *(_config("families: [{linear: {until: [0.1, .inf]}}]"), _config("families: [[linear]]")),
        *(_config("families: [{linear: ~}]"), _config("families: [{linear: {}, cosine: {}}]")),
        *(_config(f"model: {{name: vae, hparams: {{latent: {v}}}}}") for v in (".nan", "[1]")),
        _config("model: {name: vae, hparams: {1: 1}}"),
    ],
    "tags": [*(_config(f"results: {tag}") for tag in TAGS), *(f"{tag}\n" for tag in TAGS[:4])],
    "names": [
        *(_config(f"name: '{name}'") for name in NAMES),
        *(_config(f"name: {name}") for name in ('""', "~", "1", "true", *ESCAPES)),
        *(_config(f"results: {path}") for path in ESCAPES),
    ],
    "values of other types": list(_typed()),
}
BYTES = {
    "null bytes": b"\0" * 50,
    "control characters": CONFIG.encode() + b"dataset: a\x07b\n",
    "latin-1": CONFIG.encode() + "dataset: é\n".encode("latin-1"),
    "utf-16": CONFIG.encode("utf-16"),
    "utf-16 without a mark": CONFIG.encode("utf-16-le"),
    "a mark in the middle": CONFIG.encode() + "\ufeffseed: 1\n".encode(),
    "too large": CONFIG.encode() + b"#" * MAX_BYTES,
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts(refused: Refused, work: Path, kind: str) -> None:
    for number, text in enumerate(TEXTS[kind]):
        (work / "bad.yaml").write_text(text, encoding="utf-8")
        # both commands read a config by one function
        for command in ("search", "space") if number == 0 else ("search",):
            assert "bad.yaml: " in refused(command, "bad.yaml"), text[:500]


def test_bytes(refused: Refused, work: Path) -> None:
    for case, data in BYTES.items():
        (work / "bad.yaml").write_bytes(data)
        assert "bad.yaml: " in refused("search", "bad.yaml"), case


def test_the_valid_config_is_valid(refused: Refused, work: Path) -> None:
    (work / "good.yaml").write_bytes(b"\xef\xbb\xbf" + CONFIG.encode())  # a byte order mark
    # what is refused is the override alone
    assert "unknown key 'zzz'" in refused("search", "good.yaml", "zzz=1")
    # so that the deep cases are deeper than the stack
    assert sys.getrecursionlimit() < 5000


def test_the_place_is_named(refused: Refused, work: Path) -> None:
    for text, where in (
        (CONFIG + "name: run2\n", "the key 'name' stands twice .* line 6, column 1"),
        (_config("fid: {ema: 0.1, ema: 0.2}"), "the key 'ema' stands twice .* line 6, column 17"),
        (CONFIG + _bomb(9), "more than 10,000 values .* line 10"),
    ):
        (work / "bad.yaml").write_text(text)
        assert re.search(where, refused("search", "bad.yaml"))


def test_what_is_no_file(refused: Refused, work: Path) -> None:
    (work / "loop").symlink_to(work / "loop")
    (work / "dangling").symlink_to(work / "none")
    for name in ("missing", "loop", "dangling"):
        assert "cannot read the config" in refused("search", name)
    if Path("/dev/zero").exists():
        (work / "endless").symlink_to("/dev/zero")
        assert "not a config" in refused("search", "endless")
    if os.geteuid() != 0:  # root may read everything
        (work / "config.yaml").chmod(0)
        assert "Permission denied" in refused("search", "config.yaml")


OVERRIDES = [
    *("", "=1", "trials=&a [*a]", "trials={a: 1, a: 2}", "a\nb=1", "trials=" + "[" * 5000),
    *("k" * 100_000 + "=1", f"trials=!!python/object/apply:os.mkdir [{SENTINEL}]"),
    *("name.\n.x=1", ".=1", "fid..=1", "fid.__class__=1", "__init__=1", "model.0.name=vae"),
    *("results=\x1b[31m", "name=\udcff"),
]
FOUND_BEFORE_THE_FIRST_TRIAL = [
    *("dataset=parquet:none\ufffd", "dataset=folder:/dev/null", "dataset=parquet:results"),
    *("dataset=parquet:config.yaml@99999999999999999999", "dataset=digits:../.."),
    *("fid.extractor=file:config.yaml", "fid.extractor=file:results"),
    *("fid.extractor=file:/dev/null/x", "fid.extractor=os:system"),
    *("fid.extractor=none.of.these:Class", "model=os:system", "model=builtins:exec"),
    *("storage=nosuch://x", "storage=file://", "storage=s3://"),
]


@pytest.mark.parametrize("overrides", [OVERRIDES, FOUND_BEFORE_THE_FIRST_TRIAL], ids=len)
def test_overrides(refused: Refused, overrides: list[str]) -> None:
    for override in overrides:
        refused("search", "config.yaml", override)
