from typing import Any

import pytest
import torch
from tests.models.flows import perturb
from torch import Tensor, nn

from mollitune.models import MAF, Flow, Glow, build
from mollitune.models._actnorm import ActNorm, initialise_actnorms

SMALL: dict[str, dict[str, Any]] = {
    "glow": {"steps": 2, "hidden": 6},
    "maf": {"blocks": 3, "hidden": 16},
}
BOTH = pytest.mark.parametrize("name", ["glow", "maf"])


def _flow(name: str, **hparams: Any) -> Flow:
    flow = build(name, shape=(1, 8, 8), **SMALL[name], **hparams)
    assert isinstance(flow, (Glow, MAF))
    return flow


def _standard(x: Tensor, atol: float = 1e-4) -> bool:
    """Whether each channel has mean 0 and standard deviation 1."""
    std, mean = torch.std_mean(x.transpose(0, 1).flatten(1), dim=1, correction=0)
    return bool((mean.abs() < atol).all() and ((std - 1).abs() < atol).all())


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
def test_one_layer_is_fitted_exactly(shape: tuple[int, ...], spatial: int) -> None:
    layer = ActNorm(shape[0], spatial).double()
    scales = torch.logspace(-4, 4, shape[0], dtype=torch.float64).reshape(-1, *(1,) * spatial)
    x = scales * (3 + torch.randn(16, *shape, dtype=torch.float64))
    layer.initialise(x)
    assert _standard(layer(x)[0], atol=1e-12)


@BOTH
def test_every_layer_of_a_flow_is_fitted(name: str) -> None:
    """Each behind fitted ones: in another order the first layers would move the last ones' input.

    The weights are perturbed, so that what passes between two ActNorms is no mere rotation.
    """
    flow = _flow(name)
    perturb(flow, 0.1)
    x = 5 + 0.3 * torch.randn(64, 1, 8, 8)
    flow.initialise(x)
    outputs = _outputs(flow, x)
    assert len(outputs) == len(_actnorms(flow)) > 2
    assert all(map(_standard, outputs))


def test_a_channel_without_variance_is_centred_and_not_scaled() -> None:
    layer = ActNorm(3)
    x = torch.randn(8, 3, 4, 4)
    x[:, 1] = 0.7
    layer.initialise(x)
    assert layer.log_scale[1] == 0
    torch.testing.assert_close(layer(x)[0][:, 1], torch.zeros(8, 4, 4), rtol=0, atol=1e-6)


@BOTH
def test_a_batch_without_variance_leaves_a_flow_that_works(name: str) -> None:
    for batch in (torch.zeros(8, 1, 8, 8), torch.ones(1, 1, 8, 8)):
        flow = _flow(name)
        flow.initialise(batch)
        assert flow.loss(batch).isfinite()
        # Other data too: a scale of 1e6 in each ActNorm would overflow here.
        assert flow.loss(torch.randn(8, 1, 8, 8)).isfinite()
        assert flow.sample(4).isfinite().all()


def test_no_pass_leaves_a_hook_behind() -> None:
    layer, x = ActNorm(2), torch.randn(4, 2, 2, 2)
    with pytest.raises(TypeError):  # ReLU takes no pair
        initialise_actnorms(nn.Sequential(layer, nn.ReLU()), x)
    for _ in range(2):
        bias = layer.bias.clone()
        layer(9 + x)
        assert torch.equal(layer.bias, bias)
        initialise_actnorms(layer, x)


@BOTH
def test_fitting_again_and_under_autocast_is_fitting_once(name: str) -> None:
    """The second call fits to its own batch alone, and in single precision."""
    flow = _flow(name)
    perturb(flow, 0.1)
    x = torch.rand(32, 1, 8, 8)
    flow.initialise(x)
    expected = [layer.bias.clone() for layer in _actnorms(flow)]
    flow.initialise(7 * torch.randn(32, 1, 8, 8) - 3)
    with torch.autocast("cpu", torch.bfloat16):
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
        assert _standard(_outputs(flow, batch)[0]) == (key == choice)
    flow.initialise(batches["clean"])  # without a mollified batch the clean one serves
    assert _standard(_outputs(flow, batches["clean"])[0])
