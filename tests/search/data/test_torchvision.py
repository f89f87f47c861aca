"""torchvision's own readers on small files in their formats on disk."""

import pickle
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.search.features import write_idx
from torchvision import datasets

from mollitune._errors import MollituneError
from mollitune.search.data.sources import load_images

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize(
    ("kind", "folder"), [("mnist", "MNIST"), ("fashionmnist", "FashionMNIST")]
)
def test_mnist_and_its_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, folder: str
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5, 9], np.uint8)
    for part in ("train", "t10k"):
        write_idx(tmp_path / folder / "raw" / f"{part}-images-idx3-ubyte", pixels)
        write_idx(tmp_path / folder / "raw" / f"{part}-labels-idx1-ubyte", labels)
    images = load_images(f"{kind}:{tmp_path}")
    assert images.shape == (1, 28, 28)
    assert (images.pixels[:, 0] == pixels).all()
    assert images.labels is not None
    assert images.labels.tolist() == labels.tolist()
    monkeypatch.setenv("MOLLITUNE_DATA", str(tmp_path))
    assert load_images(kind).sha256 == images.sha256


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train_list", "test_list"):  # no checksums: these files are our own
        entries = [[file, None] for file, _ in getattr(datasets.CIFAR10, name)]
        monkeypatch.setattr(datasets.CIFAR10, name, entries)
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": None})
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        two = pixels[2 * i : 2 * i + 2].reshape(-1, 3072)
        batch = {"data": two, "labels": [i, 9 - i][: len(two)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [*"abcdefghij"]}))
    images = load_images(f"cifar10:{tmp_path}")
    assert (images.pixels == pixels).all()
    assert images.labels is not None
    assert images.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]


def test_celeba_is_cropped_and_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(url, None, file) for url, _, file in datasets.CelebA.file_list]
    monkeypatch.setattr(datasets.CelebA, "file_list", entries)
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    face = np.zeros((218, 178, 3), np.uint8)
    face[35:183, 15:163] = (10, 120, 250)  # the central 148 x 148
    names = ["000001.jpg", "000002.jpg", "000003.jpg"]
    for name in names:
        Image.fromarray(face).save(folder / "img_align_celeba" / name, "PNG")
    tables = {
        "list_eval_partition.txt": ["0", "0", "1"],
        "identity_CelebA.txt": ["1", "2", "3"],
        "list_bbox_celeba.txt": ["0 0 1 1"] * 3,
        "list_landmarks_align_celeba.txt": ["0 0"] * 3,
        "list_attr_celeba.txt": ["-1 1", "1 -1", "1 1"],
    }
    for file, rows in tables.items():
        head = ["3", "Young Male"] if file.startswith("list_") and "eval" not in file else []
        lines = [*head, *(f"{name} {row}" for name, row in zip(names, rows, strict=True))]
        (folder / file).write_text("\n".join(lines) + "\n")
    images = load_images(f"celeba:{tmp_path}")
    assert images.pixels.shape == (2, 3, 64, 64)  # the training part
    assert (images.pixels == np.array([10, 120, 250], np.uint8)[:, None, None]).all()
    assert images.labels is not None
    assert images.labels.tolist() == [1, 0]  # Male


@pytest.mark.parametrize("kind", ["cifar10", "mnist", "fashionmnist"])
def test_without_a_network_the_error_says_where_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    pattern = rf"dataset {kind}.*: cannot be .* downloaded to .*; put .* or give .* {kind}:ROOT"
    with pytest.raises(MollituneError, match=pattern) as caught:
        load_images(f"{kind}:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
