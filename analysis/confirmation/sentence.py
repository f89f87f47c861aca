"""The verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mollitune.analysis.words import count_of, fid_text, plus_minus
from mollitune.search.store import Objective

from .arms import Arm, Verdict
from .paired import LEVEL, POWER


def sentence(verdict: Verdict) -> str:
    """One honest sentence on what the confirmation of a model has shown.

    Of several budgets it names its own: what holds at one says nothing of another.
    """
    found = _winners(verdict) or _not_allowed(verdict) or _hollow(verdict) or _no_winner(verdict)
    words = _nothing(verdict) or _so_far(verdict) + found
    tuned = "tuned against tuned: " if verdict.joint else ""
    return f"On {verdict.where}, {tuned}{words}{_failures(verdict)}."


def by_other_metrics(verdict: Verdict) -> str:
    """What the metrics that do not decide make of the choice; empty where they say nothing.

    Where the choice is vanilla it is about the closest schedule. An arm that the verdict cannot
    tell apart from the choice, but that another metric finds worse than vanilla, is named, too.
    """
    kept = [arm for arm in verdict.schedules if arm.out is None]
    first = verdict.choice if verdict.choice in kept else next(iter(kept), None)
    if first is None:
        return ""
    said = _by_metric(first, verdict.metrics)
    parts = [f"{word} in {listed(names)}" for word, names in said.items() if names]
    if not parts:
        return ""
    against = first.high is not None and first.high < 0 and said["worse"]
    warning = "Not all metrics agree. " if against else ""
    level = f"{100 * LEVEL:.3g} %"
    tied = [
        f" {arm.text}, tied with it, is worse than vanilla in {listed(worse)}."
        for arm in kept
        if arm is not first and arm.tied and first.tied
        if (worse := _by_metric(arm, verdict.metrics)["worse"])
    ]
    told = f"{first.text} by other metrics, each with {level}: {'; '.join(parts)}."
    return f"{warning}{told}{''.join(tied)}"


def _by_metric(arm: Arm, metrics: Mapping[str, Objective]) -> dict[str, list[str]]:
    """The other metrics, each with its difference from vanilla, by what they say of an arm."""
    said: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    for name, metric in metrics.items():
        own = arm.measures.get(name)
        if own is None or own.difference is None or own.low is None or own.high is None:
            continue
        word = "better" if own.high < 0 else "worse" if own.low > 0 else "undecided"
        shown = plus_minus(own.difference, (own.high - own.low) / 2)
        said[word].append(f"{metric.title} ({shown})")
    return said


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Examples:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _nothing(verdict: Verdict) -> str | None:
    """Why there is no verdict; None if there is one."""
    none = "there is no verdict" + ("" if verdict.complete else " yet")
    if verdict.vanilla is None or not verdict.vanilla.fids:
        return f"{none}: vanilla has no complete run to compare with"
    schedules = verdict.schedules
    if all(arm.failed for arm in schedules):
        return f"{none}: no schedule has a complete run to compare with vanilla"
    if any(arm.out is None for arm in schedules) and not _judged(verdict):
        return f"{none}: an interval takes two seeds, each with and without the schedule"
    return None


def _so_far(verdict: Verdict) -> str:
    if verdict.complete:
        return ""
    fewest = min(len(arm.seeds) for arm in verdict.arms if arm.out is None)
    return f"so far ({fewest} of {count_of(verdict.planned, 'seed')} done), "


def _winners(verdict: Verdict) -> str | None:
    """The case that some schedule beats vanilla; None otherwise."""
    choice = verdict.choice
    if choice is None or not choice.beats_vanilla:
        return None
    by = f"by {_interval(choice, -1)} {verdict.metric} ({_evidence(verdict, choice)})"
    vanilla, end = _plain(verdict), _alone(verdict, choice) + _bounded(verdict, choice)
    tied = [choice, *(a for a in verdict.tie_set if a is not choice and not a.is_vanilla)]
    beating = [arm.text for arm in tied if arm.beats_vanilla]
    if len(tied) == 1:
        alone = ", and nothing ties with it" * (choice.tied and len(verdict.arms) > 2)
        return f"{choice.text} beats {vanilla} {by}{alone}{end}"
    apart = f"{listed([arm.text for arm in tied])} cannot be told apart"
    if len(beating) == len(tied):
        return f"{apart}; each beats {vanilla}, {choice.text} {by}{end}"
    if len(beating) == 1:
        return f"{apart}; only {choice.text} beats {vanilla}, {by}{end}"
    return f"{apart}; {listed(beating)} beat {vanilla}, {choice.text} {by}{end}"


def _alone(verdict: Verdict, arm: Arm) -> str:
    """What the schedule does at equal hyperparameters, where these were searched."""
    if not verdict.joint:
        return ""
    if arm.equal is None:
        return ", at the same hyperparameters"
    return f"; at equal hyperparameters by {_equal(arm, -1)}"


def _bounded(verdict: Verdict, arm: Arm) -> str:
    """What an arm makes of the constraint."""
    constraint = verdict.constraint
    if constraint is None or arm.second is None:
        return ""
    relative = constraint.bound.relative
    found = fid_text(arm.second, signed=relative) + " from vanilla" * relative
    limit = fid_text(constraint.bound.limit, signed=relative)
    return f"; {constraint.metric.title} {found}, allowed {limit}"


def _not_allowed(verdict: Verdict) -> str | None:
    """The case that only what breaks the constraint beats vanilla; None otherwise."""
    better = [arm for arm in _judged(verdict) if arm.beats_vanilla]
    if not better:
        return None
    arm = better[0]
    by = f"by {_interval(arm, -1)} {verdict.metric} ({_evidence(verdict, arm)})"
    broken = _bounded(verdict, arm).removeprefix("; ")
    return f"{arm.text} beats {_plain(verdict)} {by}, but breaks the constraint ({broken})"


def _also_equal(arm: Arm) -> str:
    """What the schedule does at its own hyperparameters, where vanilla has others."""
    return "" if arm.equal is None else f"; at equal hyperparameters {_equal(arm)}"


def _hollow(verdict: Verdict) -> str | None:
    """The case that only hyperparameters beat vanilla; None otherwise."""
    better = [arm for arm in _judged(verdict) if arm.high is not None and arm.high < 0]
    if not better or better[0].equal is None:
        return None
    arm, evidence = better[0], _evidence(verdict, better[0])
    return (
        f"{arm.text} is better than {_plain(verdict)} by {_interval(arm, -1)} "
        f"{verdict.metric} ({evidence}), "
        f"but cannot be told apart from vanilla at the same hyperparameters "
        f"({_equal(arm)}): so many seeds do not show that the schedule itself helps"
    )


def _equal(arm: Arm, sign: int = 1) -> str:
    if arm.equal is None or arm.equal.half_width is None:
        return "no interval yet"
    return plus_minus(sign * arm.equal.mean, arm.equal.half_width)


def _plain(verdict: Verdict) -> str:
    return verdict.vanilla.text if verdict.vanilla is not None else "vanilla"


def _no_winner(verdict: Verdict) -> str:
    judged = _judged(verdict)
    undecided = [arm for arm in judged if arm.low is not None and arm.low <= 0]
    if not undecided:
        closest = ""
        if judged:
            evidence = _evidence(verdict, judged[0])
            closest = (
                f"; the closest, {judged[0].text}, is worse by {_interval(judged[0])} "
                f"{verdict.metric} ({evidence})"
            )
        return f"{_plain(verdict)} beats every schedule{closest}"
    largest = max(undecided, key=lambda arm: abs(arm.difference or 0.0))
    shown = (
        f"(largest difference: {_interval(largest)} {verdict.metric}, {largest.text}; "
        f"{_evidence(verdict, largest)}{_also_equal(largest)}){_unnoticed(verdict)}"
    )
    if len(undecided) == len(verdict.schedules):
        return f"no schedule can be told apart from {_plain(verdict)} {shown}"
    names = listed([arm.text for arm in undecided])
    return f"no schedule beats {_plain(verdict)}, and {names} cannot be told apart from it {shown}"


def _unnoticed(verdict: Verdict) -> str:
    """What such a confirmation would have found: no difference found is not no difference."""
    if not verdict.detectable:
        return ""
    found = f"a true difference of {fid_text(verdict.detectable)} {verdict.metric}"
    return f"; this test had an {100 * POWER:.0f} % chance to detect {found}"


def _failures(verdict: Verdict) -> str:
    failed = [arm.text for arm in verdict.arms if arm.failed]
    return f"; {listed(failed)} failed and cannot be judged" if failed else ""


def _judged(verdict: Verdict) -> list[Arm]:
    """The arms that were kept and have an interval, lowest difference first."""
    judged = [a for a in verdict.schedules if a.out is None and a.half_width is not None]
    return sorted(judged, key=lambda arm: arm.difference or 0.0)


def _interval(arm: Arm, sign: int = 1) -> str:
    return plus_minus(sign * (arm.difference or 0.0), arm.half_width or 0.0)


def _evidence(verdict: Verdict, arm: Arm) -> str:
    base = verdict.vanilla.seeds if verdict.vanilla else ()
    paired = len(set(arm.seeds) & set(base))
    look = f", look {verdict.number}" if verdict.number > 1 else ""
    return f"{count_of(paired, 'paired seed')}, {100 * verdict.level:.4g} %{look}"
