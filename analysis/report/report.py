"""The report: one HTML file that holds everything, made for looking."""

import os
import posixpath
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mollitune._errors import MollituneError
from mollitune._folder import Folder
from mollitune.analysis.tables.load import NoResultsYetError, load_results
from mollitune.analysis.tables.results import Results, status_of

from .page import page

REPORT_FILE = "report.html"


def write_report(
    results: Results,
    path: str | os.PathLike[str] | None = None,
    reload: float | None = None,
) -> Path:
    """Write the results of a search as one self-contained HTML page.

    It shows samples, FID during training, the schedules, the ranking, early stopping, failures
    and provenance for each model, in light and dark, and needs no network. An older report at
    the same place is replaced.

    Args:
        results: Results of a search, finished or running.
        path: The file to write; by default ``report.html`` in the search's folder, which must
            then be local.
        reload: Seconds after which the open page reads its file again, as long as the search or
            its confirmation runs; None: never.

    Returns:
        The path.

    Raises:
        MollituneError: If the file cannot be written, or ``path`` is missing for a search that
            is not local.
    """
    if path is None and results.folder is None:
        raise MollituneError(f"the search is in {results.root}, not local: name a file to write")
    target = Path(path) if path is not None else Path(posixpath.join(results.root, REPORT_FILE))
    html = page(results, reload=reload if is_running(results) else None)
    Folder(target.parent).write(target.name, html.encode())
    return target


def is_running(results: Results) -> bool:
    """Tell whether a search or its confirmation had not ended when the results were loaded."""
    return status_of(results) in ("running", "confirming")


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

    The open page reloads as long as the search runs. A search without results yet is waited for.

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
