import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.search.features import features_of

from mollitune._errors import MollituneError
from mollitune.search.data.images import Images, Splits
from mollitune.search.metrics.extractors.extractor import Extractor
from mollitune.search.metrics.reference import (
    Key,
    RealStatistics,
    cached_statistics,
    compute_statistics,
    read_statistics,
    write_statistics,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def few(digits: Splits) -> Images:
    return digits.validation.take(np.arange(100))


def equal(one: RealStatistics, two: RealStatistics) -> bool:
    return pickle.dumps(one) == pickle.dumps(two)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_they_are_numpys(lenet: Extractor, digits: Splits) -> None:
    statistics = compute_statistics(lenet, digits.validation, keep_features=True)
    x = features_of(lenet, digits.validation.pixels)
    assert statistics.count == 359
    assert statistics.features is not None
    np.testing.assert_array_equal(statistics.features, x)
    np.testing.assert_allclose(statistics.mu, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(statistics.sigma, np.cov(x.T), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        statistics.root @ statistics.root.T, statistics.sigma, rtol=1e-9, atol=1e-11
    )


def test_a_second_call_reads_the_file(lenet: Extractor, digits: Splits, folder: Path) -> None:
    first = cached_statistics(lenet, digits.validation, "validation", folder)
    assert equal(cached_statistics(lenet, digits.validation, "validation", folder), first)
    (file,) = files(folder)
    # a whole file with another content is believed: nothing is computed again
    key = Key(digits.validation.sha256, "validation", lenet.identity, features=False)
    marked = replace(first, mu=first.mu + 1)
    write_statistics(file, key, marked)
    assert equal(cached_statistics(lenet, digits.validation, "validation", folder), marked)


def test_other_images_split_extractor_or_content_have_files_of_their_own(
    lenet: Extractor, digits: Splits, few: Images, folder: Path
) -> None:
    cached_statistics(lenet, few, "validation", folder)
    cached_statistics(lenet, few, "test", folder)
    cached_statistics(lenet, digits.test.take(np.arange(100)), "validation", folder)
    cached_statistics(replace(lenet, resize="bilinear 32"), few, "validation", folder)
    kept = cached_statistics(lenet, few, "validation", folder, keep_features=True)
    assert len(files(folder)) == 5
    assert kept.features is not None
    assert cached_statistics(lenet, few, "validation", folder).features is None


def test_a_damaged_file_is_computed_again_and_replaced(
    lenet: Extractor, few: Images, folder: Path
) -> None:
    first = cached_statistics(lenet, few, "validation", folder)
    (file,) = files(folder)
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    parts = whole[: len(whole) // 2], whole[:-1], whole + b"\0"
    for damaged in (b"", b"<html>" * 100, bytes(flipped), *parts):
        file.write_bytes(damaged)
        assert equal(cached_statistics(lenet, few, "validation", folder), first)
        assert files(folder) == [file]
        assert file.read_bytes() == whole


def test_a_file_under_another_keys_name_is_not_believed(
    lenet: Extractor, digits: Splits, few: Images, folder: Path
) -> None:
    others = digits.validation.take(np.arange(100, 200))
    cached_statistics(lenet, few, "validation", folder)
    (file,) = files(folder)
    key = Key(others.sha256, "validation", lenet.identity, features=False)
    file.rename(key.path(folder))
    assert read_statistics(key.path(folder), key) is None
    fresh = compute_statistics(lenet, others)
    assert equal(cached_statistics(lenet, others, "validation", folder), fresh)


def test_a_cache_that_cannot_be_written_is_named(
    lenet: Extractor, few: Images, folder: Path
) -> None:
    folder.touch()
    with pytest.raises(MollituneError, match=r"in .*cache \(.*\); set MOLLITUNE_CACHE") as caught:
        cached_statistics(lenet, few, "validation", folder)
    assert "None" not in str(caught.value)


# A process that gets statistics once a line on stdin says so, and writes down what it got.
ASKER = """
import os, pickle, signal, sys
from pathlib import Path
from mollitune.search.metrics.reference import cached_statistics
arguments = pickle.loads(Path(sys.argv[1]).read_bytes())
if sys.argv[2] == "dies":  # with the file written, but not yet under its name
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
print("ready", flush=True)
sys.stdin.readline()
Path(sys.argv[2]).write_bytes(pickle.dumps(cached_statistics(*arguments)))
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASKER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_ask_at_once_after_a_third_was_killed_while_writing(
    lenet: Extractor, few: Images, folder: Path, tmp_path: Path
) -> None:
    asked, answer = tmp_path / "asked", tmp_path / "answer"
    asked.write_bytes(pickle.dumps((lenet, few, "validation", folder)))
    with start(str(asked), "dies") as dying, start(str(asked), str(answer)) as asker:
        dying.communicate("go\n")
        assert dying.returncode == -signal.SIGKILL
        (left,) = files(folder)
        assert left.suffix == ".tmp"
        assert asker.stdout is not None
        assert asker.stdout.readline() == "ready\n"
        assert asker.stdin is not None
        asker.stdin.write("go\n")
        asker.stdin.flush()
        mine = cached_statistics(lenet, few, "validation", folder)
        asker.communicate()
    key = Key(few.sha256, "validation", lenet.identity, features=False)
    whole = read_statistics(key.path(folder), key)
    assert whole is not None
    assert mine.count == 100
    assert equal(mine, whole)
    assert equal(mine, pickle.loads(answer.read_bytes()))
    assert files(folder) == sorted([left, key.path(folder)])
