"""The card that says what a schedule's FID depends on."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ._html import Cell, Safe, card, join, table
from ._strip import Scale, axis, bar, interval, scale_of, strip

_TITLE = "What matters"
_TOO_LITTLE = (
    "There are too few complete runs to tell what the FID depends on. More trials help: "
    "mollitune extend."
)
_KINDS = {"shape": "shape, whatever the family", "parameter": "parameter"}
_SHAPES = {
    "area": "mean level",
    "half_life": "half-life of the level",
    "clean_share": "share on clean data",
    "share_above_tenth": "share above a tenth",
    "share_below_hundredth": "share below a hundredth",
    "end_slope": "slope at the end",
    "clean_steps": "steps on clean data",
}


def importance_card(model: str, found: pd.DataFrame) -> Safe:
    """How much of the difference in FID each property of the schedules explains.

    Args:
        model: Name of the model.
        found: One row per property, sorted: ``kind`` (``parameter`` or ``shape``), ``name``,
            ``importance`` (a share, 0 to 1) and its interval, ``low`` to ``high``.
    """
    if found.empty:
        return card(_TITLE, _TOO_LITTLE)
    note = (
        "Share of the differences in FID that each property explains, with intervals. A long "
        "bar with a long interval says little, and properties that go together share the credit."
    )
    ends = found[["importance", "high"]].to_numpy(float).ravel().tolist()
    scale = Scale(0.0, max(100 * scale_of(ends).high, 1.0))
    kinds = [kind for kind in _KINDS if (found["kind"] == kind).any()]
    tables = (_table(model, kind, found[found["kind"] == kind], scale) for kind in kinds)
    return Safe(f'<div class="importance">{card(_TITLE, note, *tables)}</div>')


def _table(model: str, kind: str, rows: pd.DataFrame, scale: Scale) -> Safe:
    head = [Cell(_KINDS[kind]), Cell(axis(scale, " %"), kind="strips"), Cell("share", number=True)]
    body = [("", _cells(row, scale)) for row in rows.to_dict("records")]
    return table(f"Importance for {model}: {kind}", head, body)


def _cells(row: Mapping[Hashable, Any], scale: Scale) -> list[Cell]:
    share, low, high = (100 * float(row[name]) for name in ("importance", "low", "high"))
    name = str(row["name"])
    shown = _SHAPES.get(name, name) if row["kind"] == "shape" else name
    known = low == low and high == high
    ends = interval(scale, low, high) if known else ""
    span = Safe(f"<small>{low:.0f} to {high:.0f} %</small>") if known else ""
    return [
        Cell(shown, kind="name"),
        Cell(strip(f"{shown}: {share:.0f} %", "share", bar(scale, share), ends), kind="strips"),
        Cell(Safe(f"{join([f'{share:.0f} %'])}{span}"), number=True),
    ]
