"""Reading the results of a search: tables, SQL, ranking, comparison, costs, verdict and report.

Example:
    >>> from mollitune.analysis import load_results
    >>> load_results("no-such-search")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mollitune._errors.MollituneError: no search 'no-such-search' in results...

Nothing here needs Ray, prints or shows: functions return data frames, figures and paths.

=================== =====================================================================
`best`              which schedule to use, and how sure that is
`summary`           the same for all models, as the table that a search ends with
`leaderboard`       all configurations, ranked by the FID to expect of them
`pareto`            which configurations are best in FID given bits per dim, or in two others
`compare`           two configurations over the seeds that both have; `paired_fids` lists them
`importance`        which parameters and features of the shape move the FID
`transfer`          whether the winner on one model wins on another
`learning_curves`   every evaluation of every run; `learning_figure` draws them
`figures`           the plots of the report, as Plotly figures
`costs`             trials, steps and hours per model, and what stopping saved
`audit`             whether stopping early was safe
`verdict`           what fresh seeds say: which schedules beat vanilla, which cannot be told apart
`ladder`            what each schedule does at each budget; `trends` says it in sentences
`prior`             what the search has learned from, and how far that agrees with it
`trend`             how a schedule's effect moves with the budget, and where it starts to pay
`write_report`      the page that shows a search to people; `watch_report` follows one that runs
=================== =====================================================================
"""

from mollitune.search.store import COMPARABLE_WITHIN

from .confirmation import (
    Arm,
    Difference,
    Interval,
    Judgement,
    Trend,
    Verdict,
    clearly_out,
    detectable,
    judge,
    paired_interval,
    seeds_needed,
    trend,
    verdict,
    verdicts,
    write_verdict,
)
from .diagnostics import (
    AuditSummary,
    PolicyAudit,
    RungAudit,
    audit,
    costs,
    importance,
    learning_curves,
    transfer,
)
from .ranking import (
    Best,
    Trends,
    best,
    compare,
    export_best,
    ladder,
    leaderboard,
    paired_fids,
    pareto,
    prior,
    summary,
    trends,
)
from .report import figures, in_html, learning_figure, watch_report, write_report
from .tables import NoResultsYetError, Results, find_search, load_results, schedule_of

Results.in_html = in_html

__all__ = [
    "COMPARABLE_WITHIN",
    "Arm",
    "AuditSummary",
    "Best",
    "Difference",
    "Interval",
    "Judgement",
    "NoResultsYetError",
    "PolicyAudit",
    "Results",
    "RungAudit",
    "Trend",
    "Trends",
    "Verdict",
    "audit",
    "best",
    "clearly_out",
    "compare",
    "costs",
    "detectable",
    "export_best",
    "figures",
    "find_search",
    "importance",
    "judge",
    "ladder",
    "leaderboard",
    "learning_curves",
    "learning_figure",
    "load_results",
    "paired_fids",
    "paired_interval",
    "pareto",
    "prior",
    "schedule_of",
    "seeds_needed",
    "summary",
    "transfer",
    "trend",
    "trends",
    "verdict",
    "verdicts",
    "watch_report",
    "write_report",
    "write_verdict",
]
