"""Gives a model back that ``mollitune train`` has trained. Without Ray and without metrics."""

from __future__ import annotations

import io
import json
import os
from typing import Any, Literal

import torch

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._folder import Folder
from mollitune.models import GenerativeModel, build

FILES = {"last": "model.pt", "ema": "ema.pt"}


def load_model(
    folder: str | os.PathLike[str],
    weights: Literal["last", "ema"] | None = None,
    device: str | torch.device = "cpu",
) -> GenerativeModel:
    """Load the model of a finished training, ready to sample.

    Args:
        folder: Folder of the training, a path or URI.
        weights: ``last`` for the weights after the last step, ``ema`` for their average; by
            default the ones that the FID in ``train.json`` is of: the average if there is one.
        device: Where to put it.

    Returns:
        The model in evaluation mode.

    Raises:
        MollituneError: If there is no finished training, it has no average, or a file is damaged.
    """
    settings, shape = _description(os.fspath(folder))
    chosen = weights or ("last" if settings["ema"] is None else "ema")
    data = _content(os.fspath(folder), FILES[chosen])
    try:
        state = torch.load(io.BytesIO(data), device, weights_only=True)
        with torch.random.fork_rng(devices=[]):  # the initial weights are nobody's business
            model = build(
                settings["model"], shape, preset=settings["preset"], **settings["hparams"]
            )
        model.to(device).load_state_dict(state)
    except ValueError as error:
        raise MollituneError(f"cannot build the model of {folder}: {error}") from None
    except Exception as error:  # torch raises many kinds for damaged files
        raise MollituneError(
            f"{folder}/{FILES[chosen]} does not hold these weights ({first_line(error)}); "
            "restore it from a copy"
        ) from None
    return model.eval()


def _description(folder: str) -> tuple[dict[str, Any], tuple[int, ...]]:
    try:
        found = json.loads(_content(folder, "train.json"))
        return dict(found["settings"]), tuple(found["dataset"]["shape"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MollituneError(f"{folder}/train.json is damaged; restore it from a copy") from None


def _content(folder: str, name: str) -> bytes:
    data = Folder(folder).read(name)
    if data is None:
        why = "mollitune train makes it at the end of a training"
        if name == FILES["ema"]:
            why += " with --ema"
        raise MollituneError(f"{folder} has no {name}; {why}")
    return data
