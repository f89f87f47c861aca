"""`Schedule`, what every family of schedules has in common."""

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ._check import finite_number, valid_progress
from ._file import write
from ._registry import lookup
from ._space import Choice, Float

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """How strongly the data is mollified at each moment of training.

    Schedules are frozen dataclasses: values that can be compared, hashed, pickled and saved. They
    live on *progress*, the share of training that is done, so a shorter training budget is a
    rescaled run and not a truncated one.

    To add a family, derive from `NoiseSchedule` (or from `Mollifier` for something else than
    noise), set ``family``, write the curve and the search space, and decorate the class with
    `register` above ``@dataclass(frozen=True, kw_only=True)``. Fields annotated ``float`` are
    checked and converted here; ranges are the family's own ``__post_init__`` to check.

    Raises:
        ValueError: If a field annotated ``float`` is no finite number.
    """

    family: ClassVar[str]
    """Name of the family in files, configs and result tables."""

    search_constants: ClassVar[Mapping[str, float | str]] = MappingProxyType({})
    """Parameters that a search holds fixed at a value other than their default."""

    def __post_init__(self) -> None:
        # Integers become floats, so that equal schedules print, hash and save alike.
        for field in _fields(type(self)):
            if field.type in (float, "float"):
                number = finite_number(field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, number)

    @property
    @abstractmethod
    def until(self) -> float:
        """Share of training that is mollified, in [0, 1]."""

    @abstractmethod
    def level(self, progress: float) -> float:
        """Strength of the mollification at ``progress``, nonincreasing, 0 from ``until`` on.

        Args:
            progress: Share of training that is done, >= 0.

        Returns:
            The variance of the noise in [0, 1]; for `Blur` its sigma in pixels.

        Raises:
            ValueError: If ``progress`` is negative, infinite or NaN.
        """

    @abstractmethod
    def __call__(
        self, x: "torch.Tensor", progress: float, *, generator: "torch.Generator | None" = None
    ) -> "torch.Tensor":
        """Mollify a batch.

        Args:
            x: Clean floating-point data in the model's own space, shape (N, ...).
            progress: Share of training that is done, >= 0.
            generator: Source of the noise, on the device of ``x``. By default one that the package
                keeps per device, apart from torch's global ones and seeded from
                `torch.initial_seed`; it is re-seeded when that seed has changed.

        Returns:
            A new tensor of the same shape, dtype and device. From ``until`` on ``x`` itself, and
            nothing is drawn.

        Raises:
            ValueError: If ``x`` is no floating-point tensor or ``progress`` is not legal.
        """

    @classmethod
    @abstractmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching, with their ranges.

        Every point of the space is a valid schedule once `from_point` has added the constants.

        Args:
            side: Side of the images in pixels.
        """

    @classmethod
    def from_point(cls, point: Mapping[str, float | str]) -> Self:
        """Construct the schedule at a point of the search space.

        Args:
            point: A value for each parameter in `search_space`; `search_constants` are added.
        """
        params: dict[str, Any] = {**cls.search_constants, **point}
        return cls(**params)

    def point(self) -> dict[str, float | str]:
        """Return the schedule's parameters in the units of `search_space`.

        The inverse of `from_point` for curves inside the family's search space; constants are
        left out.
        """
        return {
            field.name: getattr(self, field.name)
            for field in _fields(type(self))
            if field.name not in self.search_constants
        }

    def mollified(self, progress: float) -> bool:
        """Return whether the data is still mollified at ``progress``.

        Raises:
            ValueError: If ``progress`` is negative, infinite or NaN.
        """
        return valid_progress(progress) < self.until

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as plain data: its family, and all parameters sorted by name.

        Example:
            >>> from mollitune.schedules import Linear
            >>> Linear(until=0.5).to_dict()
            {'family': 'linear', 'params': {'floor': 0.0, 'peak': 1.0, 'until': 0.5}}
        """
        params = sorted((f.name, getattr(self, f.name)) for f in _fields(type(self)))
        return {"family": self.family, "params": dict(params)}

    def __str__(self) -> str:
        """Return short text; parameters at their default are left out, ``until`` stands last.

        Example:
            >>> from mollitune.schedules import Sigmoid
            >>> print(Sigmoid(tau=0.5, until=0.6))
            sigmoid(tau=0.5, until=0.6)
        """
        fields = _fields(type(self))
        shown = {f.name: getattr(self, f.name) for f in fields}
        changed = [f.name for f in fields if shown[f.name] != f.default]
        names = [n for n in changed if n != "until"] + [n for n in shown if n == "until"]
        text = ", ".join(f"{name}={short(shown[name])}" for name in names)
        return f"{self.family}({text})" if names else self.family

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Construct a schedule from what `to_dict` returned; other keys are ignored.

        All parameters must be there, defaults too: a default that changes in a later release must
        not change what was saved.

        Args:
            data: A mapping with the keys ``"family"`` and ``"params"``.

        Raises:
            ValueError: If the family is unknown or not of this class, or a parameter is unknown,
                missing, mistyped or out of range.
        """
        found = lookup(data.get("family"))
        if not issubclass(found, cls):
            raise ValueError(f"family must be a kind of {cls.__name__}, got {found.family!r}")
        params = data.get("params")
        if not isinstance(params, Mapping):
            raise ValueError(f"params must be a mapping of names to values, got {params!r}")
        names = {field.name for field in _fields(found)}
        unknown, missing = sorted(map(str, params.keys() - names)), sorted(names - params.keys())
        legal = f"those of {found.family}: {', '.join(sorted(names)) or 'none'}"
        if unknown:
            raise ValueError(f"params must be {legal}; unknown: {', '.join(unknown)}")
        if missing:
            raise ValueError(f"params must be {legal}; missing: {', '.join(missing)}")
        return found(**params)

    def save(self, path: str | os.PathLike[str], **extra: object) -> None:
        """Write the schedule to a small JSON file that `load` reads.

        The file appears at once or not at all, also when it replaces an older one. Missing parent
        folders are made.

        Args:
            path: The file.
            **extra: Anything else worth keeping beside the schedule, as JSON values: where it
                comes from, the verdict on it. `load` ignores it.

        Raises:
            ValueError: If an extra has a reserved name or is not representable in JSON.
            OSError: If the file cannot be written.
        """
        write(path, self.to_dict(), extra)


@cache
def _fields(cls: type[Schedule]) -> tuple[dataclasses.Field[Any], ...]:
    # dataclasses makes the tuple anew each time: a tenth of the ranking of 10,000 schedules
    return dataclasses.fields(cls)


def short(value: object) -> str:
    """A parameter as short text: three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
