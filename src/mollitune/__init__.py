"""Mollitune finds the best data-mollification schedule for a likelihood-based generative model.

`run` runs a search, `Search` is one to go on with, to confirm and to export. They take what a YAML
file of the command line may say, and objects.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .search.api import Result, Search, run

__version__ = "0.1.0"
__all__ = ["Result", "Search", "__version__", "run"]


def __getattr__(name: str) -> Any:
    # only when asked for: most of what is imported of Mollitune needs none of it
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .search import api

    return getattr(api, name)
