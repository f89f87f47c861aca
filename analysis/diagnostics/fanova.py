"""fANOVA over a forest of regression trees, with an interval and with what chance would find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

TREES = 60
"""Trees of a forest, each on another bootstrap sample of the configurations."""
SHUFFLES = 20
"""How often the target is shuffled to see what chance finds."""
TOGETHER = " x "
"""Between the names of two features that are looked at together."""
_TREES_PER_SHUFFLE = 4
_DEPTH = 4  # sixteen leaves: deeper trees learn noise
_INTERVAL = (0.05, 0.95)

Array = npt.NDArray[np.float64]
Pair = tuple[str, str]


class Share(NamedTuple):
    """What one feature explains alone, or two only together, as a share of the variance.

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


def shares(
    features: Mapping[str, Sequence[float]], target: Sequence[float], pairs: Sequence[Pair] = ()
) -> dict[str, Share]:
    """Analyse the variance of a target by each of its features alone, and by some pairs.

    Args:
        features: By name, one value in [0, 1] per configuration; every feature takes more than
            one.
        target: One finite value per configuration.
        pairs: Two names each: what both explain together, beyond what each explains alone.

    Returns:
        A share for each feature, in their order, then one for each pair, named with `TOGETHER`;
        the same for the same input.
    """
    names = [*features, *(TOGETHER.join(pair) for pair in pairs)]
    values = np.asarray(target, dtype=float)
    if np.ptp(values) == 0:
        return dict.fromkeys(names, Share(0.0, 0.0, 0.0, 0.0))
    # in alphabetical order, so that the order of columns moves no number: ties are split by it
    columns = sorted(features)
    table = np.array([features[name] for name in columns], dtype=float).T
    place = {name: i for i, name in enumerate(columns)}
    asked = [[place[name]] for name in features] + [[place[a], place[b]] for a, b in pairs]
    rng = np.random.default_rng(0)
    trees = [_forest_shares(table, values, asked, 1, seed) for seed in range(TREES)]
    shuffled = [
        _forest_shares(table, rng.permutation(values), asked, _TREES_PER_SHUFFLE, seed)
        for seed in range(SHUFFLES)
    ]
    low, high = np.quantile(trees, _INTERVAL, axis=0)
    rows = (np.mean(trees, axis=0), low, high, np.quantile(shuffled, _INTERVAL[1], axis=0))
    return {
        name: Share(*row) for name, row in zip(names, np.transpose(rows).tolist(), strict=True)
    }


def _forest_shares(
    table: Array, values: Array, asked: Sequence[Sequence[int]], trees: int, seed: int
) -> list[float]:
    """The shares by a small forest. With one tree that is one bootstrap replicate."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(trees, max_depth=_DEPTH, random_state=seed).fit(table, values)
    found = [_Leaves(fitted.tree_) for fitted in forest.estimators_]
    # the few values of a bootstrap sample may all be equal
    known = [[tree.share(of) for of in asked] for tree in found if tree.variance > 0]
    return np.mean(known, axis=0).tolist() if known else [0.0] * len(asked)


class _Leaves:
    """A tree as what it is constant on: boxes that fill the unit cube, with a value each.

    Arguments:
        tree: A fitted tree of scikit-learn.
    """

    def __init__(self, tree: Any) -> None:
        low = np.zeros((tree.node_count, tree.n_features))
        high = np.ones_like(low)
        inner = np.flatnonzero(tree.children_left >= 0)
        for node in inner:  # parents stand before their children
            left, right = tree.children_left[node], tree.children_right[node]
            low[[left, right]], high[[left, right]] = low[node], high[node]
            high[left, tree.feature[node]] = low[right, tree.feature[node]] = tree.threshold[node]
        self._low, self._high = (np.delete(ends, inner, axis=0) for ends in (low, high))
        self._sizes = self._high - self._low
        self._volumes = self._sizes.prod(axis=1)
        values = np.delete(tree.value[:, 0, 0], inner)
        self._values: Array = values - self._volumes @ values
        self.variance = float(self._volumes @ self._values**2)

    def share(self, of: Sequence[int]) -> float:
        """The share of the variance that a feature explains alone, or two only together."""
        alone = sum(self._explained([feature]) for feature in of)
        explained = alone if len(of) == 1 else max(self._explained(of) - alone, 0.0)
        return explained / self.variance

    def _explained(self, of: Sequence[int]) -> float:
        """The variance that is left when all other features are averaged out."""
        weights = self._values * self._volumes / self._sizes[:, of].prod(axis=1)
        inside, widths = zip(*map(self._cells, of), strict=True)
        if len(of) == 1:
            return float(widths[0] @ (weights @ inside[0]) ** 2)
        both = (weights[:, None] * inside[0]).T @ inside[1]
        return float(widths[0] @ both**2 @ widths[1])

    def _cells(self, feature: int) -> tuple[Array, Array]:
        """Which leaves lie over each part of an axis, and how wide the parts are."""
        low, high = self._low[:, [feature]], self._high[:, [feature]]
        edges = np.unique([low, high])
        middles = (edges[1:] + edges[:-1]) / 2
        return ((low < middles) & (middles < high)).astype(float), np.diff(edges)
