import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.search.features import png

from mollitune._errors import MollituneError
from mollitune.search.data import cache as image_cache
from mollitune.search.data import decoding
from mollitune.search.data.cache import DataSource, load_cached
from mollitune.search.data.images import Images
from mollitune.search.data.sources import load_images

Array = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("MOLLITUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Decoded:
    """Counts the images that were decoded, and may do something before each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.before: Callable[[], object] = lambda: None
        original = decoding._decode_one

        def counted(*args: object) -> Array:
            self.count += 1
            self.before()
            return original(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(decoding, "_decode_one", counted)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    return Decoded(monkeypatch)


def noise(seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of four images in two classes."""
    folder = tmp_path / "images"
    for i in range(4):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(noise(i)))
    return folder


def load(source: Path) -> Images:
    return load_images(f"folder:{source}")


def same(one: Images, two: Images) -> bool:
    if one.labels is None or two.labels is None:
        same_labels = one.labels is two.labels
    else:
        same_labels = np.array_equal(one.labels, two.labels)
    return same_labels and np.array_equal(one.pixels, two.pixels) and one.sha256 == two.sha256


def test_the_second_load_decodes_nothing(
    source: Path, own_cache: Path, tmp_path: Path, decoded: Decoded
) -> None:
    first, second = load(source), load(source)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".npy", ".npz"]
    for path in own_cache.iterdir():  # as a copy of it has other times
        os.utime(path, (1e9, 1e9))
    third = load(source)
    source.rename(tmp_path / "moved")
    fourth = load(tmp_path / "moved")
    assert decoded.count == 4
    assert same(first, second)
    assert same(first, third)
    assert same(first, fourth)
    assert fourth.name == f"folder:{tmp_path / 'moved'}"
    assert (second.pixels[0] == noise(0).transpose(2, 0, 1)).all()
    assert second.labels is not None
    assert second.labels.tolist() == [0, 0, 1, 1]
    assert second.known_sha256 == Images("other", second.pixels, second.labels).sha256


def test_the_pixels_are_mapped_and_read_only(source: Path) -> None:
    for images in (load(source), load(source)):  # straight after decoding, too
        assert type(images.pixels) is np.ndarray
        assert not images.pixels.flags.writeable
        assert isinstance(images.pixels.base, np.memmap)
        assert images.take(np.array([0, 1])).pixels.flags.owndata  # a copy, not a map


def test_parquet_is_cached_with_and_without_labels(tmp_path: Path, decoded: Decoded) -> None:
    for name, more in (("with", {"label": [3, 1, 3]}), ("without", {})):
        path = tmp_path / f"{name}.parquet"
        cells = pa.array([png(noise(i)) for i in range(3)], pa.binary())
        pq.write_table(pa.table({"image": cells, **more}), path)
        before = decoded.count
        first, second = load_images(f"parquet:{path}"), load_images(f"parquet:{path}")
        assert decoded.count == before + 3
        assert same(first, second)
        assert (second.labels is None) == (not more)


def test_digits_are_not_cached(own_cache: Path) -> None:
    load_images("digits")
    assert not own_cache.exists()


def rewrite_with_the_same_size_and_time(source: Path) -> None:
    path = source / "a" / "0.png"
    status = path.stat()
    path.write_bytes(png(noise(10)).ljust(status.st_size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap_two(source: Path) -> None:
    one, two, aside = source / "a" / "0.png", source / "a" / "2.png", source / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


@pytest.mark.parametrize(
    "change",
    [
        rewrite_with_the_same_size_and_time,
        swap_two,
        lambda s: (s / "a" / "0.png").unlink(),
        lambda s: (s / "a" / "9.png").write_bytes(png(noise(9))),
        lambda s: (s / "a" / "0.png").rename(s / "b" / "0.png"),
        lambda s: (s / "b").rename(s / "0"),
    ],
    ids=["same size and time", "swapped", "removed", "added", "other class", "class renamed"],
)
def test_a_change_of_the_source_is_seen(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    before = load(source)
    change(source)
    after = load(source)
    monkeypatch.setenv("MOLLITUNE_CACHE", str(tmp_path / "fresh"))
    assert same(after, load(source))
    assert not (len(after) == len(before) and same(after, before))


def test_what_decodes_otherwise_has_another_entry(
    source: Path, monkeypatch: pytest.MonkeyPatch, decoded: Decoded
) -> None:
    load(source)
    assert load_images(f"folder:{source}@3").shape == (3, 3, 3)
    assert load_images(f"folder:{source}@4").shape == (3, 4, 4)
    assert load(source).shape == (3, 6, 5)
    assert decoded.count == 12
    monkeypatch.setattr(image_cache, "FORMAT", image_cache.FORMAT + 1)
    load(source)
    assert decoded.count == 16


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    time = path.stat().st_mtime_ns + 1_000_000  # the clock of the file system may be coarse
    path.write_bytes(data)
    os.utime(path, ns=(time, time))


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(path.read_bytes()[:-7]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\x93NUMPY"),
    lambda path: path.unlink(),
    lambda path: flip(path, -200),
    lambda path: flip(path, 100),
]


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_damaged_entry_is_rebuilt(
    source: Path, own_cache: Path, decoded: Decoded, suffix: str
) -> None:
    first = load(source)
    pixels, sha256 = first.pixels.copy(), first.sha256
    (path,) = own_cache.glob(f"*.{suffix}")
    for times, damage in enumerate(DAMAGES, 2):
        damage(path)
        second = load(source)
        assert (second.pixels == pixels).all()
        assert Images("x", second.pixels, second.labels).sha256 == second.sha256 == sha256
        load(source)  # whole again
        assert decoded.count == 4 * times


def test_a_bad_image_leaves_nothing_behind(source: Path, own_cache: Path) -> None:
    (source / "a" / "0.png").write_bytes(b"garbage")
    for _ in range(2):
        with pytest.raises(MollituneError, match=r"0\.png is not a readable image"):
            load(source)
    assert not own_cache.exists()


def test_a_source_that_changes_while_it_is_read_is_not_kept(
    source: Path, own_cache: Path, decoded: Decoded
) -> None:
    decoded.before = lambda: (source / "b" / "1.png").write_bytes(png(noise(20)))
    load(source)
    assert not own_cache.exists()


def test_a_source_that_its_decoder_downloads_is_kept(tmp_path: Path, own_cache: Path) -> None:
    home, decoded = tmp_path / "home", []

    def download() -> Images:
        decoded.append(1)
        home.mkdir(exist_ok=True)
        (home / "batch").write_bytes(b"pixels")
        return Images("web", np.full((2, 1, 3, 3), 7, np.uint8))

    source = DataSource("web", "web", home, lambda: sorted(home.glob("*")), download)
    assert source.key() is None
    first, second = load_cached(source, own_cache), load_cached(source, own_cache)
    assert decoded == [1]
    assert same(first, second)


def test_a_cache_that_cannot_be_written_costs_only_time(
    source: Path, own_cache: Path, decoded: Decoded
) -> None:
    own_cache.write_text("a file where the folder should be")
    for _ in range(2):
        with pytest.warns(UserWarning, match="cannot be kept in .*MOLLITUNE_CACHE"):
            assert len(load(source)) == 4
    assert decoded.count == 8


def test_four_at_once_agree(
    source: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(4)
    original = image_cache._write

    def write(*args: object) -> None:
        together.wait(timeout=30)  # nobody has found the entry, all write it now
        original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(image_cache, "_write", write)
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(load, [source] * 4))
    assert all(same(one, loaded[0]) for one in loaded)
    assert same(load(source), loaded[0])
    assert len(list(own_cache.iterdir())) == 2


KILLED = """
import os, signal, sys
import numpy as np
from mollitune.search.data import cache
from mollitune.search.data.sources import load_images

def half(stream, array):
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)

cache.np.save = half
load_images(sys.argv[1])
"""


def test_a_process_killed_while_writing_does_no_harm(
    source: Path, own_cache: Path, decoded: Decoded
) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, f"folder:{source}"], check=False)
    assert child.returncode == -signal.SIGKILL
    (left,) = own_cache.iterdir()
    assert left.read_bytes() == b"half"
    assert left.name.startswith(".images-")  # never under the name that others read
    assert left.suffix == ".tmp"
    first = load(source)
    assert same(first, load(source))
    assert decoded.count == 4
