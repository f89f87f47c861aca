"""Adam for models side by side: each with its own clipping, its own age and its own mishaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

_MOMENTS = ("exp_avg", "exp_avg_sq")


class StackedAdam:
    """The steps that K optimisers `torch.optim.Adam` would make, in one.

    Arguments:
        params: The stacked parameters, each with K as its first dimension.
        models: The K models that they were stacked from.
        optimisers: The optimisers of these models, of which the state is taken over.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        models: Sequence[nn.Module],
        optimisers: Sequence[torch.optim.Adam],
    ) -> None:
        self._params = [p.detach() for p in params]  # the same memory
        self._group = optimisers[0].param_groups[0]
        self._own = [list(model.parameters()) for model in models]
        self._optimisers = optimisers
        self._moments = {name: self._gather(name) for name in _MOMENTS}
        self._ages = [_age(o, own) for o, own in zip(optimisers, self._own, strict=True)]

    @torch.no_grad()
    def step(
        self, grads: Sequence[Tensor], rates: Sequence[float], usable: Sequence[bool]
    ) -> None:
        """Make one step of each model.

        Args:
            grads: Gradients, already clipped, as the parameters.
            rates: Learning rate of each model.
            usable: Whether each model makes the step; one that does not stays as it is.
        """
        for begin, end in _runs(
            [(*pair,) for pair in zip(usable, self._ages, rates, strict=True)]
        ):
            steps = torch.full((len(grads),), float(self._ages[begin])).to(grads[0].device)
            adam(
                [p[begin:end] for p in self._params],
                [g[begin:end] for g in grads],
                [m[begin:end] for m in self._moments["exp_avg"]],
                [m[begin:end] for m in self._moments["exp_avg_sq"]],
                [],
                list(steps.unbind()),
                fused=True,
                amsgrad=False,
                beta1=self._group["betas"][0],
                beta2=self._group["betas"][1],
                lr=rates[begin],
                weight_decay=0.0,
                eps=self._group["eps"],
                maximize=False,
            )
            for slot in range(begin, end):
                self._ages[slot] += 1

    @torch.no_grad()
    def give_back(self) -> None:
        """Bring each optimiser to where its own steps would have brought it."""
        for slot, (optimiser, own) in enumerate(zip(self._optimisers, self._own, strict=True)):
            for i, param in enumerate(own):
                optimiser.state[param] = {
                    "step": torch.tensor(float(self._ages[slot]), device=param.device),
                    **{name: laid_like(self._moments[name][i][slot], param) for name in _MOMENTS},
                }

    def _gather(self, name: str) -> list[Tensor]:
        columns = zip(*self._own, strict=True)
        stacked = [
            torch.stack([_moment(o, p, name) for o, p in zip(self._optimisers, ps, strict=True)])
            for ps in columns
        ]
        return [laid_like(moment, p) for moment, p in zip(stacked, self._params, strict=True)]


def clip(grads: Sequence[Tensor], limit: float) -> Tensor:
    """Cut the gradients of each model to a norm, in place, and return what the norms were.

    As `torch.nn.utils.clip_grad_norm_` does for one model.

    Args:
        grads: Stacked gradients, K first.
        limit: The norm; infinite: nothing is cut.

    Returns:
        Norms with shape (K,).
    """
    each = [_norms(g) for g in grads]
    norms: Tensor = torch.linalg.vector_norm(torch.stack(each), dim=0)
    factors = (limit / (norms + 1e-6)).clamp(max=1.0)
    if not bool((factors == 1.0).all()):
        for grad in grads:
            grad.mul_(factors.view(-1, *[1] * (grad.ndim - 1)))
    return norms


def _norms(grad: Tensor) -> Tensor:
    # `flatten` would copy a matrix that lies transposed
    axes = tuple(range(1, grad.ndim))
    norms: Tensor = torch.linalg.vector_norm(grad, dim=axes) if axes else grad.abs()
    return norms


def _runs(slots: Sequence[tuple[bool, int, float]]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of slots next to each other that make the very same step."""
    begin = 0
    for (usable, _, _), members in groupby(slots):
        end = begin + sum(1 for _ in members)
        if usable:
            yield begin, end
        begin = end


def _age(optimiser: torch.optim.Adam, params: Sequence[Tensor]) -> int:
    ages = [optimiser.state[p]["step"] for p in params if optimiser.state.get(p)]
    return int(max(ages)) if ages else 0


def _moment(optimiser: torch.optim.Adam, param: Tensor, name: str) -> Tensor:
    state = optimiser.state.get(param)
    return state[name] if state else torch.zeros_like(param)


def laid_like(values: Tensor, param: Tensor) -> Tensor:
    """Return values in a parameter's memory layout, in memory of their own.

    The fused Adam walks through parameter, gradient and moments in the order of memory, without a
    look at their strides: with two layouts it would take each value for another one's.
    """
    return torch.empty_like(param, memory_format=torch.preserve_format).copy_(values)


def in_layout(values: Tensor, param: Tensor) -> Tensor:
    """Return values in a parameter's memory layout: themselves, if they are there already."""
    return values if values.stride() == param.stride() else laid_like(values, param)
