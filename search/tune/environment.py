"""What Ray reads from the environment while a search runs, and which cluster is meant."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from mollitune.search.config import SearchConfig

LOCAL = "local"
_QUIET = ("ray.tune", "ray.widgets")
"""Tracebacks of every attempt, which we keep in files; advice on packages for notebooks."""
_OURS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # the tables are ours: no result files, no snapshots that nothing reads, no output of Tune's
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextlib.contextmanager
def ray_environment() -> Iterator[None]:
    """Set what a search needs of Ray, and let it be quiet, until the end of the block.

    What the user has set in the environment stays.
    """
    added = {name: value for name, value in _OURS.items() if name not in os.environ}
    loggers = [logging.getLogger(name) for name in _QUIET]
    levels = [logger.level for logger in loggers]
    os.environ.update(added)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def set_local_token() -> None:
    """Guard a Ray of our own with a token that is in no file and ends with this process.

    Without it Ray would leave a token file in the home folder, which later changes how
    ``ray start`` and joining a cluster behave there. Where there is such a file, Ray takes it.
    """
    named = any(name.startswith("RAY_AUTH_") for name in os.environ)
    if not named and not (Path.home() / ".ray" / "auth_token").exists():
        # the mode is left to Ray, which may be imported already, and would not look again
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def address_of(config: SearchConfig) -> str | None:
    """Return the cluster to join: the config's, else that of ``RAY_ADDRESS``; None: none."""
    address = config.address or os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", LOCAL) else address
