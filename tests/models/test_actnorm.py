from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mollitune.models import MAF, Flow, Glow, build
from mollitune.models._actnorm import ActNorm, initialise_actnorms

Perturb = Callable[[nn.Module, float], None]
SMALL: dict[str, dict[str, Any]] = {
    "glow": {"steps": 2, "hidden": 6},
    "maf": {"blocks": 3, "hidden": 16},
}
BOTH = pytest.mark.parametrize("name", ["glow", "maf"])


def _flow(name: str, **hparams: Any) -> Flow:
    flow = build(name, shape=(1, 8, 8), **SMALL[name], **hparams)
    assert isinstance(flow, (Glow, MAF))
    return flow


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean of each channel."""
    return torch.std_mean(x.transpose(0, 1).flatten(1), dim=1, correction=0)


def _actnorms(flow: Flow) -> list[ActNorm]:
    return [module for module in flow.modules() if isinstance(module, ActNorm)]


def _outputs(flow: Flow, x: Tensor) -> list[Tensor]:
    """What every ActNorm of the flow returns for ``x``."""
    outputs: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, result: outputs.append(result[0]))
        for layer in _actnorms(flow)
    ]
    flow(x)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize(("shape", "spatial"), [((5,), 0), ((3, 4, 2), 2)])
def test_inverse_and_jacobian(shape: tuple[int, ...], spatial: int, perturb: Perturb) -> None:
    layer = ActNorm(shape[0], spatial).double()
    perturb(layer, 0.3)
    x = torch.randn(2, *shape, dtype=torch.float64)
    z, log_det = layer(x)
    torch.testing.assert_close(layer.inverse(z), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer(layer.inverse(x))[0], x, rtol=0, atol=1e-12)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v)[0], x[:1])
    expected = torch.linalg.slogdet(jacobian.reshape(2 * [x[0].numel()])).logabsdet
    assert abs(expected) > 0.1
    torch.testing.assert_close(log_det, expected.expand(2), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("shape", "spatial"), [((5,), 0), ((3, 4, 2), 2)])
def test_one_layer_is_fitted_exactly(shape: tuple[int, ...], spatial: int) -> None:
    layer = ActNorm(shape[0], spatial).double()
    scales = torch.logspace(-4, 4, shape[0], dtype=torch.float64).reshape(-1, *(1,) * spatial)
    x = scales * (3 + torch.randn(16, *shape, dtype=torch.float64))
    layer.initialise(x)
    std, mean = _moments(layer(x)[0])
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-12)
    torch.testing.assert_close(std, torch.ones_like(std), rtol=0, atol=1e-12)


@BOTH
def test_every_layer_of_a_flow_is_fitted(name: str, perturb: Perturb) -> None:
    """Each behind fitted ones: in another order the first layers would move the last ones' input.

    The weights are perturbed, so that what passes between two ActNorms is no mere rotation.
    """
    flow = _flow(name)
    perturb(flow, 0.1)
    x = 5 + 0.3 * torch.randn(64, 1, 8, 8)
    flow.initialise(x)
    outputs = _outputs(flow, x)
    assert len(outputs) == len(_actnorms(flow)) > 2
    for output in outputs:
        std, mean = _moments(output)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-4)
        torch.testing.assert_close(std, torch.ones_like(std), rtol=0, atol=1e-4)


def test_a_channel_without_variance_is_centred_and_not_scaled() -> None:
    layer = ActNorm(3)
    x = torch.randn(8, 3, 4, 4)
    x[:, 1] = 0.7
    layer.initialise(x)
    assert layer.log_scale[1] == 0
    torch.testing.assert_close(layer(x)[0][:, 1], torch.zeros(8, 4, 4), rtol=0, atol=1e-6)


@BOTH
@pytest.mark.parametrize("batch", [torch.zeros(8, 1, 8, 8), torch.ones(1, 1, 8, 8)])
def test_a_batch_without_variance_leaves_a_flow_that_works(name: str, batch: Tensor) -> None:
    flow = _flow(name)
    flow.initialise(batch)
    assert flow.loss(batch).isfinite()
    # Other data too: a scale of 1e6 in each ActNorm would overflow here.
    assert flow.loss(torch.randn(8, 1, 8, 8)).isfinite()
    assert flow.sample(4).isfinite().all()


@BOTH
def test_a_single_image_is_enough(name: str) -> None:
    flow = _flow(name)
    flow.initialise(torch.rand(1, 1, 8, 8))
    assert flow.loss(torch.rand(8, 1, 8, 8)).isfinite()
    assert flow.sample(4).isfinite().all()


@BOTH
@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_fitted_unless_asked(name: str, training: bool) -> None:
    flow = _flow(name).train(training)
    before = {key: value.clone() for key, value in flow.state_dict().items()}
    x = 5 + torch.randn(16, 1, 8, 8)
    flow.loss(x).backward()
    flow.bits_per_dim(x)
    for key, value in flow.state_dict().items():
        assert torch.equal(value, before[key]), key


@BOTH
def test_fitting_leaves_no_hook_behind(name: str) -> None:
    flow = _flow(name)
    flow.initialise(torch.randn(16, 1, 8, 8))
    before = {key: value.clone() for key, value in flow.state_dict().items()}
    flow.loss(9 + torch.randn(16, 1, 8, 8))
    for key, value in flow.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_failing_pass_leaves_no_hook_behind() -> None:
    layer = ActNorm(2)
    with pytest.raises(TypeError):  # ReLU takes no pair
        initialise_actnorms(nn.Sequential(layer, nn.ReLU()), torch.randn(4, 2, 2, 2))
    bias = layer.bias.clone()
    layer(9 + torch.randn(4, 2, 2, 2))
    assert torch.equal(layer.bias, bias)


@BOTH
def test_fitting_twice_is_fitting_once(name: str) -> None:
    """The second call fits to its own batch alone: nothing of the first remains."""
    flow = _flow(name)
    x = torch.rand(32, 1, 8, 8)
    flow.initialise(x)
    expected = [layer.bias.clone() for layer in _actnorms(flow)]
    flow.initialise(7 * torch.randn(32, 1, 8, 8) - 3)
    flow.initialise(x)
    for layer, bias in zip(_actnorms(flow), expected, strict=True):
        torch.testing.assert_close(layer.bias, bias)


@BOTH
@pytest.mark.parametrize("choice", ["clean", "mollified"])
def test_the_batch_to_fit_to_is_chosen(name: str, choice: str) -> None:
    flow = _flow(name, actnorm_init=choice)
    batches = {"clean": 0.3 * torch.rand(64, 1, 8, 8), "mollified": torch.randn(64, 1, 8, 8)}
    flow.initialise(**batches)
    for key, batch in batches.items():
        std, mean = _moments(_outputs(flow, batch)[0])
        fitted = bool(((std - 1).abs() < 1e-4).all() and (mean.abs() < 1e-4).all())
        assert fitted == (key == choice)


@BOTH
def test_without_a_mollified_batch_the_clean_one_serves(name: str) -> None:
    flow = _flow(name, actnorm_init="mollified")
    x = 0.3 * torch.rand(64, 1, 8, 8)
    flow.initialise(x)
    std, mean = _moments(_outputs(flow, x)[0])
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-4)
    torch.testing.assert_close(std, torch.ones_like(std), rtol=0, atol=1e-4)


@BOTH
def test_fitting_ignores_autocast(name: str, perturb: Perturb) -> None:
    flow = _flow(name)
    perturb(flow, 0.1)
    x = torch.rand(32, 1, 8, 8)
    flow.initialise(x)
    expected = [layer.bias.clone() for layer in _actnorms(flow)]
    with torch.autocast("cpu", torch.bfloat16):
        flow.initialise(x)
    for layer, bias in zip(_actnorms(flow), expected, strict=True):
        assert torch.equal(layer.bias, bias)


def test_the_batch_is_checked() -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(N, 1, 8, 8\), got \(4, 64\)"):
        _flow("glow").initialise(torch.zeros(4, 64))


@BOTH
def test_unknown_initialisation(name: str) -> None:
    with pytest.raises(ValueError, match="unknown actnorm_init 'noise'; allowed: clean, mollif"):
        _flow(name, actnorm_init="noise")
