"""Ranking of configurations by expected FID, where and only where the values may be compared."""

import pandas as pd

from mollitune.analysis.tables.comparable import comparable_reports, second_metric
from mollitune.analysis.tables.configurations import hyperspace_of, told
from mollitune.analysis.tables.results import Results
from mollitune.search.policy import Configuration, Earlier, Hyperspace
from mollitune.search.store import COMPARABLE_WITHIN, Constraint, Objective

from .expectation import expectations, expectations_at

_OF_A_CONFIGURATION = ("model", "configuration", "family", "step", "extractor", "fid_samples")
_COLUMNS = {
    "model": "str",
    "rank": "int64",
    "configuration": "int64",
    "family": "str",
    "schedule": "str",
    "runs": "int64",
    "fid_mean": "float64",
    "fid_sd": "float64",
    "fid_lowest": "float64",
    "fid_expected": "float64",
    "fid_low": "float64",
    "fid_high": "float64",
    "fid_run_low": "float64",
    "fid_run_high": "float64",
    "vanilla_mean": "float64",
    "vanilla_expected": "float64",
    "difference": "float64",
    "bpd_mean": "float64",
    "trials": "str",
    "step": "int64",
    "extractor": "str",
    "fid_samples": "int64",
}
_HOW_MEASURED = ("fid_samples", "fid_reference", "fid_reference_size")


def leaderboard(results: Results, model: str | None = None) -> pd.DataFrame:
    """Rank the configurations of a search by the FID to expect of them on a fresh seed.

    The fit behind it is made once per model and kept with the results.

    Where the search optimised another metric than FID, that is what is ranked, and the columns are
    named after it: ``bpd_expected``, ``kid_mean``. Of one of which higher is better they hold the
    negative value: ``negative_precision_expected``.

    With a ``constraint`` what keeps it comes first, and one more column says so, ``allowed``. A
    bound that is measured from vanilla is measured from the best vanilla configuration.

    Where a search has several budgets, a configuration stands once, and what is ranked is the FID
    to expect at the target: ``fid_expected``, its interval, ``vanilla_expected``, ``difference``
    are of that budget, or of the only one that was trained yet. What was measured is that of its
    longest runs, ``vanilla_mean`` that of vanilla at the same budget, and one more column tells
    all of them, ``budgets``.

    Only comparable evaluations count: full budget, clean data, finite FID. They are ranked
    among those of the same model that were measured in the same way, see `COMPARABLE_WITHIN`.
    Re-runs of the confirmation are not part of the ranking.

    Args:
        results: Results of a search.
        model: Only this model; all of them by default.

    Returns:
        One row per configuration with a complete run, sorted by model and rank: ``model``,
        ``rank`` (from 1), ``configuration``, ``family``, ``schedule`` (as text, with the searched
        hyperparameters), ``runs`` (complete ones), ``fid_mean``, ``fid_sd`` (between the runs, NaN
        for one), ``fid_lowest``,
        ``fid_expected`` with its 90 % interval ``fid_low`` to ``fid_high`` (see `expectations`;
        NaN where no seed was repeated yet), ``fid_run_low`` to ``fid_run_high`` (in which one run
        on a fresh seed lies with 90 %), ``vanilla_mean`` and ``vanilla_expected`` (of the best
        vanilla configuration that was measured alike; NaN without one),
        ``difference`` (``fid_expected`` minus
        ``vanilla_expected``, negative is better), ``bpd_mean``, ``trials`` (numbers of the runs,
        as text), ``step``, ``extractor`` and ``fid_samples``. Empty when nothing has finished.

    Raises:
        MollituneError: If the search has no such model.
    """
    return named(ranked(results, model), results.objective)


def ranked(results: Results, model: str | None = None) -> pd.DataFrame:
    """Return the `leaderboard` with ``fid_`` before whatever is minimised."""
    rows = comparable_reports(results, model)
    boards = [_fitted(results, str(name), own) for name, own in rows.groupby("model", sort=True)]
    columns = _COLUMNS | ({} if results.constraint is None else {"allowed": "bool"})
    columns |= {} if results.ladder is None else {"budgets": "str"}
    board = pd.concat(boards) if boards else pd.DataFrame(columns=list(columns))
    return board[list(columns)].astype(columns).reset_index(drop=True)


def named(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Return a table in which the columns of what is minimised are called after it."""
    if objective.is_fid:
        return table
    values = [c for c in map(str, table) if c.startswith("fid_") and c not in _HOW_MEASURED]
    names = {c: f"{objective.prefix}_{c.removeprefix('fid_')}" for c in values}
    twice = table.columns.intersection(list(names.values()))  # the mean of bpd, once is enough
    return table.drop(columns=twice).rename(columns=names)


def _fitted(results: Results, model: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The board of a model, fitted when it is first asked for."""
    if model not in results.boards:
        ladder, space = results.ladder, hyperspace_of(results, model)
        # values of unlike budgets are modelled together, and never compared
        within = [c for c in COMPARABLE_WITHIN if ladder is None or c != "budget"]
        target = None if ladder is None else ladder.target
        results.boards[model] = pd.concat(
            [
                _ranked(alike, space, results.constraint, target, results.earlier.get(model, ()))
                for _, alike in runs.groupby(within, sort=True)
            ]
        )
    return results.boards[model]


def _ranked(
    alike: pd.DataFrame,
    space: Hyperspace,
    constraint: Constraint | None,
    target: float | None,
    earlier: tuple[Earlier, ...],
) -> pd.DataFrame:
    """Rows of the leaderboard for runs that were measured alike, best first."""
    board = _configurations(alike, space, target, earlier)
    vanilla = board["family"] == "vanilla"
    plain = board[vanilla].sort_values(["fid_expected", "configuration"])[:1]
    if target is None:
        board["vanilla_mean"] = plain["fid_mean"].mean()
    board["vanilla_expected"] = plain["fid_expected"].mean()
    board["difference"] = board["fid_expected"] - board["vanilla_expected"]
    board["allowed"] = _allowed(alike, board, plain, constraint)
    # what keeps the constraint comes first, whatever the rest is worth
    order = board["fid_expected"].rank(method="min") + len(board) * ~board["allowed"]
    board["rank"] = order.rank(method="min").astype("int64")
    return board.sort_values(["rank", "configuration"])


def _allowed(
    runs: pd.DataFrame, board: pd.DataFrame, plain: pd.DataFrame, constraint: Constraint | None
) -> pd.Series:
    """Tell which configurations keep the constraint, by the means over their runs."""
    if constraint is None:
        return pd.Series(True, board.index)
    means = second_metric(runs, constraint).groupby(runs["configuration"]).mean()
    vanilla = means.get(plain["configuration"].iloc[0]) if len(plain) else None
    allows = constraint.bound.allows
    return board["configuration"].map(lambda number: allows(means.get(number), vanilla))


def _configurations(
    alike: pd.DataFrame, space: Hyperspace, target: float | None, earlier: tuple[Earlier, ...]
) -> pd.DataFrame:
    runs = alike.sort_values(["configuration", "trial"])
    each = runs.groupby("configuration", sort=True)
    first = runs.drop_duplicates("configuration")
    configurations, texts, fids, seeds = told(alike, space)
    known = (configurations, fids, seeds, space)
    measured = {
        "runs": each.size(),
        "fid_mean": each["fid"].mean(),
        "fid_sd": each["fid"].std(),
        "fid_lowest": each["fid"].min(),
        "bpd_mean": each["bpd"].mean(),
    }
    own = first[list(_OF_A_CONFIGURATION)].reset_index(drop=True)
    board = own.assign(
        **{name: values.to_numpy() for name, values in measured.items()},
        schedule=texts,
        trials=each["trial"].agg(lambda own: ", ".join(map(str, own))).tolist(),
    )
    if target is not None:
        board = board.assign(budgets=_budgets(configurations, board), vanilla_mean=_vanilla(board))
    if target is None or runs["scale"].nunique() == 1:  # one budget tells nothing of another
        expected = expectations(*known, earlier)
    else:
        found = expectations_at(target, *known, earlier)
        board, expected = board.iloc[list(found)], list(found.values())
    return board.assign(
        fid_expected=[one.fid for one in expected],
        fid_low=[one.low for one in expected],
        fid_high=[one.high for one in expected],
        fid_run_low=[one.run_low for one in expected],
        fid_run_high=[one.run_high for one in expected],
    ).reset_index(drop=True)


def _budgets(configurations: list[Configuration | None], board: pd.DataFrame) -> list[str]:
    """How often each configuration was run at which budget: ``600 x 3, 1,200 x 1`` steps."""
    runs: dict[Configuration | None, list[tuple[int, int]]] = {}
    for own, step, count in zip(configurations, board["step"], board["runs"], strict=True):
        runs.setdefault(own and own.at(1), []).append((step, count))
    texts = {
        own: ", ".join(f"{step:,} x {count}" for step, count in sorted(each))
        for own, each in runs.items()
    }
    return [texts[own and own.at(1)] for own in configurations]


def _vanilla(board: pd.DataFrame) -> pd.Series:
    """The best mean of vanilla at the budget of each row; NaN without one."""
    plain = board[board["family"] == "vanilla"].groupby("step")["fid_mean"].min()
    return board["step"].map(plain).astype(float)
