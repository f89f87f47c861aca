"""fANOVA through Optuna, with an interval and with what chance would find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

TREES = 60
"""Trees of a forest, each on another bootstrap sample of the configurations."""
SHUFFLES = 20
"""How often the target is shuffled to see what chance finds."""
_TREES_PER_SHUFFLE = 4
_DEPTH = 4  # sixteen leaves: deeper trees learn noise, and take minutes for 1,000 configurations
_INTERVAL = (0.05, 0.95)


class Share(NamedTuple):
    """What one feature explains alone, as a share of the variance of the target.

    Attributes:
        importance: Mean over the trees.
        low: The share that 5 % of the trees stay below.
        high: The share that 5 % of the trees exceed.
        chance: The share that 5 % of the analyses of a shuffled target exceed.
    """

    importance: float
    low: float
    high: float
    chance: float


def shares(features: Mapping[str, Sequence[float]], target: Sequence[float]) -> dict[str, Share]:
    """Analyse the variance of a target by each of its features alone.

    Args:
        features: By name, one value in [0, 1] per configuration; every feature takes more than
            one.
        target: One finite value per configuration.

    Returns:
        A share for each feature, in their order; the same for the same input.
    """
    names, values = list(features), np.asarray(target, dtype=float)
    if np.ptp(values) == 0:
        return dict.fromkeys(names, Share(0.0, 0.0, 0.0, 0.0))
    rng = np.random.default_rng(0)
    with _silent():
        study = _study(features)
        trees = [_tree_shares(study, names, values, 1, seed) for seed in range(TREES)]
        shuffled = [
            _tree_shares(study, names, rng.permutation(values), _TREES_PER_SHUFFLE, seed)
            for seed in range(SHUFFLES)
        ]
    low, high = np.quantile(trees, _INTERVAL, axis=0)
    columns = (np.mean(trees, axis=0), low, high, np.quantile(shuffled, _INTERVAL[1], axis=0))
    return {
        name: Share(*row) for name, row in zip(names, np.transpose(columns).tolist(), strict=True)
    }


def _tree_shares(
    study: Study, names: Sequence[str], values: npt.NDArray[np.float64], trees: int, seed: int
) -> list[float]:
    """The shares by a small forest. With one tree that is one bootstrap replicate."""
    from optuna.importance import FanovaImportanceEvaluator

    def target(trial: FrozenTrial) -> float:
        return float(values[trial.number])

    evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=_DEPTH, seed=seed)
    try:
        found = evaluator.evaluate(study, target=target)
    except RuntimeError:  # the few values of this bootstrap sample are all equal
        return [0.0] * len(names)
    return [float(found[name]) for name in names]


def _study(features: Mapping[str, Sequence[float]]) -> Study:
    """A study whose trial i holds the features of configuration i; its values are not used."""
    from optuna import create_study
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.trial import create_trial

    distributions: dict[str, BaseDistribution] = {
        name: FloatDistribution(0.0, 1.0) for name in features
    }
    study = create_study()
    study.add_trials(
        create_trial(
            params=dict(zip(features, row, strict=True)), distributions=distributions, value=0.0
        )
        for row in zip(*features.values(), strict=True)
    )
    return study


@contextmanager
def _silent() -> Iterator[None]:
    """Optuna without its notes on a terminal, as it was afterwards."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
