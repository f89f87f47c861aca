"""The card that shows FID over each hyperparameter that was searched, vanilla beside the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from mollitune.analysis.report.data import ShapePoint
from mollitune.analysis.report.figures.shape import setting_figure
from mollitune.analysis.report.html import card, join, plot
from mollitune.analysis.report.view import View
from mollitune.analysis.tables.configurations import hyperspace_of
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import fid_text


def settings_card(results: Results, view: View, number: int) -> Markup:
    """A figure for each hyperparameter, the learning rate first; nothing without any.

    Args:
        results: Results of the search.
        view: Result for the model.
        number: Number of the section, for ids.
    """
    space = hyperspace_of(results, view.model).dimensions
    points = [point for point in view.points if space.keys() <= point.settings.keys()]
    if not space or not points:
        return Markup()
    plots = []
    for i, name in enumerate(sorted(space, key=lambda own: (own != "lr", own))):
        figure = setting_figure(points, name, space[name], view.configuration, view.metric)
        short = name.removeprefix("hparams.")
        label = f"{view.metric} against {short} for {len(points)} configurations of {view.model}"
        plots.append(plot(f"setting-{number}-{i}", figure, label))
    grid = Markup('<div class="plots">{}</div>').format(join(plots))
    return card(f"{view.metric} against hyperparameters", _note(view, points), grid)


def _note(view: View, points: Sequence[ShapePoint]) -> str:
    expected = f"the {view.metric} to expect of the configuration on a new seed"
    how = f"A dot per run, and a diamond for {expected}."
    compare = "Vanilla is tuned, too: compare the lowest diamond of each colour."
    real = "To see whether their difference is real, run mollitune confirm."
    if view.verdict is not None:
        real = "The verdict compares the two sides on new seeds."
    return " ".join((how, compare, *_best_of_each(points, view.metric), real))


def _best_of_each(points: Sequence[ShapePoint], metric: str) -> Iterator[str]:
    for side, own in (
        ("mollification", [p for p in points if p.family != "vanilla"]),
        ("vanilla", [p for p in points if p.family == "vanilla"]),
    ):
        if own:
            best = min(own, key=lambda point: point.expected)
            yield f"The best of {side}: {best.text}, expected {metric} {fid_text(best.expected)}."
