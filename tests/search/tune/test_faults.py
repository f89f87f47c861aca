"""Why a trial failed, in one line, from what Ray writes about it."""

from pathlib import Path

import pytest
import torch

from mollitune._errors import MollituneError
from mollitune._folder import StorageError
from mollitune.search.tune.faults import UNKNOWN_ERROR, last_failure, may_pass, reason, summary

HEAD = "ray::ScheduleTrainable.train() (pid=7, ip=127.0.0.2, actor_id=5, repr=x)\n"
FRAME = '  File "trial.py", line 3, in run\n    step()\n    ^^^^^^\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{HEAD}{FRAME}ValueError: 3 is no 4\nsecond line\n  third", "ValueError: 3 is no 4"),
        (f"{HEAD}{FRAME}KeyError: 'a'\n\nDuring this:\n\n{FRAME}OSError: b", "OSError: b"),
        (f"{HEAD}{FRAME}KeyboardInterrupt", "KeyboardInterrupt"),
        ("The actor died because its node has died. Node Id: 3f\n\tthe node", "its node was lost"),
        ("Something else.\nMore of it.", "Something else."),
        ("", UNKNOWN_ERROR),
    ],
)
def test_the_reason_is_one_line(text: str, line: str) -> None:
    assert reason(text) == line


@pytest.mark.parametrize("kind", ["MemoryError", "torch.OutOfMemoryError: CUDA out of memory."])
def test_memory_comes_with_advice(kind: str) -> None:
    text = reason(HEAD + FRAME + kind)
    assert text.startswith(f"{kind} (")
    assert "smaller batch" in text


def test_a_killed_process_is_told_without_ray_s_ids() -> None:
    text = (
        "The actor died unexpectedly before finishing this task.\n\tactor_id: 7c88\n\tpid: 171\n"
    )
    assert reason(text) == "its process was killed or crashed; out of memory, perhaps"


def test_the_last_failure_of_a_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "error.txt"
    when = "(occurred at 2026-01-01_00-00-00)"
    file.write_text(
        f"Failure # 1 {when}\n{HEAD}{FRAME}OSError: first\n"
        f"Failure # 2 {when}\n{HEAD}{FRAME}OSError: second\n"
    )
    assert reason(last_failure(str(file))) == "OSError: second"
    assert last_failure(str(tmp_path / "none.txt")) == last_failure(None) == ""


def test_only_what_may_pass_is_tried_again() -> None:
    full = MollituneError("the metric fails")
    full.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    passing = [MemoryError(), StorageError("full"), RuntimeError("CUDA error: ECC"), full]
    lasting = [KeyError("a"), RuntimeError("mat1 and mat2 cannot be multiplied"), full.__class__()]
    assert [may_pass(error) for error in (*passing, *lasting)] == [True] * 4 + [False] * 3


def test_many_reasons_are_cut_short() -> None:
    reasons = ["A: 1", "A: 2", "B", "B", "B", "C", "D", "E"]
    text = summary(reasons)
    assert text.startswith("8 trials failed: 3 with B; 2 with A: 1; 1 with C; 2 for other reasons")
    assert summary([]) == ""
    assert summary(["B"]) == "1 trial failed: 1 with B"
