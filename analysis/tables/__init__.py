"""The tables of a search in memory: found, read, queried, and told apart where they must be.

`load` finds a search and reads its `parts` into `rows`; `results` is what one works with; `sql`
queries them; `comparable` says which evaluations may be ranked; `configurations` builds the
configuration of a row; `prior` is what a new search takes of earlier ones.
"""

from .comparable import minimised
from .configurations import configuration_of, hyperspace_of, schedule_of, training_of
from .load import NoResultsYetError, find_search, load_results
from .prior import Wanted, earlier_runs
from .results import Results

__all__ = [
    "NoResultsYetError",
    "Results",
    "Wanted",
    "configuration_of",
    "earlier_runs",
    "find_search",
    "hyperspace_of",
    "load_results",
    "minimised",
    "schedule_of",
    "training_of",
]
