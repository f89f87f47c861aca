from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits
from tests.search.features import png, write_idx

from mollitune._errors import MollituneError
from mollitune.search.data.images import Images
from mollitune.search.data.sources import known_shape, load_images

pytestmark = pytest.mark.usefixtures("cache")

Array = npt.NDArray[np.uint8]


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_table(
    path: Path, images: list[bytes | None], plain: bool = False, **more: object
) -> Path:
    kind = pa.binary() if plain else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = images if plain else [{"bytes": data, "path": "x.png"} for data in images]
    pq.write_table(pa.table({"image": pa.array(cells, kind), **more}), path)
    return path


def test_digits_are_those_of_scikit_learn_over_the_whole_byte_range() -> None:
    digits, original = load_images("digits"), load_digits()
    pixels = np.rint(original.images * (255 / 16)).astype(np.uint8)[:, None]
    assert np.array_equal(digits.pixels, pixels)
    assert digits.pixels.strides == pixels.strides  # LeNet's weights hang on it, and so each FID
    assert labels_of(digits) == original.target.tolist()
    assert digits.pixels.shape == (1797, 1, 8, 8)
    assert (digits.pixels.min(), digits.pixels.max()) == (0, 255)
    assert sorted(set(labels_of(digits) or [])) == list(range(10))


def labels_of(images: Images) -> list[int] | None:
    return None if images.labels is None else images.labels.tolist()


@pytest.mark.parametrize("plain", [False, True])
def test_parquet_of_colour_images(tmp_path: Path, plain: bool) -> None:
    arrays = [noise(6, 5, 3, seed=i) for i in range(4)]
    path = write_table(tmp_path / "a.parquet", [png(a) for a in arrays], plain, label=[7, 3, 7, 9])
    images = load_images(f"parquet:{path}")
    assert images.pixels.dtype == np.uint8
    assert (images.pixels == np.stack(arrays).transpose(0, 3, 1, 2)).all()
    assert labels_of(images) == [1, 0, 1, 2]  # numbered from 0 in order
    assert images.shape == (3, 6, 5)


def test_a_folder_of_parquet_files_is_read_in_order_of_names(tmp_path: Path) -> None:
    arrays = [noise(4, 4, seed=i) for i in range(4)]
    write_table(tmp_path / "b.parquet", [png(a) for a in arrays[2:]], label=[1, 1])
    write_table(tmp_path / "a.parquet", [png(a) for a in arrays[:2]], label=[0, 0])
    images = load_images(f"parquet:{tmp_path}")
    assert (images.pixels[:, 0] == np.stack(arrays)).all()
    assert labels_of(images) == [0, 0, 1, 1]


def test_parquet_without_classes_for_all_images_has_none(tmp_path: Path) -> None:
    cells: list[bytes | None] = [png(noise(4, 4))] * 2
    plain = write_table(tmp_path / "a.parquet", cells)
    assert load_images(f"parquet:{plain}").labels is None
    named = write_table(tmp_path / "b.parquet", cells, label=[["cat"], ["cat", "dog"]])
    assert load_images(f"parquet:{named}").labels is None
    write_table(named, cells, label=[0, 1])
    assert load_images(f"parquet:{tmp_path}").labels is None


def test_strings_are_classes_in_their_order(tmp_path: Path) -> None:
    cells: list[bytes | None] = [png(noise(4, 4))] * 3
    names = pa.array(["dog", "cat", "dog"])
    for column in (names, names.cast(pa.large_string()), names.dictionary_encode()):
        path = write_table(tmp_path / "a.parquet", cells, label=column)
        assert labels_of(load_images(f"parquet:{path}")) == [1, 0, 1]


def test_a_path_alone_is_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tables = tmp_path / "images", tmp_path / "tables"
    write_files(folder, {"a/1.png": noise(4, 6), "b/2.png": noise(4, 6)})
    tables.mkdir()
    table = write_table(tables / "a.parquet", [png(noise(4, 6))])
    monkeypatch.chdir(tmp_path)
    for path, spec in {
        folder: f"folder:{folder}",
        "images@4": "folder:images@4",
        table: f"parquet:{table}",
        tables: f"parquet:{table}",
    }.items():
        assert known_shape(str(path)) is None
        assert load_images(str(path)).sha256 == load_images(spec).sha256


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_of_idx_files(tmp_path: Path, suffix: str) -> None:
    pixels, labels = noise(6, 28, 28), np.array([3, 1, 4, 1, 5, 9], np.uint8)
    for part, count in (("train", 6), ("t10k", 2)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{suffix}", pixels[:count])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{suffix}", labels[:count])
    for spec in (str(tmp_path), f"idx:{tmp_path}", f"fashionmnist:{tmp_path}"):
        images = load_images(spec)
        assert (images.pixels[:, 0] == pixels).all()  # those to train on
        assert labels_of(images) == [1, 0, 2, 0, 3, 4]
    assert load_images(f"{tmp_path}@8").shape == (1, 8, 8)
    with pytest.raises(MollituneError, match=r"no files \.\.\.-images-idx3-ubyte in"):
        load_images(f"idx:{tmp_path}/none")
    file = tmp_path / f"train-labels-idx1-ubyte{suffix}"
    write_idx(file, labels[:5])
    with pytest.raises(MollituneError, match="6 images and 5 labels in"):
        load_images(str(tmp_path))
    file.write_bytes(file.read_bytes()[:9])
    with pytest.raises(MollituneError, match=r"labels-idx1-ubyte.* (cannot be read|no whole IDX)"):
        load_images(str(tmp_path))


def test_a_table_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path, cell = tmp_path / "a.parquet", png(noise(16, 16))
    path.write_bytes(b"not at all")
    with pytest.raises(MollituneError, match=r"a\.parquet is not a readable Parquet file"):
        load_images(f"parquet:{path}")
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), path)
    with pytest.raises(MollituneError, match="has no column of image bytes; columns: text, label"):
        load_images(f"parquet:{path}")
    cases: list[tuple[list[bytes | None], list[int | None], str]] = [
        ([cell] * 3, [0, 1, None], r"a\.parquet row 2 has no label"),
        ([cell, b"garbage"], [0, 1], r"a\.parquet row 1 is not a readable image"),
        ([cell, cell[:150]], [0, 1], r"a\.parquet row 1 is not a readable image"),
        ([cell, None], [0, 1], r"a\.parquet row 1 holds no image bytes"),
        ([], [], "no images"),
    ]
    for cells, labels, message in cases:
        write_table(path, cells, label=labels)
        with pytest.raises(MollituneError, match=message):
            load_images(f"parquet:{path}")


def write_files(folder: Path, files: dict[str, Array]) -> None:
    for name, array in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(array))


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    files = {"dog/1.png": noise(4, 4, seed=1), "cat/deep/2.PNG": noise(4, 4, seed=2)}
    write_files(tmp_path, files)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    images = load_images(f"folder:{tmp_path}")
    assert labels_of(images) == [0, 1]  # cat, dog
    assert (images.pixels[0, 0] == files["cat/deep/2.PNG"]).all()


@pytest.mark.parametrize(
    "names", [("1.png", "2.png"), ("a/1.png", "2.png"), ("a/1.png", "a/2.png")]
)
def test_no_labels_without_two_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_files(tmp_path, {name: noise(4, 4) for name in names})
    images = load_images(f"folder:{tmp_path}")
    assert len(images) == 2
    assert images.labels is None


def test_size_crops_the_centre_and_resizes(tmp_path: Path) -> None:
    wide = np.zeros((8, 40), np.uint8)
    wide[:, 8:32] = 200  # the central square and what the resizing filter sees around it
    write_files(tmp_path, {"me@home/wide.png": wide, "me@home/tall.png": wide.T.copy()})
    images = load_images(f"folder:{tmp_path / 'me@home'}@4")
    assert images.shape == (1, 4, 4)
    assert (images.pixels == 200).all()
    (tmp_path / "me@home" / "tall.png").unlink()  # an at sign in a path is no size
    assert load_images(f"folder:{tmp_path / 'me@home'}").shape == (1, 8, 40)


def test_gray_among_colour_becomes_colour(tmp_path: Path) -> None:
    gray, colour = noise(4, 4, seed=1), noise(4, 4, 3, seed=2)
    path = write_table(tmp_path / "a.parquet", [png(gray), png(colour)])
    pixels = load_images(f"parquet:{path}").pixels
    assert (pixels[0] == gray).all()
    assert (pixels[1] == colour.transpose(2, 0, 1)).all()


def test_a_source_that_is_not_there_is_named() -> None:
    cases = {
        "digit": r"'digit' is unknown; did you mean 'digits'\? allowed: digits, parquet:FILE",
        "cifar": r"did you mean 'cifar10'\?",
        "qqq": "'qqq' is unknown; allowed: digits",
        "digits:here": "'digits:here' is unknown",
        "parquet:": "name the path, e.g. parquet:",
        "folder:@32": "name the path, e.g. folder:",
        "parquet:none/here.parquet": "no such file; check the path none/here.parquet",
        "folder:none/here": "no such folder; check the path none/here",
        "~/none/here@32": "no such file or folder; check the path /.*none/here",
    }
    for spec, message in cases.items():
        for ask in (load_images, known_shape):
            with pytest.raises(MollituneError, match=message):
                ask(spec)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(MollituneError, match=r"no images in .*; looked for \.bmp, \.jpeg"):
        load_images(f"folder:{tmp_path}")
    write_files(tmp_path, {"1.png": noise(4, 4), "2.png": noise(4, 5)})
    with pytest.raises(MollituneError, match=r"differ in size \(4x4 and 5x4\); add @SIZE"):
        load_images(f"folder:{tmp_path}")
    (tmp_path / "2.png").write_bytes(b"\xff\xd8\xff\xe0 and nothing more")
    with pytest.raises(MollituneError, match=r"2\.png is not a readable image"):
        load_images(f"folder:{tmp_path}")
    (tmp_path / "2.png").unlink()
    (tmp_path / "2.png").mkdir()
    with pytest.raises(MollituneError, match=r"2\.png cannot be read \(Is a directory\)"):
        load_images(f"folder:{tmp_path}")
