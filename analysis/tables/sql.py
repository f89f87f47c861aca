"""SQL over the tables of a search, shut off from everything else."""

from collections.abc import Mapping, Sequence

import duckdb
import pandas as pd
import pyarrow as pa
from duckdb import StatementType

from mollitune._errors import MollituneError

# In this order: the last one forbids to change the others back.
_SETTINGS = (
    "set temp_directory = ''",  # a query that needs more than the memory fails, and writes nothing
    "set python_enable_replacements = false",
    "set TimeZone = 'UTC'",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
# One that reads; DuckDB makes several of PIVOT, and calls it so.
_READS = frozenset({StatementType.SELECT, StatementType.EXPLAIN, StatementType.MULTI})
_MAX_MESSAGE = 400  # characters; DuckDB repeats a word of the statement, however long


def query(tables: Mapping[str, pa.Table], statement: str) -> pd.DataFrame:
    """Run a statement in a fresh DuckDB in memory that knows the given tables only.

    Args:
        tables: Arrow tables by name.
        statement: One SQL statement that returns rows.

    Raises:
        MollituneError: If the statement is wrong, more than one, returns nothing, would change
            something or reaches for anything else.
    """
    with duckdb.connect(":memory:") as connection:
        for name, table in tables.items():
            connection.register(name, table)
        for setting in _SETTINGS:
            connection.execute(setting)
        try:
            statement.encode()  # half a surrogate pair is a ValueError here, a TypeError there
            _check(connection.extract_statements(statement))
            # Through Arrow: DuckDB's own conversion to pandas warns of deprecated calls.
            frame: pd.DataFrame = connection.sql(statement).to_arrow_table().to_pandas()
        except (duckdb.Error, pa.ArrowException, ValueError, OverflowError) as error:
            raise MollituneError(f"SQL: {_one_line(str(error))}") from None
    return frame


def _check(statements: Sequence[duckdb.Statement]) -> None:
    if not statements:
        raise MollituneError("the SQL statement returns no rows; write for example: from trials")
    if len(statements) > 1:
        raise MollituneError(f"SQL: these are {len(statements)} statements; give one at a time")
    kind = statements[0].type
    if kind not in _READS:
        raise MollituneError(
            f"SQL: the tables can only be read, not changed by {kind.name}; write for example: "
            "from trials"
        )


def _one_line(message: str) -> str:
    """DuckDB's error with its hint, without the drawing that points into the statement."""
    text = message.partition("\n\nLINE ")[0]
    line = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return line if len(line) <= _MAX_MESSAGE else f"{line[:_MAX_MESSAGE]}..."
