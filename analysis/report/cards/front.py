"""The card that sets FID against bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from mollitune.analysis.report.figures.front import bpd_range, front_figure
from mollitune.analysis.report.figures.shape import MANY
from mollitune.analysis.report.front import FrontPoint, front_points
from mollitune.analysis.report.html import card, plot
from mollitune.analysis.report.view import View
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of, fid_text, number

_TITLE = "FID against bits per dim"


def front_card(results: Results, view: View, index: int) -> Markup:
    """Which configurations are best in one of both, given the other; nothing without two.

    Args:
        results: Results of the search.
        view: Result for the model.
        index: Number of the section, for ids.
    """
    points = front_points(results, view)
    if len(points) < 2:
        return Markup()
    figure = front_figure(points, view.configuration)
    label = f"{_TITLE} for {len(points)} configurations of {view.model}"
    return card(_TITLE, _note(view, points), plot(f"front-{index}", figure, label))


def _note(view: View, points: Sequence[FrontPoint]) -> str:
    return " ".join((*_how(points), *_of_the_choice(view, points)))


def _how(points: Sequence[FrontPoint]) -> Iterator[str]:
    yield "A diamond per configuration, at the means of its runs; lower left is better."
    if any(point.runs > 1 for point in points):
        shown = " on the front" if len(points) > MANY else ""
        yield f"Bars{shown} are standard errors: with few seeds the front is noisy."
    else:
        yield "With one seed each, the front is noisy."
    on = sum(point.dominated_by is None for point in points)
    yield (
        f"{on} of {count_of(len(points), 'configuration')} {'is' if on == 1 else 'are'} on the "
        "front: no other is at least as good in both and better in one."
    )
    beyond = sum(point.bpd > bpd_range(points)[1] for point in points)
    if beyond:
        yield f"{beyond} with far more bits per dim {'is' if beyond == 1 else 'are'} not shown."


def _of_the_choice(view: View, points: Sequence[FrontPoint]) -> Iterator[str]:
    """Whether what is recommended is dominated, and what another one would cost."""
    by_number = {point.configuration: point for point in points}
    own = by_number.get(-1 if view.configuration is None else view.configuration)
    if own is None:  # a confirmation may choose a schedule that the search has not tried
        return
    name = "The recommended configuration" if view.choice is None else "The confirmation's choice"
    lowest = min(points, key=lambda point: (point.fid, point.bpd))
    fewest = min(points, key=lambda point: (point.bpd, point.fid))
    if own.dominated_by is not None:
        yield _dominated(name, own, by_number[own.dominated_by])
        if view.choice is None:
            yield "It is recommended for its expected FID, not for this mean."
    else:
        bests = [
            *(["the lowest FID"] if own.fid <= lowest.fid else []),
            *(["the best bits per dim"] if own.bpd <= fewest.bpd else []),
        ]
        yield f"{name} {'has ' + ' and '.join(bests) if bests else 'is on the front'}."
    if fewest.bpd < own.bpd and fewest.fid > own.fid:
        yield (
            f"The best bits per dim, {number(fewest.bpd)} instead of {number(own.bpd)}, costs "
            f"{fid_text(fewest.fid - own.fid)} FID ({fewest.text})"
            f"{_doubt(fewest.fid - own.fid, fewest.fid_error, own.fid_error)}."
        )
    if lowest.fid < own.fid and lowest.bpd > own.bpd:
        yield (
            f"The lowest FID, {fid_text(lowest.fid)} instead of {fid_text(own.fid)}, costs "
            f"{number(lowest.bpd - own.bpd)} bits per dim ({lowest.text})"
            f"{_doubt(lowest.bpd - own.bpd, lowest.bpd_error, own.bpd_error)}."
        )


def _dominated(name: str, own: FrontPoint, by: FrontPoint) -> str:
    doubts = (
        _doubt(own.fid - by.fid, own.fid_error, by.fid_error),
        _doubt(own.bpd - by.bpd, own.bpd_error, by.bpd_error),
    )
    doubt = "; neither difference exceeds its standard error" if all(doubts) else ""
    fids = f"FID {fid_text(by.fid)} instead of {fid_text(own.fid)}"
    bits = f"{number(by.bpd)} instead of {number(own.bpd)} bits per dim"
    return f"{name} is dominated: {by.text} has {fids} and {bits}{doubt}."


def _doubt(difference: float, *errors: float) -> str:
    """What to add where seeds alone may make the difference."""
    return ", less than its standard error" if difference < math.hypot(*errors) else ""
