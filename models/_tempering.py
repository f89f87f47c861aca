"""Tempering of the momentum along a Hamiltonian path."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ._checks import check_choice

_FIRST_TEMPERATURE = 1.5
_FIRST_FACTOR = 0.9


class Tempering(nn.Module, ABC):
    r"""Factors :math:`a_k` on the momentum, from temperature :math:`T_0` down to 1.

    In all of them :math:`T_0 = \prod_k a_k^{-2}`: the momentum starts as
    :math:`\sqrt{T_0} \, \xi`, and the factors take that back by the end.

    Args:
        steps: number of leapfrog steps :math:`K`, >= 1.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    @abstractmethod
    def factors(self) -> Tensor:
        """The factors, shape ``(K,)``."""


class NoTempering(Tempering):
    """All factors are 1."""

    one: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self.register_buffer("one", torch.ones(()), persistent=False)

    def factors(self) -> Tensor:
        """Ones."""
        return self.one.expand(self.steps)


class FixedTempering(Tempering):
    r"""Quadratic cooling, :math:`T_k = T_0 + (1 - T_0) k^2 / K^2`, with a learned :math:`T_0`."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self.raw = nn.Parameter(torch.tensor(math.log(_FIRST_TEMPERATURE - 1)))

    def factors(self) -> Tensor:
        """The root of each temperature over the one before."""
        progress = torch.arange(self.steps + 1, dtype=self.raw.dtype, device=self.raw.device)
        # T_0 - 1 = exp(raw), so that T_0 is above 1.
        temperatures = 1 + self.raw.exp() * (1 - (progress / self.steps).square())
        return (temperatures[1:] / temperatures[:-1]).sqrt()


class FreeTempering(Tempering):
    """One learned factor in (0, 1) per step."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        first = math.log(_FIRST_FACTOR / (1 - _FIRST_FACTOR))
        self.raw = nn.Parameter(torch.full((steps,), first))

    def factors(self) -> Tensor:
        """The logistic function of the parameters."""
        return self.raw.sigmoid()


_TEMPERINGS: dict[str, type[Tempering]] = {
    "none": NoTempering,
    "fixed": FixedTempering,
    "free": FreeTempering,
}


def make_tempering(kind: str, steps: int) -> Tempering:
    """Builds ``"none"``, ``"fixed"`` or ``"free"`` tempering for ``steps`` leapfrog steps.

    Raises:
        ValueError: ``kind`` is none of them.
    """
    return _TEMPERINGS[check_choice("tempering", kind, _TEMPERINGS)](steps)
