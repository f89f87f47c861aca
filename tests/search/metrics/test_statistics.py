import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mollitune._errors import MollituneError
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extractors.extractor import Extractor, feature_batches
from mollitune.search.metrics.reference import (
    Key,
    RealStatistics,
    cached_statistics,
    compute_statistics,
    read_statistics,
    write_statistics,
)

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def equal(one: RealStatistics, two: RealStatistics) -> bool:
    return pickle.dumps(one) == pickle.dumps(two)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_they_are_numpys(lenet: Extractor, digits: Splits) -> None:
    statistics = compute_statistics(lenet, digits.validation, keep_features=True)
    batches = feature_batches(lenet.build(CPU), digits.validation.pixels, CPU)
    x = torch.cat(list(batches)).numpy()
    assert statistics.count == 359
    assert statistics.features is not None
    np.testing.assert_array_equal(statistics.features, x)
    np.testing.assert_allclose(statistics.mu, x.astype(np.float64).mean(0), rtol=1e-12)
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
    lenet: Extractor, digits: Splits, folder: Path
) -> None:
    few = digits.validation.take(np.arange(100))
    other = replace(lenet, resize="bilinear 32")
    cached_statistics(lenet, few, "validation", folder)
    cached_statistics(lenet, few, "test", folder)
    cached_statistics(lenet, digits.test.take(np.arange(100)), "validation", folder)
    cached_statistics(other, few, "validation", folder)
    kept = cached_statistics(lenet, few, "validation", folder, keep_features=True)
    assert len(files(folder)) == 5
    assert kept.features is not None
    assert cached_statistics(lenet, few, "validation", folder).features is None


@pytest.mark.parametrize("damage", ["empty", "half", "short", "flipped", "text", "long"])
def test_a_damaged_file_is_computed_again_and_replaced(
    lenet: Extractor, digits: Splits, folder: Path, damage: str
) -> None:
    few = digits.validation.take(np.arange(100))
    first = cached_statistics(lenet, few, "validation", folder)
    (file,) = files(folder)
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    damaged = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "short": whole[:-1],
        "flipped": bytes(flipped),
        "text": b"<html>" * 100,
        "long": whole + b"\0",
    }
    file.write_bytes(damaged[damage])
    assert equal(cached_statistics(lenet, few, "validation", folder), first)
    assert files(folder) == [file]
    assert file.read_bytes() == whole


def test_a_file_under_another_keys_name_is_not_believed(
    lenet: Extractor, digits: Splits, folder: Path
) -> None:
    few, others = (digits.validation.take(np.arange(n, n + 100)) for n in (0, 100))
    cached_statistics(lenet, few, "validation", folder)
    (file,) = files(folder)
    key = Key(others.sha256, "validation", lenet.identity, features=False)
    file.rename(key.path(folder))
    assert read_statistics(key.path(folder), key) is None
    fresh = compute_statistics(lenet, others)
    assert equal(cached_statistics(lenet, others, "validation", folder), fresh)


def test_a_cache_that_cannot_be_written_is_named(
    lenet: Extractor, digits: Splits, tmp_path: Path
) -> None:
    file = tmp_path / "cache"
    file.touch()
    few = digits.validation.take(np.arange(100))
    with pytest.raises(MollituneError, match=r"in .*cache \(.*\); set MOLLITUNE_CACHE") as caught:
        cached_statistics(lenet, few, "validation", file)
    assert "None" not in str(caught.value)


# A process that writes one large file over and over until it is killed.
WRITER = """
import sys
from pathlib import Path
from pyarrow.fs import LocalFileSystem
from mollitune._files import write_atomic
data = Path(sys.argv[1]).read_bytes()
while True:
    write_atomic(LocalFileSystem(), sys.argv[2], data)
"""

# A process that gets statistics once a line on stdin says so, and writes down what it got.
ASKER = """
import pickle, sys
from pathlib import Path
from mollitune.search.statistics import cached_statistics
arguments = pickle.loads(Path(sys.argv[1]).read_bytes())
print("ready", flush=True)
sys.stdin.readline()
Path(sys.argv[2]).write_bytes(pickle.dumps(cached_statistics(*arguments)))
"""


def start(program: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_while_it_writes(process: subprocess.Popen[str], folder: Path) -> Path:
    """Kill a process at a moment when its file is there in part; return that part."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if list(folder.glob(".*.tmp")):
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            parts = list(folder.glob(".*.tmp"))
            if parts:  # else it was renamed meanwhile
                process.kill()
                process.wait()
                return parts[0]
            os.kill(process.pid, signal.SIGCONT)
    raise AssertionError("nothing was written for a minute")


def test_two_processes_ask_at_once_after_a_third_was_killed_in_the_middle_of_writing(
    lenet: Extractor, digits: Splits, folder: Path, tmp_path: Path
) -> None:
    few = digits.validation.take(np.arange(100))
    key = Key(few.sha256, "validation", lenet.identity, features=False)
    path = key.path(folder)
    large, asked, answer = tmp_path / "large", tmp_path / "asked", tmp_path / "answer"
    zeros = np.zeros((1500, 1500))
    write_statistics(large, key, RealStatistics(zeros[0], zeros, zeros, 1500))
    asked.write_bytes(pickle.dumps((lenet, few, "validation", folder)))
    with start(ASKER, asked, answer) as asker, start(WRITER, large, path) as writer:
        left = kill_while_it_writes(writer, folder)
        before = read_statistics(path, key)
        assert before is None or before.count == 1500  # what was written earlier is whole
        path.unlink(missing_ok=True)

        assert asker.stdout is not None
        assert asker.stdin is not None
        assert asker.stdout.readline() == "ready\n"
        asker.stdin.write("go\n")
        asker.stdin.flush()
        mine = cached_statistics(lenet, few, "validation", folder)
        asker.communicate()
    theirs = pickle.loads(answer.read_bytes())
    whole = read_statistics(path, key)
    assert mine.count == 100
    assert equal(mine, theirs)
    assert whole is not None
    assert equal(mine, whole)
    assert files(folder) == sorted([left, path])
