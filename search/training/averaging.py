"""A moving average of a model's weights, to be evaluated in place of the last ones."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mollitune.models import GenerativeModel

_Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage:
    r"""Exponential moving average of weights, with a half-life in steps.

    Up to the first :math:`1 / (1 - d)` steps it is their plain mean, so that the random initial
    weights do not linger; from then on :math:`\bar w \leftarrow d \, \bar w + (1 - d) \, w` with
    :math:`d = 2^{-1/h}` for the half-life :math:`h`. Buffers are not averaged but copied.

    Arguments:
        model: The model that is trained.
        half_life: Steps after which a weight counts half, > 0.

    | Analyzing and Improving the Training Dynamics of Diffusion Models (Karras et al., 2024)
    """

    def __init__(self, model: nn.Module, half_life: float) -> None:
        self._new_share = 1 - 0.5 ** (1 / half_life)
        self._average = AveragedModel(model, multi_avg_fn=self._update)

    @property
    def model(self) -> GenerativeModel:
        """The model with the averaged weights."""
        return cast("GenerativeModel", self._average.module)

    def update(self, model: nn.Module) -> None:
        """Take in the weights of one more step."""
        self._average.update_parameters(model)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and how many steps they hold."""
        return self._average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` returned."""
        self._average.load_state_dict(state)

    def _update(self, averages: _Tensors, weights: _Tensors, steps: Tensor | int) -> None:
        # Not from `steps`, which is on the weights' device: reading it would wait for a GPU.
        share = max(self._new_share, 1 / (int(self._average.n_averaged) + 1))
        torch._foreach_lerp_(averages, weights, share)
