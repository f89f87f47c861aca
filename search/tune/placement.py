"""Where trials run: what one asks, what nodes have or could have, and a word while it waits."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ray
from ray._private.state import state
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from mollitune._errors import MollituneError
from mollitune._own import given
from mollitune.search.config import SearchConfig

from .device import is_joined, prepared_device, trial_resources
from .own import objects_of, sent_whole

NAP = 0.1
"""Seconds between two looks at what is waited for."""
PERIOD = 30.0
"""Seconds after which one that waits is told so, again and again."""
Resources = Mapping[str, float]
Result = TypeVar("Result")


def check_room(config: SearchConfig, say: Callable[[str], None]) -> None:
    """Tell of trials that no node has room for, if one may come; else refuse them.

    Raises:
        MollituneError: If trials could never start: on a Ray of our own, or where the cluster's
            autoscaler has no type of node that is large enough.
    """
    asked = asked_of(config)
    if _fits(asked, _nodes()):
        return
    what = f"resources: no node has {in_words(asked)}"
    if not is_joined(config):
        raise MollituneError(f"{what}; join a cluster that has it (--address), or ask for less")
    types = _node_types()
    if types and not _fits(asked, types):
        raise MollituneError(
            f"{what}, nor any type of node that the cluster's autoscaler may add; ask for less"
        )
    say(f"{what} yet; trials wait for one")


def asked_of(config: SearchConfig) -> Resources:
    """Return what one trial asks, by Ray's names."""
    asked = dict(trial_resources(config))
    named = {"CPU": asked.pop("cpu"), "GPU": asked.pop("gpu", 0.0), **asked}
    return {name: count for name, count in named.items() if count}


def _nodes() -> list[Resources]:
    """Return what each node of the cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _node_types() -> list[Resources]:
    """Return what each type of node has that the autoscaler may add; empty if none is known."""
    found = state.get_cluster_config()
    groups = [] if found is None else found.node_group_configs
    return [dict(group.resources) for group in groups if group.max_count]


def in_words(resources: Resources) -> str:
    """Say resources, such as ``1 CPU and 0.5 GPU``."""
    return " and ".join(f"{count:g} {name}" for name, count in resources.items())


def _fits(asked: Resources, rooms: Sequence[Resources]) -> bool:
    return any(all(room.get(name, 0) >= n for name, n in asked.items()) for room in rooms)


class Waiting:
    """Says now and then that nothing is placed.

    Arguments:
        asked: What each of those that wait asks.
        say: Where it is told.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        asked: Resources,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked = asked
        self._say = say
        self._clock = clock
        self._since: float | None = None

    def look(self, placed: int, waiting: int, what: str = "trials") -> None:
        """Say it if nothing is placed and something has waited for `PERIOD` seconds since."""
        if placed or not waiting:
            self._since = None
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        elif now - self._since >= PERIOD:
            self._since = now
            self._say(f"0 of {waiting} {what} placed: {self._why()}")

    def _why(self) -> str:
        needs = f"each needs {in_words(self._asked)}"
        rooms = _nodes()
        total = {name: math.fsum(room.get(name, 0) for room in rooms) for name in self._asked}
        has = f"{needs}, the cluster has {in_words(total)}"
        if not _fits(self._asked, rooms):
            return f"{has}; waiting for a node that has it"
        free = ray.available_resources()
        left = {name: free.get(name, 0.0) for name in self._asked}
        return f"{has}, {in_words(left)} of it free; waiting for room, or for a process to start"


def call_as_trial(
    function: Callable[..., Result],
    config: SearchConfig,
    *arguments: Any,
    what: str,
    say: Callable[[str], None],
) -> Result:
    """Call a function where a trial would run: by Ray in a process of its own, or else here.

    Args:
        function: What is called, with the device and the arguments; Ray tries it three times.
        config: The search.
        *arguments: Further arguments.
        what: What is done, in words.
        say: Is told every `PERIOD` seconds that it waits for room, or how long it takes.

    Raises:
        MollituneError: If the function does, or a trial could not be trained there.
    """
    if not ray.is_initialized():
        return function(prepared_device(config), *arguments)
    asked, own = asked_of(config), objects_of(config)
    with _reserved(asked, say) as room:
        # a process that has served one call ends, and its CUDA context with it
        remote = ray.remote(
            num_cpus=asked.get("CPU", 0),
            num_gpus=asked.get("GPU", 0),
            resources={k: v for k, v in asked.items() if k not in ("CPU", "GPU")},
            scheduling_strategy=room,
            max_calls=1,
            max_retries=2,
        )(_in_worker)
        with sent_whole(own):
            reference = remote.remote(own, function, config, *arguments)
        answer = _awaited(reference, what, say)
    if isinstance(answer, MollituneError):
        raise answer
    result: Result = answer
    return result


def _in_worker(
    own: Mapping[str, Any], function: Callable[..., Any], config: SearchConfig, *arguments: Any
) -> Any:
    given.update(own)
    try:
        return function(prepared_device(config), *arguments)
    except MollituneError as error:  # Ray would make a traceback of it
        return error


@contextlib.contextmanager
def _reserved(asked: Resources, say: Callable[[str], None]) -> Iterator[Any]:
    """Wait for room, and yield the scheduling strategy that takes it."""
    group, waiting = placement_group([dict(asked)]), Waiting(asked, say)
    try:
        for _ in _seconds():
            if group.wait(0):
                break
            waiting.look(0, 1)
        yield PlacementGroupSchedulingStrategy(group)
    finally:
        remove_placement_group(group)


def _awaited(reference: Any, what: str, say: Callable[[str], None]) -> Any:
    """Return what a process of Ray answers; says every `PERIOD` seconds that it works on."""
    told = start = time.monotonic()
    for now in _seconds():
        if ray.wait([reference], timeout=0)[0]:
            break
        if now - told >= PERIOD:
            told = now
            say(f"{what}: {now - start:.0f} s so far")
    return ray.get(reference)


def _seconds() -> Iterator[float]:
    """Yield the time now and then, until somebody asks to stop.

    Ray waits in C, where an interrupt may be lost.

    Raises:
        KeyboardInterrupt: At SIGINT or SIGTERM.
    """
    from mollitune.search.terminal import asked_to_stop  # workers need no tables and figures

    with asked_to_stop() as asked:
        while not asked.is_set():
            yield time.monotonic()
            asked.wait(NAP)
    raise KeyboardInterrupt
