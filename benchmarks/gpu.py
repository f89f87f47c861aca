"""What only a GPU can show, in one command, the most telling first.

Every line of every part goes to a file at once, so that a run that is cut off still counts; a part
that is there is not run again. The table is made of that file, at the end or by --table. Parts 1
to 7 need no Ray, and nothing needs a network. --device cpu --scale .01 is a dry run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
GOAL = "Asked: "
Row = dict[str, Any]


@dataclass(frozen=True)
class How:
    """How all parts are run.

    Arguments:
        device: ``cuda`` or ``cpu``.
        data: Images of the evidence.
        scale: Share of steps, samples and repetitions.
        folder: For what the parts write.
    """

    device: str
    data: str
    scale: float
    folder: Path

    def count(self, whole: int, least: int = 1) -> str:
        """Return a number of steps, samples or repetitions."""
        return str(max(least, round(whole * self.scale)))


@dataclass(frozen=True)
class Part:
    """One part.

    Arguments:
        name: For --parts.
        title: Its heading.
        share: Of the minutes, at most.
        goal: What was asked for.
        commands: Scripts of this folder or modules (``-m``) with their arguments, for some
            seconds. Each gets what is left of the part's time, and fails by itself.
    """

    name: str
    title: str
    share: float
    goal: str
    commands: Callable[[How, float], list[list[str]]]


def machine(how: How, seconds: float) -> list[list[str]]:
    """Describe the machine."""
    return [["gpu.py", "--describe", "--device", how.device]]


def tests(how: How, seconds: float) -> list[list[str]]:
    """Run the tests that need a GPU."""
    # with what torch of another version warns of
    options = ["-o", "addopts=--import-mode=importlib", "-o", "filterwarnings=default"]
    return [["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *options, "tests/gpu"]]


def evidence(how: How, seconds: float) -> list[list[str]]:
    """Train paired seeds of vanilla and the paper's schedule, as one stack each."""

    def command(model: str, share: float) -> list[str]:
        # the rest is for loading data, and for LeNet
        minutes = share * seconds / 60 - 0.5 * (how.scale >= 1)
        return [
            *("evidence.py", "--data", how.data, "--model", model, "--device", how.device),
            *("--steps", how.count(20_000, 40), "--minutes", f"{minutes:.2f}", "--stack", "16"),
            *("--seeds", how.count(8), "--batch", how.count(128, 16)),
            *("--fid-samples", how.count(10_000, 40), "--out", f"{how.folder}/{model}.jsonl"),
            *([] if how.scale >= 0.01 else ["--networks", "lenet"]),
        ]

    return [command("vae", 0.7), command("realnvp", 0.28)]


def speed(how: How, seconds: float) -> list[list[str]]:
    """Measure steps, stacked and single, eager, compiled and as CUDA graphs."""

    def command(count: int, *more: str) -> list[str]:
        settings = ["--settings", how.count(8)]
        rounds = ["--repetitions", how.count(3)]
        trials = ["--trials", how.count(count, 2), "--device", how.device]
        return ["stacked.py", *trials, *rounds, *settings, *more]

    uncompiled = ["--ways", "one by one", "as one"]
    if how.device.startswith("cuda"):
        uncompiled += ["graphs", "as one, graphs"]
        lower = [command(16, "--precision", p, *uncompiled) for p in ("tf32", "bf16")]
        whole = command(16, "--settings", "6")
        return [command(16, "--profile", *uncompiled), command(64, *uncompiled), *lower, whole]
    return [command(16, *uncompiled)]


def peers(how: How, seconds: float) -> list[list[str]]:
    """Measure a step beside the authors' Glow and pythae's VAEs."""
    eager = ["peers_step.py", "--quick", "--device", how.device, "--batch", how.count(64, 2)]
    if how.scale < 1:
        return [[*eager, "--only", "vae"]]
    return [eager, [*eager, "--compile", "--only", "glow", "vae"]]


def overhead(how: How, seconds: float) -> list[list[str]]:
    """Measure what mollification costs of a step."""
    settings = ["--settings", how.count(5)]
    return [["mollify_overhead.py", "--quick", "--device", how.device, *settings]]


def fid(how: How, seconds: float) -> list[list[str]]:
    """Measure FID in Inception's architecture beside torch-fidelity."""
    samples = how.count(10_000, 4)
    quick = ["--repetitions", how.count(3)]
    return [["fid.py", *quick, "--inception", samples, "--device", how.device]]


def search(how: How, seconds: float) -> list[list[str]]:
    """Search with four trials per GPU, kill a worker, and compare with the plain way."""
    if find_spec("ray") is None:
        return []
    share = [] if how.scale >= 1 else ["--steps-share", str(how.scale), "--trials", "6"]
    plain = ["search_speed.py", "--quick", *share, "--variants", "plain"]
    own = ["--device", how.device, "--scale", str(how.scale), "--out", f"{how.folder}/gpu.jsonl"]
    # the plain way needs minutes, however few the steps are
    return [["gpu.py", "--search", *own], *([plain] if how.scale >= 0.01 else [])]


PARTS = (
    Part("machine", "Machine", 0.03, "", machine),
    Part("tests", "Tests that need a GPU", 0.15, "all pass", tests),
    Part("evidence", "Evidence", 0.42, "a verdict, whichever way it falls", evidence),
    Part(
        *("speed", "A training step", 0.16),
        "K = 16 as one at least 8 times as fast as one by one for the MLP and small convolutional "
        "models; the GPU at least 80 % busy with a stack; no waits",
        speed,
    ),
    Part(
        *("peers", "Beside normflows and pythae", 0.08),
        "`glow` at least 3 times as fast as the authors' eager step, VAEs at least twice pythae's",
        peers,
    ),
    Part("overhead", "What mollification costs", 0.03, "", overhead),
    Part("fid", "FID beside torch-fidelity", 0.05, "", fid),
    Part("search", "A search", 0.08, "trials per hour at least 5 times the plain way", search),
)


class Log:
    """The file with a line of JSON per line of output."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def rows(self) -> list[Row]:
        """Return what it holds."""
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().splitlines()]

    def add(self, part: str, command: Sequence[str], text: str) -> None:
        """Add a line of output."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"part": part, "command": shlex.join(command), "time": now, "text": text}
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(text, flush=True)


def run(part: Part, how: How, seconds: float, log: Log) -> None:
    """Run the commands of a part, each until the time of the part is over."""
    end = time.monotonic() + seconds
    commands = part.commands(how, seconds)
    if not commands:
        log.add(part.name, [], "not run: Ray is not installed here")
    for command in commands:
        start = time.monotonic()
        code = follow(command, end, partial(log.add, part.name, command))
        took = f"{time.monotonic() - start:.0f} s"
        if code is None:
            log.add(part.name, command, f"cut off after {took}")
        elif code != 0:
            log.add(part.name, command, f"ended with status {code} after {took}")


def follow(command: Sequence[str], end: float, say: Callable[[str], None]) -> int | None:
    """Run a command and say each line of it; return its status, None if it ran out of time."""
    first, *rest = command
    program = [first] if first == "-m" else [str(HERE / first)]
    process = subprocess.Popen(
        [sys.executable, *program, *rest],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that its own processes end with it
        cwd=HERE.parent,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(max(0.0, end - time.monotonic()), stop)
    timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip():
            say(line.rstrip())
    code = process.wait()
    timer.cancel()
    return None if late.is_set() else code


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the Markdown of all that the file holds."""
    yield "# On a GPU\n"
    for part in PARTS:
        own = [row for row in rows if row["part"] == part.name]
        if not own:
            continue
        yield f"\n## {part.title}\n"
        if part.goal:
            yield f"{GOAL}{part.goal}.\n"
        for command in dict.fromkeys(row["command"] for row in own):
            if command:
                yield f"`{command}`, {next(r['time'] for r in own if r['command'] == command)}\n"
            before = "|"
            for row in (row for row in own if row["command"] == command):
                text = row["text"]
                if text.startswith("|") != before.startswith("|"):
                    yield ""
                yield text if text.startswith("|") else f"    {text}"
                before = text
            yield ""


def describe(device: str) -> None:
    """Print the machine, the card, the versions and the commit."""
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs")
    print(f"Python {platform.python_version()}, torch {torch.__version__}")
    if device.startswith("cuda"):
        card = torch.cuda.get_device_properties(torch.device(device))
        print(f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
        print(nvidia_smi("driver_version", "compute_mode"))
    git = shutil.which("git")
    if git is not None:
        show = [git, "-C", str(HERE), "log", "-1", "--format=commit %h of %cs"]
        print(subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip())


def nvidia_smi(*what: str) -> str:
    """Return what the driver says of the first GPU."""
    command = ["nvidia-smi", f"--query-gpu={','.join(what)}", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "no nvidia-smi"
    return found.splitlines()[0]


def search_and_kill(device: str, scale: float, folder: Path) -> None:
    """Search digits with four trials per GPU; print the memory and what a killed worker cost."""
    import psutil  # type: ignore[import-untyped]  # Ray brings it

    on_gpu = device.startswith("cuda")
    steps, trials = max(200, round(2000 * scale)), 8 if scale >= 0.01 else 4
    where = "workers: 4\nresources: {gpu: 0.25}" if on_gpu else "workers: 2\nresources: {gpu: 0}"
    text = f"name: gpu\nmodel: {{name: vae, steps: {steps}}}\ntrials: {trials}\n{where}\n"
    (folder / "gpu.yaml").write_text(f"{text}fid: {{samples: 400}}\n")
    mollitune = [sys.executable, "-m", "mollitune.search.cli"]
    print(f"memory before: {nvidia_smi('memory.used')}")
    process = subprocess.Popen(
        [*mollitune, "search", "gpu.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )
    killed, most = False, ""
    assert process.stdout is not None
    for line in process.stdout:
        most = max(most, nvidia_smi("memory.used"), key=lambda text: (len(text), text))
        if not killed and "FID" in line and "trial" in line:
            own = psutil.Process(process.pid).children(recursive=True)
            if found := [each for each in own if "RunsTrainable" in " ".join(each.cmdline())]:
                found[0].kill()
                killed = True
        if line.strip():
            print(line.rstrip())
    process.wait()
    print(f"memory at most: {most}; after: {nvidia_smi('memory.used')}")
    print(f"killed a worker: {killed}; status {process.returncode}")
    ask = "select status, count(*), max(attempt) as tries from trials group by status"
    sys.stdout.flush()
    subprocess.run([*mollitune, "query", "gpu", ask], check=False, cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--scale", type=float, default=1.0, help="share of steps and samples")
    parser.add_argument("--data", default="cifar10", help="images of the evidence")
    names = [part.name for part in PARTS]
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--out", type=Path, default=Path("results/gpu.jsonl"))
    parser.add_argument("--table", type=Path, help="print the table of a file; run nothing")
    parser.add_argument("--describe", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.describe:
        return describe(options.device)
    if options.search:
        return search_and_kill(options.device, options.scale, options.out.parent)
    if options.table is None:
        folder = Path(os.path.relpath(options.out.parent, HERE.parent))
        how, log = How(options.device, options.data, options.scale, folder), Log(options.out)
        begun = {row["part"] for row in log.rows()}
        shares = sum(part.share for part in PARTS if part.name in options.parts)
        for part in PARTS:
            if part.name in options.parts and part.name not in begun:
                print(f"== {part.title}", flush=True)
                run(part, how, 60 * options.minutes * part.share / shares, log)
    text = "\n".join(table(Log(options.table or options.out).rows()))
    print(text)
    if options.table is None:
        options.out.with_suffix(".md").write_text(text + "\n")
    return None


if __name__ == "__main__":
    main()
