"""Gives a model back that ``mollitune train`` has trained. Without Ray and without metrics."""

from __future__ import annotations

import io
import json
import os
import posixpath
from typing import Any, Literal

import torch
from pyarrow import fs

from mollitune._errors import MollituneError
from mollitune._files import first_line, resolve
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
    filesystem, root = resolve(folder)
    path = posixpath.join(root, name)
    try:
        if filesystem.get_file_info(path).type != fs.FileType.File:
            why = "mollitune train makes it at the end of a training"
            if name == FILES["ema"]:
                why += " with --ema"
            raise MollituneError(f"{folder} has no {name}; {why}")
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())
    except OSError as error:
        raise MollituneError(f"cannot read {path}: {first_line(error)}") from None
