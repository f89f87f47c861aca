from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.linalg import sqrtm
from tests.search.features import floor
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)

from mollitune.search.metrics.frechet import Target, root_of
from mollitune.search.metrics.moments import Moments

Float64 = npt.NDArray[np.float64]
Exact = Callable[[Float64, Float64], float]


def features(count: int, width: int, seed: int, dead: int = 0) -> Float64:
    """Correlated features of widths that span two decades; the first ``dead`` are always 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, width)) @ rng.normal(size=(width, width))
    x = x * np.logspace(0, -2, width) + rng.normal(size=width)
    x[:, :dead] = 0
    return x


def ours(generated: Float64, real: Float64) -> float:
    return Target.of(Moments.of(torch.from_numpy(real))).distance_of(torch.from_numpy(generated))


def torch_fidelitys(a: Float64, b: Float64) -> float:
    one, two = (fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b))
    return float(fid_statistics_to_metric(one, two, verbose=False)[KEY_METRIC_FID])


def test_it_is_exact_whatever_the_ranks(exact_fid: Exact) -> None:
    # dead features; fewer samples than features, on one side or both
    for m, n, width, dead in [
        (400, 300, 24, 5),
        (20, 300, 40, 0),
        (300, 20, 40, 0),
        (15, 20, 40, 5),
    ]:
        a, b = features(m, width, 1, dead), features(n, width, 2, dead)
        assert ours(a, b) == pytest.approx(exact_fid(a, b), rel=1e-9)
        assert ours(b, a) == pytest.approx(exact_fid(a, b), rel=1e-9)


def test_both_forms_agree_at_the_switch() -> None:
    real = torch.from_numpy(features(300, 40, 2))
    generated = torch.from_numpy(features(40, 40, 1))
    target = Target.of(Moments.of(real))
    assert target.rank == 40
    narrow, wide = target.distance_of(generated), target.distance(Moments.of(generated))
    assert narrow == pytest.approx(wide, rel=1e-9)


def test_full_rank_covariances_give_torch_fidelitys_and_scipys_value() -> None:
    a, b = features(400, 24, 1), features(300, 24, 2)
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    between = np.square(a.mean(0) - b.mean(0)).sum()
    scipys = between + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert ours(a, b) == pytest.approx(scipys, rel=1e-9)
    assert ours(a, b) == pytest.approx(torch_fidelitys(a, b), rel=1e-9)


def test_of_singular_covariances_torch_fidelitys_value_is_the_one_with_rounding(
    exact_fid: Exact,
) -> None:
    # eigvals of a product of rank 14 in 400 dimensions: 386 zeros come out as rounding of either
    # sign and enter as square roots, up to 1e-8 of the largest value each
    a, b = features(20, 400, 1), features(15, 400, 2)
    exact = exact_fid(a, b)
    assert abs(ours(a, b) / exact - 1) < 1e-11
    assert 1e-10 < abs(torch_fidelitys(a, b) / exact - 1) < 1e-6


def test_the_root_has_no_columns_for_the_null_space_and_is_else_triangular() -> None:
    """The cheaper product by a triangular one reads the lower triangle alone."""
    for dead in (5, 0):
        moments = Moments.of(torch.from_numpy(features(300, 24, 1, dead=dead)))
        root = root_of(moments)
        assert root.shape == (24, 24 - dead)
        torch.testing.assert_close(root @ root.T, moments.sigma, rtol=1e-12, atol=1e-12)
    assert torch.equal(root, root.tril())
    assert root_of(Moments.of(torch.from_numpy(features(8, 24, 1)))).shape == (24, 7)


def test_constant_features_are_at_the_distance_of_their_means() -> None:
    target = Target.of(Moments.of(torch.ones(5, 3)))
    assert target.rank == 0
    assert target.distance_of(torch.zeros(9, 3)) == 3
    assert target.distance_of(torch.ones(2, 3)) == 0


def test_it_is_symmetric_and_closed_for_gaussians() -> None:
    def gaussian(mu: list[float], widths: list[float]) -> Moments:
        sigma = torch.diag(torch.tensor(widths, dtype=torch.float64).square())
        return Moments(torch.tensor(mu, dtype=torch.float64), sigma, 1000)

    one, two = gaussian([0, 3], [2, 3]), gaussian([4, 0], [1, 5])
    # 3-4-5 between the means; (2 - 1)^2 + (3 - 5)^2 between the widths
    assert Target.of(one).distance(two) == pytest.approx(25 + 1 + 4, rel=1e-14)
    assert Target.of(two).distance(one) == pytest.approx(25 + 1 + 4, rel=1e-14)


def test_the_distance_to_itself_is_zero_and_never_below() -> None:
    for seed in range(5):
        x = features(200, 24, seed)
        assert 0 <= ours(x, x) < 1e-8 * np.trace(np.cov(x.T))


def test_two_samples_of_one_gaussian_are_at_the_floor() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(24, 24))
    expected = floor(mix.T @ mix, 900, 600)
    draws = [
        ours(rng.normal(size=(900, 24)) @ mix, rng.normal(size=(600, 24)) @ mix)
        for _ in range(200)
    ]
    error = np.std(draws) / np.sqrt(len(draws))
    assert error < 0.03 * expected
    # four standard errors, and the next order of the expansion: 24 features in 600 images
    assert abs(np.mean(draws) - expected) < 4 * error + 0.02 * expected
