"""Copies of what a search reports for TensorBoard, MLflow and Weights & Biases, while it runs.

The tables are the record; these are for watching. So a logger that fails is switched off and
never ends a search.
"""

from __future__ import annotations

import importlib.util
import math
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import Logger, SearchConfig
from mollitune.search.store.evaluation import is_logged, measured

FOLDER = "tensorboard"
PACKAGES: dict[Logger, str] = {
    "tensorboard": "tensorboardX",  # a dependency of ray[tune]
    "mlflow": "mlflow",
    "wandb": "wandb",
}
_PROJECT = "mollitune"


def check_loggers(loggers: Sequence[Logger], folder: str) -> None:
    """Check that loggers can be used, before anything starts.

    Args:
        loggers: Their names.
        folder: Folder of the search, a path or URI.

    Raises:
        MollituneError: If a package is missing, or TensorBoard would have to write to a URI.
    """
    for name in loggers:
        spec = importlib.util.find_spec(PACKAGES[name])
        if spec is None or spec.origin is None:  # a folder of that name is no package
            raise MollituneError(
                f"loggers: {name} needs a package that is not installed; pip install "
                f"{PACKAGES[name]}, or leave it out of loggers"
            )
    if "tensorboard" in loggers and "://" in folder:
        raise MollituneError(
            f"loggers: tensorboard writes to a local folder only, not to {folder}; leave it out, "
            "or set results instead of storage"
        )


class RunLogger(Protocol):
    """What is told of each run while it happens."""

    def started(self, config: Mapping[str, Any], ray_trial: Any) -> None:
        """Learn that a run starts, once more perhaps; ``ray_trial`` is Ray's trial with it."""

    def reported(self, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Learn of a new evaluation."""

    def ended(self, config: Mapping[str, Any], failed: bool) -> None:
        """Learn that a run has ended; ``failed``: its process did."""

    def close(self) -> None:
        """Finish; runs that are still open were cut off."""


def run_loggers(config: SearchConfig, folder: str, console: Console) -> list[RunLogger]:
    """Return the loggers of a search.

    Args:
        config: The search; the loggers are those that `check_loggers` has passed.
        folder: Its folder in full.
        console: Where a warning goes.
    """

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    make: dict[Logger, Callable[[], RunLogger]] = {
        "tensorboard": lambda: TensorBoard(folder),
        "mlflow": lambda: RayLogger(_mlflow(config.name)),
        "wandb": lambda: RayLogger(_wandb(config.name, folder)),
    }
    return [Tolerant(make[name], name, say) for name in config.loggers]


class TensorBoard:
    """Writes the scalars of each trial over its training steps, and its hyperparameters.

    The events of trial 7 lie in ``tensorboard/0007``, where a resumed trial goes on.

    Arguments:
        folder: Folder of the search, a local path.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writers: dict[int, Any] = {}

    def started(self, config: Mapping[str, Any], ray_trial: Any) -> None:
        """Open the trial's file, unless it is open."""
        from tensorboardX import SummaryWriter

        number = config["trial"]
        if number not in self._writers:
            path = posixpath.join(self._folder, FOLDER, f"{number:04d}")
            self._writers[number] = SummaryWriter(path)
            self._write(number, _hyperparameters(config)[:2])

    def reported(self, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Write an evaluation; what is not finite is left out."""
        writer = self._writers[config["trial"]]
        for name, value in measured(result).items():
            if is_logged(name) and value is not None and math.isfinite(value):
                writer.add_scalar(name, value, result["step"])
        writer.flush()

    def ended(self, config: Mapping[str, Any], failed: bool) -> None:
        """Close the trial's file."""
        number = config["trial"]
        if not failed:
            self._write(number, _hyperparameters(config)[2:])
        self._writers.pop(number).close()

    def close(self) -> None:
        """Close the files of trials that were cut off."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write(self, number: int, summaries: Sequence[Any]) -> None:
        for summary in summaries:
            self._writers[number].file_writer.add_summary(summary)


class RayLogger:
    """Tells a logger of Ray's, which knows Ray's trials only, of each run as if it were one.

    Arguments:
        callback: The logger.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._callback.setup()
        self._trials: dict[int, Trial] = {}

    def started(self, config: Mapping[str, Any], ray_trial: Any) -> None:
        """Tell of a trial with the run's config, in the folder of the process that trains it."""
        number = config["trial"]
        self._trials[number] = Trial(
            "mollitune",
            config=dict(config),
            trial_id=f"{number:04d}",
            storage=ray_trial.storage,
            stub=True,
            _setup_default_resource=False,
        )
        self._callback.on_trial_start(0, [], self._trials[number])

    def reported(self, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Tell of an evaluation; its place is the training step."""
        step = {"timesteps_total": result["step"], "training_iteration": result["step"]}
        trial = self._trials[config["trial"]]
        self._callback.on_trial_result(0, [], trial, {**result, **step})

    def ended(self, config: Mapping[str, Any], failed: bool) -> None:
        """Tell of the end of a trial."""
        trial = self._trials.pop(config["trial"], None)
        if trial is None:
            return  # it failed before it had started
        tell = self._callback.on_trial_error if failed else self._callback.on_trial_complete
        tell(0, [], trial)

    def close(self) -> None:
        """Tell of the end of the search."""
        self._callback.on_experiment_end([])


class Tolerant:
    """Tells a logger what happens until it fails; then says so and goes on without it.

    Arguments:
        make: Connects the logger, when the first run starts.
        name: What to call it.
        say: Where the warning goes.
    """

    def __init__(
        self, make: Callable[[], RunLogger], name: str, say: Callable[[str], None]
    ) -> None:
        self._make = make
        self._name = name
        self._say = say
        self._logger: RunLogger | None = None
        self._failed = False

    def started(self, config: Mapping[str, Any], ray_trial: Any) -> None:
        """Tell of a run that starts."""
        self._try(lambda logger: logger.started(config, ray_trial))

    def reported(self, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Tell of an evaluation."""
        self._try(lambda logger: logger.reported(config, result))

    def ended(self, config: Mapping[str, Any], failed: bool) -> None:
        """Tell of a run that has ended."""
        self._try(lambda logger: logger.ended(config, failed))

    def close(self) -> None:
        """Let the logger finish."""
        self._try(lambda logger: logger.close())

    def _try(self, tell: Callable[[RunLogger], None]) -> None:
        if self._failed:
            return
        try:
            self._logger = self._logger or self._make()
            tell(self._logger)
        except Exception as error:  # another package's, or of the network: anything may come
            self._failed = True
            self._say(
                f"warning: the logger {self._name} fails ({type(error).__name__}: "
                f"{first_line(error)}) and gets no more of this search; the tables have it all"
            )


def _hyperparameters(config: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return what TensorBoard's HPARAMS wants: what there is, this trial's values, its end."""
    from tensorboardX.summary import hparams

    schedule = config["schedule"]
    chosen = {
        **{name: config[name] for name in ("model", "seed", "configuration")},
        "family": schedule["family"],
        **schedule["params"],
        **config.get("settings", {}),
    }
    found: tuple[Any, Any, Any] = hparams(chosen, dict.fromkeys(("fid", "bpd")))
    return found


def _mlflow(name: str) -> Callback:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    return MLflowLoggerCallback(experiment_name=name)


def _wandb(name: str, folder: str) -> Callback:
    from ray.air.integrations.wandb import WandbLoggerCallback

    # by default its files, all there is when it is offline, would go with Ray's temporary folder
    place = {} if "://" in folder else {"dir": folder}
    return WandbLoggerCallback(project=_PROJECT, group=name, **place)
