"""Reading the results of a search: tables, SQL, ranking, a report page and the best schedule.

Example:
    >>> from mollitune.analysis import load_results
    >>> load_results("no-such-search")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mollitune._errors.MollituneError: no search 'no-such-search' in results...

Nothing here needs Ray, prints or shows: functions return data frames, figures and paths.
"""

from .best import Best, best, export_best
from .leaderboard import leaderboard
from .load import load_results
from .report import write_report
from .results import Results

__all__ = [
    "Best",
    "Results",
    "best",
    "export_best",
    "leaderboard",
    "load_results",
    "write_report",
]
