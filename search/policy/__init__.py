"""The search policy, without Ray: which run comes next, which one stops, and why.

Everything here is a fold over what was measured: the same values in the same order give the same
decisions, whether Ray Tune asks for them, a replay on recorded curves, or a resumed search.

=============== ===================================================================
`space`         what may be tried: families of schedules and their parameters
`hyperspace`    the hyperparameters that are searched beside them, in one notation: `dimensions`
`proposer`      the next run: an arm, another seed of a good one, or a new schedule
`samplers`      what chooses new schedules; `surrogate` is what they believe
`race`          which configuration deserves another seed
`ladder`        the budgets of a search; `ladder_sampler` chooses among them, too
`earlier`       what earlier searches have shown
`stopping`      which run stops early, by `rungs`; the `rules` say where, on what, and when
`comparability` which values may be ranked against each other at all
`confirmation`  the runs of a confirmation, seed by seed
=============== ===================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .configuration import Configuration, Settings, settings_of, settings_text, with_settings
from .decision import FOREIGN, UNLIKE
from .dimensions import coordinates, dimension, nearest
from .earlier import Earlier, earlier_of
from .hyperspace import NOTHING, Hyperspace
from .ladder import Ladder, extrapolation

if TYPE_CHECKING:
    from .belief import Belief
    from .surrogate import MODELLED, ShapeSurrogate, fitted, worth_modelling

_LATER = ("Belief", "MODELLED", "ShapeSurrogate", "fitted", "worth_modelling")
__all__ = [
    "FOREIGN",
    "MODELLED",
    "NOTHING",
    "UNLIKE",
    "Belief",
    "Configuration",
    "Earlier",
    "Hyperspace",
    "Ladder",
    "Settings",
    "ShapeSurrogate",
    "coordinates",
    "dimension",
    "earlier_of",
    "extrapolation",
    "fitted",
    "nearest",
    "settings_of",
    "settings_text",
    "with_settings",
    "worth_modelling",
]


def __getattr__(name: str) -> Any:
    # only when asked for: whoever checks a config needs the names of the rules, and no torch
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".surrogate", __name__), name)
