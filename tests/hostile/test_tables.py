"""Results that were damaged or put there by others: every command that reads them says so."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.analysis.conftest import TRIALS
from tests.hostile.conftest import Refused, payload

from mollitune.analysis import load_results
from mollitune.search.store.schema import SCHEMA_VERSION, TABLES, VERSION_KEY

COMMANDS = [("query", "fake", "from trials"), ("report", "fake"), ("best", "fake")]
Damage = Callable[[pa.Table], pa.Table]


def _drop(name: str) -> Damage:
    return lambda table: table.drop_columns([name])


def _put(name: str, values: Callable[[int], list[Any]]) -> Damage:
    def put(table: pa.Table) -> pa.Table:
        column = pa.array(values(table.num_rows))
        return table.set_column(table.column_names.index(name), name, column)

    return put


def _version(text: bytes) -> Damage:
    return lambda table: table.replace_schema_metadata({VERSION_KEY: text})


DAMAGES: dict[str, Damage] = {
    **{f"without {name}": _drop(name) for name in ("search", "trial", "family", "model", "step")},
    "trial is text": _put("trial", lambda n: ["x"] * n),
    "model is empty": _put("model", lambda n: [None] * n),
    "family is a number": _put("family", lambda n: [1] * n),
    "trial is a list": _put("trial", lambda n: [[1]] * n),
    "a trial is empty": _put("trial", lambda n: [None, *range(n - 1)]),
    "a model is empty": _put("model", lambda n: [None, *["vae"] * (n - 1)]),
    "a parameter is a date": _put("params.until", lambda n: [date(2026, 3, 1)] * n),
    "a parameter is a list": _put("params.until", lambda n: [[0.5]] * n),
    "trial twice": lambda table: table.append_column("trial", table["trial"]),
    "other columns": lambda _: pa.table({"a": [1]}, metadata={VERSION_KEY: b"1"}),
    "no column": lambda _: pa.schema([], metadata={VERSION_KEY: b"1"}).empty_table(),
    "no version": lambda table: table.replace_schema_metadata(None),
    "a newer version": _version(str(SCHEMA_VERSION + 1).encode()),
    **{f"version {text!r}": _version(text) for text in (b"9" * 30, b"-1", b"\xff\xfe")},
}


def _part(first: int, end: int) -> Callable[[bytes], bytes]:
    return lambda data: data[first:end]


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    **{f"cut after {n}": _part(0, n) for n in (0, 4, 100, 1000)},
    **{f"cut by {n}": _part(0, -n) for n in (1, 8)},
    "encrypted magic": lambda data: b"PARE" + data[4:-4] + b"PARE",
    "a huge footer": lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
    "a footer of zeros": lambda data: data[:-800] + bytes(792) + data[-8:],
    "a page of zeros": lambda data: data[:4] + bytes(500) + data[504:],
    **{"text": lambda _: b"trial,step\n1,2\n", "a pickle": lambda _: payload()},
}
DESCRIPTIONS: dict[str, bytes] = {
    **{"empty": b"", "cut": b'{"format": "mollitune.search", "na', "a list": b"[]"},
    **{"no format": b"{}", "a format of another type": b'{"format": ["x"]}'},
    **{"not UTF-8": b'{"format": "\xff"}', "deep": b"[" * 100_000, "a pickle": payload()},
    "a huge integer": b'{"a": ' + b"1" * 5000 + b"}",
}


def files(work: Path, table: str) -> list[Path]:
    return sorted((work / "results" / "fake" / table).glob("*.parquet"))


@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_file_is_named(refused: Refused, work: Path, table: str) -> None:
    file = files(work, table)[0]
    whole = file.read_bytes()
    for case, damage in CONTENTS.items():
        file.write_bytes(damage(whole))
        assert f"{table}/{file.name} " in refused(*COMMANDS[0]), case


@pytest.mark.parametrize("table", ["reports", "trials"])
def test_a_foreign_table_is_named(refused: Refused, work: Path, table: str) -> None:
    whole = {file: pq.read_table(file, partitioning=None) for file in files(work, table)}
    first = files(work, table)[0].name
    for number, (case, damage) in enumerate(DAMAGES.items()):
        for file, rows in whole.items():
            pq.write_table(damage(rows), file)
        # all three commands read the tables by one function
        for command in COMMANDS if number == 0 else COMMANDS[:1]:
            assert f"{table}/{first} " in refused(*command), case


@pytest.mark.parametrize("value", [True, "x", 3])
def test_a_parameter_that_makes_no_schedule_is_named(
    refused: Refused, work: Path, value: object
) -> None:
    for table in ("reports", "trials"):
        for file in files(work, table):
            rows = pq.read_table(file, partitioning=None)
            pq.write_table(_put("params.until", lambda n: [value] * n)(rows), file)
    said = refused("best", "fake")
    assert "cannot be built: until must be " in said
    assert f"got {value!r}" in said or f"got {value}.0" in said


def test_parts_of_two_searches_do_not_mix(refused: Refused, work: Path) -> None:
    part = files(work, "reports")[0]
    table = pq.read_table(part, partitioning=None)
    texts = _put("params.until", lambda n: ["x"] * n)(table)
    number = len(files(work, "reports"))
    pq.write_table(texts, part.with_name(f"part-{number:08d}-{number:08d}-ab.parquet"))
    assert "do not fit together" in refused(*COMMANDS[0])


def test_a_broken_description_is_named(refused: Refused, work: Path) -> None:
    path = work / "results" / "fake" / "search.json"
    for number, (case, data) in enumerate(DESCRIPTIONS.items()):
        path.write_bytes(data)
        for command in COMMANDS if number == 0 else COMMANDS[:1]:
            assert "fake/search.json " in refused(*command), case
    path.unlink()
    path.symlink_to(path)
    refused(*COMMANDS[0])
    path.unlink()
    (path / "x").mkdir(parents=True)
    refused(*COMMANDS[0])


NONE = ["", "nothing", "..", "../none", "/", "/dev/null", "config.yaml", "~nobody-has-this-name/x"]
NONE += ["x" * 300, "nosuch://x", "file://", "fake/trials/trials.parquet", "[/b]"]


def test_a_search_that_is_none(refused: Refused) -> None:
    for number, name in enumerate(NONE):
        for verb, _, *rest in COMMANDS if number == 0 else COMMANDS[:1]:
            refused(verb, name, *rest)


@pytest.mark.usefixtures("work")
def test_the_undamaged_search_loads() -> None:
    assert len(load_results("fake").trials) == len(TRIALS)
