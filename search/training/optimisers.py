"""What makes steps of gradients: torch's optimisers, for one model or for many side by side.

Each step can be left out and its gradients be divided on the device itself, so that a GPU is not
waited for.

| Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), for Adamax too
| Decoupled Weight Decay Regularization (Loshchilov and Hutter, 2019)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mollitune._optim import SGD, Adam, AdamW, uncompiled

from .settings import Training

Tensors = list[Tensor]


@dataclass(frozen=True)
class Step:
    """One step of one model, which is made in place.

    Arguments:
        params: Parameters.
        grads: Their gradients; they are overwritten.
        moments: For each moment of the optimiser a tensor per parameter.
        ages: The age of each parameter after the step.
        rate: Learning rate.
        options: A ``param_group`` of torch's optimiser.
        scale: What the gradients are divided by.
        skip: 1 if the step is to be left out.
    """

    params: Tensors
    grads: Tensors
    moments: list[Tensors]
    ages: Tensors
    rate: Any
    options: dict[str, Any]
    scale: Tensor
    skip: Tensor


@dataclass(frozen=True)
class Kind:
    """An optimiser.

    Arguments:
        moments: What it keeps per parameter besides the age, as torch's state names it.
        make: Returns torch's optimiser for parameters.
        update: The step.
    """

    moments: tuple[str, ...]
    make: Callable[[list[nn.Parameter], Training], Optimizer]
    update: Callable[[Step], object]


class _Adamax(torch.optim.Adamax):
    """Adamax with what torch's own knows in its fused form only: a divisor, and leaving out."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Make a step; ``grad_scale`` and ``found_inf`` as `torch.amp.GradScaler` has them."""
        scale, skip = vars(self)["grad_scale"], vars(self)["found_inf"]
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            states = [self.state[p] for p in params]
            moments = [[state[name] for state in states] for name in ("exp_avg", "exp_inf")]
            grads, ages = [p.grad for p in params], [state["step"] + 1 for state in states]
            _adamax(Step(params, grads, moments, ages, group["lr"], group, scale, skip))
            for state, age in zip(states, ages, strict=True):
                state["step"].copy_(torch.where(skip > 0, state["step"], age))


Adamax = uncompiled(_Adamax)


def _adamax(step: Step) -> None:
    (beta1, beta2), eps = step.options["betas"], step.options["eps"]
    each = zip(step.params, step.grads, *step.moments, step.ages, strict=True)
    for param, grad, mean, most, age in each:
        slope = grad / step.scale + step.options["weight_decay"] * param
        new_mean = mean.lerp(slope, 1 - beta1)
        new_most = torch.maximum(most * beta2, slope.abs() + eps)
        moved = param - step.rate / (1 - beta1**age) * new_mean / new_most
        for old, new in ((param, moved), (mean, new_mean), (most, new_most)):
            old.copy_(torch.where(step.skip > 0, old, new))


def _adam(step: Step, update: Callable[..., object]) -> None:
    beta1, beta2 = step.options["betas"]
    # not the functions of `torch.optim`: those count up the age of each parameter by itself
    update(
        *(step.params, step.grads, *step.moments, [], step.ages),
        lr=step.rate,
        beta1=beta1,
        beta2=beta2,
        weight_decay=step.options["weight_decay"],
        eps=step.options["eps"],
        amsgrad=False,
        maximize=False,
        grad_scale=step.scale,
        found_inf=step.skip,
    )


def _sgd(step: Step) -> None:
    torch._fused_sgd_(
        step.params,
        step.grads,
        step.moments[0],
        lr=step.rate,
        momentum=step.options["momentum"],
        weight_decay=step.options["weight_decay"],
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        grad_scale=step.scale,
        found_inf=step.skip,
    )


KINDS = {
    "adam": Kind(
        ("exp_avg", "exp_avg_sq"),
        lambda params, how: Adam(params, fused=True, **_adam_options(how)),
        lambda step: _adam(step, torch._fused_adam_),
    ),
    "adamw": Kind(
        ("exp_avg", "exp_avg_sq"),
        lambda params, how: AdamW(params, fused=True, **_adam_options(how)),
        lambda step: _adam(step, torch._fused_adamw_),
    ),
    "adamax": Kind(
        ("exp_avg", "exp_inf"),
        lambda params, how: Adamax(params, **_adam_options(how)),
        _adamax,
    ),
    "sgd": Kind(
        ("momentum_buffer",),
        lambda params, how: SGD(
            params, lr=how.lr, momentum=how.beta1, weight_decay=how.weight_decay, fused=True
        ),
        _sgd,
    ),
}


def _adam_options(how: Training) -> dict[str, Any]:
    betas = (how.beta1, how.beta2)
    return {"lr": how.lr, "betas": betas, "weight_decay": how.weight_decay}


def optimiser_of(params: Iterable[nn.Parameter], training: Training) -> Optimizer:
    """Return the optimiser of a training, with its moments: a first step may be left out."""
    made = KINDS[training.optimiser].make(list(params), training)
    fill(made, training.optimiser)
    return made


def fill(optimiser: Optimizer, kind: str) -> None:
    """Give the moments that are not there yet, which are 0: torch makes them at the first step."""
    for param in optimiser.param_groups[0]["params"]:
        state = optimiser.state[param]
        for name in KINDS[kind].moments:
            state.setdefault(name, torch.zeros_like(param))
        if kind != "sgd":  # which has no age
            state.setdefault("step", torch.zeros((), device=param.device))


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Return the learning rate after some of all steps: warmed up, then held or lowered."""
    warm = training.warmup * steps
    peak = training.lr * min(1.0, (step + 1) / max(1.0, warm))
    if training.lr_decay == "constant":
        return peak
    share = min(1.0, max(0.0, step + 1 - warm) / max(1.0, steps - warm))
    left = 1 - share if training.lr_decay == "linear" else (1 + math.cos(math.pi * share)) / 2
    return peak * (training.lr_floor + (1 - training.lr_floor) * left)


class Stacked:
    """The steps that the optimisers of K models would make, in one.

    Arguments:
        kind: Of the optimisers, a key of `KINDS`.
        params: The stacked parameters, each with K as its first dimension.
        models: The K models that they were stacked from.
        optimisers: The optimisers of these models, of which the state is taken over.
    """

    def __init__(
        self,
        kind: str,
        params: Sequence[Tensor],
        models: Sequence[nn.Module],
        optimisers: Sequence[Optimizer],
    ) -> None:
        self._kind = KINDS[kind]
        self._params = [p.detach() for p in params]  # the same memory
        self._own = [list(model.parameters()) for model in models]
        self._optimisers = optimisers
        self._moments = {name: self._gather(name) for name in self._kind.moments}
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
            params, *moments = self._slots[slot]
            options, all_ages = optimiser.param_groups[0], [ages[slot]] * len(params)
            self._kind.update(
                Step(
                    *(params, list(own), moments, all_ages, rates[slot], options),
                    *(scales[slot], skipped[slot]),
                )
            )
        self._ages.copy_(ages - skipped)

    @torch.no_grad()
    def give_back(self) -> None:
        """Bring each optimiser to where its own steps would have brought it."""
        for slot, (optimiser, own) in enumerate(zip(self._optimisers, self._own, strict=True)):
            for i, param in enumerate(own):
                state = optimiser.state[param]
                if "step" in state:
                    state["step"] = self._ages[slot].clone()
                for name, stacked in self._moments.items():
                    state[name] = laid_like(stacked[i][slot], param)

    def _gather(self, name: str) -> list[Tensor]:
        columns = zip(*self._own, strict=True)
        stacked = [
            torch.stack([o.state[p][name] for o, p in zip(self._optimisers, ps, strict=True)])
            for ps in columns
        ]
        return [laid_like(moment, p) for moment, p in zip(stacked, self._params, strict=True)]


def total_norms(grads: Sequence[Tensor]) -> Tensor:
    """Return the norm of each model's gradient, with shape (K,), from stacked gradients."""
    norms: Tensor = torch.linalg.vector_norm(torch.stack([_norms(g) for g in grads]), dim=0)
    return norms


def excess(norms: Tensor, limit: float | Tensor) -> Tensor:
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


def _age(optimiser: Optimizer, params: Sequence[Tensor]) -> Tensor:
    ages = [optimiser.state[p]["step"] for p in params if "step" in optimiser.state[p]]
    return max(ages) if ages else torch.zeros((), device=params[0].device)


def laid_like(values: Tensor, param: Tensor) -> Tensor:
    """Return values in a parameter's memory layout, in memory of their own.

    The fused optimisers walk through parameter, gradient and moments in the order of memory,
    without a look at their strides: with two layouts they would take each value for another one's.
    """
    return torch.empty_like(param, memory_format=torch.preserve_format).copy_(values)


def in_layout(values: Tensor, param: Tensor) -> Tensor:
    """Return values in a parameter's memory layout: themselves, if they are there already."""
    return values if values.stride() == param.stride() else laid_like(values, param)
