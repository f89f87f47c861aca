import random

import pyarrow as pa
import pytest
from tests.plain_tables import deduplicate

from mollitune.search.store.arrow import last_of_each, last_rows


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
    found = last_of_each(chunked, key).to_pylist()
    assert found == wanted.to_pylist()
    last = {(row["search"], row["step"]): row for row in rows}
    assert found == sorted(last.values(), key=lambda row: (row["search"], row["step"]))


def test_a_table_in_order_stays_as_it_is() -> None:
    table = pa.table({"trial": [1, 2, 3]})
    assert last_of_each(table, ("trial",)) is table
    assert last_of_each(table.slice(0, 0), ("trial",)).num_rows == 0


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ([("a", 1), ("a", 2), ("b", 0)], None),
        ([("a", 2), ("b", 0), ("a", 1)], [2, 0, 1]),
        ([("a", 1), ("a", 1)], [1]),
        ([("b", 0), ("a", 1), ("b", 0), ("a", 1)], [3, 2]),
        ([("a", 1)], None),
    ],
)
def test_text_as_codes_orders_as_text_does(
    keys: list[tuple[str, int]], wanted: list[int] | None
) -> None:
    texts, numbers = (list(column) for column in zip(*keys, strict=True))
    # a chunk for each row, each with a dictionary of its own
    chunks = [pa.array([text]).dictionary_encode() for text in texts]
    table = pa.table({"search": pa.chunked_array(chunks), "step": numbers})
    found = last_rows(table.unify_dictionaries(), ("search", "step"))
    assert (None if found is None else found.tolist()) == wanted
