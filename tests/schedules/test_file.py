import json
import os
from pathlib import Path
from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.schedules import Blur, Linear, Schedule, ScheduleFileError, Sigmoid, Vanilla, load

LINEAR: dict[str, Any] = {
    "format": "mollitune.schedule",
    "version": 1,
    "family": "linear",
    "params": {"floor": 0.0, "peak": 1.0, "until": 0.5},
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "best.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_file_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "best.json"  # folders are made
    Blur(sigma_max=8, until=0.6).save(os.fspath(path), trial="t7", fid={"sd": 1, "mean": 30.5})
    assert path.read_bytes() == (
        b'{\n  "format": "mollitune.schedule",\n  "version": 1,\n  "family": "blur",\n'
        b'  "params": {\n    "curve": "sine",\n    "noise": 0.01,\n    "sigma_max": 8.0,\n'
        b'    "until": 0.6\n  },\n'
        b'  "fid": {\n    "mean": 30.5,\n    "sd": 1\n  },\n  "trial": "t7"\n}\n'
    )
    assert load(os.fspath(path)) == Blur(sigma_max=8, until=0.6)


def test_integers_and_floats_save_alike(tmp_path: Path) -> None:
    Sigmoid(start=0, end=3, until=1).save(tmp_path / "a.json")
    Sigmoid(start=0.0, end=3.0, until=1.0).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.json"
    Linear(until=0.5).save(path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        Linear(until=0.7).save(path)
    assert load(path) == Linear(until=0.5)
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_replaces_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    Linear(until=0.5).save(path, note="a longer file " * 50)
    Linear(until=0.7).save(path)
    assert load(path) == Linear(until=0.7)
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_as_readable_as_the_umask_allows(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    Vanilla().save(tmp_path / "best.json")
    assert (tmp_path / "best.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_extras_are_checked(tmp_path: Path) -> None:
    for name in ("format", "version", "family", "params"):
        wrong = rf"extra must not use the reserved names .*\['{name}'\]"
        with pytest.raises(ValueError, match=wrong):
            Vanilla().save(tmp_path / "best.json", **{name: 1})
    for value in (float("nan"), float("inf"), object(), {1, 2}):
        with pytest.raises(ValueError, match=r"extra must be JSON values without NaN"):
            Vanilla().save(tmp_path / "best.json", note={"value": value})
    assert not list(tmp_path.iterdir())


BAD: list[tuple[object, str]] = [
    ("", r"not valid JSON \(Expecting value.*mend it"),
    ('{"version": NaN}', r"not valid JSON \(NaN is not a JSON number\)"),
    ("[" * 100_000, r"not valid JSON"),
    ("[1]", r"must hold a JSON object, not list; give a file made with schedule\.save"),
    ({}, r"format must be 'mollitune\.schedule', got None; give a file"),
    (LINEAR | {"format": "other"}, r"format must be 'mollitune\.schedule', got 'other'"),
    (LINEAR | {"version": 2}, r"version 2 is newer than 1, .*; upgrade mollitune"),
    (LINEAR | {"version": 0}, r"version must be an integer >= 1, got 0; save .* again"),
    (LINEAR | {"version": "1"}, r"version must be an integer >= 1, got '1'"),
    (LINEAR | {"version": True}, r"version must be an integer >= 1, got True"),
    (LINEAR | {"family": "liner"}, r"one of vanilla, .*, got 'liner'; did you mean 'linear'"),
    (LINEAR | {"family": ["linear"]}, r"family must be one of vanilla, .*, got \['linear'\]"),
    (LINEAR | {"params": [1]}, r"params must be a mapping of names to values, got \[1\]"),
    (LINEAR | {"params": {}}, r"of linear: floor, peak, until; missing: floor, peak, until"),
    (LINEAR | {"params": LINEAR["params"] | {"tau": 1.0, "end": 1.0}}, r"unknown: end, tau"),
    (LINEAR | {"family": "vanilla"}, r"of vanilla: none; unknown: floor, peak, until"),
    (LINEAR | {"params": LINEAR["params"] | {"until": 2}}, r"until must be in \(0, 1\], got 2"),
    (json.dumps(LINEAR).replace("0.5", "1e999"), r"until must be a finite number, got inf"),
    (json.dumps(LINEAR).replace("0.5", "1" * 5000), r"not valid JSON"),
]


def test_a_bad_file_is_named_in_one_line(tmp_path: Path) -> None:
    for content, message in BAD:
        path = written(tmp_path, content)
        with pytest.raises(ScheduleFileError, match=message) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, MollituneError)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScheduleFileError, match=r"none\.json: no such file; check the path"):
        load(tmp_path / "none.json")


def test_a_folder_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScheduleFileError, match=r"not readable \(.*; give a JSON file"):
        load(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScheduleFileError, match=r"binary\.json: not readable \('utf-8' codec"):
        load(tmp_path / "binary.json")


def test_from_dict_of_a_family_takes_only_that_family() -> None:
    data = Linear().to_dict()
    assert Linear.from_dict(data) == Linear()
    with pytest.raises(ValueError, match=r"family must be a kind of Sigmoid, got 'linear'"):
        Sigmoid.from_dict(data)


def test_from_dict_ignores_what_is_beside_the_schedule() -> None:
    assert Schedule.from_dict(LINEAR | {"verdict": "better"}) == Linear(until=0.5)
