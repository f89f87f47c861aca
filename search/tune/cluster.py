"""Ray: joining a cluster, or starting one on this machine that nobody else can reach."""

from __future__ import annotations

import atexit
import contextlib
import math
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator

import ray
import torch
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig

from .device import NO_CUDA, apart, trial_resources

_LOOPBACK = "127.0.0.2"


@contextlib.contextmanager
def on_ray(config: SearchConfig, console: Console, *, early: bool = False) -> Iterator[None]:
    """Join the cluster of the config, or start Ray here, until the end of the block.

    Where Ray runs already, it is used and left running.

    Args:
        config: The search.
        console: Where to tell what trials wait for.
        early: That nothing has been measured yet. Ray is started only where it measures, too, see
            `apart`: on processors its own processes would disturb what is timed.

    Raises:
        MollituneError: If the cluster cannot be used, or trials could never start on it.
    """
    # workers need this file, and nothing of the tables and figures that the terminal brings
    from mollitune.search.terminal import asked_to_stop

    if ray.is_initialized() or (early and not apart(config)):
        yield
        return
    try:
        with console.status("starting Ray"):
            start_ray(config)
        check_devices(config)
        check_room(config, console)
        yield
    finally:
        with asked_to_stop():  # it takes seconds, and all results are written by now
            ray.shutdown()


def check_gpus(config: SearchConfig) -> None:
    """Refuse trials that ask for a GPU if this machine has none, unless they run on a cluster.

    Raises:
        MollituneError: If trials could never start.
    """
    asked = config.resources.gpu
    if config.address is None and asked and not torch.cuda.is_available():
        raise MollituneError(
            f"resources.gpu is {asked:g}, but torch finds no GPU on this machine; leave it out to "
            "train on what there is, or join a cluster (--address)"
        )


def check_devices(config: SearchConfig) -> None:
    """Refuse to train on this machine's CPU without a word although it has a GPU.

    Raises:
        MollituneError: If torch cannot use the GPU that Ray finds.
    """
    found = ray.cluster_resources().get("GPU", 0)
    unused = found and config.resources.gpu is None and not torch.cuda.is_available()
    if config.address is None and unused:
        raise MollituneError(f"Ray finds {found:g} GPU(s), but on this machine {NO_CUDA}")


def check_room(config: SearchConfig, console: Console) -> None:
    """Tell of trials that no node has room for: a cluster may grow, a Ray of our own does not.

    Raises:
        MollituneError: If trials could never start.
    """
    asked = trial_resources(config)
    asked = {"CPU": asked.pop("cpu"), "GPU": asked.pop("gpu", 0.0), **asked}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= n for name, n in asked.items()) for node in nodes):
        return
    what = "resources: no node has " + " and ".join(f"{n:g} {k}" for k, n in asked.items() if n)
    if config.address is None:
        raise MollituneError(f"{what}; join a cluster that has it (--address), or ask for less")
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
