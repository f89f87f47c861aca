"""Batches of image indices: a fresh permutation per epoch, resumable in the middle of one.

The permutation is drawn on the processor, so that every device trains on the same batches, and
goes to the device once per epoch; no step waits for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_CPU = torch.device("cpu")


class Batches:
    """An endless stream of index batches; the rest of an epoch that fills no batch is dropped.

    Arguments:
        count: Number of images, at least 1.
        size: Indices per batch; at most ``count`` are given.
        seed: Seed of the permutations.
        device: Where the indices are wanted.
    """

    def __init__(self, count: int, size: int, seed: int, device: torch.device = _CPU) -> None:
        self._count = count
        self._size = min(size, count)
        self._device = device
        self._generator = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64, device=device)
        self._position = count  # nothing is left of no epoch: the first batch shuffles

    def next(self) -> Tensor:
        """Return the next indices, int64 with shape (size,)."""
        if self._position + self._size > self._count:
            self._shuffle()
        first, self._position = self._position, self._position + self._size
        return self._order[first : self._position]

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream."""
        return {
            "order": self._order,
            "position": self._position,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a position that `state_dict` returned."""
        self._order = state["order"].to(self._device)
        self._position = state["position"]
        self._generator.set_state(state["generator"].cpu())

    def _shuffle(self) -> None:
        pinned = self._device.type == "cuda"  # only from such memory a copy is not waited for
        order = torch.randperm(self._count, generator=self._generator, pin_memory=pinned)
        self._order = order.to(self._device, non_blocking=True)
        self._position = 0
