"""Which parameters and which features of a schedule's shape move the FID.

| An Efficient Approach for Assessing Hyperparameter Importance (Hutter, Hoos, Leyton-Brown, 2014)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mollitune._errors import MollituneError
from mollitune.analysis.tables.comparable import comparable_reports, longest, require_alike
from mollitune.analysis.tables.configurations import parameters
from mollitune.analysis.tables.results import Results
from mollitune.search.store import COMPARABLE_WITHIN, PARAMS_PREFIX, SHAPE_PREFIX

from .fanova import Pair, shares

FEWEST = 8
"""Configurations with a complete run below which nothing is said."""
_KINDS = ("parameter", "shape")
_ALL = "all"
_OF_SCHEDULES = ("until", "family")  # what all schedules have
_REDUNDANT = f"{SHAPE_PREFIX}clean_steps"  # the clean share once more, in steps
_COLUMNS = {
    "model": "str",
    "kind": "str",
    "within": "str",
    "name": "str",
    "importance": "float64",
    "low": "float64",
    "high": "float64",
    "chance": "float64",
    "configurations": "int64",
}


def importance(
    results: Results, model: str | None = None, kind: str | None = None, family: str | None = None
) -> pd.DataFrame:
    """Tell which share of the variance of log FID each parameter and shape feature explains alone.

    By fANOVA: of a forest of regression trees over the configurations, the share of the variance
    that is left when all other features are averaged out. What features do only together belongs
    to none of them, so shares need not add up to 1. The target is the logarithm of FID, averaged
    over the seeds of a configuration; not the expected FID, which leans on the shapes already. Of
    several budgets the largest counts.
    Numbers enter by their ranks, so no unit, logarithm or outlier matters, and a share is over
    what was tried, evenly.

    fANOVA needs parameters that every configuration has, but those of a schedule depend on its
    family. So there are three questions:

    - ``shape``: features of the curve, which every schedule has. They go together, and two that
      tell the same share what they explain.
    - ``parameter`` within all: the family, ``until``, the share of training that is mollified (0
      for vanilla), which all schedules have, and the hyperparameters that were searched. Each of
      these is also looked at together with ``until`` and with the family, in rows such as ``lr x
      until``: the share that both explain beyond what each explains alone. It is large if the
      best ``until`` depends on the learning rate.
    - ``parameter`` within one family: its own, named ``sigmoid.tau``, with shares of the variance
      within that family.

    (Optuna's PED-ANOVA knows conditional parameters and would give one list. But it compares the
    best configurations with all, and a family has only a few of these: with shuffled FIDs of a
    recorded search of 64 configurations, a single parameter of one family reached 0.7.)

    Few noisy values look important by luck. ``low`` to ``high`` shows how much depends on which
    configurations were tried: every tree sees another bootstrap sample of them. ``chance`` is what
    the same analysis finds in shuffled FIDs: an importance below it shows nothing. That is strict
    where another feature explains much, as less is left to noise than in shuffled FIDs.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.
        kind: Only ``parameter`` or only ``shape``; both by default.
        family: The family whose own parameters are looked at; by default, of those with at least
            8 configurations, that with the lowest mean FID of one.

    Returns:
        One row per feature that took more than one value, or pair, sorted by ``model``, ``kind``,
        ``within`` (``all`` first) and falling ``importance``: ``model``, ``kind``, ``within``
        (``all``, or a family), ``name``, ``importance`` (in [0, 1]), its 90 % interval ``low`` to
        ``high``, ``chance`` (exceeded by 5 % of 20 shuffles) and ``configurations`` (how many are
        behind it). No rows where fewer than 8 configurations have a complete run. The same
        results give the same numbers.

    Raises:
        MollituneError: If the search has no such model, there is no such kind or family, or the
            FIDs of a model were not all measured alike.
    """
    if kind is not None and kind not in _KINDS:
        raise MollituneError(f"no kind {kind!r} of importance; there are: {', '.join(_KINDS)}")
    runs = longest(comparable_reports(results, model))
    _check_family(results, model, family)
    rows = [
        row
        for name, own in runs.groupby("model", sort=True)
        for question in _questions(results, own, kind, family)
        for row in _answer(str(name), question)
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


class _Question(NamedTuple):
    """Features of some configurations and pairs of them, and what they are to explain."""

    kind: str
    within: str
    features: Mapping[str, Sequence[float]]
    target: Sequence[float]
    pairs: Sequence[Pair] = ()


def _check_family(results: Results, model: str | None, family: str | None) -> None:
    trials = results.trials
    of_model = trials if model is None else trials[trials["model"] == model]
    known = sorted({*of_model["family"]})
    if family is not None and family not in known:
        raise MollituneError(
            f"the search {results.name!r} has no family {family!r}; it has: {', '.join(known)}"
        )


def _questions(
    results: Results, runs: pd.DataFrame, kind: str | None, family: str | None
) -> Iterator[_Question]:
    """What can be asked of the complete runs of one model."""
    require_alike(results, runs, COMPARABLE_WITHIN)
    table = _configurations(results, runs)
    if kind in (None, "parameter"):
        common = _common(table)
        yield _Question("parameter", _ALL, common, table["target"].tolist(), _pairs(common))
        own = table[table["family"] == (family or _leading_family(table))]
        if not own.empty:
            name = str(own["family"].iloc[0])
            yield _Question("parameter", name, _own(own), own["target"].tolist())
    if kind in (None, "shape"):
        yield _Question("shape", _ALL, _shape(table), table["target"].tolist())


def _answer(model: str, question: _Question) -> Iterator[dict[str, Any]]:
    count = len(question.target)
    if count < FEWEST or not question.features:
        return
    found = shares(question.features, question.target, question.pairs)
    for name, share in sorted(found.items(), key=lambda item: -item[1].importance):
        shared = {"model": model, "kind": question.kind, "within": question.within}
        yield {**shared, "name": name, **share._asdict(), "configurations": count}


def _configurations(results: Results, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per configuration with its mean log FID, in the order of their numbers."""
    positive = bool((runs["fid"] > 0).all())  # an FID of 0 is possible, its logarithm is not
    fids = np.log(runs["fid"]) if positive else runs["fid"]
    target = fids.groupby(runs["configuration"]).mean()
    # the table of trials is written later than that of reports
    trials = results.trials.drop_duplicates("configuration").set_index("configuration")
    return trials.join(target.rename("target"), how="inner").sort_index()


def _leading_family(table: pd.DataFrame) -> str | None:
    mollifying = table[table["family"] != "vanilla"]
    groups = mollifying.groupby("family")["target"]
    lowest = groups.min()[groups.size() >= FEWEST]
    return None if lowest.empty else str(lowest.idxmin())


def _common(table: pd.DataFrame) -> dict[str, list[float]]:
    until = 1 - table[f"{SHAPE_PREFIX}clean_share"]
    first = table.iloc[0].to_dict() if len(table) else {}
    settings = {name: table[f"{PARAMS_PREFIX}{name}"] for name in _settings(first)}
    return _varying({"family": table["family"], "until": until, **settings})


def _pairs(features: Mapping[str, object]) -> list[Pair]:
    """Each hyperparameter with each of what all schedules have."""
    settings = [name for name in features if name not in _OF_SCHEDULES]
    return [(own, of) for own in settings for of in _OF_SCHEDULES if of in features]


def _settings(row: Mapping[Any, Any]) -> list[str]:
    """The hyperparameters that were searched beside the schedule."""
    return list(parameters(row)[1]) if row else []


def _own(table: pd.DataFrame) -> dict[str, list[float]]:
    family = table["family"].iloc[0]
    names = [name for name in table.columns if name.startswith(PARAMS_PREFIX)]
    settings = {f"{PARAMS_PREFIX}{name}" for name in _settings(table.iloc[0].to_dict())}
    own = [name for name in names if name not in settings]
    return _varying({f"{family}.{n.removeprefix(PARAMS_PREFIX)}": table[n] for n in own})


def _shape(table: pd.DataFrame) -> dict[str, list[float]]:
    names = [n for n in table.columns if n.startswith(SHAPE_PREFIX) and n != _REDUNDANT]
    return _varying({name.removeprefix(SHAPE_PREFIX): table[name] for name in names})


def _varying(features: Mapping[str, pd.Series]) -> dict[str, list[float]]:
    """The features that all rows have and that differ, as ranks in [0, 1]."""
    kept = {
        name: values
        for name, values in features.items()
        if values.notna().all() and values.nunique() > 1
    }
    return {name: _places(values) for name, values in kept.items()}


def _places(values: pd.Series) -> list[float]:
    """Ranks in [0, 1], equal values at their mean rank; categories in alphabetical order.

    Optuna would give each category a yes-or-no feature of its own and weigh both answers evenly,
    as if half of all configurations were of a family that one in ten is of.
    """
    is_number = pd.api.types.is_numeric_dtype(values)
    from scipy.stats import rankdata

    ranks = rankdata(values if is_number else pd.Categorical(values).codes)
    return [float(rank - 1) / (len(values) - 1) for rank in ranks]
