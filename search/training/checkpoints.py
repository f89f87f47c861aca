"""Checkpoints of a trial in the search's own folder, two of each, so that one may be damaged."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from mollitune._folder import Folder
from mollitune.search.store.retry import Retry

if TYPE_CHECKING:
    from .trial import Trial

CHECKPOINTS = "checkpoints"
KEPT = 2


class Checkpoints:
    """Writes the states of one trial in turn to two files.

    Arguments:
        location: Folder of the search, a path or URI.
        trial: Number of the trial.
        retry: How long reading is tried again; by default not at all.
    """

    def __init__(self, location: str, trial: int, retry: Retry | None = None) -> None:
        self._folder = Folder(location)
        self._names = [f"{CHECKPOINTS}/{trial:04d}-{i}.pt" for i in range(KEPT)]
        self._retry = retry or Retry()
        self._written = 0

    def save(self, state: dict[str, Any], retry: Retry | None = None) -> None:
        """Write a state over the older of the two.

        Args:
            state: What to write.
            retry: How long that is tried again; by default not at all.

        Raises:
            StorageError: If it cannot be written; the others stay.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        name = self._names[self._written % KEPT]
        self._folder.write(name, buffer.getvalue(), retry or Retry())
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
        return [self._read(name, device) for name in self._names]

    def _read(self, name: str, device: torch.device) -> dict[str, Any] | None:
        try:
            data = self._retry(lambda: self._folder.read(name))
            if data is None:
                return None
            state = torch.load(io.BytesIO(data), device, weights_only=True)
        except (MemoryError, torch.OutOfMemoryError):
            raise  # says nothing about the file: a good checkpoint must not be passed over
        except Exception:  # torch raises many kinds for damaged files
            return None
        return state if isinstance(state, dict) and isinstance(state.get("step"), int) else None


def restore(trial: Trial, states: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Bring a trial to the first state that is one of its own; return it, or None without one.

    Any other state is passed over, and leaves the trial as it was.
    """
    return next((state for state in states if _fits(trial, state)), None)


def _fits(trial: Trial, state: dict[str, Any]) -> bool:
    fresh = copy.deepcopy(trial.state_dict())
    try:
        trial.load_state_dict(state)
    except torch.OutOfMemoryError:
        raise  # a RuntimeError that says nothing about the state
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError):
        trial.load_state_dict(fresh)
        return False
    return True
