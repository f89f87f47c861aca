"""Small drawings in a row of a table: SVG in percent of the width, in the colours of the page."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup

from mollitune.analysis.words import MINUS

_HEIGHT = 24  # px


class Scale(NamedTuple):
    """Where values lie between the left and the right end of a drawing.

    Attributes:
        low: Value at the left end.
        high: Value at the right end, above ``low``.
    """

    low: float
    high: float

    def at(self, value: float) -> str:
        """Place of a value in percent of the width; values outside lie at the nearer end."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(max(share, 0.0), 1.0):.2f}%"

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        return self.low <= value <= self.high

    def ticks(self) -> list[float]:
        """Round values between the ends, three to seven."""
        size = 10.0 ** math.floor(math.log10((self.high - self.low) / 3))
        step = next(size * k for k in (5, 2, 1) if size * k <= (self.high - self.low) / 3)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * k for k in range(first, last + 1)]


def scale_of(values: Iterable[float], margin: float = 0.08) -> Scale:
    """A scale that holds zero and all finite values, with some room on both sides."""
    finite = [0.0, *(value for value in values if math.isfinite(value))]
    low, high = min(finite), max(finite)
    room = margin * (high - low) or 1.0
    return Scale(low - room, high + room)


def strip(label: str, kind: str, *shapes: Markup) -> Markup:
    """A drawing of one row.

    Args:
        label: What it shows, for screen readers.
        kind: CSS class.
        shapes: SVG elements.
    """
    return Markup(
        '<svg class="strip {}" role="img" aria-label="{}" width="100%" height="{}">{}</svg>'
    ).format(kind, label, _HEIGHT, Markup().join(shapes))


def upright(scale: Scale, value: float, kind: str) -> Markup:
    """An upright line through the whole row."""
    line = Markup('<line class="{}" x1="{x}" x2="{x}" y1="0" y2="100%"/>')
    return line.format(kind, x=scale.at(value))


def interval(scale: Scale, low: float, high: float) -> Markup:
    """A level line with caps; without a cap where it goes on outside."""
    cap = Markup('<line x1="{x}" x2="{x}" y1="30%" y2="70%"/>')
    caps = (cap.format(x=scale.at(value)) for value in (low, high) if scale.holds(value))
    return Markup('<g class="interval"><line x1="{}" x2="{}" y1="50%" y2="50%"/>{}</g>').format(
        scale.at(low), scale.at(high), Markup().join(caps)
    )


def dot(scale: Scale, value: float, radius: float = 5) -> Markup:
    """A dot; for a value outside an arrow at the end that is nearer."""
    if scale.holds(value):
        return Markup('<circle cx="{}" cy="50%" r="{}"/>').format(scale.at(value), radius)
    anchor, arrow = (
        ("start", "\N{LEFTWARDS ARROW}") if value < scale.low else ("end", "\N{RIGHTWARDS ARROW}")
    )
    beyond = Markup('<text class="beyond" x="{}" y="18" text-anchor="{}">{}</text>')
    return beyond.format(scale.at(value), anchor, arrow)


def bar(scale: Scale, value: float) -> Markup:
    """A bar from the left end."""
    form = Markup('<rect x="0" y="25%" width="{}" height="50%" rx="3"/>')
    return form.format(scale.at(value))


def axis(scale: Scale, unit: str = "") -> Markup:
    """The numbers below or above the strips, hidden from screen readers."""
    label = Markup('<text x="{}" y="17" text-anchor="middle">{}</text>')
    labels = (label.format(scale.at(tick), _tick(tick, unit)) for tick in scale.ticks())
    return Markup(
        '<svg class="strip axis" aria-hidden="true" width="100%" height="{}">{}</svg>'
    ).format(_HEIGHT, Markup().join(labels))


def _tick(value: float, unit: str) -> str:
    return f"{value:,.10g}{unit}".replace("-", MINUS)
