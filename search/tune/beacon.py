"""What driver and workers tell each other beside Ray's calls, in Ray's key-value store.

A worker that hangs cannot be asked, and one that trains several trials must learn which of them
have ended before it trains on.
"""

from __future__ import annotations

import json

from ray.experimental import internal_kv

_NAMESPACE = "mollitune"
ENDED = "ended"
"""Which trials of a process have ended: a list of their numbers, written by the driver."""
RESUMED = "resumed"
"""From which step each trial of a process goes on, by number; only where it is not the first."""
PULSE = "pulse"
"""The last sign of life of a process: when it was shown, by the process's own clock."""


def put(folder: str, topic: str, process: str, value: object) -> None:
    """Keep a value.

    Args:
        folder: The search.
        topic: What it is about.
        process: Ray's name of the trial that the process runs.
        value: A JSON value.
    """
    internal_kv._internal_kv_put(
        _key(folder, topic, process), json.dumps(value), namespace=_NAMESPACE
    )


def get(folder: str, topic: str, process: str) -> object:
    """Return what was kept last, None without it; arguments as for `put`."""
    found = internal_kv._internal_kv_get(_key(folder, topic, process), namespace=_NAMESPACE)
    return None if found is None else json.loads(found)


def forget(folder: str, topic: str, process: str) -> None:
    """Keep it no longer; arguments as for `put`."""
    internal_kv._internal_kv_del(_key(folder, topic, process), namespace=_NAMESPACE)


def _key(folder: str, topic: str, process: str) -> str:
    return f"{folder}:{topic}:{process}"
