import random

import pyarrow as pa
import pytest

from mollitune._ordering import last_of_each
from mollitune.search.schema import deduplicate


@pytest.mark.parametrize("seed", range(5))
def test_it_is_arrows_own_grouping_and_sorting(seed: int) -> None:
    rng = random.Random(seed)
    rows = [
        {"search": rng.choice(["b", "a", "\u00e4"]), "step": rng.randrange(-5, 5), "value": i}
        for i in range(200)
    ]
    table, key = pa.Table.from_pylist(rows), ("search", "step")
    wanted = deduplicate(table, key).sort_by([(name, "ascending") for name in key])
    chunked = pa.concat_tables([table.slice(0, 70), table.slice(70)])
    assert last_of_each(chunked, key).to_pylist() == wanted.to_pylist()


def test_a_table_in_order_stays_as_it_is() -> None:
    table = pa.table({"trial": [1, 2, 3]})
    assert last_of_each(table, ("trial",)) is table
    assert last_of_each(table.slice(0, 0), ("trial",)).num_rows == 0
