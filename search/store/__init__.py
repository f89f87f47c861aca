"""What a search leaves on disk: tables, the record, and the files that describe it.

==================== ====================================================================
`schema`             every column of the tables, its type and its meaning
`evaluation`         what an evaluation measures: the declaration of each metric
`writer`             rows into Parquet files, by `parts`, checked by `rows`
`journal`            the record: what was started, measured and ended, in order
`lease`              only one driver at a time
`retry`              how long a storage that fails is waited for
`register_storage`   URIs of a scheme of one's own, see ``docs/storage.md``
`description`        ``search.json``; `resumable` is what resuming needs of it
`confirmation_file`  ``confirm/1.json``
`comparable`         which FIDs of the tables may be ranked
`objective`          what a search minimises: FID, or another metric of `evaluation`
`upgrades`           what older tables mean; `arrow` is how tables are read fast
==================== ====================================================================
"""

from mollitune._files import register_storage

from .arrow import CODED, coded, decode, last_rows, spelled_out
from .columns import Column
from .comparable import COMPARABLE_WITHIN
from .description import confirmation_name, read_confirmation_file, read_description
from .evaluation import better_of
from .objective import Constraint, Objective
from .schema import (
    CONFIRM_TRIALS,
    KEYS,
    METADATA_FILE,
    METADATA_FORMAT,
    PARAMS_PREFIX,
    SCHEMA_VERSION,
    SHAPE_PREFIX,
    TABLES,
    TRIALS_FILE,
    columns,
    missing_parts,
    params_of,
    part_names,
    table_schema,
    version_of,
)
from .upgrades import one_budget, upgraded

__all__ = [
    "CODED",
    "COMPARABLE_WITHIN",
    "CONFIRM_TRIALS",
    "KEYS",
    "METADATA_FILE",
    "METADATA_FORMAT",
    "PARAMS_PREFIX",
    "SCHEMA_VERSION",
    "SHAPE_PREFIX",
    "TABLES",
    "TRIALS_FILE",
    "Column",
    "Constraint",
    "Objective",
    "better_of",
    "coded",
    "columns",
    "confirmation_name",
    "decode",
    "last_rows",
    "missing_parts",
    "one_budget",
    "params_of",
    "part_names",
    "read_confirmation_file",
    "read_description",
    "register_storage",
    "spelled_out",
    "table_schema",
    "upgraded",
    "version_of",
]
