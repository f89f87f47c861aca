"""Schedule files that are none. No command reads one, so `load` itself is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.hostile.conftest import MAX_LINE, SENTINEL, payload, tree

from mollitune.schedules import ScheduleFileError, Sigmoid, load
from mollitune.schedules._file import MAX_BYTES

GOOD: dict[str, Any] = {"format": "mollitune.schedule", "version": 1, **Sigmoid().to_dict()}
TEXT = json.dumps(GOOD)
ODD = [None, True, "1", [], {}, [0.5], {"a": 1}]
WORDS = ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "1" * 5000, "-1e308"]


def _param(name: str, value: object) -> str:
    return json.dumps(GOOD | {"params": GOOD["params"] | {name: value}})


def _texts() -> list[str]:
    """What is refused for its values: in every place, and beside it."""
    odd = [json.dumps(GOOD | {name: value}) for name in GOOD for value in ODD]
    odd += [_param(name, value) for name in GOOD["params"] for value in ODD]
    odd += [json.dumps({k: GOOD[k] for k in GOOD if k != name}) for name in GOOD]
    odd += [
        TEXT.replace(f'"{name}": ', f'"{name}": {word}, "x": ')
        for name in ("until", "tau", "version")
        for word in WORDS
    ]
    odd += [json.dumps(GOOD | {"version": version}) for version in (2, 10**30, 0, 1.0)]
    odd += [_param(name, 1) for name in ("sigma_max", "a\nb", "x" * 1000, "__class__")]
    return [*odd, _param("until", [0] * 100), json.dumps(GOOD | {"family": "../linear"})]


REFUSED: dict[str, list[str | bytes]] = {
    "values": list(_texts()),
    "text that ends too early": [TEXT[:n] for n in range(0, len(TEXT), 7)],
    "a name twice": [
        TEXT.replace('"version": 1', '"version": 1, "version": 1'),
        TEXT.replace('"until": ', '"until": 0.1, "until": '),
    ],
    "depth": ['{"a": ' + "[" * 50_000, '{"a": ' * 50_000, TEXT[:-1] + ', "x": ' + "[" * 50_000],
    "other text": ["format: mollitune.schedule\nversion: 1\n", TEXT + TEXT, "// x\n" + TEXT],
    "half a pair in a name": [TEXT.replace('"until"', '"\\ud800"')],
    "bytes": [
        *(b"\xef\xbb\xbf" + TEXT.encode(), TEXT.encode("utf-16"), TEXT.encode() + b"\xe9"),
        *(bytes(100), payload(), TEXT.encode() + payload(), b"PK\x03\x04" + bytes(40)),
        TEXT.encode() + b" " * MAX_BYTES,
    ],
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


@pytest.mark.parametrize("kind", REFUSED)
def test_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    for content in REFUSED[kind]:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / "best.json").write_bytes(data)
        refuse(tmp_path / "best.json")
    (tmp_path / "best.json").write_text(TEXT)
    assert load(tmp_path / "best.json") == Sigmoid()


def test_what_is_no_file(work: Path) -> None:
    (work / "loop").symlink_to(work / "loop")
    (work / "other").symlink_to(work / "nothing")
    for name in ("loop", "other", "results", "missing", "config.yaml/x", "n" * 300):
        refuse(work / name)
    with pytest.raises(ScheduleFileError, match="null byte"):
        load(work / "a\0b")
