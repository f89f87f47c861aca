"""Linear algebra on one core, for many small problems."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread meanwhile.

    The matrices of a `ShapeSurrogate` are small. More threads gain little on them, and where
    other work keeps the cores busy, as while a search runs, they wait for one another: ranking
    800 configurations then took fifty times as long.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # it looks through all libraries that the process has loaded
    return ThreadpoolController()
