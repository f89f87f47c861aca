"""A training step's loss and gradients as one flat program, without Python in between.

Autograd and `torch.vmap` decide anew at every step what to do next, and for small models that
takes longer than doing it. A trace keeps the list of operations: the very same, in the same order.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.fx import Graph, Node
from torch.fx.experimental.proxy_tensor import make_fx

from mollitune._errors import MollituneError
from mollitune.models import GenerativeModel, draws_from

from .settings import Precision
from .spec import TrialSpec

Tensors = dict[str, Tensor]


LossFunction = Callable[[Tensors, Tensors, Tensor, list[Tensor]], Tensor]
"""From parameters, buffers, a batch and what the loss draws, to the loss."""


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
    how = spec.training
    hparams = tuple(sorted(how.hparams.items()))
    return spec.model, how.preset, hparams, how.precision, x.shape, x.dtype, x.device


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


class Loss(nn.Module):
    """A model called for its loss, since `torch.func` calls ``forward``."""

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return self.model.loss(x)


def in_precision(precision: Precision, x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which networks run in a precision of `TrialSpec`; densities do not."""
    if precision != "bf16":  # for TF32, see `allow_tf32`
        return nullcontext()
    return torch.autocast(x.device.type, torch.bfloat16)


def pure(loss: Loss, precision: Precision = "fp32") -> LossFunction:
    """Return the loss as a function; buffers that it updates are updated where they lie."""

    def function(params: Tensors, buffers: Tensors, x: Tensor, draws: list[Tensor]) -> Tensor:
        own = iter(draws)
        with draws_from(lambda size, like: next(own)), in_precision(precision, x):
            value: Tensor = functional_call(loss, (params, buffers), (x,))
        return value

    return function


def side_by_side(loss: Loss, precision: Precision = "fp32") -> LossFunction:
    """Return the losses of K such models: every argument and the result have K in front."""
    function: LossFunction = vmap(pure(loss, precision), in_dims=(0, 0, 0, 0))
    return function


def drawn_sizes(loss: Loss, params: Tensors, buffers: Tensors, x: Tensor) -> list[torch.Size]:
    """Return the size of each draw of one model's loss, in order.

    Args:
        loss: The loss.
        params: Its parameters.
        buffers: Its buffers; they stay as they are.
        x: A batch, of which only the shape matters.
    """
    sizes: list[torch.Size] = []

    def note(size: Sequence[int], like: Tensor) -> Tensor:
        sizes.append(torch.Size(size))
        return torch.zeros(tuple(size), dtype=like.dtype, device=like.device)

    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    with draws_from(note), torch.no_grad():
        functional_call(loss, (params, kept), (x,))
    return sizes


def check_compiler(asked_by: str) -> None:
    """Refuse to go on without the C++ compiler that `torch.compile` calls.

    Args:
        asked_by: The key or option that asked for it.

    Raises:
        MollituneError: If it is not installed on this machine.
    """
    program = os.environ.get("CXX", "clang++" if platform.system() == "Darwin" else "g++")
    if shutil.which(program) is None:
        raise MollituneError(
            f"{asked_by} needs a C++ compiler, and {program} is not installed on "
            f"{platform.node()}; install it, name another one in CXX, or leave it out"
        )
