"""What an evaluation of a trial tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Probe:
    """FID after a cooldown branch, and the steps that the branch took."""

    fid: float
    steps: int


@dataclass(frozen=True)
class Evaluation:
    """What is known of a trial after some steps; the fields are columns of ``reports``.

    Two are not: ``samples`` for a picture, and ``failure``, why the trial cannot go on, if so.
    """

    step: int
    progress: float
    level: float
    phase: str
    fid: float
    kid: float | None
    precision: float | None
    recall: float | None
    fid_infinity: float | None
    bpd: float
    train_loss: float
    non_finite_losses: int
    non_finite_samples: int
    probe_fid: float | None
    probe_steps: int
    step_seconds: float
    eval_seconds: float
    samples: npt.NDArray[np.uint8]
    failure: str | None = None
