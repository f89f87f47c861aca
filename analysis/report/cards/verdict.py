"""The card with the verdict of a confirmation."""

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from mollitune.analysis.confirmation.arms import Arm, Verdict
from mollitune.analysis.confirmation.measures import Measure
from mollitune.analysis.confirmation.paired import LEVEL
from mollitune.analysis.confirmation.sentence import listed
from mollitune.analysis.report.html import Cell, chip, join, small, table, trial_button
from mollitune.analysis.report.html import details as fold
from mollitune.analysis.report.strip import Scale, axis, dot, interval, scale_of, strip, upright
from mollitune.analysis.words import count_of, fid_text, plus_minus

_OUTSIDE = 1.4  # how far beyond the arms that were kept the others are still shown


def verdict_cards(verdicts: Sequence[Verdict], details: str = "") -> Markup:
    """The card of the largest budget, which is closest to production; the others folded away.

    Args:
        verdicts: What a confirmation says about one model, the shortest budget first; at least
            one.
        details: As for `verdict_card`.
    """
    *others, last = verdicts
    box = Markup('<div class="card verdict">{}</div>')
    folded = (box.format(fold(own.sentence, _content(own))) for own in others)
    return join([verdict_card(last, details), *folded])


def verdict_card(verdict: Verdict, details: str = "") -> Markup:
    """The verdict in one large sentence, and each schedule with its difference from vanilla.

    Args:
        verdict: What a confirmation says about one model.
        details: What follows from it, and what the search had recommended.
    """
    box = Markup('<div class="card verdict"><p class="sentence">{}</p>{}</div>')
    return box.format(verdict.sentence, _content(verdict, details))


def _content(verdict: Verdict, details: str = "") -> Markup:
    scale = _scale(verdict)
    head = [
        Cell("schedule"),
        Cell("seeds", number=True),
        Cell(f"mean {verdict.reference} {verdict.metric} ± s.e.", number=True),
        Cell("difference from vanilla", number=True),
        Cell(axis(scale), kind="strips"),
        Cell("samples by seed"),
    ]
    rows = [(_kind(verdict, arm), _cells(verdict, arm, scale)) for arm in verdict.arms]
    label = f"Schedules of the confirmation of {verdict.where}"
    return Markup('<p>{}</p><p>{}</p>{}<p class="note">{}</p>{}').format(
        details, _how(verdict), table(label, head, rows), _LEGEND, _others(verdict)
    )


def _others(verdict: Verdict) -> Markup:
    """What the metrics that do not decide show, a row for each arm that was kept."""
    base = verdict.vanilla
    if base is None or not verdict.also:
        return Markup()
    metrics = {name: own for name, own in verdict.metrics.items() if name in base.measures}
    head = [Cell("other metrics"), *(Cell(own.title, number=True) for own in metrics.values())]
    kept = [arm for arm in verdict.arms if arm.out is None or arm is base]
    rows = []
    for arm in kept:
        cells = [_measured(arm.measures.get(name), mean=arm is base) for name in metrics]
        kind = "reference" if arm is base else ""
        rows.append((kind, [Cell(chip(arm.schedule.family) + arm.text, kind="schedule"), *cells]))
    text = Markup('<p class="also">{}</p>{}<p class="note">{}</p>')
    return text.format(verdict.also, table("The other metrics", head, rows), _OTHERS)


_OTHERS = (
    "They do not decide. Of vanilla the mean, of the others the difference from it on the same "
    "seeds: negative is better. Each 95 % interval holds by itself: of twenty, one may err."
)


def _measured(own: Measure | None, mean: bool) -> Cell:
    if own is not None and mean:
        return Cell(fid_text(own.mean), number=True)
    if own is None or own.difference is None:
        return Cell("", number=True)
    shown = _with_ends(own.difference, own)
    return Cell(shown, number=True, kind=_direction(own))


_LEGEND = (
    "Left of the line means better than vanilla on the same seeds. Where an interval does not "
    "touch the line, the difference is real. Tied schedules cannot be told apart from the best."
)


def _how(verdict: Verdict) -> str:
    before = listed([f"confirmation {number}" for number in verdict.earlier])
    seeds = count_of(verdict.planned, "fresh seed") + f", with those of {before}," * bool(before)
    state = "" if verdict.complete else ", not complete yet"
    final = "" if verdict.fid_final == "last" else f", {verdict.fid_final},"
    return (
        f"Confirmation {verdict.number}: {seeds} for each schedule{state}. FID of "
        f"{verdict.fid_samples:,} samples{final} against the {verdict.reference} data of "
        f"{verdict.dataset}, in features of {verdict.extractor}, after {verdict.length}. "
        f"All intervals hold at once with {100 * verdict.level:.4g} % probability"
        f"{', whenever you look' if verdict.anytime else ''}{_account(verdict)}."
    )


def _account(verdict: Verdict) -> str:
    """What the error of several confirmations adds up to; those of 0.1 did not share it."""
    if verdict.level <= LEVEL:
        return ""
    return f"; those of all confirmations of this search, however many, with {100 * LEVEL:.3g} %"


def _scale(verdict: Verdict) -> Scale:
    """A scale for all that were kept; intervals of the others may leave it."""
    kept = [arm for arm in verdict.arms if arm.out is None] or list(verdict.arms)
    scale = scale_of(value for arm in kept for value in _values(arm))
    wide = scale_of(value for arm in verdict.arms for value in _values(arm))
    return Scale(
        max(wide.low, scale.low * _OUTSIDE if scale.low < 0 else scale.low),
        min(wide.high, scale.high * _OUTSIDE if scale.high > 0 else scale.high),
    )


def _values(arm: Arm) -> Iterator[float]:
    yield from (v for v in (arm.difference, arm.low, arm.high) if v is not None)


def _kind(verdict: Verdict, arm: Arm) -> str:
    kinds = {
        "reference": arm.baseline,
        "first": _is_choice(verdict, arm),
        "out": arm.out is not None,
    }
    return " ".join(kind for kind, given in kinds.items() if given)


def _is_choice(verdict: Verdict, arm: Arm) -> bool:
    """Whether an arm was chosen; before all seeds are there, none is."""
    choice = verdict.choice if verdict.complete else None
    return choice is not None and arm.configuration == choice.configuration


def _cells(verdict: Verdict, arm: Arm, scale: Scale) -> list[Cell]:
    return [
        Cell(_name(verdict, arm), kind="schedule"),
        Cell(f"{len(arm.seeds)} of {verdict.planned}" if verdict.planned else "", number=True),
        Cell(_mean(arm), number=True),
        Cell(_difference(arm), number=True, kind=_direction(arm)),
        Cell(_drawn(verdict, arm, scale), kind="strips"),
        Cell(join(map(trial_button, arm.trials, _counted(verdict, arm))), kind="trials"),
    ]


def _counted(verdict: Verdict, arm: Arm) -> list[int]:
    """Number the seeds from 1, alike for all schedules: a seed itself has many digits."""
    seeds = sorted({seed for each in verdict.arms for seed in each.seeds})
    return [1 + seeds.index(seed) for seed in arm.seeds]


def _name(verdict: Verdict, arm: Arm) -> Markup:
    tags = []
    if _is_choice(verdict, arm):
        tags.append("choice")
    if arm.tied and len(verdict.tie_set) > 1:
        tags.append("tied")
    if arm.beats_vanilla:
        tags.append("beats vanilla")
    mark = Markup('<span class="tag {}">{}</span>')
    marks = Markup().join(mark.format(tag.split()[0], tag) for tag in tags)
    line = Markup(' <span class="tags">{}</span>').format(marks) if marks else ""
    name = chip(arm.schedule.family) + arm.text + line
    return name if arm.out is None else small(name, f"out: {arm.out}")


def _mean(arm: Arm) -> str:
    if math.isnan(arm.mean):
        return "no complete run"
    return fid_text(arm.mean) if math.isnan(arm.error) else plus_minus(arm.mean, arm.error)


def _difference(arm: Arm) -> str:
    if arm.baseline:
        return "reference"
    if arm.difference is None:
        return "no seed in common"
    return _with_ends(arm.difference, arm)


def _with_ends(difference: float, own: Arm | Measure) -> Markup:
    """A difference from vanilla with the ends of its interval."""
    value = fid_text(difference, signed=True)
    if own.low is None or own.high is None:
        return small(value, "no interval yet")
    ends = (fid_text(end, signed=True) for end in (own.low, own.high))
    return small(value, " to ".join(ends))


def _direction(own: Arm | Measure) -> str:
    if own.low is None or own.high is None:
        return ""
    return "better" if own.high < 0 else "worse" if own.low > 0 else ""


def _drawn(verdict: Verdict, arm: Arm, scale: Scale) -> Markup:
    zero = upright(scale, 0.0, "zero")
    if arm.baseline:
        return strip("vanilla, the reference at zero", "none", zero, dot(scale, 0.0))
    if arm.difference is None:
        return strip("no difference yet", "none", zero)
    ends = Markup()
    if arm.low is not None and arm.high is not None:
        ends = interval(scale, arm.low, arm.high)
    radius = 7 if _is_choice(verdict, arm) else 5
    label = f"{arm.text}: {fid_text(arm.difference, signed=True)}"
    shown = dot(scale, arm.difference, radius)
    return strip(label, _direction(arm) or "none", zero, ends, shown)
