"""Configs that are none: both commands that read one refuse each in one line and write nothing."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from tests.hostile.conftest import CONFIG, SENTINEL, Refused

from mollitune.search._yaml import MAX_BYTES
from mollitune.search.config import (
    FidConfig,
    ModelConfig,
    ResourcesConfig,
    SearchConfig,
    StoppingConfig,
)

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


def _typed() -> Iterator[tuple[str, str]]:
    for section, key in KEYS:
        for value in ("2001-02-03", "!!binary aGk=", "[[[1]]]", "{3: 1}"):
            yield f"{section}.{key} is {value}", _config(_line(section, key, value))
    for section, key in _numbers(float):
        for value in (".nan", ".inf", "-.inf", "1e400"):
            yield f"{section}.{key} is {value}", _config(_line(section, key, value))
    for section, key in _numbers(int):
        for value in ("9" * 30, "9" * 5000, "0x" + "f" * 5000, "-1", "4.5", "true"):
            yield f"{section}.{key} is {value[:9]}", _config(_line(section, key, value))
    for section in SECTIONS:
        yield f"unknown key in {section}", _config(_line(section, "zzz", "1"))


TAGS = [
    f"!!python/object/apply:os.mkdir [{SENTINEL}]",
    f"!!python/object/new:os.mkdir [{SENTINEL}]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object:os.PathLike {}",
    "!!python/tuple [1]",
    "!unknown 1",
    "!!int twelve",
    '!!int ""',
    "!!float twelve",
    "!!bool perhaps",
    "!!timestamp soon",
    "2001-99-99",
    "!!binary '*'",
    "!!set {a, b}",
    "!!omap [a: 1]",
]
NAMES = ["..", ".", "../up", "a/b", "/etc", "a\\b", "~", " ", ".hidden", "a:b", "a b", "é"]
NAMES += ["a" * 101, "%2e%2e/x", "$HOME", "`id`", "<b>", "a\u202eb"]
ESCAPES = ['"a\\0b"', '"a\\nb"', '"run1\\n"', '"\\e[31m"', '"\\ud800"', '"\\u2028"', '"\\x7f"']
TEXTS = {
    "empty": "",
    "a comment": "# nothing",
    "nothing but space": " \n\n ",
    "null": "~",
    "a text": "name",
    "a number": "3",
    "a list": "- name: run1",
    "two documents": CONFIG + "---\n" + CONFIG,
    "an open bracket": CONFIG + "fid: {",
    "a tab": CONFIG + "fid:\n\tsamples: 3\n",
    "an unknown alias": CONFIG + "fid: *none\n",
    "a self-reference": _config("families: &a [*a]"),
    "a self-reference in a mapping": _config("fid: &a {extra: *a}"),
    "a self-merge": _config("fid: &a {<<: *a}"),
    "a bomb": CONFIG + _bomb(9),
    "a bomb in families": f"{_bomb(9)}\nfamilies: *a8\n",
    "a bomb of lists": _config("families: [" + "linear, " * 20_000 + "]"),
    "deep lists": _config("families: " + "[" * 5000 + "]" * 5000),
    "deep mappings": _config("fid: " + "{a: " * 5000 + "}" * 5000),
    "a list as a key": _config("fid: {[1]: 2}"),
    "a mapping as a key": _config("fid: {{a: 1}: 2}"),
    "a number as a key": CONFIG + "3: 4\n",
    "null as a key": CONFIG + "~: 4\n",
    "a long key": CONFIG + "k" * 100_000 + ": 1\n",
    "a long text": _config("sampler: " + "k" * 100_000),
    "a long unknown family": _config("families: [" + "k" * 100_000 + "]"),
    "a line end in a key": CONFIG + '"a\\nb": 1\n',
    "a key twice": CONFIG + "name: run2\n",
    "a key twice in other quotes": CONFIG + '"name": run2\n',
    "a key twice in a section": _config("fid: {samples: 3, samples: 4}"),
    "a key twice in a model": _config("model: [{name: vae, lr: 0.1, lr: 0.2}]"),
    "a key twice in arguments": _config("model: {name: vae, hparams: {latent: 3, latent: 4}}"),
    "a parameter twice": _config("families: [{linear: {until: 0.2, until: 0.3}}]"),
    "a parameter that is NaN": _config("families: [{linear: {until: .nan}}]"),
    "a parameter that is huge": _config("families: [{linear: {until: 1" + "0" * 400 + "}}]"),
    "a range without an end": _config("families: [{linear: {until: [0.1, .inf]}}]"),
    "a family of nothing": _config("families: [{linear: ~}]"),
    "a family that is a list": _config("families: [[linear]]"),
    "two families in one": _config("families: [{linear: {}, cosine: {}}]"),
    "an argument that is NaN": _config("model: {name: vae, hparams: {latent: .nan}}"),
    "an argument that is a list": _config("model: {name: vae, hparams: {latent: [1]}}"),
    "an argument without a name": _config("model: {name: vae, hparams: {1: 1}}"),
    "more rungs than memory": _config("stopping: {grace: 1.0e-9, reduction_factor: 1.0000001}"),
    **{f"tag {tag}": _config(f"results: {tag}") for tag in TAGS},
    **{f"tag {tag} at the top": f"{tag}\n" for tag in TAGS[:6]},
    **{f"name {name[:20]!r}": _config(f"name: '{name}'") for name in NAMES},
    **{f"name {name}": _config(f"name: {name}") for name in ['""', "~", "1", "true", *ESCAPES]},
    **{f"results {path}": _config(f"results: {path}") for path in ESCAPES},
    **dict(_typed()),
}
BYTES = {
    "random bytes": bytes(range(256)),
    "null bytes": b"\0" * 50,
    "control characters": CONFIG.encode() + b"dataset: a\x07b\n",
    "latin-1": CONFIG.encode() + "dataset: é\n".encode("latin-1"),
    "utf-16": CONFIG.encode("utf-16"),
    "utf-16 without a mark": CONFIG.encode("utf-16-le"),
    "utf-32": CONFIG.encode("utf-32"),
    "a mark in the middle": CONFIG.encode() + "\ufeffseed: 1\n".encode(),
    "an archive": b"PK\x03\x04" + bytes(100),
    "a pickle": b"\x80\x04\x95" + bytes(20),
    "too large": CONFIG.encode() + b"#" * MAX_BYTES,
}


@pytest.mark.parametrize("command", ["space", "search"])
@pytest.mark.parametrize("case", TEXTS)
def test_a_text(refused: Refused, work: Path, case: str, command: str) -> None:
    (work / "bad.yaml").write_text(TEXTS[case], encoding="utf-8")
    assert "bad.yaml: " in refused(command, "bad.yaml")


@pytest.mark.parametrize("case", BYTES)
def test_bytes(refused: Refused, work: Path, case: str) -> None:
    (work / "bad.yaml").write_bytes(BYTES[case])
    assert "bad.yaml: " in refused("search", "bad.yaml")


def test_the_valid_config_is_valid(refused: Refused, work: Path) -> None:
    (work / "good.yaml").write_bytes(b"\xef\xbb\xbf" + CONFIG.encode())  # a byte order mark
    # what is refused is the override alone
    assert "unknown key 'zzz'" in refused("search", "good.yaml", "zzz=1")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (CONFIG + "name: run2\n", "the key 'name' stands twice .* line 6, column 1"),
        (_config("fid: {ema: 0.1, ema: 0.2}"), "the key 'ema' stands twice .* line 6, column 17"),
        (CONFIG + _bomb(9), "more than 10,000 values .* line 10"),
    ],
)
def test_the_place_is_named(refused: Refused, work: Path, text: str, where: str) -> None:
    (work / "bad.yaml").write_text(text)
    assert re.search(where, refused("search", "bad.yaml"))


@pytest.mark.parametrize("kind", ["missing", "folder", "loop", "dangling", "endless"])
def test_what_is_no_file(refused: Refused, work: Path, kind: str) -> None:
    path = work / "bad.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dangling":
        path.symlink_to(work / "none")
    elif kind == "endless":
        if not Path("/dev/zero").exists():
            pytest.skip("no endless file here")
        path.symlink_to("/dev/zero")
    line = refused("search", "bad.yaml")
    assert "not a config" in line if kind == "endless" else "cannot read the config" in line


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_nobody_may_read(refused: Refused, work: Path) -> None:
    (work / "config.yaml").chmod(0)
    assert "Permission denied" in refused("search", "config.yaml")


@pytest.mark.parametrize(
    "override",
    [
        "",
        "=",
        "=1",
        "trials",
        "trials=[",
        "trials=" + "[" * 5000,
        "trials=" + "9" * 5000,
        "trials=&a [*a]",
        f"trials=!!python/object/apply:os.mkdir [{SENTINEL}]",
        "trials={a: 1, a: 2}",
        'name="a\\0b"',
        "name=../up",
        "name.x=1",
        "name.\n.x=1",
        "a\nb=1",
        ".=1",
        "..=1",
        "fid..=1",
        "fid.extractor.x=1",
        "fid.__class__=1",
        "__init__=1",
        "model.0.name=vae",
        "k" * 100_000 + "=1",
        "trials=2001-99-99",
        "results=\x1b[31m",
        "name=\udcff",
    ],
    ids=lambda text: repr(text[:25]),
)
def test_an_override(refused: Refused, override: str) -> None:
    refused("search", "config.yaml", override)


@pytest.mark.parametrize(
    "override",
    [
        "dataset=parquet:none\ufffd",
        "dataset=folder:/dev/null",
        "dataset=parquet:results",
        "dataset=parquet:config.yaml@99999999999999999999",
        "dataset=digits:../..",
        "fid.extractor=file:config.yaml",
        "fid.extractor=file:results",
        "fid.extractor=file:/dev/null/x",
        "fid.extractor=os:system",
        "fid.extractor=none.of.these:Class",
        "model=os:system",
        "model=builtins:exec",
        "storage=nosuch://x",
        "storage=file://",
        "storage=s3://",
    ],
)
def test_what_a_search_finds_before_its_first_trial(refused: Refused, override: str) -> None:
    refused("search", "config.yaml", override)


def test_there_are_enough_cases() -> None:
    assert len(TEXTS) + len(BYTES) > 200
    assert sys.getrecursionlimit() < 5000  # so that the deep cases are deeper than the stack
