"""The report's cards on what was decided during a search, and whether that was right."""

from collections.abc import Hashable, Mapping
from typing import Any

from markupsafe import Markup

from mollitune._errors import MollituneError
from mollitune.analysis.diagnostics.audit import PolicyAudit, audit, unlike_stops
from mollitune.analysis.report.data import ACTIONS, StoppingSummary, stopping_summary
from mollitune.analysis.report.html import Cell, card, join, out_of, pairs, table
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of, fid_text

_SHOWN_AS = {
    "continue": "kept",
    "stop": "stopped",
    "audit": "audited",
    "skip": "skipped",
    "promote": "promoted",
}
_NOTES = {
    "stop": "Stopped: ended early.",
    "audit": "Audited: would have been stopped, but was trained on as a check.",
    "skip": "Skipped: the value could not be used for a decision.",
    "promote": "Promoted: the configuration got another seed.",
}

_EXPLAINED = Markup(
    "<p class=\"note\">Spearman's, with 90 % intervals (Fisher's transform), over the runs that "
    "were judged there and trained to their end. Had nothing been stopped, it would usually be "
    "higher.</p>"
)


def decisions_card(results: Results, model: str) -> Markup:
    """What was decided at each rung of each rule, on one model."""
    summary = stopping_summary(results, model)
    rungs = summary.rungs
    if rungs.empty:
        return card("Decisions", "No decision has been made.")
    shown = [action for action in ACTIONS if rungs[action].any()]
    rows = [
        (
            "",
            [
                Cell(_rule(row)),
                *(Cell(str(row[k]), number=True) for k in ("judged", *shown)),
                Cell(fid_text(row["cutoff"]), number=True),
            ],
        )
        for row in rungs.to_dict("records")
    ]
    head = [
        Cell("rule"),
        *(Cell(name, number=True) for name in ("judged", *(_SHOWN_AS[k] for k in shown))),
        Cell("cutoff", number=True),
    ]
    notes = " ".join(_NOTES[action] for action in shown if action in _NOTES)
    notes = f"{notes} {unlike_stops(results, model)}"
    note = f"What was decided at each point of training, with the latest cutoff. {notes}"
    return card("Decisions", note.strip(), table("Decisions", head, rows), _steps(summary))


def _steps(summary: StoppingSummary) -> Markup:
    """A bar of all planned training steps: in runs that went on, in stopped runs, and saved."""
    if not summary.stopped:
        return Markup()
    kinds = {
        "kept": ("runs that were not stopped", 1 - summary.spent - summary.saved),
        "spent": ("in stopped runs", summary.spent),
        "saved": ("saved by stopping", summary.saved),
    }
    part = Markup('<span class="{}" style="width:{:.1f}%"></span>')
    parts = (part.format(kind, 100 * share) for kind, (_, share) in kinds.items())
    word = Markup('<li><span class="key {}"></span>{} <b>{:.0%}</b></li>')
    words = (word.format(kind, text, share) for kind, (text, share) in kinds.items())
    return Markup(
        '<div class="steps"><p>Planned training steps</p>'
        '<div class="stack" aria-hidden="true">{}</div><ul>{}</ul></div>'
    ).format(Markup().join(parts), Markup().join(words))


def _rule(row: Mapping[Hashable, Any]) -> str:
    if row["policy"] == "race":
        return f"race, seed {row['rung'] + 2}"
    return f"{row['policy']} at {row['progress']:.0%}"


def audit_card(results: Results, model: str) -> Markup:
    """Whether stopping was safe, as far as the audit knows."""
    title = "Was stopping safe?"
    try:
        summary = audit(results, model)
    except MollituneError as error:
        return card(title, f"{error}.")
    if not summary.policies:
        return card(title, summary.sentence)
    return card(title, "", *(_policy(each) for each in summary.policies))


def _policy(found: PolicyAudit) -> Markup:
    facts = {"stopped": str(found.stopped), "steps saved": f"{found.share_saved:.0%}"}
    if found.false_stops is not None:
        facts["false stops"] = out_of(found.false_stops, f"{found.finished} audited")
    sentence = Markup("<p>{}</p>").format(found.sentence)
    return join([sentence, pairs(facts, "facts"), _correlations(found)])


def _correlations(found: PolicyAudit) -> Markup:
    if not found.rungs:
        return Markup("<p>No run was judged on clean data and trained to its end.</p>")
    head = [
        Cell("value at"),
        Cell("runs", number=True),
        Cell("rank correlation with the final FID", number=True),
    ]
    rows = []
    for rung in found.rungs:
        text = "too few"
        if rung.correlation is not None:
            interval = f" ({rung.low:.2f} to {rung.high:.2f})" if rung.low is not None else ""
            text = f"{rung.correlation:.2f}{interval}"
        place = Cell(f"{rung.progress:.0%} of training")
        rows.append(("", [place, Cell(str(rung.runs), number=True), Cell(text, number=True)]))
    label = f"How well {found.policy} predicted, {count_of(len(rows), 'rung')}"
    return join([table(label, head, rows), _EXPLAINED])
