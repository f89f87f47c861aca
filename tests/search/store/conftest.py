"""Rows, a clock and a store for the tests of the writer."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.plain_tables import deduplicate

from mollitune._folder import Folder
from mollitune.search.store.schema import KEYS, columns, part_names
from mollitune.search.store.writer import Store

PARAMS = {"until": pa.float64(), "curve": pa.string()}
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_EXAMPLES = {pa.int64(): 1, pa.float64(): 0.5, pa.string(): "x", pa.bool_(): False}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def row(table: str, **values: object) -> dict[str, Any]:
    """A legal row: an example value for each column, some of them replaced."""
    made: dict[str, Any] = {}
    for column in columns(table, PARAMS):
        example = _EXAMPLES.get(column.type, NOW)
        made[column.name] = column.values[0] if column.values else example
    return {**made, **values}


def report(trial: int, **values: object) -> dict[str, Any]:
    return row("reports", **{"trial": trial, "step": 0, **values})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "search"


@pytest.fixture
def opened(root: Path, clock: Clock) -> Store:
    return Store(Folder(root), PARAMS, clock)


def parts(root: Path, table: str = "reports") -> list[Path]:
    return [root / table / name for name in part_names(p.name for p in (root / table).iterdir())]


def rows(root: Path, table: str = "reports") -> list[dict[str, Any]]:
    """What a reader that knows the rules gets."""
    merged = pa.concat_tables([pq.read_table(p, partitioning=None) for p in parts(root, table)])
    found = deduplicate(merged, KEYS[table]).to_pylist()
    return sorted(found, key=lambda r: (r["trial"], r["step"]))


def steps(root: Path) -> list[tuple[int, int]]:
    return [(r["trial"], r["step"]) for r in rows(root)]


def write_parts(opened: Store, count: int, first: int = 0) -> None:
    for i in range(first, first + count):
        opened.report(report(i % 7, step=i // 2, fid=float(i)))
        opened.flush()


def expected(count: int) -> dict[tuple[int, int], float]:
    return {(i % 7, i // 2): float(i) for i in range(count)}


def fids(root: Path) -> dict[tuple[int, int], float]:
    return {(r["trial"], r["step"]): r["fid"] for r in rows(root)}
