"""What a schedule does by itself: at equal hyperparameters, over all that were tried."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from mollitune.analysis.tables.configurations import told
from mollitune.analysis.words import fid_text
from mollitune.schedules import Schedule, build
from mollitune.search.policy import MODELLED, Configuration, Hyperspace, ShapeSurrogate


class Equal(NamedTuple):
    """FID to expect of a schedule minus that of vanilla at the same hyperparameters.

    Attributes:
        mean: The mean over all hyperparameters that were tried; negative is better.
        low: 5 % of them lie below.
        high: 5 % of them lie above.
        metric: What it is of.
    """

    mean: float
    low: float
    high: float
    metric: str = "FID"

    @property
    def sentence(self) -> str:
        """It in words."""
        ends = " to ".join(fid_text(end, signed=True) for end in (self.low, self.high))
        mean = fid_text(self.mean, signed=True)
        return (
            f"at equal hyperparameters the schedule changes {self.metric} by {mean} "
            f"({ends} as they vary)"
        )


def equal_hyperparameters(
    runs: pd.DataFrame,
    schedule: Schedule,
    space: Hyperspace,
    metric: str = "FID",
    target: float | None = None,
) -> Equal | None:
    """Return what a `ShapeSurrogate` believes that a schedule does by itself.

    Args:
        runs: Comparable rows of ``reports`` of one model, measured alike.
        schedule: The schedule.
        space: The hyperparameters that were searched.
        metric: What the runs' ``fid`` is.
        target: The budget, as `Configuration.scale` has it, where runs are of several; None: that
            of all runs.

    Returns:
        The difference; None for vanilla, where none were searched, or with fewer than `MODELLED`
        configurations.
    """
    if not space or schedule.family == "vanilla":
        return None
    found, _, fids, seeds = told(runs, space)
    known = [configuration for configuration in found if configuration is not None]
    if len(known) < max(MODELLED, len(found)):
        return None
    scale = known[0].scale if target is None else target
    surrogate = ShapeSurrogate(known, fids, seeds, space, budgets=(scale,))
    tried = list(dict.fromkeys(configuration.settings for configuration in known))
    with_it, without = (
        surrogate.at([Configuration(own, settings, scale) for settings in tried]).fid
        for own in (schedule, build("vanilla"))
    )
    gaps = with_it - without
    low, high = np.quantile(gaps, [0.05, 0.95])
    return Equal(float(gaps.mean()), float(low), float(high), metric)
