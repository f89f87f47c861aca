"""Agreement with other people's implementations, weights copied over, in double precision.

The peers are no dependencies: without them these tests are skipped (see CONTRIBUTING).
"""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from tests.models.flows import perturb
from torch import Tensor, nn

from mollitune.models import MAF, Glow, build
from mollitune.models._actnorm import ActNorm
from mollitune.models._coupling import AffineCoupling
from mollitune.models._coupling_nets import GlowNet
from mollitune.models._invertible import Invertible1x1

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:torch.lu is deprecated"),  # by normflows
]


@pytest.fixture
def normflows() -> Any:
    return pytest.importorskip("normflows")


@pytest.fixture
def zuko() -> Any:
    return pytest.importorskip("zuko")


def _close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


# Their shift comes after the scale in the direction of the data, ours before it in that of the
# latents: z = (x + t) exp(s) is x = z exp(-s) - t. So their shift is -t, and their log-scale is -s
# where they exponentiate it; and they interleave shifts and log-scales where we have halves.


@pytest.mark.parametrize(("levels", "steps"), [(1, 2), (2, 2), (3, 1)])
def test_glow(normflows: Any, levels: int, steps: int) -> None:
    """A whole Glow: same latents and same density.

    The peer's prior of the latents that leave knows nothing of those that stay, so the weights of
    our prior, but not its biases, are zero here.
    """
    flow = cast("Glow", build("glow", shape=(3, 8, 8), levels=levels, steps=steps, hidden=8))
    flow = flow.double()
    perturb(flow, 0.05)
    for scale in flow.scales:
        nn.init.zeros_(_parts(scale[-1].net).conv.weight)  # type: ignore[index]
    flow.initialise(torch.randn(16, 3, 8, 8, dtype=torch.float64))
    peer = _peer_glow(normflows, levels, steps, hidden=8)
    # Theirs are listed from the latents to the data.
    for scale, layers, base in zip(
        (*flow.scales, flow.last), reversed(peer.flows), reversed(peer.q0), strict=True
    ):
        _copy_level(list(scale), list(layers)[:-1], base)
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    z, log_det = flow(x)
    assert log_det.abs().min() > 10
    latents = [
        ((part - base.loc) * torch.exp(-base.log_scale)).flatten(1)
        for part, base in zip(peer.inverse_and_log_det(x)[0], peer.q0, strict=True)
    ]
    _close(z, torch.cat(latents[::-1], dim=1))
    _close(flow.log_prob(x), peer.log_prob(x, None))


def _peer_glow(normflows: Any, levels: int, steps: int, hidden: int) -> Any:
    """Put together as in their documentation."""
    bases, flows, merges = [], [], []
    for i in range(levels):
        channels, side = 3 * 2 ** (levels + 1 - i), 8 // 2 ** (levels - i)
        blocks = [normflows.flows.GlowBlock(channels, hidden) for _ in range(steps)]
        flows.append([*blocks, normflows.flows.Squeeze()])
        if i > 0:
            merges.append(normflows.flows.Merge())
        shape = (channels if i == 0 else channels // 2, side, side)
        bases.append(normflows.distributions.GlowBase(shape))
    return normflows.MultiscaleFlow(bases, flows, merges, class_cond=False).double()


def _copy_level(ours: list[Any], blocks: list[Any], base: Any) -> None:
    """Copies the steps and the prior of one level."""
    _, *steps, prior = ours
    order = _by_position(len(steps[0][0].bias))
    for (actnorm, mixing, coupling), block in zip(steps, reversed(blocks), strict=True):
        peer_coupling, peer_mixing, peer_actnorm = block.flows
        _copy_actnorm(actnorm, peer_actnorm, order)
        _copy_mixing(mixing, peer_mixing, order)
        _copy_net(coupling.net, peer_coupling.flows[1].param_map.net)
        # The first step has turned their order of channels into ours.
        order = torch.arange(len(order))
    _copy_prior(prior, base)


@torch.no_grad()
def _copy_actnorm(ours: ActNorm, theirs: Any, order: Tensor) -> None:
    theirs.s[0, order] = -ours.log_scale
    theirs.t[0, order] = -ours.bias
    theirs.data_dep_init_done.fill_(1.0)


@torch.no_grad()
def _copy_mixing(ours: Invertible1x1, theirs: Any, order: Tensor) -> None:
    """Copies the matrix; their factors differ from ours where their channels are in ``order``."""
    lower = ours.factors.tril(-1) + torch.eye(len(order))
    upper = ours.factors.triu(1) + (ours.sign * ours.factors.diagonal().exp()).diag()
    matrix = torch.empty_like(lower)
    matrix[:, order] = ours.permutation @ lower @ upper
    permutation, lower, upper = torch.linalg.lu(matrix)
    theirs.P.copy_(permutation)
    theirs.L.copy_(lower)
    theirs.U.copy_(upper)
    theirs.sign_S.copy_(upper.diagonal().sign())
    theirs.log_S.copy_(upper.diagonal().abs().log())


@torch.no_grad()
def _copy_net(ours: GlowNet, theirs: Any) -> None:
    first, _, second, _, last = _parts(ours)
    for layer, peer in ((first, theirs[0]), (second, theirs[2])):
        peer.load_state_dict(layer.state_dict())
    gain = torch.exp(3 * last.raw_log_gain)
    for output, peer_output, factor in (
        (last.conv.weight, theirs[4].weight, gain[..., None]),
        (last.conv.bias, theirs[4].bias, gain[:, 0, 0]),
    ):
        log_scale, shift = (output * factor).chunk(2)
        peer_output[0::2], peer_output[1::2] = -shift, log_scale


@torch.no_grad()
def _copy_prior(ours: AffineCoupling | ActNorm, base: Any) -> None:
    """Standardising the latents, z = (x + t) exp(s), is the Gaussian N(-t, exp(-2 s))."""
    if isinstance(ours, ActNorm):
        log_scale, shift = ours.log_scale, ours.bias
    else:
        conv = _parts(ours.net)
        raw, shift = (conv.conv.bias[:, None, None] * torch.exp(3 * conv.raw_log_gain)).chunk(2)
        log_scale = ours.scale(raw)
    base.loc.copy_(-shift)
    base.log_scale.copy_(-log_scale)


def _by_position(channels: int) -> Tensor:
    """Where our squeezed channels, position by position, stand in theirs, colour by colour."""
    return torch.arange(channels).reshape(-1, 4).T.flatten()


def _parts(module: object) -> Any:
    """A module whose members mypy need not know."""
    return module


@pytest.mark.parametrize("dims", [2, 3, 8])
def test_maf(zuko: Any, dims: int) -> None:
    """Their masks, their Jacobian and their inverse, one dimension after the other."""
    flow = cast("MAF", build("maf", shape=(dims,), blocks=3, hidden=dims - 1)).double()
    perturb(flow, 0.3)
    x = torch.randn(6, dims, dtype=torch.float64)
    h, log_det = x, torch.zeros(6).double()
    layers: list[Callable[[Tensor], Tensor]] = []
    for block in _parts(flow.blocks):
        scale = block.actnorm.log_scale.exp()
        actnorm = torch.distributions.AffineTransform(block.actnorm.bias * scale, scale, 1)
        autoregressive = _peer_autoregressive(zuko, block, dims)()
        for transform in (actnorm, autoregressive):
            y = transform(h)
            log_det = log_det + transform.log_abs_det_jacobian(h, y)
            layers.append(transform.inv)
            h = y
        h = h.flip(1)
        layers.append(lambda z: z.flip(1))
    z, our_log_det = flow(x)
    assert (z - x).abs().max() > 0.1
    _close(z, h)
    _close(our_log_det, log_det)
    back = z
    for inverse in reversed(layers):
        back = inverse(back)
    _close(back, x)
    _close(flow.inverse(z), back)


def _peer_autoregressive(zuko: Any, block: Any, dims: int) -> Any:
    def affine(raw: Tensor, shift: Tensor) -> Any:
        scale = block.scale(raw).exp()
        return torch.distributions.AffineTransform(shift * scale, scale)

    peer = zuko.flows.MaskedAutoregressiveTransform(
        dims, hidden_features=(dims - 1, dims - 1), activation=nn.SiLU, univariate=affine
    ).double()
    layers = [layer for layer in peer.hyper if isinstance(layer, nn.Linear)]
    ours = [*block.net.hidden, block.net.last]
    with torch.no_grad():
        for layer, our_layer in zip(layers, ours, strict=True):
            # Their last layer has both numbers of a dimension side by side.
            order = _pairs(dims) if layer is layers[-1] else slice(None)
            layer.weight.copy_(our_layer.weight[order])
            layer.bias.copy_(our_layer.bias[order])
    return peer


def _pairs(dims: int) -> Tensor:
    return torch.arange(2 * dims).reshape(2, dims).T.flatten()
