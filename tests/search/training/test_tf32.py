"""Where a trial lets CUDA compute in TF32: the same on every GPU, whatever was set before."""

from typing import Any

import pytest
import torch
from tests.search.bench import Bench

from mollitune.models import allow_tf32
from mollitune.search.training.stack import train_together


def allowed() -> tuple[bool, bool]:
    """For products and for convolutions."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("stacked", [False, True])
def test_training_is_as_asked_and_evaluation_in_fp32(
    bench: Bench, precision: str, stacked: bool
) -> None:
    seen: set[tuple[bool, bool]] = set()
    more: dict[str, Any] = {"steps": 4, "every": 1.0, "alive": lambda: seen.add(allowed())}
    trials = [bench.trial(seed=k, precision=precision, **more) for k in range(2)]
    allow_tf32(precision != "tf32")  # as someone else may have left it
    if stacked:
        assert train_together(trials) == [None] * 2
    else:
        trials[0].train()
    assert seen == {(precision == "tf32",) * 2}
    seen.clear()
    allow_tf32(True)
    trials[0].report()
    assert seen == {(False, False)}
    # torch's own compiler reads both these and the newer names, and fails where they disagree
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch._C._get_fp32_precision_getter("cuda", "conv") != "tf32"
