"""What the driver need not keep of a trial that has ended."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback


class Forgetting(Callback):  # type: ignore[misc]
    """Lets Ray forget its running statistics of trials that have ended.

    Of every number that a trial reports Ray keeps six statistics and the last ten values: 37 kB
    per trial, two thirds of what a trial costs the driver, and more in each of Ray's snapshots.
    Nobody asks for them here.
    """

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Forget the statistics of a trial that was trained to its end, or stopped."""
        _forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget the statistics of a trial that failed for good."""
        _forget(trial)


def _forget(trial: Any) -> None:
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()
