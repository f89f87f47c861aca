import itertools
import math

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from mollitune.schedules import Blur
from mollitune.schedules._dct import dissipate


def reference(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The definition, with SciPy's transform."""
    frequencies = [np.pi * np.arange(n) / n for n in x.shape[-2:]]
    squared = frequencies[0][:, None] ** 2 + frequencies[1][None, :] ** 2
    spectrum = dctn(x.numpy(), axes=(-2, -1), norm="ortho") * np.exp(-squared * sigma**2 / 2)
    return torch.from_numpy(idctn(spectrum, axes=(-2, -1), norm="ortho"))


def test_agrees_with_the_scipy_transform() -> None:
    shapes = [(2, 3, 8, 8), (1, 1, 5, 12), (2, 1, 1, 7), (1, 2, 32, 32)]
    for shape, sigma in itertools.product(shapes, (0.0, 0.3, 1.7, 20.0)):
        x = torch.randn(shape, dtype=torch.float64)
        torch.testing.assert_close(dissipate(x, sigma), reference(x, sigma), rtol=0.0, atol=1e-12)


def test_the_mollifier_blurs_with_its_level() -> None:
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    mollify = Blur(sigma_max=4, noise=0, until=0.5)
    torch.testing.assert_close(mollify(x, 0.2), reference(x, mollify.level(0.2)))


def test_curves_fall_from_sigma_max_to_zero() -> None:
    maxima = (0.01, 0.3, 0.3000001, 1.0, 16.0, 1e6)
    for curve, sigma_max in itertools.product(("linear", "log", "sine"), maxima):
        mollify = Blur(sigma_max=sigma_max, curve=curve)  # type: ignore[arg-type]
        levels = [mollify.level(i / 1024) for i in range(1025)]
        assert levels[0] == pytest.approx(sigma_max, rel=1e-12)
        assert levels[-1] == 0.0
        assert mollify.level(1.0 - 1e-12) < 1e-9 * sigma_max, "a jump at the end"
        assert all(0.0 <= b < a for a, b in itertools.pairwise(levels))


def test_values_of_the_curves() -> None:
    for curve, q, level in (
        ("sine", 0.25, 8.0 * (2.0 + math.sqrt(2.0)) / 4.0),  # sin^2(3 pi / 8)
        ("linear", 0.25, 6.0),
        ("log", 0.5, 8.0 * (math.sqrt(8.0 * 0.3) - 0.3) / 7.7),  # geometric mean, shifted
        ("log", 0.25, 8.0 * (8.0**0.75 * 0.3**0.25 - 0.3) / 7.7),
    ):
        mollify = Blur(sigma_max=8, curve=curve)  # type: ignore[arg-type]
        assert mollify.level(q) == pytest.approx(level, rel=1e-12)
    # The log curve is straight from the detail limit down.
    assert Blur(sigma_max=0.2, curve="log").level(0.25) == pytest.approx(0.15, rel=1e-15)
    near = Blur(sigma_max=0.3 * (1 + 1e-9), curve="log")
    assert near.level(0.25) == pytest.approx(0.225, rel=1e-8)


def test_mean_of_each_channel_is_preserved(device: torch.device) -> None:
    x = torch.randn(2, 3, 9, 7, dtype=torch.float64, device=device)
    blurred = Blur(sigma_max=5, noise=0)(x, 0.1)
    torch.testing.assert_close(blurred.mean((2, 3)), x.mean((2, 3)), rtol=0.0, atol=1e-13)


def test_large_sigma_is_the_mean() -> None:
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    for sigma in (1e3, 1e300):
        flat = x.mean().expand_as(x)
        torch.testing.assert_close(dissipate(x, sigma), flat, rtol=0.0, atol=1e-13)


def test_single_precision_is_close_to_double() -> None:
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    single = dissipate(x.float(), 2.0)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), dissipate(x, 2.0), rtol=0.0, atol=2e-6)


def test_half_precision_is_rounded_only_at_the_end() -> None:
    blur = Blur(sigma_max=2, noise=0)
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.randn(2, 1, 16, 16).to(dtype)
        assert torch.equal(blur(x, 0.2), blur(x.float(), 0.2).to(dtype))


def test_noise_has_the_given_standard_deviation() -> None:
    noise = 0.5
    mollify = Blur(sigma_max=3, noise=noise)
    x = torch.randn(40, 1, 32, 32, dtype=torch.float64)
    residual = mollify(x, 0.5) - Blur(sigma_max=3, noise=0)(x, 0.5)
    n = residual.numel()
    # The standard error of a normal sample's standard deviation is s / sqrt(2 n).
    assert abs(residual.std().item() - noise) < 5.0 * noise / math.sqrt(2.0 * n)
    assert abs(residual.mean().item()) < 5.0 * noise / math.sqrt(n)


def test_without_noise_nothing_is_drawn() -> None:
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    x = torch.randn(1, 1, 4, 4)
    blur = Blur(sigma_max=2, noise=0)
    assert torch.equal(blur(x, 0.2, generator=generator), blur(x, 0.2))
    assert torch.equal(generator.get_state(), before)


def test_autocast_does_not_lower_the_precision() -> None:
    x = torch.randn(1, 1, 16, 16)
    blur = Blur(sigma_max=2, noise=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = blur(x, 0.2)
    assert torch.equal(inside, blur(x, 0.2))


def test_a_transform_cached_in_inference_mode_serves_training() -> None:
    with torch.inference_mode():
        dissipate(torch.zeros(1, 1, 11, 13), 1.0)
    x = torch.randn(1, 1, 11, 13, requires_grad=True)
    (gradient,) = torch.autograd.grad(dissipate(x, 1.0).sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x))  # the mean is preserved


def test_what_is_illegal_is_rejected() -> None:
    for shape in ((4,), (4, 8), (3, 8, 8), (1, 2, 3, 8, 8)):
        with pytest.raises(ValueError, match=r"x must be of shape \(N, C, H, W\), got"):
            Blur(sigma_max=2)(torch.zeros(shape), 0.1)
    for params, message in (
        ({"sigma_max": 0.0}, r"sigma_max must be > 0, got 0.0"),
        ({"sigma_max": 1, "noise": -0.1}, r"noise must be >= 0, got -0.1"),
        ({"sigma_max": 1, "curve": "cubic"}, r"curve must be one of linear, log, sine, got 'cub"),
        ({"sigma_max": 1, "curve": 3}, r"curve must be one of linear, log, sine, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            Blur(**params)
    for side in (1, 0, -4):
        with pytest.raises(ValueError, match=rf"side must be at least 2 pixels, got {side}"):
            Blur.search_space(side)
