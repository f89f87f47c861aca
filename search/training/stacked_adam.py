"""Adam for models side by side: each with its own clipping, its own age and its own mishaps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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
        self._own = [list(model.parameters()) for model in models]
        self._optimisers = optimisers
        self._moments = {name: self._gather(name) for name in _MOMENTS}
        ages = [_age(o, own) for o, own in zip(optimisers, self._own, strict=True)]
        self._ages = torch.stack(ages)
        self._slots = [
            [[tensor[slot] for tensor in each] for each in (self._params, *self._moments.values())]
            for slot in range(len(models))
        ]

    @torch.no_grad()
    def step(
        self,
        grads: Sequence[Tensor],
        rates: Sequence[float] | Tensor,
        scales: Tensor,
        lost: Tensor,
    ) -> None:
        """Make one step of each model, without a look at what lies on the device.

        Args:
            grads: Gradients, as the parameters; they are overwritten.
            rates: Learning rate of each model.
            scales: What the gradients of each model are divided by, with shape (K,).
            lost: Whether each model leaves out the step and stays as it is, with shape (K,).
        """
        skipped = lost.to(torch.float32)
        ages = self._ages + 1
        own_grads = zip(*(grad.unbind() for grad in grads), strict=True)
        for slot, (own, optimiser) in enumerate(zip(own_grads, self._optimisers, strict=True)):
            group, (params, first, second) = optimiser.param_groups[0], self._slots[slot]
            # not `torch.optim.adam.adam`: that counts up each parameter's own copy of the age
            torch._fused_adam_(
                params,
                list(own),
                first,
                second,
                [],
                [ages[slot]] * len(params),
                lr=rates[slot],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
                grad_scale=scales[slot],
                found_inf=skipped[slot],
            )
        self._ages.copy_(ages - skipped)

    @torch.no_grad()
    def give_back(self) -> None:
        """Bring each optimiser to where its own steps would have brought it."""
        for slot, (optimiser, own) in enumerate(zip(self._optimisers, self._own, strict=True)):
            for i, param in enumerate(own):
                optimiser.state[param] = {
                    "step": self._ages[slot].clone(),
                    **{name: laid_like(self._moments[name][i][slot], param) for name in _MOMENTS},
                }

    def _gather(self, name: str) -> list[Tensor]:
        columns = zip(*self._own, strict=True)
        stacked = [
            torch.stack([_moment(o, p, name) for o, p in zip(self._optimisers, ps, strict=True)])
            for ps in columns
        ]
        return [laid_like(moment, p) for moment, p in zip(stacked, self._params, strict=True)]


def total_norms(grads: Sequence[Tensor]) -> Tensor:
    """Return the norm of each model's gradient, with shape (K,), from stacked gradients."""
    norms: Tensor = torch.linalg.vector_norm(torch.stack([_norms(g) for g in grads]), dim=0)
    return norms


def excess(norms: Tensor, limit: float) -> Tensor:
    """Return what divides gradients so that they are no longer than a limit.

    As `torch.nn.utils.clip_grad_norm_` has it, but with nothing done for those within the limit.

    Args:
        norms: Norms of the gradients, of any shape.
        limit: The longest norm; infinite: nothing is cut.

    Returns:
        Factors >= 1, of the same shape.
    """
    return ((norms + 1e-6) / limit).clamp(min=1.0)


def _norms(grad: Tensor) -> Tensor:
    # `flatten` would copy a matrix that lies transposed
    axes = tuple(range(1, grad.ndim))
    norms: Tensor = torch.linalg.vector_norm(grad, dim=axes) if axes else grad.abs()
    return norms


def _age(optimiser: torch.optim.Adam, params: Sequence[Tensor]) -> Tensor:
    ages = [optimiser.state[p]["step"] for p in params if optimiser.state.get(p)]
    return max(ages) if ages else torch.zeros((), device=params[0].device)


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
