"""Copies of what a search reports for TensorBoard, MLflow and Weights & Biases, while it runs.

The tables are the record; these are for watching. So a logger that fails is switched off and
never ends a search.
"""

from __future__ import annotations

import importlib.util
import math
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune import Callback
from ray.tune.logger import LoggerCallback
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import Logger, SearchConfig

FOLDER = "tensorboard"
PACKAGES: dict[Logger, str] = {
    "tensorboard": "tensorboardX",  # a dependency of ray[tune]
    "mlflow": "mlflow",
    "wandb": "wandb",
}
SCALARS = (
    *("fid", "bpd", "train_loss", "level", "kid", "precision", "recall", "fid_infinity"),
    *("probe_fid", "non_finite_losses", "non_finite_samples", "step_seconds", "eval_seconds"),
)
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


def logger_callbacks(config: SearchConfig, folder: str, console: Console) -> list[Callback]:
    """Return Ray callbacks for the loggers of a search.

    Args:
        config: The search; the loggers are those that `check_loggers` has passed.
        folder: Its folder in full.
        console: Where a warning goes.
    """

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    make: dict[Logger, Callable[[], Callback]] = {
        "tensorboard": lambda: TensorBoard(folder),
        "mlflow": lambda: _mlflow(config.name),
        "wandb": lambda: _wandb(config.name, folder),
    }
    return [Tolerant(make[name](), name, say) for name in config.loggers]


class TensorBoard(LoggerCallback):  # type: ignore[misc]
    """Writes the scalars of each trial over its training steps, and its hyperparameters.

    The events of trial 7 lie in ``tensorboard/0007``, where a resumed trial goes on. Ray's own
    callback would write to Ray's folder, and count evaluations in place of steps.

    Arguments:
        folder: Folder of the search, a local path.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writers: dict[int, Any] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Open the trial's file, unless it is open."""
        from tensorboardX import SummaryWriter

        number = trial.config["trial"]
        if number not in self._writers:
            path = posixpath.join(self._folder, FOLDER, f"{number:04d}")
            self._writers[number] = SummaryWriter(path)
            self._write(number, _hyperparameters(trial.config)[:2])

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Write an evaluation; what is not finite is left out."""
        writer = self._writers[trial.config["trial"]]
        for name in SCALARS:
            value = result.get(name)
            if value is not None and math.isfinite(value):
                writer.add_scalar(name, value, result["step"])
        writer.flush()

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Close the trial's file."""
        number = trial.config["trial"]
        if not failed:
            self._write(number, _hyperparameters(trial.config)[2:])
        self._writers.pop(number).close()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close the files of trials that were cut off."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write(self, number: int, summaries: Sequence[Any]) -> None:
        for summary in summaries:
            self._writers[number].file_writer.add_summary(summary)


class Tolerant(Callback):  # type: ignore[misc]
    """Hands a logger what Ray reports until it fails; then says so and goes on without it.

    Arguments:
        logger: The logger.
        name: What to call it.
        say: Where the warning goes.
    """

    def __init__(self, logger: Callback, name: str, say: Callable[[str], None]) -> None:
        self._logger: Callback | None = logger
        self._name = name
        self._say = say

    def __getstate__(self) -> dict[str, Any]:
        # Ray pickles its callbacks, and nothing reads them again
        return {"_logger": None, "_name": self._name, "_say": str}

    def setup(self, *args: Any, **info: Any) -> None:
        """Connect the logger."""
        self._try("setup", *args, **info)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that starts."""
        self._try("on_trial_start", iteration, trials, trial, **info)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Hand over an evaluation."""
        self._try("on_trial_result", iteration, trials, trial, result, **info)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Tell of a trial that has ended."""
        self._try("on_trial_complete", iteration, trials, trial, **info)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of a trial that has failed."""
        self._try("on_trial_error", iteration, trials, trial, **info)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Let the logger finish."""
        self._try("on_experiment_end", trials, **info)

    def _try(self, event: str, *args: Any, **info: Any) -> None:
        if self._logger is None:
            return
        try:
            getattr(self._logger, event)(*args, **info)
        except Exception as error:  # another package's, or of the network: anything may come
            self._logger = None
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
