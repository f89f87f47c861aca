"""What a search minimises, and what it bounds: metrics of an evaluation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mollitune.search.policy.bound import Bound

from .columns import Metric
from .evaluation import EXTRA_PREFIX, MEASURED, OPTIONAL

_TITLES = {
    "fid": "FID",
    "kid": "KID",
    "bpd": "bits per dim",
    "nll": "NLL",
    "fid_infinity": "FID-infinity",
}


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
        words = re.sub("^fid_(.*)", r"\1 FID", name).replace("_", " ")
        title = _TITLES.get(self.column, words)
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
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Objective:
        """Return what `to_dict` has written.

        Raises:
            TypeError: If it is something else.
        """
        return cls(**told)


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


@dataclass(frozen=True)
class Constraint:
    """A bound on a second metric.

    Arguments:
        metric: The metric.
        bound: What its values must keep.
    """

    metric: Objective
    bound: Bound

    def __str__(self) -> str:
        limit = self.bound.limit
        if not self.bound.relative:
            return f"{self.metric.title} <= {limit:.4g}"
        sign = "-" if limit < 0 else "+"
        return f"{self.metric.title} <= vanilla {sign} {abs(limit):.4g}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``search.json`` has it."""
        return {"metric": self.metric.to_dict(), "bound": asdict(self.bound)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Constraint:
        """Return what `to_dict` has written.

        Raises:
            KeyError, TypeError: If it is something else.
        """
        return cls(Objective.from_dict(told["metric"]), Bound(**told["bound"]))


_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_BOUND = re.compile(rf"(<=|>=)\s*(?:(vanilla)\s*(?:([+-])\s*({_NUMBER}))?|({_NUMBER}))")


def constraint_of(metric: Objective, text: str) -> Constraint:
    """Return a bound as it stands in a config.

    Args:
        metric: The metric.
        text: ``<= 3.5``, ``<= vanilla`` or ``<= vanilla + 0.02``; with ``>=`` where higher values
            are better.

    Raises:
        ValueError: If it is nothing of that kind, or bounds the metric on its good side.

    Example:
        >>> str(constraint_of(objective_of("bpd"), "<= vanilla + .02"))
        'bits per dim <= vanilla + 0.02'
    """
    found = _BOUND.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no bound; write <= 3.5 or <= vanilla + 0.02")
    side, vanilla, sign, more, plain = found.groups()
    if side != (">=" if metric.negated else "<="):
        better, other = ("higher", ">=") if metric.negated else ("lower", "<=")
        raise ValueError(f"of {metric.column} {better} values are better: bound it with {other}")
    limit = float(more or plain or 0.0) * (-1 if sign == "-" else 1)
    return Constraint(metric, Bound(-limit if metric.negated else limit, bool(vanilla)))
