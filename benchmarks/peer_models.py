"""Training steps of this library's models and of the same models by their peers.

The peers are normflows, on which the authors of data mollification built their Glow, and pythae,
whose VAEs they used. They are imported only where one of their steps is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor, nn

from mollitune.models import GenerativeModel, build, preset
from mollitune.models._vae_base import LatentVariableModel
from mollitune.schedules import Sigmoid, Vanilla
from mollitune.search.training.gradients import gradients_of
from mollitune.search.training.spec import TrialSpec

SHAPE = (3, 32, 32)
LEVELS, STEPS_PER_LEVEL, HIDDEN = 3, 20, 512
PROGRESS = 0.3
LR = 1e-3
CLIP_NORM = 10.0
PYTHAE_LATENT = 16
GLOW: dict[str, Any] = {"levels": LEVELS, "steps": STEPS_PER_LEVEL, "hidden": HIDDEN}


@dataclass(frozen=True)
class Built:
    """A model and what makes one step of its training."""

    model: nn.Module
    step: Callable[[], None]


def our_step(model: GenerativeModel, x: Tensor, compiled: bool) -> Built:
    """Build the step of a trial: mollify, loss, backward, clip, check, Adam."""
    model.to(x.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    # a process has one model only, so that this need not tell it from others
    gradients = gradients_of(model, TrialSpec("ours", Vanilla(), 0, 2, 1.0), compiled)
    schedule, generator = Sigmoid(until=0.6), torch.Generator(x.device).manual_seed(0)
    initialise = getattr(model, "initialise", None)
    if initialise is not None:
        initialise(x)

    def step() -> None:
        loss = gradients(schedule(x, PROGRESS, generator=generator))
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        if torch.isfinite(loss + norm):
            optimiser.step()

    return Built(model, step)


def peer_step(model: nn.Module, x: Tensor, loss_of: Callable[[Tensor], Tensor]) -> Built:
    """Build the authors' step: mollify, loss, check, backward, and here Adam; nothing is clipped.

    Args:
        model: Their model.
        x: The batch.
        loss_of: What their code minimises on a batch.
    """
    model.to(x.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)
    variance = Sigmoid(until=0.6).level(PROGRESS)

    def step() -> None:
        noised = (1 - variance) ** 0.5 * x + variance**0.5 * torch.randn_like(x)
        optimiser.zero_grad()
        loss = loss_of(noised)
        if not (torch.isnan(loss) | torch.isinf(loss)):
            loss.backward()
            optimiser.step()

    return Built(model, step)


def our_glow(x: Tensor, compiled: bool) -> Built:
    """Build our Glow of the authors' size."""
    return our_step(build("glow", SHAPE, **GLOW), x, compiled)


def peer_glow(x: Tensor) -> Built:
    """Build the authors' Glow out of normflows' parts."""
    nf: Any = import_module("normflows")
    channels, side = SHAPE[:2]
    bases, flows, merges = [], [], []
    for level in range(LEVELS):
        width = channels * 2 ** (LEVELS + 1 - level)
        blocks = [
            nf.flows.GlowBlock(width, HIDDEN, split_mode="channel", scale=True)
            for _ in range(STEPS_PER_LEVEL)
        ]
        flows.append([*blocks, nf.flows.Squeeze()])
        if level > 0:
            merges.append(nf.flows.Merge())
        here = side // 2 ** (LEVELS - level)
        leaving = width if level == 0 else width // 2
        bases.append(nf.distributions.GlowBase((leaving, here, here)))
    model = nf.MultiscaleFlow(bases, flows, merges)
    labels = torch.zeros(len(x), dtype=torch.long)  # passed by the authors, and ignored
    return peer_step(model, x, lambda noised: model.forward_kld(noised, labels))


# Arguments of ours beside the preset's, and theirs for the same computation. Only the networks are
# shared: our leapfrog of an HVAE is another one than theirs, and our flows have gates.
FAMILY: dict[str, tuple[dict[str, Any], str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "vae": ({}, "VAE", lambda ours: {}),
    "beta_vae": ({}, "BetaVAE", lambda ours: {"beta": ours["beta"]}),
    "iwae": ({}, "IWAE", lambda ours: {"number_samples": ours["samples"]}),
    "vae_iaf": (
        {"context": 0},  # theirs knows none
        "VAE_IAF",
        lambda ours: {
            "n_made_blocks": ours["flows"],
            "n_hidden_in_made": 2,
            "hidden_size": ours["flow_hidden"],
        },
    ),
    "hvae": (
        {},
        "HVAE",
        lambda ours: {
            "n_lf": ours["leapfrog"],
            "learn_eps_lf": True,
            "learn_beta_zero": True,
        },
    ),
}


def our_vae(name: str, x: Tensor, compiled: bool) -> Built:
    """Build one of our VAEs, the quick preset."""
    return our_step(build(name, SHAPE, **FAMILY[name][0]), x, compiled)


def peer_vae(name: str, x: Tensor) -> Built:
    """Build pythae's counterpart, with the encoder and decoder networks of ours."""
    extra, theirs, arguments = FAMILY[name]
    ours = cast("LatentVariableModel", build(name, SHAPE, **extra))
    config = arguments({**preset(name, SHAPE), **extra})
    return _pythae(theirs, ours.latent, config, _wrapped(ours.encoder, ours.decoder), x)


def our_vae_in_their_networks(x: Tensor, compiled: bool) -> Built:
    """Build our VAE around the networks that pythae publishes for CIFAR-10."""
    model = cast("LatentVariableModel", build("vae", SHAPE, latent=PYTHAE_LATENT))
    encoder, decoder = _published()
    model.encoder, model.decoder = _Joined(encoder), _Reconstruction(decoder)
    return our_step(model, x, compiled)


def peer_vae_in_their_networks(x: Tensor) -> Built:
    """Build pythae's VAE with the networks that it publishes for CIFAR-10."""
    return _pythae("VAE", PYTHAE_LATENT, {}, _published(), x)


class _Joined(nn.Module):
    """Their encoder as one of ours: mean and log-variance in one tensor."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        out = self.encoder(x)
        return torch.cat((out.embedding, out.log_covariance), dim=1)


class _Reconstruction(nn.Module):
    """Their decoder as one of ours."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.decoder(z).reconstruction
        return out


def _published() -> tuple[Any, Any]:
    nets: Any = import_module("pythae.models.nn.benchmarks.cifar")
    config = import_module("pythae.models").VAEConfig(input_dim=SHAPE, latent_dim=PYTHAE_LATENT)
    return nets.Encoder_Conv_VAE_CIFAR(config), nets.Decoder_Conv_AE_CIFAR(config)


def _wrapped(encoder: nn.Module, decoder: nn.Module) -> tuple[Any, Any]:
    """Return networks of ours as pythae takes them."""
    nets: Any = import_module("pythae.models.nn")
    output: Any = import_module("pythae.models.base.base_utils").ModelOutput

    class Encoder(nets.BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = encoder

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = self.net(x).chunk(2, dim=1)
            return output(embedding=mean, log_covariance=log_variance)

    class Decoder(nets.BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = decoder

        def forward(self, z: Tensor) -> Any:
            return output(reconstruction=self.net(z))

    return Encoder(), Decoder()


def _pythae(
    name: str, latent: int, config: dict[str, Any], nets: tuple[Any, Any], x: Tensor
) -> Built:
    models: Any = import_module("pythae.models")
    config_class = getattr(models, "VAE_IAF_Config" if name == "VAE_IAF" else f"{name}Config")
    full = config_class(input_dim=SHAPE, latent_dim=latent, **config)
    model = getattr(models, name)(full, *nets)
    model.train()
    return peer_step(model, x, lambda noised: cast("Tensor", model({"data": noised}).loss))
