"""The stopping rules, one file each: where a run is judged, on which value, and what stops it.

A new rule is one file here: a class with `register`, see ``late_cut.py``. It is then a value of
``stopping.policy`` and ``stopping.within``, judged in a search, planned, replayed and documented.
A rule of a user's own lies anywhere; a config names it ``module:Class``.
"""

import importlib
import pkgutil

from .base import Judgement, Rule, best_share
from .registry import register, rule, rules, spelled

__all__ = ["Judgement", "Rule", "best_share", "register", "rule", "rules", "spelled"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
