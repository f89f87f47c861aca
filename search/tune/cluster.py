"""Ray: joining a cluster, or starting one on this machine that nobody else can reach."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import ray
import torch
from ray._private.authentication.authentication_token_setup import (
    ensure_token_if_auth_enabled,
    maybe_enable_token_auth_if_token_available,
)
from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError, RpcError
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig

from .device import NAMESPACE, NO_CUDA, apart, is_joined
from .environment import LOCAL, address_of, ray_environment, set_local_token
from .placement import check_room

_LOOPBACK = "127.0.0.2"


@contextlib.contextmanager
def on_ray(config: SearchConfig, console: Console, *, early: bool = False) -> Iterator[None]:
    """Join the cluster of the config, or start Ray here, until the end of the block.

    Where the user's own Ray runs already, it is used and left running.

    Args:
        config: The search.
        console: Where to tell what trials wait for.
        early: That nothing has been measured yet. Ray is started only where it measures, too, see
            `apart`: on processors its own processes would disturb what is timed.

    Raises:
        MollituneError: If the cluster cannot be used, or trials could never start on it.
    """
    if early != apart(config):  # it is the other call that starts it
        yield
        return
    with contextlib.ExitStack() as until_the_end:
        until_the_end.enter_context(ray_environment())
        if not ray.is_initialized():
            until_the_end.callback(_end_ray)
            with console.status("starting Ray"):
                start_ray(config)
        check_devices(config)
        check_room(config, partial(console.print, markup=False, soft_wrap=True))
        yield


def _end_ray() -> None:
    from mollitune.search.terminal import asked_to_stop

    with asked_to_stop():  # it takes seconds, and all results are written by now
        ray.shutdown()


def check_gpus(config: SearchConfig) -> None:
    """Refuse trials that ask for a GPU if this machine has none, unless they run on a cluster.

    Raises:
        MollituneError: If trials could never start.
    """
    asked = config.resources.gpu
    if not is_joined(config) and asked and not torch.cuda.is_available():
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
    if not is_joined(config) and unused:
        raise MollituneError(f"Ray finds {found:g} GPU(s), but on this machine {NO_CUDA}")


def start_ray(config: SearchConfig) -> None:
    """Join the cluster of the config, or start Ray on this machine, reachable from it alone."""
    address, shown = address_of(config), config.resources.show_output
    try:
        if address is not None:
            _check_reachable(address)
            ray.init(
                address=address, namespace=NAMESPACE, log_to_driver=shown, logging_level="ERROR"
            )
            return
        set_local_token()
        loopback = {"_node_ip_address": _LOOPBACK} if sys.platform == "linux" else {}
        ray.init(
            address=LOCAL,
            namespace=NAMESPACE,
            num_cpus=max(1, math.ceil(config.workers * config.resources.cpu)),
            include_dashboard=False,
            log_to_driver=shown,
            logging_level="ERROR",
            _temp_dir=temp_folder(),
            **loopback,
        )
    except AuthenticationError:
        raise MollituneError(
            f"cannot use Ray on {address or 'this machine'}: its token is another one, or was not "
            "given; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from None
    except (RpcError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = address or "this machine"
        raise MollituneError(
            f"cannot use Ray on {where}: {first_line(error)}; check address, or leave it out to "
            "run here"
        ) from None


def _check_reachable(address: str) -> None:
    """Fail at once where no Ray listens, or one that lets nobody in; Ray itself tries on.

    Raises:
        OSError: If a connection to ``host:port`` is refused or takes more than 10 s.
        AuthenticationError: If the token is missing or wrong.
        RpcError: If it is something else that listens.
    """
    if address == "auto":
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    found = address if "://" in address else canonicalize_bootstrap_address(address)
    host, _, port = (found or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
        ensure_token_if_auth_enabled(create_token_if_missing=False)
        if found == f"{host}:{port}":
            with _without_stderr():  # what goes wrong is told in one line
                GcsClient(address=found)


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Let this process write nothing to its standard error, from whatever language."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def temp_folder() -> str:
    """Return a new folder for Ray's files and sockets, whose paths may have at most 107 bytes.

    It is removed at exit, after Ray has gone.
    """
    parent = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="mt-", dir=parent if len(parent) < 30 else "/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
