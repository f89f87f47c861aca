"""The card that says what a schedule's FID depends on."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from mollitune._errors import MollituneError
from mollitune.analysis.diagnostics.fanova import TOGETHER
from mollitune.analysis.diagnostics.importance import FEWEST, importance
from mollitune.analysis.report.html import Cell, card, small, table
from mollitune.analysis.report.strip import Scale, axis, bar, interval, strip, upright
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of

_TITLE = "What matters"
_TOO_LITTLE = (
    f"Not enough data yet: this takes {FEWEST} configurations with a complete run. "
    "mollitune extend adds trials."
)
_NOTE = (
    "How much of the variance of {} each one explains by itself, with a 90 % interval. The "
    "dotted line is what chance explains in shuffled values: a bar that does not reach it (grey) "
    "means nothing. Features that go together share what they explain."
)
_ON_PAIRS = (
    " A pair such as lr x until has what both explain beyond what each explains alone: beyond "
    "chance, the best value of one depends on the other."
)
_SHAPES = {
    "area": "mean level",
    "half_life": "half-life of the level",
    "clean_share": "share on clean data",
    "share_above_tenth": "share above a tenth",
    "share_below_hundredth": "share below a hundredth",
    "end_slope": "slope at the end",
}


def importance_card(results: Results, model: str) -> Markup:
    """How much of the differences in FID each parameter and feature of the shape explains.

    Args:
        results: Results of a search.
        model: The model.
    """
    try:
        found = importance(results, model)
    except MollituneError as error:
        return card(_TITLE, f"{error}.")
    return shares_card(found, results.objective.title)


def shares_card(found: pd.DataFrame, metric: str = "FID") -> Markup:
    """Draw what `importance` found for one model, or say that it is too little.

    Args:
        found: Its rows.
        metric: What the search minimises.
    """
    if found.empty:
        return card(_TITLE, _TOO_LITTLE)
    highest = float(found[["importance", "high", "chance"]].to_numpy(float).max())
    scale = Scale(0.0, max(104 * highest, 1.0))
    paired = found["name"].str.contains(TOGETHER, regex=False)
    # the shape first: it is what all families have in common
    groups = sorted(
        found.groupby(["kind", "within", paired]), key=lambda group: group[0][0] != "shape"
    )
    tables = (
        _table(str(kind), str(within), bool(pairs), rows, scale)
        for (kind, within, pairs), rows in groups
    )
    # positive values are taken by their logarithm, which tells a reader of FIDs what is a share
    what = f"log {metric}" if metric == "FID" else metric
    note = _NOTE.format(what) + _ON_PAIRS * bool(paired.any())
    return Markup('<div class="importance">{}</div>').format(card(_TITLE, note, *tables))


def _table(kind: str, within: str, pairs: bool, rows: pd.DataFrame, scale: Scale) -> Markup:
    owner = "all schedules" if within == "all" else within
    name = "feature of the shape" if kind == "shape" else f"parameter of {owner}"
    name = "pair: beyond each alone" if pairs else name
    count = count_of(int(rows["configurations"].iloc[0]), "configuration")
    head = [
        Cell(small(name, count)),
        Cell(axis(scale, " %"), kind="strips"),
        Cell("share", number=True),
    ]
    body = [_row(row, within, scale) for row in rows.to_dict("records")]
    return table(f"Importance: {name}", head, body)


def _row(row: Mapping[Hashable, Any], within: str, scale: Scale) -> tuple[str, list[Cell]]:
    share, low, high, chance = (
        100 * float(row[name]) for name in ("importance", "low", "high", "chance")
    )
    name = str(row["name"]).removeprefix(f"{within}.")
    shown = _SHAPES.get(name, name) if row["kind"] == "shape" else name
    shapes = (bar(scale, share), interval(scale, low, high), upright(scale, chance, "zero"))
    cells = [
        Cell(shown, kind="name"),
        Cell(strip(f"{share:.0f} %, chance {chance:.0f} %", "share", *shapes), kind="strips"),
        Cell(small(f"{share:.0f} %", f"{low:.0f} to {high:.0f} %"), number=True),
    ]
    return "" if share > chance else "out", cells
