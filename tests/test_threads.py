"""Threads are taken where they gain."""

import time

import torch

from mollitune._threads import threads, worthwhile


def test_as_many_threads_as_are_worth_it() -> None:
    before = torch.get_num_threads()
    with threads(2):
        assert torch.get_num_threads() == 2
        assert worthwhile(lambda: time.sleep(0.04 / torch.get_num_threads())) == 2
        assert worthwhile(lambda: time.sleep(0.01)) == 1
    assert torch.get_num_threads() == before
