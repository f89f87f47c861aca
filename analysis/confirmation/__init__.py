"""What fresh paired seeds say: paired intervals, elimination, the verdict and its sentence.

`runs` reads a confirmation from the tables, `judgement` compares its arms by `paired` intervals,
`verdict` puts the result together and `sentence` into words. `elimination` drops hopeless arms
while a confirmation runs; `looks` shares the error out among several; `power` says beforehand
which differences it can find; `trend` says how a difference moves with the budget, `choice`
whether the best arm does.
"""

from .arms import Arm, Verdict
from .choice import Choice, choice
from .elimination import clearly_out
from .judgement import Difference, Judgement, judge
from .looks import level_of
from .paired import Interval, detectable, paired_interval, seeds_needed
from .power import power_sentence
from .runs import dropped_before
from .trend import Trend, trend
from .verdict import verdict, verdicts, write_verdict

__all__ = [
    "Arm",
    "Choice",
    "Difference",
    "Interval",
    "Judgement",
    "Trend",
    "Verdict",
    "choice",
    "clearly_out",
    "detectable",
    "dropped_before",
    "judge",
    "level_of",
    "paired_interval",
    "power_sentence",
    "seeds_needed",
    "trend",
    "verdict",
    "verdicts",
    "write_verdict",
]
