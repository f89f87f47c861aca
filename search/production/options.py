"""The options of ``mollitune train`` that are settings: made of their declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from mollitune.search.training.settings import Training, may_be_null

AS_SEARCHED = "default: as in the search"
BY_HAND = ("hparams",)
"""Settings whose option has a form of its own."""


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting of `Training` in place of its ``**settings``.

    One that is not given is None. Where a setting may be null, 0 says so.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    made = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, field in Training.model_fields.items()
        if name not in BY_HAND
        for kind in [_option(field)]
    ]
    place = max(i for i, p in enumerate(own) if p.name in ("steps", *BY_HAND)) + 1
    parameters = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own[:place], *made, *own[place:])
    ]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _option(field: FieldInfo) -> Any:
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    kind = kinds[0] if may_be_null(field) else field.annotation
    plain: Any = str if get_origin(kind) is Literal else kind
    text = (field.description or "").replace("null or 0:", "0:").replace("null:", "0:")
    default = "" if field.default is None else f", or {field.default}"
    help_text = f"{text[:1].upper()}{text[1:]}; {AS_SEARCHED}{default}."
    return Annotated[plain | None, typer.Option(help=help_text, show_default=False)]
