"""The folder for what can be computed again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for what can be computed again: ``$MOLLITUNE_CACHE`` or the home cache."""
    return Path(os.environ.get("MOLLITUNE_CACHE", "~/.cache/mollitune")).expanduser()
