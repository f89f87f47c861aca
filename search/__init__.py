"""What to try, the training of a trial, the launch on Ray Tune, and the command line.

=============== =========================================================
`policy`        what comes next and what stops; no Ray
`store`         all that lies on disk
`data`          images
`metrics`       FID and its companions
`training`      one trial or a stack of them; no Ray
`tune`          the only place that imports Ray
`launch`        search, confirm, resume
`replay`        the policy on recorded curves
`production`    ``mollitune train``
=============== =========================================================

`config` says what a YAML file may hold, `terminal` what a person sees, `cli` is the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .production.trained import load_model
    from .store.schema import describe

__all__ = ["describe", "load_model"]

_FROM = {"describe": ".store.schema", "load_model": ".production.trained"}


def __getattr__(name: str) -> Any:
    # only when asked for: torch and PyArrow take their time, and most commands need one of them
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FROM[name], __name__), name)
