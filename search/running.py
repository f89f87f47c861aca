"""A trial in a process of Ray: built, restored, reported and saved."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mollitune._files import resolve, write_atomic

from .checkpoints import Checkpoints, restore
from .evaluation import Evaluation
from .patience import Patience, wait_seconds
from .picture import picture
from .shared import Shared
from .trial import TrainingDivergedError, Trial


class RunningTrial:
    """One trial with its place in the search's folder.

    Arguments:
        config: The trial's config from the searcher.
        shared: What all trials share.
        device: Where to train.
        alive: Called before every training step and every batch of an evaluation.

    Attributes:
        number: The trial's number.
        trial: The trial, as its last checkpoint left it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        shared: Shared,
        device: torch.device,
        alive: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._device = device
        self.number: int = config["trial"]
        self._saved = time.monotonic()
        self.trial = Trial(
            shared.spec(config),
            shared.splits,
            shared.reference,
            shared.plans[config["model"]].samples,
            device,
            shared.config.fid.extra,
            alive,
            compiled=shared.config.resources.compile,
        )
        self._checkpoints = Checkpoints(shared.folder, self.number, Patience(wait_seconds()))
        restore(self.trial, self._checkpoints.load(device))

    def save_if_due(self) -> None:
        """Save what has been reported already: a checkpoint is never ahead of the record."""
        due = time.monotonic() - self._saved >= self._shared.config.resources.checkpoint_seconds
        if self.trial.step == 0 or not due:
            return
        # only a precaution: that the disk is full is for the record to find and to say
        with contextlib.suppress(OSError):
            self._checkpoints.save(self.trial.state_dict())
        self._saved = time.monotonic()

    def reported(self, evaluation: Evaluation) -> dict[str, Any]:
        """Return an evaluation as Ray's result; the last one leaves a picture behind."""
        done = evaluation.progress >= 1 or evaluation.failure is not None
        if done:
            self._write_samples(evaluation.samples)
        row = asdict(evaluation)
        del row["samples"]
        return {**row, "device": self._device_name(), "done": done}

    def diverged(self, error: TrainingDivergedError) -> dict[str, Any]:
        """Return Ray's result of a training that diverged.

        It is deterministic, so that trying again would not help.
        """
        return {"done": True, "failure": str(error), "step": self.trial.step}

    def _write_samples(self, pixels: npt.NDArray[np.uint8]) -> None:
        filesystem, folder = resolve(self._shared.folder)
        path = f"{folder}/samples/{self.number:04d}.png"
        # a picture is worth some waiting, but not the trial
        with contextlib.suppress(OSError):
            Patience(wait_seconds())(lambda: write_atomic(filesystem, path, picture(pixels)))

    def _device_name(self) -> str:
        if self._device.type == "cuda":
            return torch.cuda.get_device_name(self._device)
        return f"cpu ({os.uname().machine})"
