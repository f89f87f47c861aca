"""What an earlier search has shown, for the surrogate of a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from .configuration import Configuration


@dataclass(frozen=True)
class Earlier:
    """Complete runs of one model in an earlier search, measured alike.

    Arguments:
        search: Name of the search.
        model: Name of the model.
        dataset: Name of the data set.
        configurations: What was tried, n configurations, in the hyperparameters of the new search
            and at budgets as multiples of its length.
        values: For each its FIDs, one per run, all finite; or what else the new one minimises.
        seeds: For each the seeds of these runs.
    """

    search: str
    model: str
    dataset: str
    configurations: tuple[Configuration, ...]
    values: tuple[tuple[float, ...], ...]
    seeds: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        own = zip(self.configurations, self.values, self.seeds, strict=True)
        return {
            **{"search": self.search, "model": self.model, "dataset": self.dataset},
            "runs": [
                {**tried.to_dict(), "values": list(values), "seeds": list(seeds)}
                for tried, values, seeds in own
            ],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `to_dict` gave.

        Raises:
            KeyError: If one of its parts is missing; or a TypeError, or a ValueError.
        """
        runs = plain["runs"]
        return cls(
            *(plain["search"], plain["model"], plain["dataset"]),
            tuple(Configuration.from_dict(own) for own in runs),
            tuple(tuple(own["values"]) for own in runs),
            tuple(tuple(own["seeds"]) for own in runs),
        )


def earlier_of(plain: Mapping[str, Any]) -> dict[str, tuple[Earlier, ...]]:
    """Return what the key ``prior`` of a ``search.json`` holds, by model.

    Raises:
        KeyError: As for `Earlier.from_dict`.
    """
    return {name: tuple(map(Earlier.from_dict, own)) for name, own in plain.items()}
