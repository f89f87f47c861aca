"""A training step's loss and gradients as one flat program, without Python in between.

Autograd and `torch.vmap` decide anew at every step what to do next, and for small models that
takes longer than doing it. A trace keeps the list of operations: the very same, in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.experimental.proxy_tensor import make_fx

from .losses import LossFunction, Tensors
from .spec import TrialSpec

Program = Callable[[list[Tensor], Tensors, Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
"""From leaves, buffers, a batch and draws, to the loss (or losses) and the leaves' gradients."""

_VIEWS = {
    torch.ops.aten.alias.default,
    torch.ops.aten.expand.default,
    torch.ops.aten.view.default,
    torch.ops.aten._unsafe_view.default,
}

_known: dict[Hashable, Program] = {}


def key_of(spec: TrialSpec, x: Tensor) -> Hashable:
    """Return what trials have in common that can share a program for batches like this one."""
    hparams = tuple(sorted(spec.hparams.items()))
    return spec.model, spec.preset, hparams, spec.precision, x.shape, x.dtype, x.device


def program(
    loss: LossFunction,
    params: Tensors,
    buffers: Tensors,
    x: Tensor,
    draws: list[Tensor],
    *,
    key: Hashable,
    compiled: bool = False,
) -> Program:
    """Return the program of a loss; this process makes each but once.

    Args:
        loss: The loss, without branches on data and without Python state of its own: what it does
            with these arguments is what the program does with any.
        params: Parameters, in the order of the leaves.
        buffers: Buffers; they stay as they are.
        x: A batch.
        draws: What the loss draws.
        key: What tells this loss, with arguments of these shapes, from all others.
        compiled: Whether `torch.compile` makes one piece of code of it: many seconds, and other
            rounding.

    Raises:
        RuntimeError: If the loss branches on data.
    """
    full = _full(key, compiled)
    if full not in _known:
        traced = _traced(untraced(loss, list(params)), list(params.values()), buffers, x, draws)
        _known[full] = torch.no_grad()(_compiled(traced) if compiled else traced)
    return _known[full]


def is_compiled(key: Hashable) -> bool:
    """Return whether this process has compiled code for a key already."""
    return _full(key, compiled=True) in _known


def _full(key: Hashable, compiled: bool) -> Hashable:
    return key, compiled, torch.get_num_threads()


def untraced(loss: LossFunction, names: list[str]) -> Program:
    """Return the same without a trace: autograd and `torch.vmap` at every step.

    Args:
        loss: The loss.
        names: Names of the leaves.
    """

    def step(
        leaves: list[Tensor], buffers: Tensors, x: Tensor, draws: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        values = loss(dict(zip(names, leaves, strict=True)), buffers, x, draws)
        grads = torch.autograd.grad(values.sum(), leaves, materialize_grads=True)
        return values.detach(), list(grads)

    return step


def _traced(step: Program, *arguments: Any) -> Any:
    traced = make_fx(step, tracing_mode="fake")(*arguments)
    _shorten(traced.graph)
    traced.recompile()
    return traced


def _shorten(graph: Graph) -> None:
    """Take out what nobody reads, and views that are what they are views of."""
    for node in graph.nodes:
        if node.target in _VIEWS and _same(node, node.args[0]):
            node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()


def _same(one: Node, other: Any) -> bool:
    a, b = one.meta["val"], other.meta["val"]
    return bool(a.shape == b.shape and a.stride() == b.stride())


def _compiled(traced: Any) -> Any:
    import torch._inductor.config as inductor  # takes more than a second

    # it would warn of every machine without a GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    inductor.compile_threads = 1  # a trial has its cores; helpers would outlive a killed process
    # on a processor, the layout that this option prefers for convolutions is the slower one
    return torch.compile(traced, options={"layout_optimization": False})
