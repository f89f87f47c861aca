"""A decision of the policy, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

FOREIGN = "ray:"
"""How the name of a policy begins that is a scheduler of Ray Tune."""
UNLIKE = "unlike values"
"""How the reason of a decision begins that ranked FIDs of unlike noise; never one of our own."""


@dataclass(frozen=True)
class Decision:
    """What was decided on one trial, and on what grounds; the fields are columns of ``decisions``.

    Arguments:
        trial: Number of the trial.
        configuration: Number of its configuration.
        step: Training steps at which it was judged.
        progress: Share of the training that was done.
        policy: Which rule decided.
        rung: Number of the rung, from 0.
        action: ``stop``, ``continue``, ``skip``, ``promote`` or ``audit``.
        value: The value that was judged.
        cutoff: The value that was needed to go on.
        competitors: Values on the rung.
        phase: Whether the training data were mollified at that step.
        reason: The decision in words.
        time: When it was taken.
    """

    trial: int
    configuration: int
    step: int
    progress: float
    policy: str
    rung: int
    action: str
    value: float | None
    cutoff: float | None
    competitors: int
    phase: str
    reason: str
    time: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)
