"""Reading the results of a search: tables, SQL, ranking, comparison, costs, verdict and report.

Example:
    >>> from mollitune.analysis import load_results
    >>> load_results("no-such-search")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mollitune._errors.MollituneError: no search 'no-such-search' in results...

Nothing here needs Ray, prints or shows: functions return data frames, figures and paths.

=================== =====================================================================
`best`              which schedule to use, and how sure that is
`leaderboard`       all configurations, ranked by the FID to expect of them
`compare`           two configurations over the seeds that both have; `paired_fids` lists them
`importance`        which parameters and features of the shape move the FID
`transfer`          whether the winner on one model wins on another
`learning_curves`   every evaluation of every run; `learning_figure` draws them
`costs`             trials, steps and hours per model, and what stopping saved
`audit`             whether stopping early was safe
`verdict`           what fresh seeds say: which schedules beat vanilla, which cannot be told apart
`write_report`      the page that shows a search to people; `watch_report` follows one that runs
=================== =====================================================================
"""

from ._schedules import schedule_of
from .audit import AuditSummary, PolicyAudit, RungAudit, audit
from .best import Best, best, export_best
from .compare import compare, paired_fids
from .costs import costs
from .elimination import clearly_out
from .importance import importance
from .judgement import Difference, Judgement, judge
from .leaderboard import COMPARABLE_WITHIN, leaderboard
from .learning import learning_curves, learning_figure
from .load import NoResultsYetError, find_search, load_results
from .paired import Interval, detectable, paired_interval, seeds_needed
from .report import write_report
from .results import Results
from .transfer import transfer
from .verdict import Arm, Verdict, verdict, verdicts, write_verdict
from .watch import watch_report

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
    "Verdict",
    "audit",
    "best",
    "clearly_out",
    "compare",
    "costs",
    "detectable",
    "export_best",
    "find_search",
    "importance",
    "judge",
    "leaderboard",
    "learning_curves",
    "learning_figure",
    "load_results",
    "paired_fids",
    "paired_interval",
    "schedule_of",
    "seeds_needed",
    "transfer",
    "verdict",
    "verdicts",
    "watch_report",
    "write_report",
    "write_verdict",
]
