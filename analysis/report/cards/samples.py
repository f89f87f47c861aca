"""The sample grids on top of a model: real images, vanilla and the best."""

from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup

from mollitune.analysis.confirmation.arms import Arm, Verdict
from mollitune.analysis.report.html import image, join, opener
from mollitune.analysis.report.pictures import file_of, shown_picture
from mollitune.analysis.report.view import View
from mollitune.analysis.tables.comparable import comparable_reports
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import fid_text, run_name


class _Run(NamedTuple):
    fid: float
    trial: int
    images: str = "validation"  # that the FID compares with


def gallery(results: Results, view: View) -> Markup:
    """Real data, samples of vanilla, and of the best schedule, side by side."""
    figures = [_real(results), _vanilla(results, view), _best(results, view)]
    shown = join(figure for figure in figures if figure)
    return Markup('<div class="card grids">{}</div>').format(shown) if shown else Markup()


def _real(results: Results) -> Markup:
    picture = shown_picture(results, "samples/real.png")
    if picture is None:
        return Markup()
    return _figure("real", "Real data", "", image(picture.data, picture.kind, "Real data"), "")


def _vanilla(results: Results, view: View) -> Markup:
    arm = view.verdict.vanilla if view.verdict else None
    rows = comparable_reports(results, view.model)
    own = rows.loc[rows["family"] == "vanilla", ["fid", "trial"]]
    searched = [_Run(float(fid), int(trial)) for fid, trial in own.itertuples(False, None)]
    title = "Vanilla: the best" if _is_vanilla(view) else "Vanilla"
    confirmed = _runs(arm, view.verdict)
    return _shown(results, title, "", [*_middle_first(confirmed), *_middle_first(searched)])


def _best(results: Results, view: View) -> Markup:
    if _is_vanilla(view):
        return Markup()
    if view.choice is not None:
        arm = view.choice
        points = [p for p in view.points if p.configuration == view.configuration]
        searched = [_Run(*run) for p in points for run in zip(p.fids, p.trials, strict=True)]
        runs = [*_middle_first(_runs(arm, view.verdict)), *_middle_first(searched)]
        return _shown(results, "Choice of the confirmation", arm.text, runs, "winner")
    if view.best is None:
        return Markup()
    own = _Run(view.best.trial_fid, view.best.trial)
    return _shown(results, "Recommended", view.best.text, [own], "winner")


def _is_vanilla(view: View) -> bool:
    chosen = view.best if view.choice is None else view.choice
    return chosen is not None and chosen.is_vanilla


def _runs(arm: Arm | None, verdict: Verdict | None) -> list[_Run]:
    if arm is None or verdict is None:
        return []
    images = verdict.reference
    return [_Run(fid, trial, images) for fid, trial in zip(arm.fids, arm.trials, strict=True)]


def _middle_first(runs: Iterable[_Run]) -> list[_Run]:
    """The run with the median FID, the better of two in the middle, then those next to it."""
    ordered = sorted(runs)
    middle = (len(ordered) - 1) // 2
    return sorted(ordered, key=lambda run: abs(ordered.index(run) - middle))


def _shown(
    results: Results, title: str, schedule: str, runs: Iterable[_Run], kind: str = ""
) -> Markup:
    """The first of some runs that has a picture."""
    for run in runs:
        picture = shown_picture(results, file_of(run.trial))
        if picture is not None:
            own = opener(run.trial, image(picture.data, picture.kind, title))
            text = f"{schedule}, {run_name(run.trial)}" if schedule else run_name(run.trial)
            return _figure(
                kind,
                title,
                f"{run.images} {results.objective.title} {fid_text(run.fid)}",
                own,
                text,
            )
    return Markup()


def _figure(kind: str, title: str, fid: str, content: Markup, text: str) -> Markup:
    value = Markup('<span class="fid">{}</span>').format(fid) if fid else ""
    return Markup(
        '<figure class="{}"><figcaption><b>{}</b>{}</figcaption>{}<p>{}</p></figure>'
    ).format(kind, title, value, content, text)
