"""What Ray reads from the environment when it is imported; so this comes before any Ray import."""

import os
import secrets

_DEFAULTS = {
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


def set_defaults() -> None:
    """Set what the search needs of Ray; what the user has set stays."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def set_local_token() -> None:
    """Guard a Ray of our own with a token that lives as long as this process.

    Without it Ray would leave a token file in the home folder, which later changes how
    ``ray start`` and joining a cluster behave there.
    """
    if not any(name.startswith("RAY_AUTH_") for name in os.environ):
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
