"""Ray: joining a cluster, or starting one on this machine that nobody else can reach."""

from __future__ import annotations

import atexit
import contextlib
import math
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ray
import torch
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig

_LOOPBACK = "127.0.0.2"
Result = TypeVar("Result")


def trial_resources(config: SearchConfig) -> dict[str, float]:
    """Return what one trial asks of Ray; GPUs, if any, are divided among the workers."""
    gpus = ray.cluster_resources().get("GPU", 0)
    share = config.resources.gpu
    if share is None:
        share = min(1.0, math.floor(100 * gpus / config.workers) / 100)
    own = {"cpu": config.resources.cpu, **({"gpu": share} if share else {})}
    return {**own, **config.resources.custom}


@contextlib.contextmanager
def on_ray(config: SearchConfig, console: Console) -> Iterator[None]:
    """Join the cluster of the config, or start Ray here, until the end of the block.

    Raises:
        MollituneError: If the cluster cannot be used, or trials could never start on it.
    """
    # workers need this file, and nothing of the tables and figures that the terminal brings
    from mollitune.search.terminal import asked_to_stop

    try:
        with console.status("starting Ray"):
            start_ray(config)
        check_custom(config, console)
        yield
    finally:
        with asked_to_stop():  # it takes seconds, and all results are written by now
            ray.shutdown()


def call_on_worker(
    function: Callable[..., Result], resources: Mapping[str, float], *arguments: Any
) -> Result:
    """Call a function where Ray would run a trial, and wait for what it returns.

    Args:
        function: What is called; it is tried three times.
        resources: What a trial asks of Ray, see `trial_resources`.
        *arguments: Its arguments.
    """
    named = {"cpu", "gpu"}
    remote = ray.remote(function).options(
        num_cpus=resources["cpu"],
        num_gpus=resources.get("gpu", 0),
        resources={name: value for name, value in resources.items() if name not in named},
        max_retries=2,
    )
    result: Result = ray.get(remote.remote(*arguments))
    return result


def assigned_device() -> torch.device:
    """Return where a process of Ray may compute: on a GPU only if Ray has assigned one to it."""
    return torch.device("cuda" if ray.get_gpu_ids() else "cpu")


def check_gpus(config: SearchConfig) -> None:
    """Refuse trials that ask for more GPUs than this machine has, unless they run on a cluster.

    Raises:
        MollituneError: If trials could never start.
    """
    asked, found = config.resources.gpu or 0, torch.cuda.device_count()
    if config.address is None and asked > found:
        raise MollituneError(
            f"resources.gpu is {asked:g}, but torch finds {found or 'no'} GPU(s) on this machine; "
            "leave it out to train on what there is, or join a cluster (--address)"
        )


def check_custom(config: SearchConfig, console: Console) -> None:
    """Tell of resources that no node has: a cluster may grow, a Ray of our own does not.

    Raises:
        MollituneError: If trials could never start.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {**config.resources.custom, "GPU": config.resources.gpu or 0}
    for name, amount in asked.items():
        if any(node.get(name, 0) >= amount for node in nodes):
            continue
        what = f"resources: no node has {amount:g} of {name}"
        if config.address is None:
            raise MollituneError(
                f"{what}; join a cluster that has it (--address), or leave it out"
            )
        console.print(f"{what} yet; trials wait for one", markup=False, soft_wrap=True)


def start_ray(config: SearchConfig) -> None:
    """Join the cluster of the config, or start Ray on this machine, reachable from it alone."""
    try:
        if config.address is not None:
            _check_reachable(config.address)
            ray.init(address=config.address, log_to_driver=False, logging_level="ERROR")
            return
        loopback = {"_node_ip_address": _LOOPBACK} if sys.platform == "linux" else {}
        ray.init(
            address="local",
            num_cpus=max(1, math.ceil(config.workers * config.resources.cpu)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=temp_folder(),
            **loopback,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = config.address or "this machine"
        raise MollituneError(
            f"cannot use Ray on {where}: {first_line(error)}; check address, or leave it out to "
            "run here"
        ) from None


def _check_reachable(address: str) -> None:
    """Fail at once where nothing listens; Ray itself would go on trying for minutes.

    Raises:
        OSError: If a connection to ``host:port`` is refused or takes more than 10 s.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def temp_folder() -> str:
    """Return a new folder for Ray's files and sockets, whose paths may have at most 107 bytes.

    It is removed at exit, after Ray has gone.
    """
    parent = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="mt-", dir=parent if len(parent) < 30 else "/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
