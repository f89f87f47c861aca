"""What the files of a search's confirmations say, see ``confirm/1.json``."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .results import Results


def confirmation_files(results: Results) -> Iterator[Mapping[str, Any]]:
    """Read the descriptions of the confirmations of a search, the first one first.

    One that is damaged is empty: a report must not fail for it, and resuming says what is wrong.
    """
    number = 1
    while (content := results.read_file(f"confirm/{number}.json")) is not None:
        yield {"number": number, **_read(content)}
        number += 1


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def status_of(results: Results) -> str:
    """How far a search is: its status, or ``confirming`` while a confirmation runs."""
    status = str(results.metadata.get("status", "unknown"))
    states = [file.get("status") for file in confirmation_files(results)]
    return "confirming" if status != "running" and states[-1:] == ["running"] else status
