"""The analysis of variance against Optuna's, and where it can be done by hand."""

import numpy as np
import pytest
from optuna import create_study
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial

from mollitune.analysis.diagnostics import fanova
from mollitune.analysis.diagnostics.fanova import TOGETHER, shares


def test_shares_alone_are_those_of_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanova, "TREES", 3)
    rng = np.random.default_rng(0)
    # not in alphabetical order, and one with ties
    columns = {"b": rng.random(40), "a": rng.random(40), "c": np.round(rng.random(40))}
    target = columns["a"] * columns["b"] + 0.1 * rng.normal(size=40)
    found = shares({name: values.tolist() for name, values in columns.items()}, target.tolist())

    study = create_study()
    kinds: dict[str, BaseDistribution] = dict.fromkeys(columns, FloatDistribution(0, 1))
    for value, *row in zip(target.tolist(), *columns.values(), strict=True):
        params = dict(zip(columns, map(float, row), strict=True))
        study.add_trial(create_trial(params=params, distributions=kinds, value=value))
    trees = [
        FanovaImportanceEvaluator(n_trees=1, max_depth=4, seed=seed).evaluate(study)
        for seed in range(3)
    ]
    for name, share in found.items():
        values = [tree[name] for tree in trees]
        assert share.importance == pytest.approx(np.mean(values))
        assert (share.low, share.high) == pytest.approx(np.quantile(values, (0.05, 0.95)))


def test_the_shares_of_a_table_of_four_cells_are_those_by_hand() -> None:
    """Every cell of a grid many times, so that all trees know the four values."""
    grid = [(a, b) for a in (0.0, 1.0) for b in (0.0, 1.0)] * 20
    features = {"a": [a for a, _ in grid], "b": [b for _, b in grid]}
    # on the average a adds 2.5 and b 1.5; with a, b adds 1.5 more than that, without it 1.5 less
    found = shares(features, [2 + a + 3 * a * b for a, b in grid], [("a", "b")])
    assert list(found) == ["a", "b", f"a{TOGETHER}b"]
    main, other, both = 2.5**2, 1.5**2, 1.5**2
    for share, variance in zip(found.values(), (main, other, both), strict=True):
        assert share.importance == pytest.approx(variance / (main + other + both))
