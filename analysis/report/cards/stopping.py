"""The report's cards on what was decided during a search, and whether that was right."""

from collections.abc import Hashable, Mapping
from typing import Any

from mollitune._errors import MollituneError
from mollitune.analysis.diagnostics.audit import PolicyAudit, audit
from mollitune.analysis.report.data import ACTIONS, StoppingSummary, stopping_summary
from mollitune.analysis.report.html import Cell, Safe, card, join, pairs, table
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of, number

_SHOWN_AS = {
    "continue": "kept",
    "stop": "stopped",
    "audit": "audited",
    "skip": "skipped",
    "promote": "promoted",
}
_NOTES = {
    "stop": "Stopped: ended early.",
    "audit": "Audited: to be stopped, but went on as a check.",
    "skip": "Skipped: the value was not fit to decide on.",
    "promote": "Promoted: the configuration got another seed.",
}


def decisions_card(results: Results, model: str) -> Safe:
    """What was decided at each rung of each rule, on one model."""
    summary = stopping_summary(results, model)
    rungs = summary.rungs
    if rungs.empty:
        return card("Decisions", "No decision was made.")
    shown = [action for action in ACTIONS if rungs[action].any()]
    rows = [
        (
            "",
            [
                Cell(_rule(row)),
                *(Cell(str(row[k]), number=True) for k in ("judged", *shown)),
                Cell(number(row["cutoff"]), number=True),
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
    note = f"What was decided at each share of training, with the last cutoff. {notes}"
    return card("Decisions", note.strip(), table("Decisions", head, rows), _steps(summary))


def _steps(summary: StoppingSummary) -> Safe:
    """A bar of all planned training steps: in runs that went on, in stopped runs, and saved."""
    if not summary.stopped:
        return Safe("")
    kinds = {
        "kept": ("runs that were not stopped", 1 - summary.spent - summary.saved),
        "spent": ("in stopped runs", summary.spent),
        "saved": ("saved by stopping", summary.saved),
    }
    parts = "".join(
        f'<span class="{kind}" style="width:{100 * share:.1f}%"></span>'
        for kind, (_, share) in kinds.items()
    )
    words = "".join(
        f'<li><span class="key {kind}"></span>{text} <b>{share:.0%}</b></li>'
        for kind, (text, share) in kinds.items()
    )
    return Safe(
        '<div class="steps"><p>Planned training steps</p>'
        f'<div class="stack" aria-hidden="true">{parts}</div><ul>{words}</ul></div>'
    )


def _rule(row: Mapping[Hashable, Any]) -> str:
    if row["policy"] == "race":
        return f"race, seed {row['rung'] + 2}"
    return f"{row['policy']} at {row['progress']:.0%}"


def audit_card(results: Results, model: str) -> Safe:
    """Whether stopping was safe, as far as the audit knows."""
    title = "Was stopping safe?"
    try:
        summary = audit(results, model)
    except MollituneError as error:
        return card(title, f"{error}.")
    if not summary.policies:
        return card(title, summary.sentence)
    return card(title, "", *(_policy(each) for each in summary.policies))


def _policy(found: PolicyAudit) -> Safe:
    facts = {"stopped": str(found.stopped), "steps saved": f"{found.share_saved:.0%}"}
    if found.false_stops is not None:
        rest = Safe(f"{found.false_stops} <small>of {found.finished} audited</small>")
        facts["false stops"] = rest
    return join(
        [Safe(f"<p>{join([found.sentence])}</p>"), pairs(facts, "facts"), _correlations(found)]
    )


def _correlations(found: PolicyAudit) -> Safe:
    if not found.rungs:
        return Safe("<p>No run was judged on clean data and trained to its end.</p>")
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
    note = (
        "Spearman's, with 90 % intervals (Fisher's transform), over the runs that were judged "
        "there and trained to their end; without the stopping it would usually be higher."
    )
    label = f"How well {found.policy} foretold, {count_of(len(rows), 'rung')}"
    return join([table(label, head, rows), Safe(f'<p class="note">{note}</p>')])
