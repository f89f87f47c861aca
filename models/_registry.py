"""Models by name: the built-in ones, registered ones, and a user's own class."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from torch import nn

from ._base import GenerativeModel
from ._checks import Shape, check_choice, check_shape, suggestion

Preset = Callable[[Shape], dict[str, Any]]
ModelClass = TypeVar("ModelClass", bound=type[GenerativeModel])


class _Entry(NamedTuple):
    cls: type[GenerativeModel]
    preset: Preset


_REGISTRY: dict[str, _Entry] = {}


def models() -> tuple[str, ...]:
    """Names that ``build`` knows, sorted.

    Example:
        >>> {"realnvp", "vae"} <= set(models())
        True
    """
    return tuple(sorted(_REGISTRY))


def register(name: str, preset: Preset | None = None) -> Callable[[ModelClass], ModelClass]:
    """Class decorator that makes a model known to ``build`` under a name.

    Args:
        name: the name; letters, digits and underscores.
        preset: default hyperparameters for an image shape; by default the constructor's own.

    Raises:
        ValueError: the name is taken or malformed.
    """
    if not name.isidentifier():
        raise ValueError(f"name must be letters, digits and underscores, got {name!r}")
    if name in _REGISTRY:
        raise ValueError(f"model {name!r} is already registered")

    def add(cls: ModelClass) -> ModelClass:
        _REGISTRY[name] = _Entry(cls, preset or (lambda _: {}))
        return cls

    return add


def preset(name: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Default hyperparameters of a model for an image shape; empty for a user's own class.

    Raises:
        ValueError: unknown model, or ``shape`` is not three integers >= 1.

    Example:
        >>> preset("vae", (1, 8, 8))
        {'net': 'mlp', 'latent': 8, 'hidden': 128, 'sigma': 'analytic'}
    """
    shape = check_shape(shape)
    if ":" in name:
        return {}
    return _REGISTRY[check_choice("model", name, _REGISTRY)].preset(shape)


def build(name: str, shape: tuple[int, int, int], **hparams: Any) -> GenerativeModel:
    """Builds a model; weights are drawn from torch's global generator.

    Args:
        name: one of ``models()``, or ``"package.module:Class"`` for a class of your own, called
            with ``shape=shape`` and the hyperparameters. It must be an ``nn.Module`` with
            ``loss``, ``sample`` and ``bits_per_dim`` as in ``GenerativeModel``.
        shape: shape ``(C, H, W)`` of one image.
        **hparams: override the entries of ``preset(name, shape)``.

    Raises:
        ValueError: unknown model or hyperparameter, a value out of range, or a user's class that
            cannot be imported or lacks a method.
    """
    shape = check_shape(shape)
    if ":" in name:
        return _build_user_model(name, shape, hparams)
    cls = _REGISTRY[check_choice("model", name, _REGISTRY)].cls
    known = sorted(set(inspect.signature(cls).parameters) - {"shape"})
    for key in hparams:
        check_choice(f"{name} hyperparameter", key, known)
    return cls(shape, **{**preset(name, shape), **hparams})


def by_side(table: Mapping[int, Mapping[str, Any]], shape: Shape) -> dict[str, Any]:
    """Picks from a table keyed by side: the largest entry that is not above the image's side.

    Images smaller than every entry get the smallest one.
    """
    side = max(shape[1:])
    key = max((size for size in table if size <= side), default=min(table))
    return dict(table[key])


def _build_user_model(path: str, shape: Shape, hparams: Mapping[str, Any]) -> GenerativeModel:
    cls = _import_class(path)
    try:
        inspect.signature(cls).bind(shape=shape, **hparams)
    except TypeError as error:
        given = ", ".join(("shape", *hparams))
        raise ValueError(f"model {path!r} cannot be called with ({given}): {error}") from error
    model = cls(shape=shape, **hparams)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {path!r} must be a torch.nn.Module, got {type(model).__name__}")
    for method in ("loss", "sample", "bits_per_dim"):
        if not callable(getattr(model, method, None)):
            raise ValueError(f"model {path!r} lacks the method {method!r}")
    if not hasattr(model, "shape"):
        model.shape = shape  # type: ignore[assignment]
    # A structural match is enough: users need not inherit from our base class.
    return cast("GenerativeModel", model)


def _import_class(path: str) -> Callable[..., object]:
    module_name, _, class_name = path.partition(":")
    if not class_name.isidentifier() or not all(map(str.isidentifier, module_name.split("."))):
        raise ValueError(f"model {path!r} must look like 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"model {path!r}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, class_name):
        classes = sorted(key for key, value in vars(module).items() if inspect.isclass(value))
        hint = suggestion(class_name, classes)
        raise ValueError(f"model {path!r}: {module_name!r} has no {class_name!r}{hint}")
    cls = getattr(module, class_name)
    if not callable(cls):
        raise ValueError(f"model {path!r} must be a class, got {type(cls).__name__}")
    return cast("Callable[..., object]", cls)
