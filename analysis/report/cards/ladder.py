"""The card that shows what mollification does against the budget."""

from collections.abc import Iterator

from markupsafe import Markup

from mollitune.analysis.report.figures.ladder import effect_figure, mean_figure, until_figure
from mollitune.analysis.report.html import card, join, plot
from mollitune.analysis.report.ladder import BudgetView, budget_view
from mollitune.analysis.report.view import View
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of

_TITLE = "Effect against budget"


def ladder_card(results: Results, view: View, number: int) -> Markup:
    """What each arm does at each budget, and what may be said of it; nothing for one budget.

    Args:
        results: Results of the search.
        view: Result for the model.
        number: Number of the section, for ids.
    """
    found = budget_view(results, view.model)
    if found is None:
        return Markup()
    said = found.trends.sentences
    own = f"against budget, {len(found.trends.budgets)} budgets of {view.model}"
    effect = effect_figure(found, view.metric)
    small = [plot(f"mean-{number}", mean_figure(found, view.metric), f"{view.metric} {own}")]
    if len(found.best) > 1:
        figure = until_figure(found, view.metric)
        small.append(plot(f"until-{number}", figure, f"until of the best schedule {own}"))
    return card(
        _TITLE,
        " ".join(_how(found)),
        Markup("<ul>{}</ul>").format(join(map(Markup("<li>{}</li>").format, said))),
        _warning(found),
        plot(f"effect-{number}", effect, f"difference from vanilla {own}"),
        Markup('<div class="plots">{}</div>').format(join(small)),
    )


def _how(found: BudgetView) -> Iterator[str]:
    yield (
        "Above: the difference from vanilla of the same budget and seeds. Below the line of zero "
        "mollification pays."
    )
    if found.trends.arms:
        yield "The intervals of all arms and budgets hold at once with 95 %."
    else:
        yield "No arm has two paired seeds at two budgets, so there are no intervals."
    if any(arm.trend.crossing for arm in found.trends.arms):
        yield "The diamond is where the sign changes."
    if found.left_out:
        yield f"{count_of(found.left_out, 'arm')} with fewer budgets or a higher mean not drawn."
    yield "Below: the mean of each arm" + (
        ", and how long the schedule with the lowest mean mollifies. With few arms that is rough."
        if len(found.best) > 1
        else "."
    )


def _warning(found: BudgetView) -> Markup:
    words = found.trends.extrapolation
    if words is None:
        return Markup()
    return Markup('<p class="warning"><b>Warning:</b> {}.</p>').format(words)
