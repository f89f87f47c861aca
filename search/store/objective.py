"""What a search minimises: one metric of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .columns import Metric
from .evaluation import EXTRA_PREFIX, MEASURED, OPTIONAL

_TITLES = {"fid": "FID", "kid": "KID", "bpd": "bits per dim", "fid_infinity": "FID-infinity"}


@dataclass(frozen=True)
class Objective:
    """A metric as the policy and the analysis see it: lower is better.

    Of a metric of which higher is better they see the negative value, and so it is shown.

    Arguments:
        column: Its column in ``reports``.
        negated: Whether higher values of it are better.
    """

    column: str = "fid"
    negated: bool = False

    @property
    def is_fid(self) -> bool:
        """Whether it is the FID itself, the only one that a cooldown branch measures."""
        return self.column == "fid"

    @property
    def title(self) -> str:
        """How sentences and axes call it."""
        name = self.column.removeprefix(EXTRA_PREFIX)
        title = _TITLES.get(self.column, name.replace("_", " "))
        return f"-{title}" if self.negated else title

    @property
    def prefix(self) -> str:
        """How the columns of tables that hold it begin."""
        name = self.column.removeprefix(EXTRA_PREFIX)
        return f"negative_{name}" if self.negated else name

    def of(self, row: Mapping[str, Any]) -> float | None:
        """Return the value of an evaluation; None where it was not measured or is not finite."""
        value = row.get(self.column)
        if value is None or not math.isfinite(value):
            return None
        return -float(value) if self.negated else float(value)

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``search.json`` has it."""
        return {"column": self.column, "negated": self.negated}


FID = Objective()


def objective_of(name: str, extras: Iterable[Metric] = ()) -> Objective:
    """Return a metric as an objective.

    Args:
        name: Its column, with or without ``extra.``.
        extras: The metrics of ``fid.extra`` of the search.

    Raises:
        ValueError: If it is not measured in the search, or says not which values are better.
    """
    asked = {metric.name: metric for metric in extras}
    measured = {**MEASURED, **asked}
    found = measured.get(name, measured.get(EXTRA_PREFIX + name))
    if found is not None and found.better is not None:
        return Objective(found.name, found.better == "higher")
    if found is not None and found.name.startswith(EXTRA_PREFIX):
        raise ValueError(
            f"{found.name} says not whether lower or higher values are better; give its column "
            "better='lower' or better='higher'"
        )
    if name in OPTIONAL:
        raise ValueError(f"{name} is not measured in this search; add it to fid.extra")
    directed = [n for n, metric in measured.items() if metric.better is not None]
    raise ValueError(f"must be one of {', '.join(directed)}, or another metric of fid.extra")
