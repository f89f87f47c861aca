"""What determines a trial, and when it is evaluated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from mollitune.schedules import Schedule

from .policy.rungs import TOLERANCE

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class TrialSpec:
    """Everything that determines a trial besides the data.

    Arguments:
        model: Name of the model, or ``module:Class``.
        schedule: How the training data are mollified.
        seed: Seed of the initial weights, the batches and the noise.
        steps: Training steps at full budget.
        every: Share of the training between two evaluations, in (0, 1].
        batch_size: Images per step.
        lr: Learning rate of Adam after a linear warm-up over 5 % of the training.
        clip_norm: Norm to which a longer gradient of the loss (nats per dim) is cut; None: never.
        ema: Half-life of the averaged weights that are evaluated, as a share of the training;
            None: the weights themselves are evaluated.
        probe_at: Progress of the rungs that need a cooldown branch, measured at the evaluation
            that such a rung judges.
        probe_extra: Length of such a branch as a share of the steps so far, > 0.
        preset: Where arguments of the model come from that ``hparams`` does not give.
        hparams: Arguments of the model.
        precision: Of the networks in training: ``fp32``, or ``bf16`` by autocast.
    """

    model: str
    schedule: Schedule
    seed: int
    steps: int
    every: float = 1 / 6
    batch_size: int = 128
    lr: float = 1e-3
    clip_norm: float | None = 10.0
    ema: float | None = None
    probe_at: tuple[float, ...] = ()
    probe_extra: float = 0.3
    preset: str = "quick"
    hparams: dict[str, Any] = field(default_factory=dict)
    precision: Precision = "fp32"

    def evaluation_steps(self) -> list[int]:
        """Return the steps after which the model is evaluated; the last one is ``steps``."""
        count = math.ceil(1 / self.every - 1e-9)
        marks = {round(k * self.every * self.steps) for k in range(1, count)}
        return sorted({min(max(mark, 1), self.steps) for mark in marks} | {self.steps})

    def probe_steps(self) -> set[int]:
        """Return the steps at which a cooldown branch is measured: none at full budget."""
        steps = [step for step in self.evaluation_steps() if step < self.steps]
        # the very comparison of `Rungs.passed`, so that no rounding parts a rung and its branch
        marks = [mark - TOLERANCE for mark in self.probe_at]
        passed = [[s for s in steps if 0 < mark <= s / self.steps] for mark in marks]
        return {later[0] for later in passed if later}
