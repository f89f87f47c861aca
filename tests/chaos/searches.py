"""Runs real searches that are killed, and looks at what they leave."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mollitune.analysis import Results, load_results
from mollitune.search.store.schema import KEYS

BIN = Path(sys.executable).parent
OF_A_MOMENT = ["search", "time", "start", "end", "step_seconds", "eval_seconds", "attempt"]


class Searches:
    """A folder in which searches run, are killed and go on."""

    def __init__(self, folder: Path, short: Path, cache: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "MOLLITUNE_CACHE": str(cache),
            "TMPDIR": str(short),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN / "mollitune"), *args],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, code: int = 0) -> str:
        process = self.start(*args)
        text, _ = process.communicate(timeout=400)
        assert process.returncode == code, text
        return text

    def config(self, name: str, **values: Any) -> str:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, **values}))
        return path.name

    def events(self, name: str, record: str = "journal") -> int:
        path = self.folder / "results" / name / record / "events.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def kill_on_the_way(
        self, process: subprocess.Popen[str], name: str, delay: float, record: str = "journal"
    ) -> bool:
        """Wait until the search goes on, then a little, and kill; False if it was over before."""
        self._wait_to_go_on(process, name, record)
        return self.kill_after(process, delay)

    def kill_after(self, process: subprocess.Popen[str], delay: float) -> bool:
        """Wait a little and kill; False if the search was over before."""
        time.sleep(delay)
        return self._kill(process)

    def killed_on_the_way(
        self,
        command: str,
        name: str,
        kills: int,
        *,
        seed: int,
        record: str = "journal",
        options: Sequence[str] = (),
    ) -> int:
        """Run a command again each time that it was killed; return how often it was.

        A search is run from its config, and goes on with ``resume``. Options are given once.
        """
        rng, done = random.Random(seed), 0
        first = f"{name}.yaml" if command == "search" else name
        process = self.start(command, first, *options)
        while done < kills and self.kill_on_the_way(process, name, rng.uniform(0, 0.4), record):
            done += 1
            process = self.start("resume" if command == "search" else command, name)
        text, _ = process.communicate()
        assert process.returncode == 0, text
        assert done > 0
        return done

    def kill_in_a_trial(self, process: subprocess.Popen[str], name: str) -> bool:
        """Kill as soon as the record says that a trial runs; False if the search was over before.

        The driver is held while its record is looked at, so that nothing can happen in between.
        """
        self._wait_to_go_on(process, name, "journal")
        while process.poll() is None:
            if self._in_a_trial(name):
                process.send_signal(signal.SIGSTOP)
                if self._in_a_trial(name):
                    break
                process.send_signal(signal.SIGCONT)
            time.sleep(0.002)
        return self._kill(process)

    def _wait_to_go_on(self, process: subprocess.Popen[str], name: str, record: str) -> None:
        before = self.events(name, record)
        deadline = time.monotonic() + 300
        while process.poll() is None and self.events(name, record) == before:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def _in_a_trial(self, name: str) -> bool:
        path = self.folder / "results" / name / "journal" / "events.jsonl"
        *_, last, after = path.read_bytes().split(b"\n")
        return not after and json.loads(last)["event"] in ("start", "restart")

    def _kill(self, process: subprocess.Popen[str]) -> bool:
        killed = process.poll() is None
        # the driver alone: Ray's processes notice by themselves
        if killed:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        return killed

    def results(self, name: str) -> Results:
        return load_results(name, self.folder / "results")

    def assert_each_row_once(self, name: str) -> None:
        """As the files have them, not as they are read."""
        for table, key in KEYS.items():
            folder = self.folder / "results" / name / table
            if table == "decisions" and not folder.exists():
                continue  # where nothing is decided
            assert not pd.read_parquet(folder).duplicated(list(key)).any()


def assert_same_tables(found: Results, wanted: Results, rtol: float = 0.0) -> None:
    """All rows and columns but those of the moment, with exact values unless one may differ."""
    exact: dict[str, Any] = {"rtol": rtol} if rtol else {"check_exact": True}
    for name in KEYS:
        pd.testing.assert_frame_equal(_comparable(found, name), _comparable(wanted, name), **exact)


def _comparable(results: Results, name: str) -> pd.DataFrame:
    frame = getattr(results, name).drop(columns=OF_A_MOMENT, errors="ignore")
    ordered: pd.DataFrame = frame.sort_values(list(KEYS[name])[1:]).reset_index(drop=True)
    return ordered
