"""Small drawings in a row of a table: SVG in percent of the width, in the colours of the page."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from .html import Safe, text

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


def strip(label: str, kind: str, *shapes: str) -> Safe:
    """A drawing of one row.

    Args:
        label: What it shows, for screen readers.
        kind: CSS class.
        shapes: SVG elements.
    """
    return Safe(
        f'<svg class="strip {kind}" role="img" aria-label="{text(label)}" width="100%" '
        f'height="{_HEIGHT}">{"".join(shapes)}</svg>'
    )


def upright(scale: Scale, value: float, kind: str) -> str:
    """An upright line through the whole row."""
    return f'<line class="{kind}" x1="{scale.at(value)}" x2="{scale.at(value)}" y1="0" y2="100%"/>'


def interval(scale: Scale, low: float, high: float) -> str:
    """A level line with caps; without a cap where it goes on outside."""
    line = f'<line x1="{scale.at(low)}" x2="{scale.at(high)}" y1="50%" y2="50%"/>'
    ends = (value for value in (low, high) if scale.holds(value))
    caps = (f'<line x1="{scale.at(v)}" x2="{scale.at(v)}" y1="30%" y2="70%"/>' for v in ends)
    return f'<g class="interval">{line}{"".join(caps)}</g>'


def dot(scale: Scale, value: float, radius: float = 5) -> str:
    """A dot; for a value outside an arrow at the end that is nearer."""
    if scale.holds(value):
        return f'<circle cx="{scale.at(value)}" cy="50%" r="{radius}"/>'
    anchor, arrow = (
        ("start", "\N{LEFTWARDS ARROW}") if value < scale.low else ("end", "\N{RIGHTWARDS ARROW}")
    )
    return (
        f'<text class="beyond" x="{scale.at(value)}" y="18" text-anchor="{anchor}">{arrow}</text>'
    )


def bar(scale: Scale, value: float) -> str:
    """A bar from the left end."""
    return f'<rect x="0" y="25%" width="{scale.at(value)}" height="50%" rx="3"/>'


def axis(scale: Scale, unit: str = "") -> Safe:
    """The numbers below or above the strips, hidden from screen readers."""
    labels = "".join(
        f'<text x="{scale.at(tick)}" y="17" text-anchor="middle">{_tick(tick, unit)}</text>'
        for tick in scale.ticks()
    )
    return Safe(
        f'<svg class="strip axis" aria-hidden="true" width="100%" height="{_HEIGHT}">'
        f"{labels}</svg>"
    )


def _tick(value: float, unit: str) -> str:
    return f"{value:.3g}{unit}".replace("-", "\N{MINUS SIGN}")
