"""Where a trial lets CUDA compute in TF32: the same on every GPU, whatever was set before."""

from typing import Any

import pytest
import torch
from tests.search.bench import Bench

from mollitune.models import allow_tf32
from mollitune.search.training.stack import train_together


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("count", [1, 2])
def test_training_is_as_asked_and_evaluation_in_fp32(
    bench: Bench, precision: str, count: int
) -> None:
    seen: set[tuple[bool, bool]] = set()

    def look() -> None:
        seen.add((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))

    how: dict[str, Any] = {"steps": 4, "every": 1.0, "alive": look, "precision": precision}
    trials = [bench.trial(seed=k, **how) for k in range(count)]
    allow_tf32(precision != "tf32")  # as someone else may have left it
    if count > 1:
        train_together(trials)
    else:
        trials[0].train()
    assert seen == {(precision == "tf32",) * 2}
    seen.clear()
    allow_tf32(True)
    trials[0].report()
    assert seen == {(False, False)}
    # torch's own compiler reads these as well, and fails where they disagree
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
