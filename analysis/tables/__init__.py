"""The tables of a search in memory: found, read, queried, and told apart where they must be.

`load` finds a search and reads its `parts` into `rows`; `results` is what one works with; `sql`
queries them; `comparable` says which evaluations may be ranked; `schedules` builds the schedule of
a row.
"""

from .comparable import minimised
from .configurations import configuration_of, hyperspace_of, schedule_of
from .load import NoResultsYetError, find_search, load_results
from .results import Results

__all__ = [
    "NoResultsYetError",
    "Results",
    "configuration_of",
    "find_search",
    "hyperspace_of",
    "load_results",
    "minimised",
    "schedule_of",
]
