"""The adapter between a trial and Ray Tune: one step of Ray is one evaluation."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import torch
from ray import tune

from mollitune._files import resolve, write_atomic
from mollitune.schedules import Schedule

from .budget import Plan
from .checkpoints import Checkpoints, restore
from .config import SearchConfig
from .dataset import Splits
from .fid import Reference
from .patience import Patience, wait_seconds
from .picture import picture
from .trial import Evaluation, TrainingDivergedError, Trial, TrialSpec
from .watchdog import Pulse


@dataclass(frozen=True)
class Shared:
    """What all trials of a search share; Ray keeps one read-only copy per node.

    Arguments:
        config: The search.
        splits: The images.
        reference: What FID compares with.
        folder: Folder of the search, a path or URI.
        plans: For each model, how often and on how many samples it is evaluated.
        stage: ``search`` or ``confirm``, as in the tables.
    """

    config: SearchConfig
    splits: Splits
    reference: Reference
    folder: str
    plans: dict[str, Plan]
    stage: str = "search"

    def spec(self, config: dict[str, Any]) -> TrialSpec:
        """Return what a trial's config from the searcher means."""
        entry = self.config.model_entry(config["model"])
        stopping = self.config.stopping
        return TrialSpec(
            model=entry.name,
            schedule=Schedule.from_dict(config["schedule"]),
            seed=config["seed"],
            steps=self.config.steps_of(entry.name),
            every=self.plans[entry.name].every,
            batch_size=entry.batch_size,
            lr=entry.lr,
            clip_norm=entry.clip_norm,
            ema=self.config.fid.ema,
            probe_at=stopping.marks if stopping.rule == "probe" else (),
            probe_extra=stopping.probe_extra,
            preset=entry.preset,
            hparams=dict(entry.hparams),
        )


class ScheduleTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains one schedule after the other in one process; nothing of a trial survives it."""

    def setup(self, config: dict[str, Any], shared: Shared) -> None:
        """Prepare the first trial of this process."""
        torch.set_num_threads(max(1, int(shared.config.resources.cpu)))
        self._shared = shared
        self._trial: Trial
        self._evaluations: Iterator[Evaluation]
        self._next: dict[str, Any] | None = config
        # only a GPU that Ray has assigned: a search with resources.gpu=0 stays on the CPU
        self._device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next trial in the same process."""
        # the old trial goes first, so that two models never share the memory
        if self._next is None:
            del self._evaluations, self._trial
        self._next = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next evaluation and return it.

        The first step also builds the trial: whatever fails or hangs does so in here, where it is
        tried again and watched.

        A trial whose loss or samples diverged ends with the reason as ``failure``: the run is
        deterministic, so that trying again would not help. Any other exception is for Ray to
        retry.
        """
        if self._next is not None:
            self._begin(self._next)
            self._next = None
        # of what has been reported already: a checkpoint is never ahead of the record
        if self._trial.step > 0 and self._checkpoint_due():
            self._save()
        try:
            evaluation = next(self._evaluations)
        except TrainingDivergedError as error:
            return {"done": True, "failure": str(error), "step": self._trial.step}
        done = evaluation.progress >= 1 or evaluation.failure is not None
        if done:
            self._write_samples(evaluation.samples)
        return {
            **_columns(evaluation),
            "device": self._device_name(),
            "done": done,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: checkpoints lie in the search's folder, where any driver finds them."""

    def load_checkpoint(self, checkpoint: str) -> None:
        """Load nothing, see `save_checkpoint`."""

    def _begin(self, config: dict[str, Any]) -> None:
        shared = self._shared
        self._number: int = config["trial"]
        self._saved = time.monotonic()
        pulse = Pulse(shared.folder, self._number, shared.config.resources.hang_seconds)
        pulse()
        self._trial = Trial(
            shared.spec(config),
            shared.splits,
            shared.reference,
            shared.plans[config["model"]].samples,
            self._device,
            shared.config.fid.extra,
            pulse,
        )
        self._checkpoints = Checkpoints(shared.folder, self._number, Patience(wait_seconds()))
        restore(self._trial, self._checkpoints.load(self._device))
        self._evaluations = self._trial.run()

    def _save(self) -> None:
        # only a precaution: that the disk is full is for the record to find and to say
        with contextlib.suppress(OSError):
            self._checkpoints.save(self._trial.state_dict())
        self._saved = time.monotonic()

    def _checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved >= self._shared.config.resources.checkpoint_seconds

    def _write_samples(self, pixels: npt.NDArray[np.uint8]) -> None:
        filesystem, folder = resolve(self._shared.folder)
        path = f"{folder}/samples/{self._number:04d}.png"
        # a picture is worth some waiting, but not the trial
        with contextlib.suppress(OSError):
            Patience(wait_seconds())(lambda: write_atomic(filesystem, path, picture(pixels)))

    def _device_name(self) -> str:
        if self._device.type == "cuda":
            return torch.cuda.get_device_name(self._device)
        return f"cpu ({os.uname().machine})"


def _columns(evaluation: Evaluation) -> dict[str, Any]:
    row = asdict(evaluation)
    del row["samples"]
    return row
