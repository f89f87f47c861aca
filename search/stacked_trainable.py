"""The adapter between a stack of trials and Ray Tune: one step of Ray is an evaluation of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from ray import tune

from .carrier import ended_trials
from .running import RunningTrial
from .shared import Shared
from .stack import stackable, train_together
from .trainable import prepared_device
from .trial import TrainingDivergedError
from .watchdog import Pulse


class StackTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains the trials of one carrier side by side in one process, then those of the next.

    Those of one model are trained as one. A model that cannot be, such as one of a user's own
    with random numbers of its own, or that would not gain by the plan, is trained one trial after
    the other.
    """

    def setup(self, config: dict[str, Any], shared: Shared) -> None:
        """Prepare the first carrier of this process."""
        self._shared, self._device = shared, prepared_device(shared)
        self._running: list[RunningTrial] = []
        self._stackable: dict[str, bool] = {}
        self._next: dict[str, Any] | None = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next carrier in the same process."""
        self._running = []  # the old trials go first
        self._next = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train every trial that has not ended up to its next evaluation; return their results.

        They are in ``results``, each with the number of its trial, as `ScheduleTrainable` would
        return them one by one.
        """
        ended = ended_trials(self._shared.folder, self.trial_id)
        if self._next is not None:
            self._begin(self._next, ended)
            self._next = None
        self._running = [one for one in self._running if one.number not in ended]
        results = [result for group in self._groups() for result in self._advance(group)]
        over = {result["trial"] for result in results if result["done"]}
        self._running = [one for one in self._running if one.number not in over]
        return {"results": results, "done": not self._running}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: checkpoints lie in the search's folder, where any driver finds them."""

    def load_checkpoint(self, checkpoint: str) -> None:
        """Load nothing, see `save_checkpoint`."""

    def _begin(self, config: dict[str, Any], ended: set[int]) -> None:
        configs = [own for own in config["trials"] if own["trial"] not in ended]
        alive = self._signs_of_life([own["trial"] for own in configs])
        alive()
        self._running = [RunningTrial(own, self._shared, self._device, alive) for own in configs]
        self._models = {own["trial"]: own["model"] for own in configs}

    def _signs_of_life(self, numbers: Sequence[int]) -> Callable[[], None]:
        """Return what shows that all trials go on: one that waits for the others does."""
        seconds = self._shared.config.resources.hang_seconds
        pulses = [Pulse(self._shared.folder, number, seconds) for number in numbers]

        def alive() -> None:
            for pulse in pulses:
                pulse()

        return alive

    def _groups(self) -> Iterator[list[RunningTrial]]:
        by_model = sorted(self._running, key=lambda one: (self._models[one.number], one.number))
        for _, group in groupby(by_model, key=lambda one: self._models[one.number]):
            yield list(group)

    def _can_stack(self, one: RunningTrial) -> bool:
        model = self._models[one.number]
        if model not in self._stackable:
            self._stackable[model] = self._shared.plans[model].as_one and stackable(one.trial)
        return self._stackable[model]

    def _advance(self, group: list[RunningTrial]) -> Iterator[dict[str, Any]]:
        for one in group:
            one.save_if_due()
        together = len(group) > 1 and self._can_stack(group[0])
        errors = train_together([one.trial for one in group]) if together else None
        for i, one in enumerate(group):
            yield {"trial": one.number, **_result(one, errors[i] if errors else None, together)}


def _result(
    one: RunningTrial, error: TrainingDivergedError | None, trained: bool
) -> dict[str, Any]:
    try:
        if error is not None:
            raise error
        if not trained:
            one.trial.train()
        return one.reported(one.trial.report())
    except TrainingDivergedError as found:
        return one.diverged(found)
