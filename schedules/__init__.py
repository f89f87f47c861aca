"""Mollification schedules: pure functions of training progress and the mollifiers that apply them.

A schedule says how strongly the training data is noised or blurred at each moment of training, and
does it: ``x = schedule(x, step / total_steps)`` is the one line that a training loop needs.

Example:
    >>> import torch
    >>> from mollitune.schedules import Sigmoid
    >>> mollify = Sigmoid(start=0, end=3, tau=0.7, until=0.6)
    >>> x = torch.zeros(16, 3, 8, 8)
    >>> mollify(x, 0.3).shape                # halfway through the mollified phase
    torch.Size([16, 3, 8, 8])
    >>> round(mollify.level(0.3), 3)         # variance of the noise
    0.188
    >>> mollify(x, 0.6) is x                 # from `until` on the data is clean
    True

A new family is one new file in this folder: a class decorated with `register`, see `Schedule`.
"""

from ._base import Schedule
from ._build import build, load
from ._distance import GRID, SAME_CURVE, curve_distance, kind_of, strengths
from ._errors import ScheduleFileError
from ._features import shape_features
from ._mollifier import Mollifier
from ._noise import NoiseSchedule
from ._registry import discover, families, lookup, register
from ._space import Choice, Dimension, Float, Int, Option
from .blur import Blur
from .cosine import Cosine
from .cosine_shift import CosineShift
from .edm import EDM
from .exponential import Exponential
from .knots import Knots
from .linear import Linear
from .polynomial import Polynomial
from .sigmoid import Sigmoid
from .vanilla import Vanilla

__all__ = [
    "EDM",
    "GRID",
    "SAME_CURVE",
    "Blur",
    "Choice",
    "Cosine",
    "CosineShift",
    "Dimension",
    "Exponential",
    "Float",
    "Int",
    "Knots",
    "Linear",
    "Mollifier",
    "NoiseSchedule",
    "Option",
    "Polynomial",
    "Schedule",
    "ScheduleFileError",
    "Sigmoid",
    "Vanilla",
    "build",
    "curve_distance",
    "families",
    "kind_of",
    "load",
    "lookup",
    "register",
    "shape_features",
    "strengths",
]

discover(__name__, __path__)
