"""Small pieces of HTML. `Markup` escapes whatever its `format` and `join` put into it."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import plotly.graph_objects as go
from markupsafe import Markup

from mollitune.analysis.words import run_name

from .figures.palette import family_color

join = Markup("\n").join
"""Put pieces one after the other, a line each; text among them is escaped."""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        content: Text, escaped unless it is `Markup`.
        number: Whether to align it to the right.
        kind: CSS class.
    """

    content: str
    number: bool = False
    kind: str = ""


def card(title: str, note: str, *content: str, kind: str = "") -> Markup:
    """A titled box with a sentence that says how to read it, and a CSS class of its own."""
    sentence = Markup("<p>{}</p>").format(note) if note else ""
    box = Markup('<div class="card{}"><h3>{}</h3>{}{}</div>')
    return box.format(f" {kind}" * bool(kind), title, sentence, join(content))


def table(label: str, head: Sequence[Cell], rows: Iterable[tuple[str, Sequence[Cell]]]) -> Markup:
    """A table that scrolls sideways on its own when the page is narrow.

    Args:
        label: What the table shows, for screen readers.
        head: Cells of the header.
        rows: CSS class and cells of each row.
    """
    row = Markup('<tr class="{}">{}</tr>')
    body = (row.format(kind, _cells("td", cells)) for kind, cells in rows)
    return Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{}">'
        "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(label, _cells("th", head), Markup().join(body))


_ENDS = {"td": Markup("</td>"), "th": Markup("</th>")}


def _cells(tag: str, cells: Iterable[Cell]) -> Markup:
    """Cells side by side, joined in one go: a long leaderboard has tens of thousands."""
    pieces = ((_start(tag, cell.number, cell.kind), cell.content, _ENDS[tag]) for cell in cells)
    return Markup().join(chain.from_iterable(pieces))


@cache
def _start(tag: str, number: bool, kind: str) -> Markup:
    names = " ".join(filter(None, ("n" if number else "", kind)))
    own = Markup(' class="{}"').format(names) if names else ""
    return Markup("<{}{}{}>").format(tag, Markup(' scope="col"') if tag == "th" else "", own)


def pairs(items: Mapping[str, str], kind: str = "pairs") -> Markup:
    """A list of names and values."""
    line = Markup("<dt>{}</dt><dd>{}</dd>")
    if kind != "pairs":
        line = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    lines = (line.format(*item) for item in items.items())
    return Markup('<dl class="{}">{}</dl>').format(kind, Markup().join(lines))


def details(summary: str, content: str) -> Markup:
    """Something to fold out."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, content)


def small(value: str, note: str) -> Markup:
    """A value, and smaller what belongs to it."""
    return Markup("{}<small>{}</small>").format(value, note)


def out_of(count: int, whole: str) -> Markup:
    """A count, and smaller of what."""
    return Markup("{} <small>of {}</small>").format(count, whole)


def chip(family: str) -> Markup:
    """A small square in the colour of a family, beside its name."""
    return Markup('<span class="chip" style="--family:{}"></span>').format(family_color(family))


def trial_button(trial: int, label: int | str | None = None) -> Markup:
    """A small button that shows the samples of a run.

    Args:
        trial: Number of the trial.
        label: What stands on the button; by default the number of the trial.
    """
    return _opener(trial, "trial", str(trial if label is None else label))


def opener(trial: int, content: Markup) -> Markup:
    """A picture or the like that shows the samples of a trial when it is pressed."""
    return _opener(trial, "open", content)


def _opener(trial: int, kind: str, content: str) -> Markup:
    return Markup(
        '<button type="button" class="{}" data-trial="{}" aria-haspopup="dialog" '
        'aria-label="Samples of {}">{}</button>'
    ).format(kind, trial, run_name(trial), content)


def sorter(content: str) -> Markup:
    """A heading that sorts the rows of its table when it is pressed."""
    return Markup('<button type="button" class="sort">{}</button>').format(content)


def download(content: str, name: str, text: str) -> Markup:
    """A link that saves text as a file; the file is in the page.

    Args:
        content: Content of the file.
        name: Its name.
        text: What the link says.
    """
    link = Markup('<p class="note"><a download="{}" href="{}">{}</a></p>')
    return link.format(name, data_url(content.encode(), "text/csv"), text)


def image(data: bytes, kind: str, title: str) -> Markup:
    """A grid of samples as a picture inside the page.

    Args:
        data: Content of its file.
        kind: Its format, such as ``png``.
        title: What it shows.
    """
    element = Markup('<img alt="{}: a grid of small images" src="{}">')
    return element.format(title, data_url(data, f"image/{kind}"))


def data_url(data: bytes, kind: str) -> str:
    """A file of a MIME type as an address that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def script_json(name: str, document: str) -> Markup:
    """Data for the page's script.

    Args:
        name: Id of the element, unique in the page.
        document: JSON.
    """
    # `<` inside a script element could end it; JSON may spell it as an escape.
    safe = Markup(document.replace("<", "\\u003c"))  # noqa: S704
    return Markup('<script type="application/json" id="{}">{}</script>').format(name, safe)


def plot(name: str, figure: go.Figure, description: str) -> Markup:
    """A place for a figure, and its data, which the page's script draws.

    Args:
        name: Id of the data, unique in the page.
        figure: The figure.
        description: What it shows, for screen readers.
    """
    place = Markup('<div class="plot" role="img" data-figure="{}" aria-label="{}"></div>')
    return place.format(name, description) + script_json(name, figure.to_json())
