"""How many threads torch computes on: small networks gain nothing by more than one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

GAIN_LEAST = 1.3
"""How many times faster all threads must be than one to be taken."""
_ROUNDS = 3


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def worthwhile(work: Callable[[], object]) -> int:
    """Return how many threads are worth it for some work: one, or all that torch has.

    Args:
        work: Is done a few times on one and on all in turn; the best times count.
    """
    most = torch.get_num_threads()
    if most == 1:
        return 1
    best = {1: float("inf"), most: float("inf")}
    for _ in range(_ROUNDS):
        for count in best:
            with threads(count):
                start = time.perf_counter()
                work()
                best[count] = min(best[count], time.perf_counter() - start)
    return most if best[1] >= GAIN_LEAST * best[most] else 1
