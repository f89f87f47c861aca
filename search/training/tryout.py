"""Tries a user's own model once, before a search or a training relies on it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._optim import Adam
from mollitune.models import GenerativeModel, build, is_own
from mollitune.search.data.images import Images, as_tensor, points

from .settings import ModelTraining

IMAGES = 4


def built(name: str, how: ModelTraining, shape: tuple[int, ...]) -> GenerativeModel:
    """Return a new model.

    Raises:
        MollituneError: If it is unknown or does not accept its arguments or the image shape.
    """
    try:
        return build(name, shape, preset=how.preset, **how.hparams)
    except Exception as error:
        # a class of the user's own may raise anything
        if is_own(name) and not isinstance(error, ValueError | TypeError):
            raise
        raise MollituneError(f"model {name}: {first_line(error)}") from error


def try_model(name: str, how: ModelTraining, images: Images, device: torch.device) -> None:
    """Make one training step of a user's own model, draw and judge a few images; others pass.

    Args:
        name: The model, tried if it is ``module:Class``.
        how: How it is trained.
        images: Where the batch is taken from.
        device: Where to try it.

    Raises:
        MollituneError: If a method fails, or returns anything but what it must; one line names the
            method, what is expected and what came.
    """
    if is_own(name):
        return
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), torch.enable_grad():
        torch.manual_seed(0)
        x = points(as_tensor(images.pixels[:IMAGES].copy())).to(device)
        _Tryout(name, built(name, how, images.shape).to(device), x)(how.lr)


class _Tryout:
    def __init__(self, name: str, model: GenerativeModel, x: Tensor) -> None:
        self._name, self._model, self._x = name, model, x

    def __call__(self, lr: float) -> None:
        noise = torch.randn_like(self._x)
        if hasattr(self._model, "initialise"):
            self._call("initialise", self._model.initialise, self._x, noise)
        self._model.eval()
        with torch.no_grad():
            self._measure()
        self._model.train()
        # the data are mollified up to pure noise: targets lie outside [-1, 1] then
        for what, x in (("loss(noise)", noise), ("loss(x)", self._x)):
            loss = self._check(what, (), self._call(what, self._model.loss, x))
            self._learn(what, loss, lr)

    def _measure(self) -> None:
        n, generator = len(self._x), torch.Generator(self._x.device).manual_seed(0)
        what = f"sample({n}, generator)"
        samples = self._call(what, self._model.sample, n, generator)
        self._check(what, tuple(self._x.shape), samples)
        bits = self._call("bits_per_dim(x)", self._model.bits_per_dim, self._x)
        self._check("bits_per_dim(x)", (n,), bits)

    def _learn(self, what: str, loss: Tensor, lr: float) -> None:
        params = list(self._model.parameters())
        if not params or not loss.requires_grad:
            raise self._wrong(what, "depend on the model's parameters", "no gradient")
        self._model.zero_grad(set_to_none=True)
        self._call(f"the gradient of {what}", loss.backward)
        grads = [param.grad for param in params if param.grad is not None]
        if not grads:
            raise self._wrong(what, "depend on the model's parameters", "no gradient at any")
        if not all(bool(grad.isfinite().all()) for grad in grads):
            raise self._wrong(f"the gradient of {what}", "be finite", "values that are not")
        Adam(params, lr=lr).step()

    def _check(self, what: str, shape: tuple[int, ...], found: object) -> Tensor:
        """Return what a method has returned, if it is a tensor of finite floats of a shape."""
        wanted = f"return floats of shape {shape}" if shape else "return a scalar tensor"
        if not isinstance(found, Tensor):
            raise self._wrong(what, wanted, type(found).__name__)
        if tuple(found.shape) != shape or not found.is_floating_point():
            dtype = str(found.dtype).removeprefix("torch.")
            raise self._wrong(what, wanted, f"{dtype} of shape {tuple(found.shape)}")
        if not found.isfinite().all():
            lost = int((~found.isfinite()).sum())
            raise self._wrong(
                what, "be finite", f"{lost:,} of {found.numel():,} values that are not"
            )
        return found

    def _call(self, what: str, method: Callable[..., Any], *arguments: object) -> Any:
        try:
            return method(*arguments)
        except Exception as error:  # the user's code may raise anything
            raise MollituneError(
                f"model {self._name}: {what} fails on x of shape {tuple(self._x.shape)}: "
                f"{type(error).__name__}: {first_line(error)}{self._place(error)}"
            ) from error

    def _place(self, error: Exception) -> str:
        """Say where in the user's file an exception came from."""
        file = getattr(sys.modules.get(type(self._model).__module__), "__file__", None)
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        return f" ({file}, line {lines[-1]})" if lines else ""

    def _wrong(self, what: str, expected: str, got: str) -> MollituneError:
        return MollituneError(f"model {self._name}: {what} must {expected}, got {got}")
