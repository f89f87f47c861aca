"""The report as one HTML document."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from plotly.offline import get_plotlyjs

from mollitune.analysis.tables.results import Results, status_of

from .assets import CSS, PANEL_SCRIPT, RELOAD_SCRIPT, SCRIPT
from .cards.panel import captions, panel
from .cards.provenance import provenance
from .cards.verdict import verdict_card
from .html import Safe, join, text
from .pictures import trial_pictures
from .sections import model_section
from .view import View, view

# Nothing may be loaded from anywhere: pictures are data, styles and scripts stand in the page.
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)

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


def _panel(results: Results, views: Sequence[View]) -> Safe:
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


def _document(title: str, body: Safe, shown: Safe, reload: float | None) -> str:
    again = "" if reload is None else f' data-reload="{reload:g}"'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<title>{text(title)}</title><link rel="icon" href="data:,"><style>{CSS}</style></head>\n'
        f'<body{again}><a class="skip" href="#main">Skip to the results</a>\n'
        f'<main id="main" tabindex="-1">\n{body}\n'
        "<footer>Made by Mollitune. This page is complete: it loads nothing.</footer></main>\n"
        f"{shown}\n<script>{get_plotlyjs()}</script>\n"
        f"<script>{SCRIPT}{PANEL_SCRIPT}{RELOAD_SCRIPT}</script>\n"
        "</body></html>\n"
    )


def _header(results: Results, views: Sequence[View]) -> Safe:
    status = status_of(results)
    dataset = str(_entries(results.metadata.get("dataset")).get("name", ""))
    links = ""
    if len(views) > 1:
        items = (f'<a href="#model-{i}">{text(v.model)}</a>' for i, v in enumerate(views))
        links = f'<nav aria-label="Models">{"".join(items)}</nav>'
    place = f"<span>on {text(dataset)}</span>" if dataset else ""
    many = len(views) > MANY_MODELS
    lines = join(_headline(own, with_card=not many) for own in views)
    return Safe(
        f'<header><div class="eyebrow"><h1>Search <b>{text(results.name)}</b></h1>{place}'
        f'<span class="pill {text(status)}">{text(status)}</span></div>'
        f'<div class="headlines{" many" if many else ""}">{lines}</div>{links}</header>'
    )


def _headline(own: View, with_card: bool) -> Safe:
    """The verdict, or the recommendation as long as there is none."""
    if own.verdict is not None and with_card:
        return verdict_card(own.verdict, own.details)
    sentence = text(own.sentence)
    small = f"<small>{text(own.details)}</small>" if own.details else ""
    if own.verdict is None and own.best is not None and not own.best.is_vanilla:
        formula = text(own.best.text)
        marked = f'<span class="formula">{formula}</span>'
        sentence = Safe(sentence.replace(formula, marked, 1))
    return Safe(f'<p class="sentence">{sentence}{small}</p>')


def _entries(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"name": value} if value else {}
