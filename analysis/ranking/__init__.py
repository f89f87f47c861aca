"""Which schedule to use: expected FID, the leaderboard, the best, comparisons and the export.

`expectation` says which FID to expect of each configuration, `leaderboard` ranks by it, `best` and
`finalists` choose from that, `summary` is the table at the end of a search, `export` writes the
choice to a file, `compare` sets two configurations side by side, `pareto` weighs two metrics,
`ladder` has the effect at each budget, `trends` what that tells of other ones, `prior` how far
earlier searches agree.
"""

from .best import Best, best
from .compare import compare, paired_fids
from .export import export_best
from .finalists import finalists, same, tried
from .ladder import ladder
from .leaderboard import leaderboard
from .pareto import pareto
from .prior import prior, prior_lines
from .summary import summary
from .trends import Trends, per_budget, trends

__all__ = [
    "Best",
    "Trends",
    "best",
    "compare",
    "export_best",
    "finalists",
    "ladder",
    "leaderboard",
    "paired_fids",
    "pareto",
    "per_budget",
    "prior",
    "prior_lines",
    "same",
    "summary",
    "trends",
    "tried",
]
