"""Any text, any value, any change to a good document: a valid object or the user's error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hostile.conftest import CONFIG

from mollitune._errors import MollituneError
from mollitune.schedules import Schedule, Sigmoid, load
from mollitune.search.config import SearchConfig, load_config

# derandomised: the same cases in every run, and no database beside the tests
quick = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
KEYS = [*SearchConfig.model_fields, "extractor", "until", "sigmoid", "params", "version", "lr"]
keys = st.sampled_from(KEYS) | st.text(max_size=5)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
values = st.recursive(
    leaves | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
SCHEDULE: dict[str, Any] = {"format": "mollitune.schedule", "version": 1, **Sigmoid().to_dict()}
SAMPLE = yaml.safe_load(CONFIG) | {"fid": {}, "stopping": {}, "resources": {}}


def config_or_error(folder: Path, data: bytes, *overrides: str) -> None:
    path = folder / "fuzz.yaml"
    path.write_bytes(data)
    _either(lambda: load_config(path, list(overrides)), SearchConfig)


def schedule_or_error(folder: Path, data: bytes) -> None:
    path = folder / "fuzz.json"
    path.write_bytes(data)
    _either(lambda: load(path), Schedule)


def _either(read: Callable[[], object], kind: type) -> None:
    try:
        found = read()
    except MollituneError as error:
        found = error
    assert isinstance(found, MollituneError | kind)
    assert not isinstance(found, MollituneError) or len(str(found).splitlines()) == 1


def _replaced(document: dict[str, Any], path: list[str], value: object) -> dict[str, Any]:
    """A copy with the value at a path of names replaced; a name that leads nowhere is added."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    place: Any = copy
    for name in path[:-1]:
        place = place.get(name, {}) if isinstance(place.get(name), dict) else place
    place[path[-1]] = value
    return copy


readers = pytest.mark.parametrize("check", [config_or_error, schedule_or_error])
Check = Callable[[Path, bytes], None]


@readers
@quick
@given(
    data=st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))
)
def test_any_bytes(tmp_path: Path, check: Check, data: bytes) -> None:
    check(tmp_path, data)


@readers
@quick
@given(value=values)
def test_any_value(tmp_path: Path, check: Check, value: object) -> None:
    check(tmp_path, json.dumps(value).encode())


@readers
@quick
@given(path=st.lists(keys, min_size=1, max_size=3), value=values)
def test_a_changed_document(tmp_path: Path, check: Check, path: list[str], value: object) -> None:
    good = SAMPLE if check is config_or_error else SCHEDULE
    check(tmp_path, json.dumps(_replaced(good, path, value)).encode())


@readers
@quick
@given(place=st.integers(0, 200), length=st.integers(0, 9), new=st.binary(max_size=4))
def test_damaged_bytes(tmp_path: Path, check: Check, place: int, length: int, new: bytes) -> None:
    good = CONFIG.encode() if check is config_or_error else json.dumps(SCHEDULE).encode()
    check(tmp_path, good[:place] + new + good[place + length :])


@quick
@given(override=st.text(max_size=30) | st.builds("{}={}".format, keys, st.text(max_size=20)))
def test_any_override(tmp_path: Path, override: str) -> None:
    config_or_error(tmp_path, CONFIG.encode(), override)
