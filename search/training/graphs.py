"""A training step as one CUDA graph: launched at once, instead of kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the capture, in which libraries allocate what they need."""

Function = Callable[[Sequence[Any]], Tensor]


class Graphed:
    """A function of tensors that is captured once and replayed from then on.

    A small model's step takes longer to launch than to compute; a replay is one launch.

    Arguments:
        function: From tensors to a tensor, all on one GPU. What it writes elsewhere it writes in
            place, it draws no random numbers, and it does not wait for the GPU.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._calls = 0
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], None] | None = None
        self._output = torch.empty(0)

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """Return the function's value for tensors of the shapes of the first call."""
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._function(inputs)
        if self._replay is None:
            self._inputs = [each.clone() for each in inputs]
            self._replay, self._output = captured(lambda: self._function(self._inputs))
        for own, new in zip(self._inputs, inputs, strict=True):
            own.copy_(new)
        self._replay()
        return self._output.clone()


def captured(function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record what a function launches, without running it.

    Returns:
        What launches all of it, and where its value lies after that.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = function()
    return graph.replay, output
