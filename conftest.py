"""Settings that must stand before torch and Ray are imported; long files of tests come first."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

# The suite runs in two processes on two cores, and Ray's workers must not yield to them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")

DURATIONS = Path(__file__).parent / "tests" / "durations.json"
"""Seconds that each file of tests takes, as ``pytest --keep-durations`` has measured them."""


class Stopwatch:
    """Adds up what the tests of each file take, and keeps it at the end."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a phase of a test."""
        self.seconds[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_sessionfinish(self) -> None:
        """Write what files took, those of a second or more."""
        kept = {name: round(s) for name, s in sorted(self.seconds.items()) if s >= 1}
        DURATIONS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that measures."""
    parser.addoption(
        "--keep-durations",
        action="store_true",
        help="measure tests/durations.json anew; for a whole run on a quiet machine",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Measure, if asked to, where all reports arrive."""
    if config.getoption("--keep-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Stopwatch())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files start first, so that two workers end at about the same time."""
    seconds = json.loads(DURATIONS.read_text(encoding="utf-8")) if DURATIONS.exists() else {}
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0))
