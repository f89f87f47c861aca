from pathlib import Path

import pandas as pd
import pytest
from tests.analysis.conftest import TRIALS

from mollitune._errors import MollituneError
from mollitune.analysis import Results

SECRET = pd.DataFrame({"a": [1]})


def test_query_counts_like_pandas(results: Results) -> None:
    found = results.sql("select family, count(*) n from reports group by family order by family")
    wanted = results.reports.groupby("family").size()
    assert dict(zip(found["family"], found["n"], strict=True)) == wanted.to_dict()


def test_tables_can_be_joined_and_columns_with_dots_quoted(results: Results) -> None:
    found = results.sql(
        'select t.trial, t."params.until" u, count(d.action) n '
        "from trials t join decisions d using (search, trial) group by all order by t.trial"
    )
    assert found["trial"].tolist() == [trial.number for trial in TRIALS]
    assert found["u"].isna().tolist() == [t.schedule.family == "vanilla" for t in TRIALS]


def test_times_come_back_in_utc_and_empty_cells_are_null(results: Results) -> None:
    found = results.sql("select time from reports order by trial, step")
    pd.testing.assert_series_equal(found["time"], results.reports["time"])
    found = results.sql("select count(*) n from trials where final_fid is null")
    assert found["n"].tolist() == [sum(t.status != "completed" for t in TRIALS)]


@pytest.mark.parametrize("statement", ["describe reports", "summarize trials", "show tables"])
def test_tables_can_be_explored(results: Results, statement: str) -> None:
    assert len(results.sql(statement)) >= 3


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("select famly from reports", 'Referenced column "famly" not found .*"family"'),
        ("select * from repors", 'name repors does not exist!; Did you mean "reports"'),
        ("selec 1", 'syntax error at or near "selec"'),
        ("select count(a b) from trials", "syntax error"),
        ("", "the SQL statement returns no rows"),
    ],
)
def test_errors_are_one_line_with_a_hint(results: Results, statement: str, message: str) -> None:
    with pytest.raises(MollituneError, match=message) as caught:
        results.sql(statement)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "select * from read_text('{file}')",
        "select * from glob('/*')",
        "copy trials to '{new}'",
        "export database '{new}'",
        "attach '{new}'",
        "install httpfs",
        "load httpfs",
        "select * from SECRET",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "reset lock_configuration",
        "pragma enable_profiling",
        "delete from reports",
    ],
)
def test_statements_cannot_leave_the_tables(
    results: Results, tmp_path: Path, statement: str
) -> None:
    file, new = tmp_path / "secret.csv", tmp_path / "new"
    file.write_text("a\n1\n")
    with pytest.raises(MollituneError, match=r"^SQL: "):
        results.sql(statement.format(file=file, new=new))
    assert not new.exists()
    assert len(results.sql("from reports")) == len(results.reports)
