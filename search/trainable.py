"""The adapter between a trial and Ray Tune: one step of Ray is one evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ray
import torch
from ray import tune

from .evaluation import Evaluation
from .running import RunningTrial
from .shared import Shared
from .trial import TrainingDivergedError
from .watchdog import Pulse


class ScheduleTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains one schedule after the other in one process; nothing of a trial survives it."""

    def setup(self, config: dict[str, Any], shared: Shared) -> None:
        """Prepare the first trial of this process."""
        self._shared, self._device = shared, prepared_device(shared)
        self._running: RunningTrial
        self._evaluations: Iterator[Evaluation]
        self._next: dict[str, Any] | None = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next trial in the same process."""
        # the old trial goes first, so that two models never share the memory
        if self._next is None:
            del self._evaluations, self._running
        self._next = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next evaluation and return it.

        The first step also builds the trial: whatever fails or hangs does so in here, where it is
        tried again and watched.

        A trial whose loss or samples diverged ends with the reason as ``failure``. Any other
        exception is for Ray to retry.
        """
        if self._next is not None:
            self._begin(self._next)
            self._next = None
        self._running.save_if_due()
        try:
            return self._running.reported(next(self._evaluations))
        except TrainingDivergedError as error:
            return self._running.diverged(error)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: checkpoints lie in the search's folder, where any driver finds them."""

    def load_checkpoint(self, checkpoint: str) -> None:
        """Load nothing, see `save_checkpoint`."""

    def _begin(self, config: dict[str, Any]) -> None:
        shared = self._shared
        pulse = Pulse(shared.folder, config["trial"], shared.config.resources.hang_seconds)
        pulse()
        self._running = RunningTrial(config, shared, self._device, pulse)
        self._evaluations = self._running.trial.run()


def prepared_device(shared: Shared) -> torch.device:
    """Return where trials of this process train, having told torch how many cores are theirs."""
    torch.set_num_threads(max(1, int(shared.config.resources.cpu)))
    # only a GPU that Ray has assigned: a search with resources.gpu=0 stays on the CPU
    return torch.device("cuda" if ray.get_gpu_ids() else "cpu")
