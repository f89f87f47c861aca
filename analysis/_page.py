"""The report as one HTML document."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from plotly.offline import get_plotlyjs

from ._css import CSS
from ._html import Safe, card, details, join, pairs, text
from ._js import SCRIPT
from ._sections import Summary, model_section, summarize
from .results import Results

# Nothing may be loaded from anywhere: pictures are data, styles and scripts stand in the page.
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)

MANY_MODELS = 3
"""Up to so many headlines are set large."""


def page(results: Results) -> str:
    """Build the whole page for the results of a search."""
    found = {*results.trials["model"], *results.reports["model"]}
    summaries = [summarize(results, model) for model in sorted(found)]
    summaries.sort(key=lambda summary: summary.best.fid_expected if summary.best else float("inf"))
    sections = [model_section(results, s, number) for number, s in enumerate(summaries)]
    body = join([_header(results, summaries), *sections, _provenance(results)])
    return _document(f"{results.name}: Mollitune report", body)


def _document(title: str, body: Safe) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<title>{text(title)}</title><link rel="icon" href="data:,"><style>{CSS}</style></head>\n'
        f'<body><a class="skip" href="#main">Skip to the results</a>\n'
        f'<main id="main" tabindex="-1">\n{body}\n'
        "<footer>Made by Mollitune. This page is complete: it loads nothing.</footer></main>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


def _header(results: Results, summaries: list[Summary]) -> Safe:
    status = str(results.metadata.get("status", "unknown"))
    dataset = _flat(results.metadata.get("dataset", {})).get("name", "")
    lines = (f'<span class="line">{_headline(summary)}</span>' for summary in summaries)
    links = ""
    if len(summaries) > 1:
        items = (f'<a href="#model-{i}">{text(s.model)}</a>' for i, s in enumerate(summaries))
        links = f'<nav aria-label="Models">{"".join(items)}</nav>'
    size = ' class="many"' if len(summaries) > MANY_MODELS else ""
    place = f"<span>on {text(dataset)}</span>" if dataset else ""
    return Safe(
        f'<header><div class="eyebrow"><span>Search <b>{text(results.name)}</b></span>{place}'
        f'<span class="pill {text(status)}">{text(status)}</span></div>'
        f"<h1{size}>{''.join(lines)}</h1>"
        f"{links}</header>"
    )


def _headline(summary: Summary) -> Safe:
    sentence = text(summary.sentence)
    details = f"<small>{text(summary.details)}</small>" if summary.details else ""
    if summary.best is not None and not summary.best.is_vanilla:
        formula = text(summary.best.text)
        marked = f'<span class="formula">{formula}</span>'
        sentence = Safe(sentence.replace(formula, marked, 1))
    return Safe(f"{sentence}{details}")


def _provenance(results: Results) -> Safe:
    metadata = results.metadata
    if not metadata:
        return card("Provenance", "There is no search.json beside the tables.")
    shown: dict[str, str] = {}
    for key in ("created", "elapsed_seconds", "machine", "dataset", "extractor", "versions"):
        if key in metadata:
            shown[key.removesuffix("_seconds")] = _value(key, metadata[key])
    config = json.dumps(metadata.get("config", {}), indent=2)
    folded = details("Configuration", Safe(f"<pre>{text(config)}</pre>"))
    return card("Provenance", "", pairs(shown), folded)


def _value(key: str, value: object) -> str:
    if key == "elapsed_seconds" and isinstance(value, int | float):
        return str(timedelta(seconds=round(value)))
    flat = _flat(value)
    return ", ".join(f"{name} {item}".strip() for name, item in flat.items())


def _flat(value: object) -> Mapping[str, Any]:
    """The entries of a mapping; anything else is one entry without a name."""
    return value if isinstance(value, Mapping) else {"": value}
