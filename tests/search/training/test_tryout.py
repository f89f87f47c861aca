"""What is said of a user's own model that does not do what it must, before anything trains."""

from pathlib import Path

import pytest
import torch

from mollitune._errors import MollituneError
from mollitune.search.data.images import Splits
from mollitune.search.training.settings import ModelTraining
from mollitune.search.training.tryout import try_model

CPU = torch.device("cpu")
GOOD = """
import torch
from torch import nn


class Good(nn.Module):
    def __init__(self, shape, steps=0):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(shape))

    def loss(self, x):
        return (x - self.mean).square().mean()

    def sample(self, n, generator=None):
        return self.mean + torch.randn((n, *self.mean.shape), generator=generator)

    def bits_per_dim(self, x):
        return (x - self.mean).square().flatten(1).mean(1)


"""
WRONG = {
    "loss(self, x): return (x - self.mean).square().mean((1, 2, 3))": (
        r"loss\(noise\) must return a scalar tensor, got float32 of shape \(4,\)"
    ),
    "loss(self, x): return 1.5": r"loss\(noise\) must return a scalar tensor, got float",
    "loss(self, x): return x.mean()": r"depend on the model's parameters, got no gradient",
    "loss(self, x): return self.mean.sum() * torch.nan": (
        r"loss\(noise\) must be finite, got 1 of 1 values that are not"
    ),
    "loss(self, x): return (self.mean - self.mean).square().sum().sqrt() + x.mean()": (
        r"the gradient of loss\(noise\) must be finite"
    ),
    "loss(self, x): return nn.functional.binary_cross_entropy(self.mean.expand_as(x), x)": (
        r"loss\(noise\) fails on x of shape \(4, 1, 8, 8\): RuntimeError: .*\.py, line \d+\)$"
    ),
    "sample(self, n, generator=None): return torch.zeros(n, 64)": (
        r"sample\(4, generator\) must return floats of shape \(4, 1, 8, 8\), got float32 of shape"
        r" \(4, 64\)"
    ),
    "sample(self, n): return torch.zeros(n, 1, 8, 8)": r"sample\(4, generator\) fails.*TypeError",
    "bits_per_dim(self, x): return x.square().mean()": (
        r"bits_per_dim\(x\) must return floats of shape \(4,\), got float32 of shape \(\)"
    ),
    "__init__(self, shape): raise OSError('no weights')": "model .*: no weights",
}


@pytest.mark.parametrize("method", WRONG, ids=lambda text: text[:40])
def test_what_is_wrong_is_one_line(
    method: str, digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = f"own_{tmp_path.name}"
    source = f"{GOOD}class Wrong(Good):\n    def {method}\n"
    (tmp_path / f"{module}.py").write_text(source)
    before = torch.get_rng_state()
    try_model(f"{module}:Good", ModelTraining(), digits.train, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(MollituneError, match=WRONG[method]) as caught:
        try_model(f"{module}:Wrong", ModelTraining(), digits.train, CPU)
    assert str(caught.value).startswith(f"model {module}:Wrong: ")
    assert "\n" not in str(caught.value)
