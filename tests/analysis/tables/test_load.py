import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.analysis.conftest import PARAMS, TRIALS, MakeSearch, Search

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.search.store.schema import SCHEMA_VERSION, TABLES, VERSION_KEY, columns, part_name
from mollitune.search.store.writer import Store, create_search_folder


def first_part(location: str, table: str = "reports") -> Path:
    return min(Path(location, table).glob("part-*.parquet"))


def rewrite_version(path: Path, version: bytes) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: version}), path)


def test_every_row_is_there_once_and_sorted(results: Results) -> None:
    evaluations = [(t.number, round(1000 * p)) for t in TRIALS for p in t.evaluations()]
    found = results.reports[["trial", "step"]].itertuples(index=False, name=None)
    assert list(found) == sorted(evaluations)
    assert results.trials["trial"].tolist() == [t.number for t in TRIALS]
    assert len(results.decisions) == len(evaluations)
    assert repr(results) == f"Results('fake': {len(evaluations)} reports, " + (
        f"{len(evaluations)} decisions, {len(TRIALS)} trials)"
    )


def test_metadata_and_files(results: Results) -> None:
    assert results.name == "fake"
    assert results.metadata["dataset"]["name"] == "digits"
    png = results.read_file("samples/real.png")
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert results.read_file("samples/9999.png") is None
    with pytest.raises(MollituneError, match=r"cannot read .*samples"):
        results.read_file("samples")


def test_name_path_and_uri_lead_to_the_same_search(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(make_search())
    monkeypatch.chdir(folder.parent.parent)
    for path in ("fake", "results/fake", "results/fake/", folder, folder.as_uri()):
        assert len(load_results(path).trials) == len(TRIALS)
    assert len(load_results("fake", root=folder.parent.as_uri()).trials) == len(TRIALS)
    Path("fake").mkdir()  # a name below the root comes before a folder here
    assert len(load_results("fake").trials) == len(TRIALS)
    monkeypatch.chdir(folder.parent)
    assert len(load_results("fake").trials) == len(TRIALS)


@pytest.mark.parametrize("table", TABLES)
def test_tables_without_rows_have_the_same_types(
    make_search: MakeSearch, table: str, results: Results
) -> None:
    location = make_search(name="part")
    shutil.rmtree(Path(location, table))
    empty = load_results(location)
    frame, full = getattr(empty, table), getattr(results, table)
    assert len(frame) == 0
    pd.testing.assert_series_equal(frame.dtypes, full.dtypes)


def test_types_without_any_other_table(tmp_path: Path) -> None:
    location = create_search_folder(str(tmp_path), "a")
    with Store.open(location, PARAMS) as store:
        store.write_metadata({"params": ["until", "params.tau"]})
    rewritten = Path(location, "decisions")
    rewritten.mkdir()
    schema = pa.schema([c.field for c in columns("decisions")], metadata={VERSION_KEY: b"1"})
    pq.write_table(schema.empty_table(), rewritten / part_name(0, 0, "ab"))
    found = load_results(location).trials
    assert found["params.until"].dtype == found["params.tau"].dtype == "float64"
    assert str(found["start"].dtype) == "datetime64[us, UTC]"


def test_newest_row_of_a_key_wins(search: Search) -> None:
    again = {**TRIALS[0].report(1.0), "attempt": 2, "fid": 11.0}
    last = search(TRIALS[0], reports=[again]).reports.iloc[-1]
    assert (last["attempt"], last["fid"]) == (2, 11.0)


def test_search_without_metadata_takes_the_folder_name(make_search: MakeSearch) -> None:
    location = make_search()
    Path(location, "search.json").unlink()
    loaded = load_results(location)
    assert (loaded.name, loaded.metadata) == ("fake", {})


def test_unknown_name_lists_the_searches(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_search(name="glow-1")
    root = Path(make_search(name="vae")).parent
    (root / "notes").mkdir()
    message = r"no search 'glow1' in .*; there are: glow-1, vae; did you mean 'glow-1'\?"
    with pytest.raises(MollituneError, match=message):
        load_results("glow1", root=root)
    with pytest.raises(MollituneError, match=message):
        load_results(root / "glow1")
    monkeypatch.chdir(root)
    with pytest.raises(MollituneError, match="no search 'x' in results: there are none yet"):
        load_results("x")
    with pytest.raises(MollituneError, match="no search '' in results: there are none yet"):
        load_results("")


def test_search_without_rows_and_no_search(search: Search, tmp_path: Path) -> None:
    with pytest.raises(MollituneError, match=r"no results yet in .*young"):
        search(name="young", metadata={"status": "running"})
    with pytest.raises(MollituneError, match=r"holds no search: neither search.json nor tables"):
        load_results(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 nonsense", None])
@pytest.mark.parametrize("table", ["reports", "trials"])
def test_corrupt_file_is_named(make_search: MakeSearch, table: str, content: bytes | None) -> None:
    location = make_search()
    path = min(Path(location, table).iterdir())
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(MollituneError, match=f"{path} is corrupt") as caught:
        load_results(location)
    assert "\n" not in str(caught.value)


def test_a_search_of_version_2_loads_with_the_present_columns(make_search: MakeSearch) -> None:
    location = make_search()
    now = load_results(location)
    since = {"configuration", "probe_fid", "probe_steps", "policy"}
    since |= {"shape.share_below_hundredth", "shape.clean_steps"}
    for path in Path(location).glob("*/*.parquet"):
        table = pq.read_table(path, partitioning=None)
        old = table.drop_columns([name for name in table.column_names if name in since])
        pq.write_table(old.replace_schema_metadata({VERSION_KEY: b"2"}), path)
    then = load_results(location)
    unknown = "shape.share_below_hundredth"
    assert then.trials[unknown].isna().all()
    for name in TABLES:
        left, right = (
            getattr(r, name).drop(columns=unknown, errors="ignore") for r in (then, now)
        )
        pd.testing.assert_frame_equal(left, right)


def test_foreign_and_newer_files_are_refused(make_search: MakeSearch) -> None:
    location = make_search()
    newer = SCHEMA_VERSION + 1
    rewrite_version(first_part(location), str(newer).encode())
    message = rf"schema version {newer}, .* up to {SCHEMA_VERSION}; update Mollitune"
    with pytest.raises(MollituneError, match=message):
        load_results(location)
    rewrite_version(first_part(location), b"")
    with pytest.raises(MollituneError, match="was not written by Mollitune"):
        load_results(location)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"search.json is corrupt"),
        ("[]", r"search.json is corrupt"),
        (json.dumps({"format": "other"}), r"is not the description of a Mollitune search"),
    ],
)
def test_bad_metadata(make_search: MakeSearch, content: str, message: str) -> None:
    location = make_search()
    Path(location, "search.json").write_text(content)
    with pytest.raises(MollituneError, match=message):
        load_results(location)


def test_folder_that_cannot_be_read(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = make_search()

    def refuse(*_: object) -> None:
        raise PermissionError("Permission denied")

    monkeypatch.setattr("mollitune.analysis.tables.load.read_table", refuse)
    with pytest.raises(MollituneError, match=f"cannot read {location}: Permission denied"):
        load_results(location)


def test_temporary_files_are_ignored(make_search: MakeSearch) -> None:
    location = make_search()
    part = first_part(location)
    temporary = part.parent / f".{part.name}.0a.tmp"
    temporary.write_bytes(b"half a file")
    assert len(load_results(location).trials) == len(TRIALS)
    assert temporary.exists()
