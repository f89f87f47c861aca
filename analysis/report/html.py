"""Small pieces of HTML; every text goes through `escape` here, so that none is forgotten."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from .figures.palette import family_color


class Safe(str):
    """Text that is HTML already."""

    __slots__ = ()


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        content: Text, escaped unless it is `Safe`.
        number: Whether to align it to the right.
        kind: CSS class.
    """

    content: str
    number: bool = False
    kind: str = ""


def text(content: str) -> Safe:
    """Escape text unless it is HTML already."""
    return content if isinstance(content, Safe) else Safe(escape(content))


def join(pieces: Iterable[str]) -> Safe:
    """Put pieces one after the other."""
    return Safe("\n".join(text(piece) for piece in pieces))


def card(title: str, note: str, *content: str) -> Safe:
    """A titled box with a sentence that says how to read it."""
    sentence = f"<p>{text(note)}</p>" if note else ""
    return Safe(f'<div class="card"><h3>{text(title)}</h3>{sentence}{join(content)}</div>')


def table(label: str, head: Sequence[Cell], rows: Iterable[tuple[str, Sequence[Cell]]]) -> Safe:
    """A table that scrolls sideways on its own when the page is narrow.

    Args:
        label: What the table shows, for screen readers.
        head: Cells of the header.
        rows: CSS class and cells of each row.
    """
    top = "".join(f'<th scope="col"{_kind(cell)}>{text(cell.content)}</th>' for cell in head)
    body = "".join(
        f'<tr class="{escape(kind)}">'
        + "".join(f"<td{_kind(cell)}>{text(cell.content)}</td>" for cell in cells)
        + "</tr>"
        for kind, cells in rows
    )
    return Safe(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _kind(cell: Cell) -> str:
    names = " ".join(filter(None, ("n" if cell.number else "", cell.kind)))
    return f' class="{escape(names)}"' if names else ""


def pairs(items: Mapping[str, str], kind: str = "pairs") -> Safe:
    """A list of names and values."""
    lines = (f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in items.items())
    if kind == "pairs":
        lines = (f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in items.items())
    return Safe(f'<dl class="{kind}">{"".join(lines)}</dl>')


def details(summary: str, content: str) -> Safe:
    """Something to fold out."""
    return Safe(f"<details><summary>{text(summary)}</summary>{text(content)}</details>")


def chip(family: str) -> Safe:
    """A small square in the colour of a family, beside its name."""
    return Safe(f'<span class="chip" style="--family:{family_color(family)}"></span>')


def trial_button(trial: int, label: int | None = None) -> Safe:
    """A small button that shows the samples of a trial.

    Args:
        trial: Number of the trial.
        label: Number on the button; by default that of the trial.
    """
    return _opener(trial, "trial", Safe(trial if label is None else label))


def opener(trial: int, content: Safe) -> Safe:
    """A picture or the like that shows the samples of a trial when it is pressed."""
    return _opener(trial, "open", content)


def _opener(trial: int, kind: str, content: Safe) -> Safe:
    return Safe(
        f'<button type="button" class="{kind}" data-trial="{trial}" aria-haspopup="dialog" '
        f'aria-label="Samples of trial {trial}">{content}</button>'
    )


def image(data: bytes, kind: str, title: str) -> Safe:
    """A grid of samples as a picture inside the page.

    Args:
        data: Content of its file.
        kind: Its format, such as ``png``.
        title: What it shows.
    """
    return Safe(
        f'<img alt="{escape(title)}: a grid of small images" src="{data_url(data, kind)}">'
    )


def data_url(data: bytes, kind: str) -> str:
    """A picture as an address that holds all of it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def script_json(name: str, document: str) -> Safe:
    """Data for the page's script.

    Args:
        name: Id of the element, unique in the page.
        document: JSON.
    """
    # `<` inside a script element could end it; JSON may spell it as an escape.
    safe = document.replace("<", "\\u003c")
    return Safe(f'<script type="application/json" id="{escape(name)}">{safe}</script>')


def plot(name: str, figure: go.Figure, description: str) -> Safe:
    """A place for a figure, and its data, which the page's script draws.

    Args:
        name: Id of the data, unique in the page.
        figure: The figure.
        description: What it shows, for screen readers.
    """
    place = (
        f'<div class="plot" role="img" data-figure="{escape(name)}" '
        f'aria-label="{escape(description)}"></div>'
    )
    return Safe(f"{place}{script_json(name, figure.to_json())}")
