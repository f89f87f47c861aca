"""Reading the results of a search: tables, SQL, ranking, comparison, costs, audit and report.

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
`write_report`      the page that shows a search to people
=================== =====================================================================
"""

from ._schedules import schedule_of
from .audit import AuditSummary, PolicyAudit, RungAudit, audit
from .best import Best, best, export_best
from .compare import compare, paired_fids
from .costs import costs
from .importance import importance
from .leaderboard import COMPARABLE_WITHIN, leaderboard
from .learning import learning_curves, learning_figure
from .load import find_search, load_results
from .report import write_report
from .results import Results
from .transfer import transfer

__all__ = [
    "COMPARABLE_WITHIN",
    "AuditSummary",
    "Best",
    "PolicyAudit",
    "Results",
    "RungAudit",
    "audit",
    "best",
    "compare",
    "costs",
    "export_best",
    "find_search",
    "importance",
    "leaderboard",
    "learning_curves",
    "learning_figure",
    "load_results",
    "paired_fids",
    "schedule_of",
    "transfer",
    "write_report",
]
