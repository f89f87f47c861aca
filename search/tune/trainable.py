"""What runs in a worker: trials, one or many; a step of Ray is an evaluation of each."""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ray import tune

from mollitune._folder import Folder, StorageError
from mollitune._own import given
from mollitune.search.data.decoding import picture
from mollitune.search.store.evaluation import Evaluation
from mollitune.search.store.retry import Retry, wait_seconds
from mollitune.search.training.checkpoints import Checkpoints, restore
from mollitune.search.training.stack import EACH_ITS_OWN, stackable, train_together
from mollitune.search.training.trial import TrainingDivergedError, Trial

from . import beacon
from .context import Context
from .device import in_own_memory, prepared_device
from .faults import may_pass, reason
from .watchdog import Pulse

Kind = tuple[str, str]
"""A model, and the hyperparameters in which the trials of a stack must be alike."""


def kind_of(config: Mapping[str, Any]) -> Kind:
    """Return what a trial has in common with those that it can be trained with as one."""
    settings = config.get("settings", {})
    alike = {name: value for name, value in settings.items() if name not in EACH_ITS_OWN}
    return config["model"], json.dumps(alike, sort_keys=True)


class RunsTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains the runs of one of Ray's trials side by side in one process, then those of the next.

    Those of one model and of equal sizes are trained as one. A model that cannot be, such as one
    of a user's own with random numbers of its own, or that would not gain by the plan, is trained
    one trial after the other.
    """

    def setup(self, config: dict[str, Any], context: Context) -> None:
        """Prepare for the first runs of this process."""
        given.update(context.own)
        self._context = context
        self._running: list[RunningTrial] = []
        self._stackable: dict[Kind, bool] = {}
        self._next: dict[str, Any] | None = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare for the next runs in the same process."""
        self._running = []  # the old trials go first
        self._next = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train every trial that has not ended up to its next evaluation; return their results.

        They are in ``results``, each with the number of its trial. The first step also builds the
        trials: whatever fails or hangs does so in here, where it is tried again and watched.

        A trial whose loss or samples diverged ends with the reason as ``failure``, one that met an
        exception which would come again with that as ``error``. Others are for Ray to retry.
        """
        with in_own_memory():
            return self._step(self._ended())

    def _step(self, ended: set[int]) -> dict[str, Any]:
        results = self._begin(ended)
        results += [result for one in self._running for result in one.repeated()]
        self._running = [one for one in self._running if one.number not in ended]
        results += [result for group in self._groups() for result in self._advance(group)]
        over = {result["trial"] for result in results if result["done"]}
        self._running = [one for one in self._running if one.number not in over]
        return {"results": results, "done": not self._running}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: checkpoints lie in the search's folder, where any driver finds them."""

    def load_checkpoint(self, checkpoint: str) -> None:
        """Load nothing, see `save_checkpoint`."""

    def _ended(self) -> set[int]:
        """Return the trials that have ended, as the driver says: also what was stopped.

        A process that Ray started again reads here what the one before it had done.
        """
        found = beacon.get(self._context.folder, beacon.ENDED, self.trial_id)
        return set(found) if isinstance(found, list) else set()

    def _begin(self, ended: set[int]) -> list[dict[str, Any]]:
        """Build the next trials, if there are some; return the results of what cannot be built."""
        if self._next is None:
            return []
        configs = [own for own in self._next["trials"] if own["trial"] not in ended]
        self._next = None
        try:
            self._build(configs)
        except Exception as error:
            if may_pass(error):
                raise
            return [{"trial": own["trial"], **_failed(error)} for own in configs]
        return []

    def _build(self, configs: Sequence[Mapping[str, Any]]) -> None:
        context, device = self._context, prepared_device(self._context.config)
        # one for all: a trial that waits for the others goes on, too
        pulse = Pulse(context.folder, self.trial_id, context.config.resources.hang_seconds)
        pulse()
        self._kinds = {own["trial"]: kind_of(own) for own in configs}
        self._running = [RunningTrial(own, context, device, pulse) for own in configs]
        if resumed := {str(one.number): one.trial.step for one in self._running if one.trial.step}:
            beacon.put(context.folder, beacon.RESUMED, self.trial_id, resumed)

    def _groups(self) -> Iterator[list[RunningTrial]]:
        by_kind = sorted(self._running, key=lambda one: (self._kinds[one.number], one.number))
        for _, group in groupby(by_kind, key=lambda one: self._kinds[one.number]):
            yield list(group)

    def _can_stack(self, one: RunningTrial) -> bool:
        kind = self._kinds[one.number]
        if kind not in self._stackable:
            gains = self._context.plans[kind[0]].as_one or one.trial.graphs
            self._stackable[kind] = gains and stackable(one.trial)
        return self._stackable[kind]

    def _advance(self, group: list[RunningTrial]) -> Iterator[dict[str, Any]]:
        for one in group:
            one.save_if_due()
        together = (len(group) > 1 or group[0].trial.graphs) and self._can_stack(group[0])
        errors = _train_together(group) if together else None
        for i, one in enumerate(group):
            yield {"trial": one.number, **_result(one, errors[i] if errors else None, together)}


def _train_together(group: list[RunningTrial]) -> Sequence[Exception | None]:
    try:
        return train_together(
            [one.trial for one in group],
            lambda: any(one.due for one in group),
            lambda trial: next(one for one in group if one.trial is trial).save(),
        )
    except Exception as error:
        if may_pass(error):
            raise
        return [error] * len(group)  # who of them it was cannot be told


def _result(one: RunningTrial, error: Exception | None, trained: bool) -> dict[str, Any]:
    try:
        if error is not None:
            raise error
        if not trained:
            one.trial.train(one.save_if_due)
        return one.reported(one.trial.report())
    except TrainingDivergedError as found:
        return one.diverged(found)
    except Exception as found:
        if may_pass(found):
            raise
        return _failed(found)


def _failed(error: Exception) -> dict[str, Any]:
    """Return the result of a trial that met what the same steps would meet again."""
    told = "".join(traceback.format_exception(error))
    return {"done": True, "error": reason(told), "traceback": told}


class RunningTrial:
    """One trial with its place in the search's folder.

    Arguments:
        config: The trial's config from the searcher.
        context: What all trials share.
        device: Where to train.
        alive: Called before every training step and every batch of an evaluation.

    Attributes:
        number: The trial's number.
        trial: The trial, as its last checkpoint left it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        context: Context,
        device: torch.device,
        alive: Callable[[], None],
    ) -> None:
        self._context = context
        self._device = device
        self.number: int = config["trial"]
        self._saved = time.monotonic()
        self._reported: list[dict[str, Any]] = []
        self.trial = Trial(
            context.spec(config),
            context.splits,
            context.reference,
            context.plans[config["model"]].samples,
            device,
            context.config.fid.extra,
            alive,
            compiled=context.config.resources.compile,
            graphs=context.config.resources.cuda_graphs,
        )
        self._checkpoints = Checkpoints(context.folder, self.number, Retry(wait_seconds()))
        state = restore(self.trial, self._checkpoints.load(device))
        self._to_repeat = self._reported = [] if state is None else state.get("reported", [])

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is so old that another one is due."""
        return time.monotonic() - self._saved >= self._context.config.resources.checkpoint_seconds

    def save_if_due(self) -> None:
        """Save the trial, now and then."""
        if self.trial.step > 0 and self.due:
            self.save()

    def save(self) -> None:
        """Save the trial, and what it reported: a driver may be killed before that is written."""
        state = {**self.trial.state_dict(), "reported": self._reported}
        # only a precaution: that the disk is full is for the record to find and to say
        with contextlib.suppress(OSError):
            self._checkpoints.save(state)
        self._saved = time.monotonic()

    def reported(self, evaluation: Evaluation) -> dict[str, Any]:
        """Return an evaluation as Ray's result; the last one leaves a picture behind."""
        done = evaluation.progress >= 1 or evaluation.failure is not None
        if done:
            self._write_samples(evaluation.samples)
        result = {**evaluation.row(), "device": self._device_name(), "done": done}
        self._reported = [*self._reported, result]
        return result

    def repeated(self) -> list[dict[str, Any]]:
        """Return, once, what was reported before the trial was cut off: the driver knows most."""
        found, self._to_repeat = self._to_repeat, []
        return [{"trial": self.number, **result} for result in found]

    def diverged(self, error: TrainingDivergedError) -> dict[str, Any]:
        """Return Ray's result of a training that diverged.

        It is deterministic, so that trying again would not help.
        """
        return {"done": True, "failure": str(error), "step": self.trial.step}

    def _write_samples(self, pixels: npt.NDArray[np.uint8]) -> None:
        name = f"samples/{self.number:04d}.png"
        # a picture is worth some waiting, but not the trial
        with contextlib.suppress(StorageError):
            Folder(self._context.folder).write(name, picture(pixels), Retry(wait_seconds()))

    def _device_name(self) -> str:
        if self._device.type == "cuda":
            return torch.cuda.get_device_name(self._device)
        return f"cpu ({os.uname().machine})"
