from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from mollitune._errors import MollituneError
from mollitune.search.config import SearchConfig, check_models
from mollitune.search.data.given import give
from mollitune.search.data.images import split
from mollitune.search.data.pairs import CELL, pair_plot
from mollitune.search.data.sources import known_shape, load_images
from mollitune.search.data.tables import is_table

ROWS = np.random.default_rng(0).normal(5, 3, (200, 3))


def csv(path: Path, columns: dict[str, object]) -> Path:
    names = ",".join(columns)
    rows = "\n".join(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))
    path.write_text(f"{names}\n{rows}\n")
    return path


def plain() -> dict[str, object]:
    return {name: ROWS[:, i].tolist() for i, name in enumerate("abc")}


def test_the_shipped_ones_are_those_of_scikit_learn() -> None:
    diabetes = load_diabetes(scaled=False).data[:, [0, *range(2, 10)]]
    for name, data in (
        ("wine", load_wine().data),
        ("breast_cancer", load_breast_cancer().data),
        ("diabetes", diabetes),
    ):
        np.testing.assert_allclose(load_images(name).pixels, data, rtol=1e-6)
        assert known_shape(name) == data.shape[1:]


def test_files_and_their_columns(tmp_path: Path) -> None:
    text = csv(tmp_path / "t.csv", plain())
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table(plain()), table)
    for spec in (str(text), f"table:{text}", f"table:{table}"):
        np.testing.assert_allclose(load_images(spec).pixels, ROWS, rtol=1e-6)
    np.testing.assert_allclose(load_images(f"{text}#c,a").pixels, ROWS[:, [2, 0]], rtol=1e-6)


def test_rows_are_standardised_by_the_training_part() -> None:
    parts = split(load_images("wine"))
    np.testing.assert_allclose(parts.train.pixels.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(parts.train.pixels.std(0), 1, atol=1e-5)
    assert abs(parts.test.pixels.mean(0)).max() > 0.01
    assert parts.described() == "13 columns: 108 train, 35 validation and 35 test rows"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"d": ["x"] * 200}, r"column 'd' holds no numbers \(string\); choose columns after a #"),
        ({"d": [1.5] * 200}, r"column 'd' has one value only"),
        ({"d": [k % 3 for k in range(200)]}, r"column 'd' has 3 different values only"),
        ({"d": [*range(199), "nan"]}, r"column 'd' has no finite number in row 200 of the data"),
        ({"d": [*range(199), ""]}, r"column 'd' has no finite number in row 200 of the data"),
        ({f"d{k}": [1] * 200 for k in range(9_997)}, r"10,000 columns, and at most 1,000"),
    ],
)
def test_what_has_no_density_is_named_in_one_line(
    tmp_path: Path, more: dict[str, object], message: str
) -> None:
    path = csv(tmp_path / "t.csv", {**plain(), **more})
    with pytest.raises(MollituneError, match=rf"^dataset {path}: {message}"):
        load_images(str(path))


def test_other_bad_tables(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", plain())
    short = csv(tmp_path / "short.csv", {"a": [*range(20)], "b": [*range(20)]})
    broken = tmp_path / "broken.csv"
    broken.write_text("a,b\n1\n")
    for spec, message in (
        (f"{path}#a,x", "no column 'x'; there are: a, b, c"),
        (f"{tmp_path}/none.csv", "no such file; check the path"),
        (str(broken), "is no readable Parquet or CSV file"),
    ):
        with pytest.raises(MollituneError, match=message):
            load_images(spec)
    with pytest.raises(MollituneError, match="20 rows are too few to split"):
        split(load_images(str(short)))
    late = ROWS.copy()
    order = np.random.default_rng(20230).permutation(200)
    late[order[80:], 0] = 1.0  # the training part
    (tmp_path / "late.csv").unlink(missing_ok=True)
    told = csv(tmp_path / "late.csv", {"a": late[:, 0], "b": late[:, 1]})
    with pytest.raises(MollituneError, match="column 1 has one value in all rows of the training"):
        split(load_images(str(told)))


def test_a_matrix_is_a_table() -> None:
    name = give(ROWS)
    assert is_table(name)
    assert give(ROWS) == name
    np.testing.assert_allclose(load_images(name).pixels, ROWS, rtol=1e-6)
    assert known_shape(name) == (3,)
    for column, message in (
        (np.full(200, np.inf), "column 3 has no finite number in row 1 of the data"),
        (np.ones(200), "column 3 has one value only"),
    ):
        with pytest.raises(MollituneError, match=f"^dataset: {message}"):
            give(np.column_stack([ROWS, column]))


def test_a_search_of_a_table_is_judged_by_its_likelihood() -> None:
    config = SearchConfig.model_validate({"name": "x", "dataset": "wine", "model": ["maf"]})
    assert config.objective == "nll"
    assert "blur" not in [space.family for space in config.families]
    assert {space.latest for space in config.families} == {1.0}
    assert str(config.fid.final.spec) == "best on validation data"
    mean = {"name": "x", "dataset": "wine", "model": ["maf"], "fid": {"final": {"marks": 3}}}
    assert {space.latest for space in SearchConfig.model_validate(mean).families} == {0.9}
    other = {"name": "x", "dataset": "wine", "model": ["glow"]}
    message = "model glow is for images, and wine is a table; take beta_vae, .*, vae or vae_iaf"
    with pytest.raises(MollituneError, match=message):
        check_models(SearchConfig.model_validate(other), (13,))
    with pytest.raises(ValueError, match="blur is for images, and wine is a table"):
        SearchConfig.model_validate({**other, "families": ["blur"]})


def test_a_picture_of_pairs_shows_where_the_rows_lie() -> None:
    rows = np.repeat(np.array([[-2, 2.0]], np.float32), 50, axis=0)
    page = pair_plot(rows)
    assert page.shape == (2 * (CELL + 1) + 1,) * 2
    dark = np.argwhere(page < 60)
    # one point in each of two cells: to the left and up, and mirrored to the right and down
    assert len(dark) == 2
    (top, right), (low, left) = dark.tolist()
    assert (top, left) < (CELL + 1, CELL + 1)
    assert min(low, right) > CELL + 1
