import numpy as np
import pytest
import torch

from mollitune.search.metrics import moments as moments_module
from mollitune.search.metrics.moments import Moments, MomentStream


def features(count: int, offset: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    mix = torch.randn(6, 6, generator=generator)
    return torch.randn(count, 6, generator=generator) @ mix + offset


@pytest.mark.parametrize("chunk", [1, 100, 1024])
def test_batches_give_numpys_mean_and_covariance(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments_module, "CHUNK", chunk)
    x = features(300)
    for sizes in ([300], [1, 299], [77, 77, 77, 69], [1] * 300):
        stream = MomentStream()
        for part in x.split(sizes):
            stream.add(part)
        moments = stream.moments()
        whole = x.double().numpy()
        assert moments.count == 300
        np.testing.assert_allclose(moments.mu, whole.mean(0), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(moments.sigma, np.cov(whole.T), rtol=1e-12, atol=1e-13)


def test_a_large_mean_costs_no_digits_of_the_covariance() -> None:
    x = features(3000, offset=1e6).double()
    moments = Moments.of(x)  # in chunks
    # the sum of squares is 1e12 per image: subtracting two such sums would leave 4 digits
    np.testing.assert_allclose(moments.sigma, np.cov(x.numpy().T), rtol=1e-9)


def test_what_was_returned_does_not_change_with_more_features() -> None:
    stream = MomentStream()
    stream.add(features(10))
    before = stream.moments()
    kept = before.mu.clone(), before.sigma.clone()
    stream.add(features(20))
    assert torch.equal(before.mu, kept[0])
    assert torch.equal(before.sigma, kept[1])


def test_fewer_than_two_features_have_no_covariance() -> None:
    stream = MomentStream()
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"at least 2 features, got {count}"):
            stream.moments()
        stream.add(features(1))
