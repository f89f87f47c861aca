"""Which pictures the report holds, and how small they are."""

import functools
import io
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.analysis.conftest import TRIALS, Search, png_grid

from mollitune.analysis import Results
from mollitune.analysis.report.pictures import (
    LARGEST,
    Picture,
    file_of,
    shown_picture,
    trial_pictures,
)
from mollitune.search.data.decoding import picture

SIDE = 32


@functools.cache
def smooth_grid(seed: int) -> bytes:
    """The picture of 64 images that compress as photographs do."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0, math.pi, SIDE)
    wave = rng.normal(1, 1, (2, 64, 3, 1))
    bow = np.cos(wave[0] * place)[..., :, None] * np.cos(wave[1] * place)[..., None, :]
    pixels = 128 + 100 * bow + rng.normal(0, 3, bow.shape)
    return picture(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def large(search: Search) -> Results:
    """A search with 40 pictures of 80 kB."""
    results = search(*TRIALS[:2])
    Path(results.root, "samples").mkdir()
    for number in range(40):
        Path(results.root, file_of(number)).write_bytes(smooth_grid(number))
    return results


def size(picture: Picture) -> tuple[int, int]:
    return Image.open(io.BytesIO(picture.data)).size


def test_small_pictures_are_taken_as_they_are(results: Results) -> None:
    found, missing = trial_pictures(results, [2, 0, 99, 1])
    assert {n: p.data for n, p in found.items()} == {
        n: results.read_file(file_of(n)) for n in (2, 0, 1)
    }
    assert {(p.kind, p.note) for p in found.values()} == {("png", "")}
    assert missing == {}
    shutil.rmtree(Path(results.root, "samples"))
    assert trial_pictures(results, [0, 1]) == ({}, {})


def test_all_are_there_where_the_budget_is_enough_for_files(large: Results) -> None:
    total = sum(large.list_files("samples").values())
    found, missing = trial_pictures(large, range(40), total)
    assert (len(found), missing) == (40, {})
    assert {picture.kind for picture in found.values()} == {"png"}


@pytest.mark.parametrize("budget", [30_000, 60_000, 120_000])
def test_budget_is_kept_and_the_best_come_whole(large: Results, budget: int) -> None:
    order = [*range(20, 40), *range(20)]
    found, missing = trial_pictures(large, order, budget)
    assert sum(len(picture.data) for picture in found.values()) <= budget
    assert found.keys() | missing.keys() == set(order)
    assert found.keys().isdisjoint(missing)
    whole = [n for n in order if n in found and size(found[n])[0] == 8 * (SIDE + 1) - 1]
    assert whole == order[: len(whole)]
    assert whole
    rest = [found[n] for n in found if n not in whole]
    assert {size(picture) for picture in rest} <= {(4 * (SIDE + 1) - 1, 4 * (SIDE + 1) - 1)}
    assert all("quarter" in picture.note for picture in rest)
    assert all("left out" in why for why in missing.values())


def test_what_is_left_out_is_spread_over_the_ranks(large: Results) -> None:
    _, missing = trial_pictures(large, range(40), 60_000)
    assert 4 < len(missing) < 36
    halves = [sum(n < 20 for n in missing), sum(n >= 20 for n in missing)]
    # the best few come whole, so that fewer of the first half are left out
    assert 0 < halves[0] < halves[1]
    kept = [n for n in range(10, 40) if n not in missing]
    assert max(np.diff(kept)) <= 2 * (30 / len(kept)) + 1


def test_compressed_pictures_show_the_same(large: Results) -> None:
    found, _ = trial_pictures(large, range(40), 60_000)
    for number, shown in found.items():
        original = Image.open(io.BytesIO(large.read_file(file_of(number)) or b""))
        box = (0, 0, *size(shown))
        before = np.asarray(original.crop(box), float)
        after = np.asarray(Image.open(io.BytesIO(shown.data)).convert("RGB"), float)
        assert np.abs(before - after).mean() < 12


@pytest.mark.parametrize("content", [b"", b"no picture", png_grid(0)[:300]])
def test_file_that_is_no_picture(large: Results, content: bytes) -> None:
    Path(large.root, file_of(0)).write_bytes(content)
    found, missing = trial_pictures(large, range(40), 60_000)
    assert 0 not in found
    assert missing[0] == "The picture cannot be read."


def test_huge_picture_that_is_shown_at_once_is_compressed(results: Results) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    Image.fromarray(noise).save(Path(results.root, "samples/real.png"))
    assert Path(results.root, "samples/real.png").stat().st_size > LARGEST
    shown = shown_picture(results, "samples/real.png")
    assert shown is not None
    assert (shown.kind, size(shown)) == ("webp", (500, 500))
    assert len(shown.data) < LARGEST
    assert shown_picture(results, "samples/no.png") is None
