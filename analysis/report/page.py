"""The report as one HTML document."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from mollitune.analysis.tables.results import Results, status_of

from .assets import asset
from .cards.failures import failed_models, failures_card
from .cards.panel import captions, panel
from .cards.provenance import provenance
from .cards.verdict import verdict_cards
from .html import join
from .pictures import trial_pictures
from .sections import model_section
from .view import View, view

MANY_MODELS = 3
"""Up to so many headlines are set large, and verdicts stand on top of the page."""


def page(results: Results, reload: float | None = None) -> str:
    """Build the whole page for the results of a search.

    Args:
        results: Results of a search.
        reload: Seconds after which the open page reads itself again; None: never.
    """
    found = {*results.trials["model"], *results.reports["model"]}
    views = [view(results, model) for model in sorted(found)]
    views.sort(key=lambda view: view.expected)
    many = len(views) > MANY_MODELS
    sections = [
        model_section(results, own, number, with_verdict=many) for number, own in enumerate(views)
    ]
    shown = _panel(results, views)
    body = join([_header(results, views), *sections, provenance(results)])
    return _document(f"{results.name}: Mollitune report", body, shown, reload)


def _panel(results: Results, views: Sequence[View]) -> Markup:
    """The panel for every trial, with the pictures of the best where not all have room."""
    words = captions(results)
    orders = []
    for own in views:
        ranked = dict.fromkeys(number for number in own.order if number in words)
        others = (n for n, caption in words.items() if caption.model == own.model)
        orders.append([*ranked, *(number for number in others if number not in ranked)])
    # models take turns, so that each keeps the pictures of its best trials
    turns = [n for some in zip_longest(*orders) for n in some if n is not None]
    pictures, missing = trial_pictures(results, turns)
    return panel(words, orders, pictures, missing)


def _document(title: str, body: Markup, shown: Markup, reload: float | None) -> str:
    """Fill the template, whose policy lets nothing be loaded: all of it stands in the page."""
    again = Markup(' data-reload="{:g}"').format(reload) if reload is not None else ""
    return asset("page.html").format(
        title=title,
        css=asset("report.css"),
        reload=again,
        body=body,
        panel=shown,
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - Plotly's own code
        js=asset("report.js"),
    )


def _header(results: Results, views: Sequence[View]) -> Markup:
    status = status_of(results)
    dataset = str(_entries(results.metadata.get("dataset")).get("name", ""))
    links = ""
    if len(views) > 1:
        item = Markup('<a href="#model-{}">{}</a>')
        items = Markup().join(item.format(i, own.model) for i, own in enumerate(views))
        links = Markup('<nav aria-label="Models">{}</nav>').format(items)
    place = Markup("<span>on {}</span>").format(dataset) if dataset else ""
    failed = failed_models(results)
    trouble = failures_card(results, failed) if failed else ""
    many = len(views) > MANY_MODELS
    lines = join(_headline(own, with_card=not many) for own in views)
    return Markup(
        '<header><div class="eyebrow"><h1>Search <b>{}</b></h1>{}'
        '<span class="pill {}">{}</span></div>{}<div class="headlines{}">{}</div>{}</header>'
    ).format(results.name, place, status, status, trouble, " many" if many else "", lines, links)


def _headline(own: View, with_card: bool) -> Markup:
    """The verdict, or the recommendation as long as there is none."""
    if own.verdicts and with_card:
        return verdict_cards(own.verdicts, own.details)
    sentence = escape(own.sentence)
    rest = Markup("<small>{}</small>").format(own.details) if own.details else ""
    if own.verdict is None and own.best is not None and not own.best.is_vanilla:
        marked = Markup('<span class="formula">{}</span>').format(own.best.text)
        sentence = sentence.replace(escape(own.best.text), marked, 1)
    return Markup('<p class="sentence">{}{}</p>').format(sentence, rest)


def _entries(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"name": value} if value else {}
