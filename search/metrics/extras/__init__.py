"""The metrics of ``fid.extra``: what is measured beside FID if it is asked for.

Each is one file with a subclass of `Extra`, such as `kid`, and has its name in `REGISTRY` of
`registry`; one of a user's own is named ``module:Class`` or ``module:function`` instead.
"""

from mollitune.search.store.evaluation import extra_metric

from .base import AtEnd, Extra, Sides, Trained

__all__ = ["AtEnd", "Extra", "Sides", "Trained", "extra_metric"]
