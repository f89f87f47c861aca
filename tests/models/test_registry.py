import re
from pathlib import Path

import pytest
import torch

from mollitune.models import VAE, GenerativeModel, RealNVP, build, models, preset, register
from mollitune.models._registry import by_side

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


def test_names_are_sorted_and_complete() -> None:
    assert list(models()) == sorted(models())
    assert {"realnvp", "vae"} <= set(models())


@pytest.mark.parametrize(("name", "cls"), [("vae", VAE), ("realnvp", RealNVP)])
def test_build_returns_the_registered_class(name: str, cls: type[GenerativeModel]) -> None:
    assert type(build(name, shape=(1, 8, 8))) is cls


def test_hparams_override_the_preset() -> None:
    with torch.device("meta"):
        assert build("vae", shape=(1, 8, 8), latent=3).decoder[0][0].in_features == 3  # type: ignore[index,union-attr]


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize(
    "shape",
    [(1, 4, 4), (1, 8, 8), (1, 10, 10), (3, 28, 20), (1, 28, 28), (3, 32, 32), (3, 64, 64)],
)
def test_presets_fit_their_shape(name: str, shape: tuple[int, int, int]) -> None:
    # The meta device computes shapes only, so full-size models cost nothing.
    with torch.device("meta"):
        model = build(name, shape=shape)
        assert model.loss(torch.zeros(2, *shape)).shape == ()
        if name != "maf":  # its inverse ends when the values say so
            assert model.sample(2).shape == (2, *shape)


def test_a_preset_is_a_copy() -> None:
    preset("vae", (1, 8, 8))["latent"] = 999
    assert preset("vae", (1, 8, 8))["latent"] != 999


@pytest.mark.parametrize(("side", "expected"), [(4, 8), (8, 8), (27, 8), (28, 28), (500, 32)])
def test_presets_are_chosen_by_side(side: int, expected: int) -> None:
    table = {key: {"width": key} for key in (8, 28, 32)}
    assert by_side(table, (3, 2, side)) == {"width": expected}


def test_unknown_model() -> None:
    with pytest.raises(ValueError, match=r"unknown model 'relnvp', did you mean 'realnvp'\? all"):
        build("relnvp", shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"unknown model 'xyz'; allowed: .*realnvp, vae"):
        preset("xyz", (1, 8, 8))


def test_unknown_hparam() -> None:
    message = (
        "unknown realnvp hyperparameter 'hiden', did you mean 'hidden'? "
        "allowed: blocks, hidden, scales"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        build("realnvp", shape=(1, 8, 8), hiden=8)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("realnvp", "scales", 0, "scales must be an integer >= 1, got 0"),
        ("realnvp", "scales", 4, "scales=4 needs sides divisible by 16, got 8x8"),
        ("realnvp", "hidden", "32", "hidden must be an integer >= 1, got '32'"),
        ("realnvp", "blocks", -1, "blocks must be an integer >= 0, got -1"),
        ("realnvp", "blocks", float("nan"), "blocks must be an integer >= 0, got nan"),
        ("vae", "latent", 0, "latent must be an integer >= 1, got 0"),
        ("vae", "hidden", True, "hidden must be an integer >= 1, got True"),
        ("vae", "net", "cnn", "unknown net 'cnn'"),
        ("vae", "sigma", 1.0, "unknown sigma 1.0"),
    ],
)
def test_bad_values(name: str, key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build(name, shape=(1, 8, 8), **{key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8, 1), (1, -8, 8), None])
def test_bad_shape(shape: object) -> None:
    with pytest.raises(ValueError, match="shape must be"):
        build("vae", shape=shape)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape must be"):
        preset("vae", shape)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["vae", "realnvp"])
def test_a_taken_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"model '{name}' is already registered"):
        register(name)


@pytest.mark.parametrize("name", ["", "my model", "a:b"])
def test_a_malformed_name_is_refused(name: str) -> None:
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


@pytest.mark.usefixtures("_user_module")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("users_own_models:NoLoss", "lacks the method 'loss'"),
        ("users_own_models:NotAModule", "must be a torch.nn.Module, got NotAModule"),
        ("users_own_models:NUMBER", "must be a class, got int"),
        ("users_own_models:Goood", "has no 'Goood', did you mean 'Good'"),
        ("users_own_module:Good", "cannot import 'users_own_module'"),
        ("users_broken_models:Good", "No module named 'no_such_dependency'"),
        (":Good", "must look like 'package.module:Class'"),
        ("users_own_models:", "must look like 'package.module:Class'"),
        ("users own:Good", "must look like 'package.module:Class'"),
    ],
)
def test_bad_user_class(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build(path, shape=(1, 4, 4))


@pytest.mark.usefixtures("_user_module")
def test_user_class_with_an_unknown_hparam() -> None:
    with pytest.raises(ValueError, match=r"cannot be called with \(shape, depth\): .*'depth'"):
        build("users_own_models:Good", shape=(1, 4, 4), depth=2)
