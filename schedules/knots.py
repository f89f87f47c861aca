"""A free-form schedule: a monotone curve through knots."""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from ._noise import NoiseSchedule
from ._registry import register
from ._space import UNTIL, Choice, Float

_INTERVALS = 6


@register
@dataclass(frozen=True, kw_only=True)
class Knots(NoiseSchedule):
    r"""A monotone curve of no particular formula, for a search that may find a new one.

    The mollified phase is cut into six equal intervals. Over interval i the curve falls by

    .. math:: d_i = \frac{e^{w_i}}{\sum_{j=1}^6 e^{w_j}}, \qquad w_6 = 0,

    so every w gives a curve that falls from 1 to 0. Only differences between the w matter, so the
    last one is no parameter. Through the knots runs the monotone piecewise cubic of Fritsch and
    Carlson (SIAM J. Numer. Anal. 17, 1980), with the slopes of Fritsch and Butland (SIAM J. Sci.
    Stat. Comput. 5, 1984), known as PCHIP. With all w at 0, the default, this is `Linear`.

    Args:
        w1: Logarithm of the fall in the first sixth, relative to that in the last.
        w2: The same for the second sixth.
        w3: The same for the third sixth.
        w4: The same for the fourth sixth.
        w5: The same for the fifth sixth.
        until: Share of training that is mollified, in (0, 1].
        peak: Level at the start, in (0, 1].
        floor: Level that the mollified phase ends at, in [0, peak].

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import math
        >>> mollify = Knots(w1=math.log(5))  # half of the fall in the first sixth
        >>> [round(mollify.level(i / 6), 3) for i in range(7)]
        [1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    """

    family: ClassVar[str] = "knots"

    w1: float = 0.0
    w2: float = 0.0
    w3: float = 0.0
    w4: float = 0.0
    w5: float = 0.0

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        """Return the parameters worth searching; ``side`` does not matter."""
        logits = {f"w{i}": Float(-3.0, 3.0) for i in range(1, _INTERVALS)}
        return {**logits, "until": UNTIL}

    def h(self, q: float) -> float:
        """The curve, see `NoiseSchedule.h`."""
        values, falls = _spline((self.w1, self.w2, self.w3, self.w4, self.w5, 0.0))
        i = min(int(_INTERVALS * q), _INTERVALS - 1)
        t = _INTERVALS * q - i
        r = 1.0 - t
        # The cubic Hermite basis on [0, 1], grouped so that no group is negative.
        left = (1.0 + 2.0 * t) * values[i] - t * falls[i]
        right = (1.0 + 2.0 * r) * values[i + 1] + r * falls[i + 1]
        return r * r * left + t * t * right


@lru_cache(maxsize=256)
def _spline(logits: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Values at the knots and how steeply the curve falls there, per interval."""
    top = max(logits)
    weights = [math.exp(w - top) for w in logits]
    # Summed from the end, so that small values there keep their digits.
    tails = [0.0, *itertools.accumulate(reversed(weights))][::-1]
    drops = [weight / tails[0] for weight in weights]
    inner = [_harmonic_mean(a, b) for a, b in itertools.pairwise(drops)]
    falls = (_end(drops[0], drops[1]), *inner, _end(drops[-1], drops[-2]))
    return tuple(tail / tails[0] for tail in tails), falls


def _harmonic_mean(a: float, b: float) -> float:
    # Weights of exp(-1000) are 0, so there may be flat stretches.
    return 2.0 * a * b / (a + b) if a + b > 0.0 else 0.0


def _end(nearest: float, next_one: float) -> float:
    """The slope of the parabola at its end, or 0 where that would turn the curve around."""
    return max(0.0, 1.5 * nearest - 0.5 * next_one)
