"""Statements that would write, read other files, reach the network or change the settings."""

from pathlib import Path

import pytest
from tests.hostile.conftest import Refused

from mollitune.analysis import load_results

STATEMENTS = [
    # writes
    "create table x (a int)",
    "create temp table x as select 1",
    "create view x as select 1",
    "create or replace view trials as select 1",
    "create macro f() as 1",
    "create sequence s",
    "create schema s",
    "create type t as enum ('a')",
    "create secret (type s3)",
    "insert into trials values (1)",
    "update trials set trial = 1",
    "delete from trials",
    "truncate trials",
    "merge into trials using reports on true when matched then delete",
    "drop table trials",
    "drop view trials",
    "alter view trials rename to x",
    "comment on view trials is 'x'",
    "copy trials to 'x'",
    "copy trials to 'results/fake/trials/trials.parquet' (format parquet)",
    "copy (select 1) to 'x.csv'",
    "copy trials from 'config.yaml'",
    "export database 'x'",
    "import database 'results'",
    "vacuum",
    "checkpoint",
    "begin",
    "with a as (delete from trials returning *) from a",
    "explain analyze copy (select 1) to 'x'",
    "pragma profiling_output = 'x'",
    "pragma enable_profiling",
    "call enable_logging(storage = 'file', storage_path = 'x')",
    "call checkpoint()",
    # other files
    "from 'config.yaml'",
    "from '/etc/passwd'",
    "from 'results/fake/trials/trials.parquet'",
    "from read_csv('config.yaml')",
    "from read_csv_auto('config.yaml')",
    "from read_json('results/fake/search.json')",
    "from read_parquet('results/fake/trials/trials.parquet')",
    "from parquet_metadata('results/fake/trials/trials.parquet')",
    "from parquet_scan('results/fake/trials/trials.parquet')",
    "from read_text('config.yaml')",
    "from read_text('*')",
    "from read_blob('config.yaml')",
    "from glob('*')",
    "from sniff_csv('config.yaml')",
    "from duckdb_secrets()",
    "select (select content from read_text('config.yaml'))",
    "select * from trials where error = (select content from read_text('config.yaml'))",
    "from query('from read_text(''config.yaml'')')",
    "from results",
    "from tables",
    "attach 'x' as x",
    "attach ':memory:' as x",
    "attach '/etc/passwd' (type sqlite)",
    "detach memory",
    "use memory",
    # extensions and the network
    "install httpfs",
    "load httpfs",
    "force install httpfs from 'http://127.0.0.1:9'",
    "from 'http://127.0.0.1:9/x.csv'",
    "from read_csv('https://127.0.0.1:9/x.csv')",
    "from read_parquet('s3://bucket/x.parquet')",
    # settings
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset lock_configuration",
    "set temp_directory = 'x'",
    "set python_enable_replacements = true",
    "set allow_community_extensions = true",
    "set variable x = 1",
    "set global home_directory = '/'",
    "pragma database_list",
    "pragma lock_configuration = false",
    # more than one
    "select 1; select 2",
    "select 1; drop view trials",
    "from trials; copy trials to 'x'",
    "prepare p as select 1",
    "execute p",
    "begin; delete from trials; commit",
    # none at all
    "",
    ";",
    "/* a comment */",
    "/* open",
    "select",
    "selec 1",
    "select * from",
    "select 'open",
    'select "open',
    "select $$open",
    "select ?",
    "select $1",
    "select nothing from trials",
    "select * from nothing",
    "select f(1)",
    "select params.until from decisions",
    "select '[/b]'::int",
    "select date '5000000-01-01'",
    "select union_value(a := 1)",
    "select error('a\nb\r\n\nc')",
    "select '\udcff'",  # what Python makes of an argument that is not UTF-8
    "select 'x" * 50_000,
    "select " + "(" * 50_000 + "1" + ")" * 50_000,
    "select " + "1 + " * 50_000 + "1",
    "select " + "not " * 50_000 + "true",
    "select " + "[" * 20_000 + "]" * 20_000,
    "select * from (" * 2000 + "select 1" + ")" * 2000,
    "select " + "x" * 500_000,
    "select '" + "x" * 500_000 + "' as",
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: repr(text[:45]))
def test_a_statement_is_refused(refused: Refused, work: Path, statement: str) -> None:
    (work / "tables").mkdir()
    assert "SQL" in refused("query", "fake", statement)


def test_what_reads_is_answered(work: Path) -> None:
    found = load_results("fake").sql("pivot trials on status using count(*) group by model;")
    assert set(found["model"]) == {"glow", "vae"}
    assert load_results("fake").sql("select current_setting('temp_directory') a")["a"][0] == ""
