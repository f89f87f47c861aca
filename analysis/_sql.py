"""SQL over the tables of a search, shut off from everything else."""

from collections.abc import Mapping

import duckdb
import pandas as pd
import pyarrow as pa

from mollitune._errors import MollituneError

# In this order: the last one forbids to change the others back.
_SETTINGS = (
    "set python_enable_replacements = false",
    "set TimeZone = 'UTC'",
    "set enable_external_access = false",
    "set lock_configuration = true",
)


def query(tables: Mapping[str, pa.Table], statement: str) -> pd.DataFrame:
    """Run a statement in a fresh DuckDB in memory that knows the given tables only.

    Args:
        tables: Arrow tables by name.
        statement: One SQL statement that returns rows.

    Raises:
        MollituneError: If the statement is wrong, returns nothing or reaches for anything else.
    """
    with duckdb.connect(":memory:") as connection:
        for name, table in tables.items():
            connection.register(name, table)
        for setting in _SETTINGS:
            connection.execute(setting)
        try:
            answer = connection.sql(statement)
            # Through Arrow: DuckDB's own conversion to pandas warns of deprecated calls.
            table = None if answer is None else answer.to_arrow_table()
        except duckdb.Error as error:
            raise MollituneError(f"SQL: {_one_line(str(error))}") from None
    if table is None:
        raise MollituneError("the SQL statement returns no rows; write for example: from trials")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _one_line(message: str) -> str:
    """DuckDB's error with its hint, without the drawing that points into the statement."""
    text = message.partition("\n\nLINE ")[0]
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
