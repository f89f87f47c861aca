"""Models by name: the built-in ones, registered ones, and a user's own class."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from torch import nn

from mollitune._own import given

from ._base import GenerativeModel
from ._checks import Shape, check_choice, check_shape, suggestion

VECTOR = 0
"""Side of a vector in a table of presets."""

Preset = Callable[[Shape], dict[str, Any]]
DEFAULT_PRESET = "quick"
ModelClass = TypeVar("ModelClass", bound=type[GenerativeModel])


class _Entry(NamedTuple):
    cls: type[GenerativeModel]
    presets: Mapping[str, Preset]


_REGISTRY: dict[str, _Entry] = {}


def models() -> tuple[str, ...]:
    """Names that ``build`` knows, sorted.

    Example:
        >>> {"realnvp", "vae"} <= set(models())
        True
    """
    return tuple(sorted(_REGISTRY))


def register(name: str, **presets: Preset) -> Callable[[ModelClass], ModelClass]:
    """Class decorator that makes a model known to ``build`` under a name.

    Args:
        name: the name; letters, digits and underscores.
        **presets: functions from a shape to hyperparameters, by the preset's name. ``quick`` is
            the default one; without it the constructor's own defaults are.

    Raises:
        ValueError: the name is taken or malformed.
    """
    if not name.isidentifier():
        raise ValueError(f"name must be letters, digits and underscores, got {name!r}")
    if name in _REGISTRY:
        raise ValueError(f"model {name!r} is already registered")

    def add(cls: ModelClass) -> ModelClass:
        _REGISTRY[name] = _Entry(cls, {DEFAULT_PRESET: lambda _: {}, **presets})
        return cls

    return add


def takes_vectors() -> tuple[str, ...]:
    """Names of the models that also take vectors, sorted.

    Example:
        >>> takes_vectors()
        ('beta_vae', 'hvae', 'iwae', 'maf', 'realnvp', 'vae', 'vae_iaf')
    """
    return tuple(name for name in models() if _REGISTRY[name].cls.vectors)


def presets(name: str) -> tuple[str, ...]:
    """Names of a model's presets, the default one first.

    Raises:
        ValueError: unknown model.

    Example:
        >>> presets("glow")
        ('quick', 'paper')
    """
    if ":" in name:
        return (DEFAULT_PRESET,)
    return tuple(_REGISTRY[check_choice("model", name, _REGISTRY)].presets)


def preset(name: str, shape: tuple[int, ...], which: str = DEFAULT_PRESET) -> dict[str, Any]:
    """Hyperparameters of a model for a shape; empty for a user's own class.

    Args:
        name: one of ``models()``.
        shape: shape ``(C, H, W)`` of one image, or ``(D,)`` of a vector.
        which: one of ``presets(name)``.

    Raises:
        ValueError: unknown model or preset, or ``shape`` is not one or three integers >= 1.

    Example:
        >>> preset("vae", (1, 8, 8))
        {'net': 'mlp', 'latent': 8, 'hidden': 128, 'sigma': 'analytic'}
    """
    shape = check_shape(shape, vectors=True)
    check_choice("preset", which, presets(name))
    return {} if ":" in name else _REGISTRY[name].presets[which](shape)


def build(
    name: str, shape: tuple[int, ...], *, preset: str = DEFAULT_PRESET, **hparams: Any
) -> GenerativeModel:
    """Builds a model; weights are drawn from torch's global generator.

    Args:
        name: one of ``models()``, or ``"package.module:Class"`` for a class of your own, called
            with ``shape=shape`` and the hyperparameters. It must be an ``nn.Module`` with
            ``loss``, ``sample`` and ``bits_per_dim`` as in ``GenerativeModel``.
        shape: shape ``(C, H, W)`` of one image; ``(D,)`` of a vector for models that take one.
        preset: one of ``presets(name)``: where hyperparameters come from that are not given.
        **hparams: override the entries of the preset.

    Raises:
        ValueError: unknown model, preset or hyperparameter, a value out of range, or a user's
            class that cannot be imported or lacks a method.
    """
    shape = check_shape(shape, vectors=True)
    defaults = _preset(name, shape, preset)
    if ":" in name:
        return _build_user_model(name, shape, hparams)
    cls = _REGISTRY[check_choice("model", name, _REGISTRY)].cls
    known = sorted(set(inspect.signature(cls).parameters) - {"shape"})
    for key in hparams:
        check_choice(f"{name} hyperparameter", key, known)
    return cls(shape, **{**defaults, **hparams})


_preset = preset  # `build` has an argument of that name


def by_side(table: Mapping[int, Mapping[str, Any]], shape: Shape) -> dict[str, Any]:
    """Picks from a table keyed by side: the largest entry that is not above the image's side.

    Images smaller than every entry get the smallest one, and vectors the entry of `VECTOR`; a
    model that takes images only refuses them itself.
    """
    side = max(shape[1:], default=VECTOR)
    sides = sorted(size for size in table if (size == VECTOR) == (side == VECTOR))
    key = max((size for size in sides if size <= side), default=min(sides or table))
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
    if path in given:
        return _called(path, given[path])
    module_name, _, class_name = path.partition(":")
    if not class_name.isidentifier() or not all(map(str.isidentifier, module_name.split("."))):
        raise ValueError(f"model {path!r} must look like 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code
        told = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"model {path!r}: cannot import {module_name!r}: {told}") from error
    if not hasattr(module, class_name):
        classes = sorted(key for key, value in vars(module).items() if inspect.isclass(value))
        hint = suggestion(class_name, classes)
        raise ValueError(f"model {path!r}: {module_name!r} has no {class_name!r}{hint}")
    return _called(path, getattr(module, class_name))


def _called(path: str, cls: object) -> Callable[..., object]:
    if not callable(cls):
        raise ValueError(f"model {path!r} must be a class, got {type(cls).__name__}")
    return cast("Callable[..., object]", cls)


def is_own(model: str) -> bool:
    """Return whether a model is Mollitune's own, so that its loss does the same at every step.

    A class of a user's own may count its steps, say, and a trace would keep the first count.

    Args:
        model: Its name, or ``module:Class``.
    """
    return ":" not in model
