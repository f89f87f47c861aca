"""What the tests of the search share: one data set and one trained LeNet per test session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mollitune.search.dataset import Splits, split
from mollitune.search.extractors import Extractor, cache_folder, prepare_extractor
from mollitune.search.fid import Reference
from mollitune.search.sources import load_images


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of this session that stands in for the user's cache, in child processes too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLLITUNE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def digits() -> Splits:
    return split(load_images("digits"))


@pytest.fixture(scope="session")
def lenet(cache: Path, digits: Splits) -> Extractor:
    """The extractor of digits; it takes seconds to train, so everyone uses this one."""
    assert cache_folder() == cache
    return prepare_extractor("lenet", None, digits.train, cache)


@pytest.fixture(scope="session")
def reference(lenet: Extractor, digits: Splits) -> Reference:
    return Reference.measure(lenet, digits.validation, "validation")
