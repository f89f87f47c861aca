"""Results that were damaged or put there by others: every command that reads them says so."""

from collections.abc import Callable
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


def _twice(table: pa.Table) -> pa.Table:
    return table.append_column("trial", table["trial"])


def _version(text: bytes) -> Damage:
    return lambda table: table.replace_schema_metadata({VERSION_KEY: text})


DAMAGES: dict[str, Damage] = {
    **{f"without {name}": _drop(name) for name in ("search", "trial", "family", "model", "step")},
    **{f"{name} is text": _put(name, lambda n: ["x"] * n) for name in ("trial", "step")},
    **{f"{name} is empty": _put(name, lambda n: [None] * n) for name in ("trial", "model")},
    **{f"{name} is a number": _put(name, lambda n: [1] * n) for name in ("search", "family")},
    "trial is a list": _put("trial", lambda n: [[1]] * n),
    "a trial is empty": _put("trial", lambda n: [None, *range(n - 1)]),
    "a model is empty": _put("model", lambda n: [None, *["vae"] * (n - 1)]),
    "a parameter is true": _put("params.until", lambda n: [True] * n),
    "a parameter is a list": _put("params.until", lambda n: [[0.5]] * n),
    "trial twice": _twice,
    "other columns": lambda _: pa.table({"a": [1]}, metadata={VERSION_KEY: b"1"}),
    "no column": lambda _: pa.schema([], metadata={VERSION_KEY: b"1"}).empty_table(),
    "no version": lambda table: table.replace_schema_metadata(None),
    "a newer version": _version(str(SCHEMA_VERSION + 1).encode()),
    "a far newer version": _version(b"9" * 30),
    "a negative version": _version(b"-1"),
    "a version of text": _version(b"\xff\xfe"),
    "an older version without its columns": lambda table: pa.table(
        {"trial": table["trial"]}, metadata={VERSION_KEY: b"1"}
    ),
}


def _part(first: int, end: int) -> Callable[[bytes], bytes]:
    return lambda data: data[first:end]


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    **{f"cut after {n}": _part(0, n) for n in (0, 1, 4, 12, 100, 1000)},
    **{f"cut by {n}": _part(0, -n) for n in (1, 4, 8, 500)},
    "other magic": lambda data: b"PAR2" + data[4:-4] + b"PAR2",
    "encrypted magic": lambda data: b"PARE" + data[4:-4] + b"PARE",
    "a huge footer": lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
    "a footer of zeros": lambda data: data[:-200] + bytes(192) + data[-8:],
    "a page of zeros": lambda data: data[:4] + bytes(500) + data[504:],
    "text": lambda _: b"trial,step\n1,2\n",
    "JSON": lambda _: b'{"trial": 1}',
    "an archive": lambda _: b"PK\x03\x04" + bytes(40),
    "a pickle": lambda _: payload(),
    "an Arrow file": lambda _: b"ARROW1\0\0" + bytes(100),
}
DESCRIPTIONS: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"format": "mollitune.search", "na',
    "a list": b"[]",
    "null": b"null",
    "no format": b"{}",
    "another format": b'{"format": "other"}',
    "a format of another type": b'{"format": ["x"]}',
    "not UTF-8": b'{"format": "\xff"}',
    "deep": b"[" * 100_000,
    "a huge integer": b'{"a": ' + b"1" * 5000 + b"}",
    "a pickle": payload(),
    "null bytes": bytes(100),
}


def files(work: Path, table: str) -> list[Path]:
    return sorted((work / "results" / "fake" / table).glob("*.parquet"))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("case", CONTENTS)
def test_a_damaged_file_is_named(refused: Refused, work: Path, table: str, case: str) -> None:
    file = files(work, table)[0]
    file.write_bytes(CONTENTS[case](file.read_bytes()))
    assert f"{table}/{file.name} " in refused(*COMMANDS[0])


@pytest.mark.parametrize("table", ["reports", "trials"])
@pytest.mark.parametrize("case", DAMAGES)
def test_a_foreign_table_is_named(refused: Refused, work: Path, table: str, case: str) -> None:
    for file in files(work, table):
        pq.write_table(DAMAGES[case](pq.read_table(file, partitioning=None)), file)
    for command in COMMANDS:
        assert f"{table}/{files(work, table)[0].name} " in refused(*command)


def test_parts_of_two_searches_do_not_mix(refused: Refused, work: Path) -> None:
    part = files(work, "reports")[0]
    table = pq.read_table(part, partitioning=None)
    texts = _put("params.until", lambda n: ["x"] * n)(table)
    number = len(files(work, "reports"))
    pq.write_table(texts, part.with_name(f"part-{number:08d}-{number:08d}-ab.parquet"))
    assert "do not fit together" in refused(*COMMANDS[0])


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_broken_description_is_named(refused: Refused, work: Path, case: str) -> None:
    (work / "results" / "fake" / "search.json").write_bytes(DESCRIPTIONS[case])
    for command in COMMANDS:
        assert "fake/search.json " in refused(*command)


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_a_description_that_is_no_file(refused: Refused, work: Path, kind: str) -> None:
    path = work / "results" / "fake" / "search.json"
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "x").touch()
    else:
        path.symlink_to(path)
    refused(*COMMANDS[0])


@pytest.mark.parametrize(
    "name",
    ["", "nothing", "..", "../none", "/", "/dev/null", "config.yaml", "~nobody-has-this-name/x",
     "x" * 300, "fake/../../none", "nosuch://x", "file://", "fake/trials/trials.parquet", "[/b]"],
)  # fmt: skip
def test_a_search_that_is_none(refused: Refused, name: str) -> None:
    for command, *rest in COMMANDS:
        refused(command, name, *rest[1:])


@pytest.mark.usefixtures("work")
def test_the_undamaged_search_loads() -> None:
    assert len(load_results("fake").trials) == len(TRIALS)
