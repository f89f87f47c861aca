"""A place for the searches of each test file."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.searches import Searches


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trained LeNet stays, so that one search trains it for all."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Searches]:
    # a short path: Ray's sockets lie below it, and their paths must not exceed 107 bytes
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as short:
        yield Searches(tmp_path_factory.mktemp("chaos"), Path(short), cache)
