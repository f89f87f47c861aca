import gc
import weakref
from itertools import chain

import numpy as np
import pytest
import torch

from mollitune._errors import MollituneError
from mollitune.search.data.images import Images, Splits, as_tensor, on_device, split


def numbered(count: int) -> Images:
    """Images whose pixels and label both say which image it is."""
    number = np.arange(count, dtype=np.int64)
    pixels = np.stack([number // 256, number % 256], axis=1).astype(np.uint8)
    return Images("numbered", pixels[:, None, :, None].copy(), number)


def numbers(images: Images) -> list[int]:
    assert images.labels is not None
    high, low = images.pixels[:, 0, :, 0].astype(np.int64).T
    assert (high * 256 + low == images.labels).all()  # labels went with their images
    found: list[int] = images.labels.tolist()
    return found


def test_a_split_is_disjoint_and_covers_everything() -> None:
    for count, held in [(100, 20), (1234, 246), (30_000, 5000)]:
        splits = split(numbered(count))
        assert splits.counts() == {"train": count - 2 * held, "validation": held, "test": held}
        parts = [numbers(part) for part in (splits.train, splits.validation, splits.test)]
        assert sorted(chain.from_iterable(parts)) == list(range(count))


def test_a_split_is_always_the_same(digits: Splits) -> None:
    first, second = split(numbered(200)), split(numbered(200))
    assert numbers(first.train) == numbers(second.train) != sorted(numbers(first.train))
    assert numbers(first.test) == numbers(second.test)
    assert digits.counts() == {"train": 1079, "validation": 359, "test": 359}
    assert digits.shape == (1, 8, 8)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(MollituneError, match=r"numbered: 99 images are too few .* at least 100"):
        split(numbered(99))


def test_images_without_labels_split_too() -> None:
    splits = split(Images("plain", numbered(100).pixels))
    assert splits.train.labels is None
    assert splits.shape == splits.train.shape == (1, 2, 1)


def test_the_hash_is_of_shape_pixels_and_labels() -> None:
    images = numbered(120)
    assert images.labels is not None
    pixels, labels = images.pixels.copy(), images.labels.copy()
    assert Images("another name", pixels, labels).sha256 == images.sha256
    assert Images("a", np.asfortranarray(pixels), labels).sha256 == images.sha256
    pixels[7] += 1
    labels[7] += 1
    others = [
        Images("numbered", pixels, images.labels),
        Images("numbered", images.pixels, labels),
        Images("numbered", images.pixels, None),
        Images("numbered", images.pixels.reshape(120, 1, 1, 2), images.labels),
    ]
    assert len({images.sha256, *(other.sha256 for other in others)}) == 5


def test_a_stored_hash_is_not_computed_again_and_is_not_that_of_a_part() -> None:
    whole = numbered(120)
    stored = Images(whole.name, whole.pixels, whole.labels, known_sha256="stored")
    assert stored.sha256 == "stored"
    assert stored.take(np.arange(120)).sha256 == whole.sha256


def test_read_only_pixels_become_a_tensor_without_a_copy() -> None:
    pixels = numbered(100).pixels
    pixels.flags.writeable = False  # as in Ray's shared memory
    tensor = as_tensor(pixels)
    assert tensor.data_ptr() == pixels.ctypes.data
    assert (tensor.numpy() == pixels).all()


def test_trials_share_images_on_a_device_and_leave_none_behind(digits: Splits) -> None:
    meta = torch.device("meta")  # as a GPU, it has no memory in common with NumPy
    first = on_device(digits.train, meta)
    copy = Images("copy", digits.train.pixels.copy(), digits.train.labels)
    assert on_device(copy, meta) is first
    assert on_device(digits.validation, meta) is not first
    assert on_device(digits.train, torch.device("cpu")).device.type == "cpu"
    assert first.shape == digits.train.pixels.shape
    left = weakref.ref(first)
    del first
    gc.collect()
    assert left() is None


def test_splits_do_not_keep_the_decoders_memory_layout() -> None:
    turned = np.arange(120 * 4 * 4 * 3, dtype=np.uint8).reshape(120, 4, 4, 3).transpose(0, 3, 1, 2)
    parts, same = (split(Images("x", x)) for x in (turned, np.ascontiguousarray(turned)))
    for part, other in ((parts.train, same.train), (parts.validation, same.validation)):
        assert part.pixels.flags.c_contiguous
        assert np.array_equal(part.pixels, other.pixels)
