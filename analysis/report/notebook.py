"""A search as a cell of a notebook shows it: what is recommended, the verdict, the best rows."""

import re

from markupsafe import Markup

from mollitune._errors import MollituneError
from mollitune.analysis.confirmation import verdicts
from mollitune.analysis.ranking import best, leaderboard
from mollitune.analysis.tables.results import Results, status_of

SHOWN = 8
"""Rows of the leaderboard."""
_COLUMNS = re.compile(r"schedule|runs|(?!.*_run_).*_(expected|low|high|mean)")


def in_html(results: Results) -> str:
    """Return status, recommendation and verdict of each model, and the best of its leaderboard.

    Args:
        results: Results of a search, whatever has finished.
    """
    parts = [Markup("<b>{}</b>: {}").format(results.name, status_of(results))]
    for model in sorted({*results.trials["model"]}):
        try:
            parts += _model(results, str(model))
        except MollituneError as error:
            parts.append(Markup("<p>{}</p>").format(str(error)))
    return str(Markup("\n").join(parts))


def _model(results: Results, model: str) -> list[Markup]:
    told = [best(results, model).sentence]
    told += [found.sentence for found in verdicts(results) if found.model == model]
    board = leaderboard(results, model).head(SHOWN)
    shown = board[[name for name in board if _COLUMNS.fullmatch(str(name))]]
    html = shown.to_html(index=False, border=0, float_format="{:.4g}".format)  # escapes
    table = Markup(html)  # noqa: S704
    return [*(Markup("<p>{}</p>").format(text) for text in told), table]
