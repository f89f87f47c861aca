"""Reading the results of a search: tables, SQL, ranking, audit, report and the best schedule.

Example:
    >>> from mollitune.analysis import load_results
    >>> load_results("no-such-search")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mollitune._errors.MollituneError: no search 'no-such-search' in results...

Nothing here needs Ray, prints or shows: functions return data frames, figures and paths.
"""

from ._schedules import schedule_of
from .audit import AuditSummary, PolicyAudit, RungAudit, audit
from .best import Best, best, export_best
from .leaderboard import COMPARABLE_WITHIN, leaderboard
from .load import find_search, load_results
from .report import write_report
from .results import Results

__all__ = [
    "COMPARABLE_WITHIN",
    "AuditSummary",
    "Best",
    "PolicyAudit",
    "Results",
    "RungAudit",
    "audit",
    "best",
    "export_best",
    "find_search",
    "leaderboard",
    "load_results",
    "schedule_of",
    "write_report",
]
