import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mollitune.models import VAE, RealNVP, build, models, preset, register, takes_vectors
from mollitune.models._registry import VECTOR, by_side

USER_MODULE = '''
import torch
from torch import nn


class Good(nn.Module):
    """A user's own model; it owes nothing to our base class."""

    def __init__(self, shape, width=4):
        super().__init__()
        self.width = width
        self.mean = nn.Parameter(torch.zeros(shape))

    def loss(self, x):
        return (x - self.mean).square().mean()

    def sample(self, n, generator=None, temperature=1.0):
        return self.mean.expand(n, *self.mean.shape)

    def bits_per_dim(self, x, generator=None):
        return (x - self.mean).square().flatten(1).mean(1)


class NoLoss(nn.Module):
    def __init__(self, shape):
        super().__init__()


class NotAModule:
    def __init__(self, shape):
        pass


NUMBER = 3
'''


@pytest.fixture
def _user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_own_models.py").write_text(USER_MODULE)
    (tmp_path / "users_broken_models.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_names_are_sorted_and_build_their_class() -> None:
    assert list(models()) == sorted(models())
    assert type(build("vae", shape=(1, 8, 8))) is VAE
    assert type(build("realnvp", shape=(1, 8, 8))) is RealNVP
    # hyperparameters override the preset, which is a copy
    preset("vae", (1, 8, 8))["latent"] = 999
    assert preset("vae", (1, 8, 8))["latent"] != 999
    with torch.device("meta"):
        assert build("vae", shape=(1, 8, 8), latent=3).decoder[0][0].in_features == 3  # type: ignore[index,union-attr]


@pytest.mark.parametrize("name", models())
def test_presets_fit_their_shape(name: str) -> None:
    # The meta device computes shapes only, so full-size models cost nothing.
    sides: list[tuple[int, ...]] = [(1, 4, 4), (1, 10, 10), (3, 16, 16), (3, 28, 20), (3, 64, 64)]
    sides += [(7,), (1000,)] if name in takes_vectors() else []
    for shape in sides:
        with torch.device("meta"):
            model = build(name, shape=shape)
            assert model.loss(torch.zeros(2, *shape)).shape == ()
            if name != "maf":  # its inverse ends when the values say so
                assert model.sample(2).shape == (2, *shape)


def test_presets_are_chosen_by_side() -> None:
    table = {key: {"width": key} for key in (VECTOR, 8, 28, 32)}
    for side, expected in ((4, 8), (8, 8), (27, 8), (28, 28), (500, 32)):
        assert by_side(table, (3, 2, side)) == {"width": expected}
    assert by_side(table, (500,)) == {"width": VECTOR}


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"unknown model 'relnvp', did you mean 'realnvp'\? all"):
        build("relnvp", shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"unknown model 'xyz'; allowed: .*realnvp, vae"):
        preset("xyz", (1, 8, 8))
    message = (
        r"unknown realnvp hyperparameter 'hiden', did you mean 'hidden'\? "
        "allowed: blocks, hidden, scales"
    )
    with pytest.raises(ValueError, match=message):
        build("realnvp", shape=(1, 8, 8), hiden=8)


def test_bad_values() -> None:
    cases: list[tuple[str, str, Any, str]] = [
        ("realnvp", "scales", 0, "scales must be an integer >= 1, got 0"),
        ("realnvp", "scales", 4, "scales=4 needs sides divisible by 16, got 8x8"),
        ("realnvp", "hidden", "32", "hidden must be an integer >= 1, got '32'"),
        ("realnvp", "blocks", -1, "blocks must be an integer >= 0, got -1"),
        *(
            ("glow", key, 0, f"{key} must be an integer >= 1, got 0")
            for key in ("levels", "steps")
        ),
        ("glow", "hidden", 2.0, "hidden must be an integer >= 1, got 2.0"),
        ("maf", "blocks", 0, "blocks must be an integer >= 1, got 0"),
        ("maf", "hidden", 1.5, "hidden must be an integer >= 1, got 1.5"),
        *(
            (f, "actnorm_init", "noisy", "unknown actnorm_init 'noisy'; allowed: clean, mollified")
            for f in ("maf", "glow")
        ),
        ("vae", "latent", 0, "latent must be an integer >= 1, got 0"),
        ("vae", "hidden", True, "hidden must be an integer >= 1, got True"),
        ("vae", "net", "cnn", "unknown net 'cnn'"),
        ("vae", "sigma", 1.0, "unknown sigma 1.0"),
        ("vae", "sigma", "unit", "unknown sigma 'unit'; allowed: analytic, learned"),
        ("beta_vae", "sigma", "units", "unknown sigma 'units', did you mean 'unit'"),
        *(
            ("beta_vae", "beta", beta, "beta must be a finite number >= 0.0001, got")
            for beta in (0, float("nan"), float("inf"), "1", True)
        ),
        *(("iwae", "samples", n, "samples must be an integer >= 1, got") for n in (0, 2.5, True)),
        *(("iwae", "dreg", d, f"dreg must be true or false, got {d!r}") for d in (1, "no", None)),
        *(
            ("hvae", "step_size", step, f"step_size must be in (0, 0.5), got {step}")
            for step in (0, 0.5, 1)
        ),
        ("hvae", "leapfrog", 0, "leapfrog must be an integer >= 1, got 0"),
        ("hvae", "mass", "unit", "unknown mass 'unit'; allowed: encoder, identity"),
        ("hvae", "tempering", "hot", "unknown tempering 'hot'; allowed: fixed, free, none"),
        ("vae_iaf", "flows", 0, "flows must be an integer >= 1, got 0"),
        ("vae_iaf", "flow_hidden", 0, "flow_hidden must be an integer >= 1, got 0"),
        ("vae_iaf", "context", -1, "context must be an integer >= 0, got -1"),
    ]
    for name, key, value, message in cases:
        with pytest.raises(ValueError, match=re.escape(message)):
            build(name, shape=(1, 8, 8), **{key: value})


def test_bad_shapes() -> None:
    """All that are none are in ``test_base``."""
    none: list[Any] = [(1, 8, 8, 1), None]
    for shape in none:
        for call in (build, preset):
            with pytest.raises(ValueError, match="shape must be"):
                call("vae", shape)
    for vector in ((2, 3), ()):
        with pytest.raises(ValueError, match=r"shape must be three integers .* or one"):
            build("maf", shape=vector)
    with pytest.raises(ValueError, match="shape"):
        build("glow", shape=(8,))
    with pytest.raises(ValueError, match=r"unknown net 'conv'.* allowed: mlp"):
        build("vae", shape=(8,), net="conv")
    with pytest.raises(ValueError, match="at least 2 dimensions, got 1"):
        build("realnvp", shape=(1,))


def test_names_that_cannot_be_registered() -> None:
    with pytest.raises(ValueError, match="model 'vae' is already registered"):
        register("vae")
    for name in ("", "my model", "a:b"):
        with pytest.raises(ValueError, match="name must be letters, digits and underscores"):
            register(name)


def test_registering_makes_a_model_buildable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mollitune.models._registry._REGISTRY", {})
    hparams = {"net": "mlp", "latent": 2, "hidden": 4, "sigma": "learned"}
    assert register("mine", quick=lambda _: hparams)(VAE) is VAE
    assert models() == ("mine",)
    assert preset("mine", (1, 4, 4)) == hparams
    assert isinstance(build("mine", shape=(1, 4, 4), latent=3), VAE)


@pytest.mark.usefixtures("_user_module")
def test_user_class() -> None:
    model = build("users_own_models:Good", shape=(1, 4, 4), width=7)
    assert model.width == 7
    assert model.shape == (1, 4, 4)
    assert model.loss(torch.ones(2, 1, 4, 4)).item() == 1.0
    assert preset("users_own_models:Good", (1, 4, 4)) == {}
    with pytest.raises(ValueError, match=r"cannot be called with \(shape, depth\): .*'depth'"):
        build("users_own_models:Good", shape=(1, 4, 4), depth=2)


@pytest.mark.usefixtures("_user_module")
def test_bad_user_classes() -> None:
    for path, message in (
        ("users_own_models:NoLoss", "lacks the method 'loss'"),
        ("users_own_models:NotAModule", "must be a torch.nn.Module, got NotAModule"),
        ("users_own_models:NUMBER", "must be a class, got int"),
        ("users_own_models:Goood", "has no 'Goood', did you mean 'Good'"),
        ("users_own_module:Good", "cannot import 'users_own_module'"),
        ("users_broken_models:Good", "No module named 'no_such_dependency'"),
        *(
            (path, "must look like 'package.module:Class'")
            for path in (":Good", "users_own_models:", "users own:Good")
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            build(path, shape=(1, 4, 4))
