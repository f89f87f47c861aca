"""Room for trials: what is refused, what waits, and what is said meanwhile."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import ray
from ray._private.state import state
from ray.core.generated.autoscaler_pb2 import ClusterConfig, NodeGroupConfig
from tests.search.tune.conftest import config

from mollitune._errors import MollituneError
from mollitune.search.tune import placement
from mollitune.search.tune.placement import PERIOD, Waiting, call_as_trial, check_room


def have(monkeypatch: pytest.MonkeyPatch, *nodes: Mapping[str, float], free: Any = None) -> None:
    """Let the cluster have these nodes."""
    listed = [{"Alive": True, "Resources": dict(node)} for node in nodes]
    monkeypatch.setattr(ray, "nodes", lambda: listed)
    monkeypatch.setattr(ray, "available_resources", lambda: free or {})


def grow(monkeypatch: pytest.MonkeyPatch, *types: Mapping[str, float]) -> None:
    """Let the autoscaler know these types of nodes."""
    groups = [NodeGroupConfig(resources=kind, max_count=4) for kind in types]
    found = ClusterConfig(node_group_configs=groups) if types else None
    monkeypatch.setattr(state, "get_cluster_config", lambda: found)


@pytest.mark.parametrize(
    ("joined", "types", "said"),
    [
        (False, (), "resources: no node has 1 CPU and 1 GPU; join a cluster"),
        (True, (), "resources: no node has 1 CPU and 1 GPU yet; trials wait for one"),
        (True, ({"CPU": 8, "GPU": 1},), "resources: no node has 1 CPU and 1 GPU yet"),
        (True, ({"CPU": 8},), "nor any type of node that the cluster's autoscaler may add"),
    ],
)
def test_what_no_node_has_is_refused_unless_one_may_come(
    monkeypatch: pytest.MonkeyPatch,
    joined: bool,
    types: Sequence[Mapping[str, float]],
    said: str,
) -> None:
    have(monkeypatch, {"CPU": 8}, {"GPU": 2})
    grow(monkeypatch, *types)
    monkeypatch.setattr(placement, "is_joined", lambda _: joined)
    told: list[str] = []
    if "yet" in said:
        check_room(config(gpu=1), told.append)
        assert [line.startswith(said) for line in told] == [True]
        return
    with pytest.raises(MollituneError, match=said):
        check_room(config(gpu=1), told.append)
    assert not told


def test_where_a_node_has_room_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, {"CPU": 1}, {"CPU": 2, "GPU": 1})
    check_room(config(gpu=0.5), pytest.fail)


def test_who_waits_is_told_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0, PERIOD - 1, PERIOD, PERIOD + 1, 2 * PERIOD]
    clock, told = iter([*times, 3 * PERIOD, 4 * PERIOD - 1, 4 * PERIOD]), list[str]()
    waiting = Waiting({"GPU": 1.0}, told.append, lambda: next(clock))
    have(monkeypatch, {"CPU": 8})
    for _ in times:
        waiting.look(0, 8)
    assert told == 2 * [
        "0 of 8 trials placed: each needs 1 GPU, the cluster has 0 GPU; waiting for a node that "
        "has it"
    ]
    told.clear()
    waiting.look(1, 7)  # one runs: the others take their turn
    have(monkeypatch, {"GPU": 2}, free={"GPU": 0.5})
    for _ in range(2):
        waiting.look(0, 7)
    assert not told
    waiting.look(0, 7)
    assert told == [
        "0 of 7 trials placed: each needs 1 GPU, the cluster has 2 GPU, 0.5 GPU of it free; "
        "waiting for room, or for a process to start"
    ]


class ToldError(Exception):
    """Ends what would wait for ever."""


def stop(text: str) -> None:
    raise ToldError(text)


@pytest.mark.slow
@pytest.mark.usefixtures("fake_gpus")
def test_planning_waits_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """For room that nobody has, and for a process that takes its time; in a real Ray."""
    monkeypatch.setattr(placement, "PERIOD", 0.5)
    with pytest.raises(ToldError, match=r"^0 of 1 trials placed: each needs 99 CPU, the cluster"):
        call_as_trial(str, config(cpu=99.0, gpu=0), what="planning", say=stop)

    def slow(device: object) -> None:
        import time

        time.sleep(30)

    def once_placed(text: str) -> None:
        if "placed" not in text:  # until the first call's process has gone, this one waits, too
            stop(text)

    with pytest.raises(ToldError, match=r"^planning: \d+ s so far$"):
        call_as_trial(slow, config(gpu=0), what="planning", say=once_placed)
