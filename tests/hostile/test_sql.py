"""Statements that would write, read other files, reach the network or change the settings."""

from pathlib import Path

import pytest
from tests.hostile.conftest import Refused

from mollitune.analysis import load_results

STATEMENTS: dict[str, list[str]] = {
    "a write": [
        *("create table x (a int)", "create macro f() as 1", "create secret (type s3)"),
        *("insert into trials values (1)", "update trials set trial = 1", "delete from trials"),
        *("drop view trials", "alter view trials rename to x", "comment on view trials is 'x'"),
        "merge into trials using reports on true when matched then delete",
        *("copy trials to 'x'", "copy (select 1) to 'x.csv'", "copy trials from 'config.yaml'"),
        "copy trials to 'results/fake/trials/trials.parquet' (format parquet)",
        *("export database 'x'", "import database 'results'", "vacuum", "checkpoint", "begin"),
        "with a as (delete from trials returning *) from a",
        *("explain analyze copy (select 1) to 'x'", "pragma profiling_output = 'x'"),
        *("call checkpoint()", "call enable_logging(storage = 'file', storage_path = 'x')"),
    ],
    "another file": [
        *("from 'config.yaml'", "from '/etc/passwd'", "from read_csv('config.yaml')"),
        *("from 'results/fake/trials/trials.parquet'", "from glob('*')", "from duckdb_secrets()"),
        "from parquet_metadata('results/fake/trials/trials.parquet')",
        "select * from trials where error = (select content from read_text('config.yaml'))",
        "from query('from read_text(''config.yaml'')')",
        *("from results", "from tables", "attach 'x' as x", "attach ':memory:' as x"),
        *("attach '/etc/passwd' (type sqlite)", "detach memory", "use memory"),
    ],
    "an extension or the network": [
        *("install httpfs", "load httpfs", "force install httpfs from 'http://127.0.0.1:9'"),
        *("from 'http://127.0.0.1:9/x.csv'", "from read_parquet('s3://bucket/x.parquet')"),
    ],
    "a setting": [
        *("set enable_external_access = true", "reset lock_configuration", "set variable x = 1"),
        *("set temp_directory = 'x'", "pragma database_list", "pragma lock_configuration = false"),
        *("set python_enable_replacements = true", "set allow_community_extensions = true"),
    ],
    "more than one": [
        *("select 1; select 2", "from trials; copy trials to 'x'", "prepare p as select 1"),
        *("execute p", "begin; delete from trials; commit"),
    ],
    "none at all": [
        *("", ";", "/* open", "selec 1", "select 'open", "select $$open", "select ?"),
        *("select nothing from trials", "select * from nothing", "select f(1)"),
        *("select params.until from decisions", "select '[/b]'::int"),
        *("select date '5000000-01-01'", "select union_value(a := 1)"),
        *("select error('a\nb\r\n\nc')", "select '\udcff'"),  # an argument that is not UTF-8
    ],
    "too much": [
        *("select 'x" * 50_000, "select " + "(" * 50_000 + "1" + ")" * 50_000),
        *("select " + "1 + " * 50_000 + "1", "select " + "[" * 20_000 + "]" * 20_000),
        "select * from (" * 2000 + "select 1" + ")" * 2000,
        "select '" + "x" * 500_000 + "' as",
    ],
}


@pytest.mark.parametrize("kind", STATEMENTS)
def test_statements_are_refused(refused: Refused, work: Path, kind: str) -> None:
    (work / "tables").mkdir()
    for statement in STATEMENTS[kind]:
        assert "SQL" in refused("query", "fake", statement), statement[:200]


def test_what_reads_is_answered(work: Path) -> None:
    found = load_results("fake").sql("pivot trials on status using count(*) group by model;")
    assert set(found["model"]) == {"glow", "vae"}
    assert load_results("fake").sql("select current_setting('temp_directory') a")["a"][0] == ""
