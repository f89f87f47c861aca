"""The report of a search that runs: written again and again."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .load import NoResultsYetError, load_results
from .report import is_running, write_report
from .results import Results

EVERY = 10.0
"""Seconds between two reports."""


def watch_report(
    path: str | os.PathLike[str],
    root: str | os.PathLike[str] = "results",
    output: str | os.PathLike[str] | None = None,
    every: float = EVERY,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Path]:
    """Write the report of a search until the search has ended, once at least.

    The open page reads its file again by itself as long as the search runs. A search that has no
    results yet is waited for.

    Args:
        path: Name of a search below ``root``, or the path or URI of its folder.
        root: Folder of all results, a local path or a URI.
        output: The file to write, see `write_report`.
        every: Seconds between two reports, > 0.
        sleep: Waits, for tests.

    Yields:
        The file, each time that it was written.

    Raises:
        MollituneError: As for `load_results` and `write_report`.
    """
    while True:
        results = _results(path, root)
        if results is not None:
            # before writing: what ends meanwhile is on the next page
            running = is_running(results)
            yield write_report(results, output, reload=every)
            if not running:
                return
        sleep(every)


def _results(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> Results | None:
    try:
        return load_results(path, root)
    except NoResultsYetError:
        return None
