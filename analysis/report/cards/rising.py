"""The warning that stands where FID gets worse towards the end of training."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from mollitune.analysis.report.data import FidCurve
from mollitune.analysis.words import count_of, fid_text

RISING = 1.1
"""Final FID over the lowest one before, from which on a curve counts as rising."""


class Rise(NamedTuple):
    """A schedule whose FID gets worse towards the end of training.

    Attributes:
        text: The schedule as short text.
        step: Step of its lowest FID on clean data.
        lowest: That FID.
        last_step: Step of its final FID.
        last: The final FID.
    """

    text: str
    step: int
    lowest: float
    last_step: int
    last: float


def rises(curves: Sequence[FidCurve]) -> list[Rise]:
    """Schedules whose final FID is `RISING` times the lowest one before, the steepest first.

    With several seeds the median run counts, the better of two in the middle. FIDs while the data
    are mollified measure the noise, and are left out.
    """
    runs: dict[str, list[Rise]] = {}
    for curve in curves:
        before = [i for i in range(len(curve.fids) - 1) if curve.clean[i]]
        if before and curve.comparable[-1]:
            low = min(before, key=lambda i: curve.fids[i])
            points = (curve.steps[low], curve.fids[low], curve.steps[-1], curve.fids[-1])
            runs.setdefault(curve.text, []).append(Rise(curve.text, *points))
    ordered = (sorted(own, key=_steepness) for own in runs.values())
    median = [own[(len(own) - 1) // 2] for own in ordered]
    return sorted(filter(lambda r: _steepness(r) >= RISING, median), key=_steepness, reverse=True)


def _steepness(rise: Rise) -> float:
    return rise.last / rise.lowest if rise.lowest > 0 else 1.0


def rising_note(curves: Sequence[FidCurve], metric: str = "FID") -> Markup:
    """A warning where what is minimised gets worse towards the end of training."""
    found = rises(curves)
    if not found:
        return Markup()
    first, others = found[0], len(found) - 1
    more = f" (as does that of {count_of(others, 'other schedule')})" if others else ""
    return Markup('<p class="warning"><b>Warning:</b> {}</p>').format(
        f"the {metric} of {first.text}{more} rises towards the end of training, from "
        f"{fid_text(first.lowest)} at step {first.step:,} to {fid_text(first.last)} at step "
        f"{first.last_step:,}. The ranking may say more about overtraining than about schedules: "
        "compare at fewer steps, and look at bits per dim."
    )
