"""Says in one line why a trial failed, from what Ray has noted about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from ray.exceptions import RayError

FAILURES = "failures"
"""Folder of the tracebacks, below that of a search: one file for each trial that has one."""
UNKNOWN_ERROR = "unknown error"
SHOWN = 3
_MEMORY = re.compile(r"memory", re.IGNORECASE)
_DIED = (
    ("running low on memory", "its process was ended by Ray: the node ran out of memory"),
    ("node has died", "its node was lost"),
    ("node died", "its node was lost"),
    ("actor died", "its process was killed or crashed; out of memory, perhaps"),
    ("ActorUnavailable", "its process could not be reached any more"),
)
_DEVICE = re.compile(r"CUDA|CUBLAS|CUDNN|NCCL|out of memory|can't allocate memory")
_PASSING = (MemoryError, OSError, torch.OutOfMemoryError, torch.AcceleratorError, RayError)
MEMORY_ADVICE = (
    "fewer trials per GPU or node (workers, resources.gpu), a smaller stack, a smaller batch or a "
    "smaller model need less"
)


def may_pass(error: BaseException | None) -> bool:
    """Return whether an exception in a trial may not come again if the trial is tried again.

    Memory, storage, devices and Ray may do better then; all else is in the code, which would do
    the same. What an exception was raised from counts, too.
    """
    if error is None:
        return False
    device = isinstance(error, RuntimeError) and _DEVICE.search(str(error)) is not None
    return device or isinstance(error, _PASSING) or may_pass(error.__cause__)


def last_failure(file: str | None) -> str:
    """Return the last failure in the file to which Ray appends a trial's failures, or nothing.

    Args:
        file: Path on the driver's machine.
    """
    if file is None or not Path(file).is_file():
        return ""
    text = Path(file).read_text(encoding="utf-8", errors="replace")
    return re.split(r"^Failure # \d+ \(occurred at [^)]*\)\n", text, flags=re.M)[-1]


def reason(text: str) -> str:
    r"""Return one line for an exception as Ray tells it.

    Args:
        text: A traceback, or Ray's account of a process that died.

    Example:
        >>> reason('ray::X.train() (pid=1)\n  File "a.py", line 2, in f\n    g()\nOSError: gone')
        'OSError: gone'
        >>> reason("The actor died because its node has died. Node Id: 3f")
        'its node was lost'
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    frames = [i for i, line in enumerate(lines) if line.startswith('  File "')]
    if not frames:
        known = (ours for theirs, ours in _DIED if theirs in text)
        return next(known, lines[0] if lines else UNKNOWN_ERROR)
    # the message may have lines of its own; the first one names the exception
    rest = (line for line in lines[frames[-1] + 1 :] if not line.startswith("  "))
    line = next(rest, lines[-1]).strip()
    kind = line.partition(":")[0]
    return f"{line} ({MEMORY_ADVICE})" if _MEMORY.search(kind) else line


def summary(reasons: Iterable[str]) -> str:
    """Return how many trials failed and why, in one line; empty if none did.

    Reasons that differ in numbers only count as one.

    Example:
        >>> summary(["OSError: gone", "NaN at step 3", "NaN at step 8"])
        '3 trials failed: 2 with NaN at step 3; 1 with OSError: gone'
    """
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for text in reasons:
        kind = re.sub(r"\d+", "#", text)
        first.setdefault(kind, text)
        counts[kind] += 1
    if not counts:
        return ""
    shown = [f"{n} with {first[kind]}" for kind, n in counts.most_common(SHOWN)]
    others = counts.total() - sum(n for _, n in counts.most_common(SHOWN))
    if others:
        shown.append(f"{others} for other reasons, see the column error of trials")
    noun = "trial" if counts.total() == 1 else "trials"
    return f"{counts.total()} {noun} failed: {'; '.join(shown)}"
