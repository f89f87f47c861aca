"""Schedule files that are none. No command reads one, so `load` itself is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.hostile.conftest import MAX_LINE, SENTINEL, payload, tree

from mollitune.schedules import ScheduleFileError, Sigmoid, families, load
from mollitune.schedules._file import MAX_BYTES

GOOD: dict[str, Any] = {"format": "mollitune.schedule", "version": 1, **Sigmoid().to_dict()}
TEXT = json.dumps(GOOD)
ODD = [None, True, "1", [], {}, [0.5], {"a": 1}]


def _with(name: str, value: object) -> str:
    return json.dumps(GOOD | {name: value})


def _param(name: str, value: object) -> str:
    return json.dumps(GOOD | {"params": GOOD["params"] | {name: value}})


TEXTS: dict[str, str] = {
    **{f"cut after {n}": TEXT[:n] for n in range(0, len(TEXT), 7)},
    **{f"without {name}": json.dumps({k: GOOD[k] for k in GOOD if k != name}) for name in GOOD},
    **{f"{name} is {value!r}": _with(name, value) for name in GOOD for value in ODD},
    **{f"{name} is {value!r}": _param(name, value) for name in GOOD["params"] for value in ODD},
    **{
        f"{name} is {word}": TEXT.replace(f'"{name}": ', f'"{name}": {word}, "x": ')
        for name in ("until", "tau", "version")
        for word in ("NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "1" * 5000, "-1e308")
    },
    "without a parameter": json.dumps(GOOD | {"params": {"until": 0.5}}),
    "a parameter of another family": _param("sigma_max", 3.0),
    "a parameter with a line end in its name": _param("a\nb", 1),
    "a parameter with a long name": _param("x" * 1000, 1),
    "a dunder parameter": _param("__class__", 1),
    "a family with a path": _with("family", "../linear"),
    "a newer version": _with("version", 2),
    "a far newer version": _with("version", 10**30),
    "an old version": _with("version", 0),
    "a real version": _with("version", 1.0),
    "a name twice": TEXT.replace('"version": 1', '"version": 1, "version": 1'),
    "a parameter twice": TEXT.replace('"until": ', '"until": 0.1, "until": '),
    "a long list for a parameter": _param("until", [0] * 100),
    "deep lists": '{"a": ' + "[" * 50_000,
    "deep objects": '{"a": ' * 50_000,
    "deep and closed": _with("x", 0).replace("0}", "[" * 50_000 + "]" * 50_000 + "}"),
    "YAML": "format: mollitune.schedule\nversion: 1\n",
    "two documents": TEXT + TEXT,
    "a comment": "// a schedule\n" + TEXT,
    "half a pair in a name": TEXT.replace('"until"', '"\\ud800"'),
}
BYTES: dict[str, bytes] = {
    "a mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "latin-1": TEXT.encode() + "é".encode("latin-1"),
    "null bytes": bytes(100),
    "a pickle": payload(),
    "a pickle after the text": TEXT.encode() + payload(),
    "an archive": b"PK\x03\x04" + bytes(40),
    "too large": TEXT.encode() + b" " * MAX_BYTES,
}


def refuse(path: Path) -> str:
    """Check that loading fails with the one line of a user's error; return it."""
    before = tree(path.parent)
    with pytest.raises(ScheduleFileError) as caught:
        load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert len(line.splitlines()) == 1
    assert len(line) < MAX_LINE
    assert tree(path.parent) == before
    assert not Path(SENTINEL).exists()
    return line


@pytest.mark.parametrize("case", TEXTS)
def test_a_text(work: Path, case: str) -> None:
    (work / "best.json").write_text(TEXTS[case])
    refuse(work / "best.json")


@pytest.mark.parametrize("case", BYTES)
def test_bytes(work: Path, case: str) -> None:
    (work / "best.json").write_bytes(BYTES[case])
    refuse(work / "best.json")


def test_the_good_file_is_good(work: Path) -> None:
    (work / "best.json").write_text(TEXT)
    assert load(work / "best.json") == Sigmoid()


@pytest.mark.parametrize("family", families())
def test_an_empty_set_of_parameters(work: Path, family: str) -> None:
    (work / "best.json").write_text(json.dumps(GOOD | {"family": family, "params": {"x": 1}}))
    assert "unknown: x" in refuse(work / "best.json")


def test_what_is_no_file(work: Path) -> None:
    (work / "loop").symlink_to(work / "loop")
    (work / "other").symlink_to(work / "nothing")
    for name in ("loop", "other", "results", "missing", "config.yaml/x", "n" * 300):
        refuse(work / name)


def test_a_path_with_a_null_character(work: Path) -> None:
    with pytest.raises(ScheduleFileError, match="null byte"):
        load(work / "a\0b")
