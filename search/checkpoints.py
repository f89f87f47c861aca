"""Checkpoints of a trial in the search's own folder, two of each, so that one may be damaged."""

from __future__ import annotations

import io
import posixpath
from typing import Any

import torch
from pyarrow import fs

from mollitune._files import resolve, write_atomic

CHECKPOINTS = "checkpoints"
KEPT = 2


class Checkpoints:
    """Writes the states of one trial in turn to two files.

    Arguments:
        location: Folder of the search, a path or URI.
        trial: Number of the trial.
    """

    def __init__(self, location: str, trial: int) -> None:
        self._filesystem, root = resolve(location)
        folder = posixpath.join(root, CHECKPOINTS)
        self._paths = [posixpath.join(folder, f"{trial:04d}-{i}.pt") for i in range(KEPT)]
        self._written = 0

    def save(self, state: dict[str, Any]) -> None:
        """Write a state over the older of the two.

        Raises:
            OSError: If it cannot be written; the others stay.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        path = self._paths[self._written % KEPT]
        write_atomic(self._filesystem, path, buffer.getvalue())
        self._written += 1

    def load(self, device: torch.device) -> list[dict[str, Any]]:
        """Return the states that can be read, the one with the most steps first.

        The next one is written over the last of them.
        """
        states = enumerate(self._states(device))
        found = [(state["step"], i, state) for i, state in states if state is not None]
        found.sort(key=lambda each: each[:2], reverse=True)
        if found:
            self._written = found[0][1] + 1
        return [state for _, _, state in found]

    def _states(self, device: torch.device) -> list[dict[str, Any] | None]:
        return [self._read(path, device) for path in self._paths]

    def _read(self, path: str, device: torch.device) -> dict[str, Any] | None:
        if self._filesystem.get_file_info(path).type != fs.FileType.File:
            return None
        try:
            with self._filesystem.open_input_stream(path) as stream:
                data = stream.read()
            state = torch.load(io.BytesIO(data), device, weights_only=True)
        except Exception:  # torch raises many kinds for damaged files
            return None
        return state if isinstance(state, dict) and isinstance(state.get("step"), int) else None
