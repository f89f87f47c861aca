"""Images from Python: whatever holds them, they are the same bytes under the same name."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mollitune._errors import MollituneError
from mollitune.search.data.given import give
from mollitune.search.data.sources import known_shape, load_images

PIXELS = np.random.default_rng(0).integers(0, 256, (120, 3, 6, 5), np.uint8)
LABELS = np.arange(120) % 7


def pictures() -> list[Image.Image]:
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in PIXELS]


def floats() -> torch.Tensor:
    return torch.from_numpy(PIXELS) / 255


def test_of_whatever_kind_they_are_the_same() -> None:
    given = [
        PIXELS,
        PIXELS.transpose(0, 2, 3, 1),
        PIXELS.astype(np.int64),
        torch.from_numpy(PIXELS),
        floats(),
        floats().double().numpy(),
        pictures(),
        torch.utils.data.TensorDataset(floats()),
    ]
    names = {give(data) for data in given}
    (name,) = names
    found = load_images(name)
    assert np.array_equal(found.pixels, PIXELS)
    assert found.pixels.dtype == np.uint8
    assert found.labels is None
    assert known_shape(name) == (3, 6, 5)


def test_labels_come_beside_or_with_each_image() -> None:
    pairs = list(zip(pictures(), LABELS.tolist(), strict=True))
    names = {give((PIXELS, LABELS)), give(pairs), give((floats(), [f"c{k}" for k in LABELS]))}
    (name,) = names
    found = load_images(name)
    assert found.labels is not None
    assert found.labels.tolist() == LABELS.tolist()


def test_gray_ones_have_one_channel() -> None:
    assert known_shape(give(PIXELS[:, 0])) == (1, 6, 5)
    assert known_shape(give(PIXELS[:, :1].astype(bool))) == (1, 6, 5)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (PIXELS[:, :2], r"1 or 3 channels, not \(120, 2, 6, 5\)"),
        (PIXELS[:0], "1 or 3 channels, not"),
        (PIXELS.reshape(120, -1), r"not \(120, 90\)"),
        (PIXELS / 200, "256 levels: give uint8"),
        (np.random.default_rng(0).normal(size=(9, 4, 4)), "256 levels"),
        (PIXELS.astype(int) - 1, r"values are in \[-1, 254\]"),
        (PIXELS.astype(float), "256 levels|values are in"),
        ((PIXELS, LABELS[:5]), "120 images have labels of shape"),
        ([PIXELS[0], PIXELS[0, :, :4]], "images of several shapes"),
        ([], "it is empty"),
        (7, "int is no array"),
    ],
)
def test_what_is_no_set_of_images_is_refused_in_a_line(data: Any, said: str) -> None:
    with pytest.raises(MollituneError, match=f"^dataset: .*({said})"):
        give(data)


def test_a_process_that_was_not_given_them_says_so() -> None:
    with pytest.raises(MollituneError, match="array that was given in Python; go on there"):
        load_images("array:0123456789ab")
