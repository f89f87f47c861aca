import pyarrow as pa
import pytest
from tests.search.store.conftest import row

from mollitune.search.store import schema
from mollitune.search.store.comparable import is_comparable
from mollitune.search.store.evaluation import better_of, extra_metric
from mollitune.search.store.upgrades import one_budget, upgraded

PARAMS = {"until": pa.float64(), "curve": pa.string()}


@pytest.mark.parametrize("table", schema.TABLES)
def test_columns_are_unique_documented_and_hold_the_key(table: str) -> None:
    columns = schema.columns(table, PARAMS)
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert all(column.description for column in columns)
    assert set(schema.KEYS[table]) <= {c.name for c in columns if not c.nullable}


def test_schemas_carry_version_and_descriptions() -> None:
    schemas = [
        schema.reports_schema(PARAMS),
        schema.decisions_schema(),
        schema.trials_schema(PARAMS),
    ]
    for built in schemas:
        assert schema.version_of(built) == schema.SCHEMA_VERSION
        assert all(field.metadata[b"description"] for field in built)


def test_schema_without_version_is_foreign() -> None:
    assert schema.version_of(pa.schema([("a", pa.int64())])) is None
    foreign = pa.schema([("a", pa.int64())], metadata={schema.VERSION_KEY: b"new"})
    assert schema.version_of(foreign) is None


def test_params_become_nullable_columns_and_can_be_read_back() -> None:
    built = schema.reports_schema(PARAMS)
    assert built.field("params.until") == pa.field("params.until", pa.float64(), nullable=True)
    assert schema.params_of(built) == PARAMS
    assert schema.params_of(schema.decisions_schema()) == {}


def test_order_of_params_does_not_matter() -> None:
    swapped = dict(reversed(PARAMS.items()))
    assert schema.reports_schema(PARAMS).equals(schema.reports_schema(swapped))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": pa.int32()}, "params\\['a'\\] must be float64, int64, string or bool, got int32"),
        ({"": pa.float64()}, "params must not have an empty name"),
    ],
)
def test_illegal_params(params: dict[str, pa.DataType], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schema.trials_schema(params)


def test_unknown_table() -> None:
    with pytest.raises(ValueError, match="one of reports, decisions, trials, got 'runs'"):
        schema.columns("runs")


@pytest.mark.parametrize(
    ("progress", "phase", "fid", "expected"),
    [
        (1.0, "clean", 10.0, True),
        (1.01, "clean", 10.0, True),  # rounding of steps may end a little above
        (0.999, "clean", 10.0, False),
        (1.0, "mollified", 10.0, False),
        (1.0, "clean", float("nan"), False),
        (1.0, "clean", float("inf"), False),
        (1.0, "clean", None, False),
        (float("nan"), "clean", 10.0, False),
    ],
)
def test_is_comparable(progress: float, phase: str, fid: float | None, expected: bool) -> None:
    assert is_comparable(progress, phase, fid) is expected


def test_tables_say_which_values_of_a_metric_are_better() -> None:
    own = [extra_metric("a", "a", better="higher"), extra_metric("b", "b; lower is better than c")]
    table = schema.table_schema("reports", {}, own)
    found = {field.name: better for field in table if (better := better_of(field))}
    assert found == {
        **dict.fromkeys(("fid", "kid", "fid_infinity", "bpd", "nll"), "lower"),
        **dict.fromkeys(("precision", "recall", "extra.a"), "higher"),
    }


def test_part_names_sort_by_number_and_ignore_others() -> None:
    names = [schema.part_name(n, n, "0a") for n in (100, 9, 10)]
    found = [
        *names,
        ".part-00000001-00000001-0a.parquet.12.tmp",
        "notes.parquet",
        "part-1.parquet",
    ]
    assert [schema.part_range(n)[1] for n in schema.part_names(found)] == [9, 10, 100]


@pytest.mark.parametrize(
    ("ranges", "missing"),
    [
        ([], []),
        ([(0, 0), (1, 1)], []),
        ([(1, 1)], [0]),
        ([(0, 33), (34, 34)], []),
        ([(0, 0), (3, 3)], [1, 2]),
        ([(4, 4), (0, 5), (6, 6)], []),  # left over from an interrupted merge
    ],
)
def test_missing_parts(ranges: list[tuple[int, int]], missing: list[int]) -> None:
    names = [schema.part_name(last, first, "ff") for first, last in ranges]
    assert schema.missing_parts(names) == missing


def test_describe_covers_every_column() -> None:
    lines = schema.describe()
    assert [line[0] for line in lines] == sorted(
        (line[0] for line in lines), key=schema.TABLES.index
    )
    described = {(table, column) for table, column, _, _ in lines}
    for table in schema.TABLES:
        assert {(table, c.name) for c in schema.columns(table)} <= described
    assert ("reports", "params.*") in described


SINCE = {
    2: ("non_finite_samples", "ema", "extractor_resize"),
    3: (
        *("configuration", "probe_fid", "probe_steps", "policy"),
        *("shape.share_below_hundredth", "shape.clean_steps"),
    ),
    4: ("budget",),
    5: ("scale",),
}


def present(table: str) -> pa.Table:
    """Two rows with the present columns."""
    end = {"params.until": 0.65, "shape.clean_share": 1 - 0.65, "steps": 100}
    known = {column.name for column in schema.columns(table, PARAMS)}
    more = {name: value for name, value in end.items() if name in known}
    rows = [row(table, trial=trial, **more) for trial in (5, 7)]
    return pa.Table.from_pylist(rows, schema=schema.table_schema(table, PARAMS))


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("table", schema.TABLES)
def test_older_tables_get_the_columns_that_came_since(table: str, version: int) -> None:
    full = present(table)
    since = [name for later, names in SINCE.items() if later > version for name in names]
    old = full.drop_columns([name for name in since if name in full.column_names])
    if version == 1 and table == "reports":
        old = old.rename_columns({"non_finite_losses": "non_finite"})
    new = upgraded(old)
    assert new.schema.equals(full.schema)
    wanted = {
        **{"configuration": [5, 7], "policy": ["asha"] * 2},
        **{"probe_fid": [None] * 2, "probe_steps": [0, 0]},
        **{"shape.share_below_hundredth": [None] * 2, "shape.clean_steps": [35, 35]},
        **{"non_finite_samples": [0, 0], "ema": [0.0, 0.0], "extractor_resize": ["", ""]},
        **{"budget": [0, 0], "scale": [1.0, 1.0]},
    }
    for name in full.column_names:
        kept = full[name].to_pylist()
        assert new[name].to_pylist() == (wanted[name] if name in since else kept), name
    assert upgraded(new) is new


def test_clean_steps_of_older_tables_are_counted_as_a_trial_counts() -> None:
    untils = [0.07, 0.29, 0.57, 0.6, 0.65, 0.7, 1.0, 1e-9, 1 / 3]
    cases = [(until, steps) for until in untils for steps in (1, 2, 7, 10, 97, 100, 1000)]
    table = pa.table(
        {
            "trial": range(len(cases) + 1),
            "family": ["linear"] * len(cases) + ["vanilla"],
            "params.until": [until for until, _ in cases] + [None],  # and vanilla
            "status": ["completed"] * (len(cases) + 1),
            "steps": [steps for _, steps in cases] + [10],
            "shape.clean_share": [1 - until for until, _ in cases] + [1.0],
            "shape.share_above_tenth": [0.0] * (len(cases) + 1),
            "shape.end_slope": [0.0] * (len(cases) + 1),
        }
    )
    wanted = [sum(k / steps >= until for k in range(steps)) for until, steps in cases]
    assert upgraded(table)["shape.clean_steps"].to_pylist() == [*wanted, 10]
    without = upgraded(table.drop_columns("params.until"))
    assert without["shape.clean_steps"].to_pylist()[-1] == 10


def test_older_rows_have_the_budget_of_the_newer_ones_of_their_model() -> None:
    table = pa.table(
        {
            "model": ["vae", "glow", "vae", "maf", "vae"],
            "budget": [0, 6400, 12800, 0, 51200],
            "scale": [1.0, 1.0, 1.0, 1.0, 4.0],
        }
    )
    assert one_budget(table)["budget"].to_pylist() == [12800, 6400, 12800, 0, 51200]
    for same in (table.slice(1, 2), table.slice(3, 1), table.slice(0, 0)):
        assert one_budget(same) is same
