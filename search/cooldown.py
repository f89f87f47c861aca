"""A cooldown branch: what is left of a schedule, run through in a few steps, then thrown away.

While the training data are mollified, the FID of a model measures the leftover noise. A branch to
clean data, after which the training goes on from where the branch began, measures something nearer
to the model, at the price of its steps.
"""

from __future__ import annotations

from mollitune.schedules import Schedule

CLEAN_SHARE = 0.2


def cooldown_steps(step: int, extra: float) -> int:
    """Return the length of a branch at ``step``, in steps: ``extra`` of the steps so far."""
    return max(1, round(extra * step))


def cooldown(schedule: Schedule, progress: float, steps: int) -> list[float]:
    """Return the schedule's progress at each step of a branch.

    The rest of the mollified phase is compressed into the first 80 % of the steps; the last 20 %,
    but at least one, train on clean data. Where the data are clean already, the branch simply
    trains on.

    Args:
        schedule: The schedule of the training.
        progress: Share of the training that is done, in [0, 1].
        steps: Length of the branch, >= 1.

    Example:
        >>> from mollitune.schedules import Linear
        >>> cooldown(Linear(until=0.9), 0.5, 5)
        [0.5, 0.6, 0.7, 0.8, 0.9]
    """
    end = max(progress, schedule.until)
    clean = max(1, int(CLEAN_SHARE * steps))
    rest, warm = end - progress, (1 - CLEAN_SHARE) * steps
    # `end` itself for the clean steps: a rounding error below it would leave a trace of the level
    return [progress + rest * k / warm for k in range(steps - clean)] + [end] * clean
