"""What a trial gets of a machine: its resources with Ray, its device, its share of the memory."""

from __future__ import annotations

import contextlib
import math
import platform
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import ray
import torch

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig
from mollitune.search.training.programs import check_compiler

NO_CUDA = (
    f"torch {torch.__version__} cannot use one; install a torch that can, or train on the CPU "
    "with resources.gpu=0"
)
_UNITS = 10_000  # of a resource, in one: Ray counts in ten-thousandths
Result = TypeVar("Result")


def trial_resources(config: SearchConfig) -> dict[str, float]:
    """Return what one trial asks of Ray; GPUs, if any, are divided among the workers."""
    share = config.resources.gpu
    if share is None:
        share = gpu_share(config.workers, ray.cluster_resources().get("GPU", 0))
    own = {"cpu": config.resources.cpu, **({"gpu": share} if share else {})}
    return {**own, **config.resources.custom}


def gpu_share(workers: int, gpus: float) -> float:
    """Return the share of a GPU that lets all workers run at once, or as many as Ray can place.

    Args:
        workers: Trials at once.
        gpus: GPUs that Ray has; without any the share is 0.

    Example:
        >>> gpu_share(3, 2), gpu_share(2, 4), gpu_share(128, 1), gpu_share(2, 0)
        (0.5, 1.0, 0.0078, 0.0)
    """
    if gpus == 0:
        return 0.0
    # rounded down to the ten-thousandths that Ray counts in: rounded up, one fewer would fit
    return max(1, _UNITS // math.ceil(workers / gpus)) / _UNITS


def has_gpu(config: SearchConfig) -> bool:
    """Return whether trials on this machine train on a GPU."""
    return config.resources.gpu != 0 and torch.cuda.is_available()


def apart(config: SearchConfig) -> bool:
    """Return whether only processes of Ray train: on a cluster, and on GPUs.

    What is measured as a trial leaves nothing of CUDA in this process then, which would take
    memory from the trials, and the whole GPU where that serves one process at a time.
    """
    return config.address is not None or has_gpu(config)


def trains_on_gpus(config: SearchConfig) -> bool:
    """Return whether trials train on GPUs: as Ray would place them if it runs, else here."""
    return "gpu" in trial_resources(config) if ray.is_initialized() else has_gpu(config)


def call_as_trial(
    function: Callable[..., Result], config: SearchConfig, *arguments: Any
) -> Result:
    """Call a function where a trial would run: by Ray in a process of its own, or else here.

    Args:
        function: What is called, with the device and the arguments; Ray tries it three times.
        config: The search.
        *arguments: Further arguments.

    Raises:
        MollituneError: If the function does, or a trial could not be trained there.
    """
    if not ray.is_initialized():
        return function(prepared_device(config), *arguments)
    resources = trial_resources(config)
    # a process that has served one call ends, and its CUDA context with it
    remote = ray.remote(
        num_cpus=resources.pop("cpu"),
        num_gpus=resources.pop("gpu", 0),
        resources=resources,
        max_calls=1,
        max_retries=2,
    )(_in_worker)
    answer = ray.get(remote.remote(function, config, *arguments))
    if isinstance(answer, MollituneError):
        raise answer
    result: Result = answer
    return result


def _in_worker(function: Callable[..., Any], config: SearchConfig, *arguments: Any) -> Any:
    try:
        return function(prepared_device(config), *arguments)
    except MollituneError as error:  # Ray would make a traceback of it
        return error


def prepared_device(config: SearchConfig) -> torch.device:
    """Return where this process trains, having told torch what is its own of the machine.

    A process of Ray computes on a GPU only if Ray has assigned one to it, in its share of the
    memory. Any other takes the GPU if there is one, unless the config says no.

    Raises:
        MollituneError: If torch cannot use the GPU, or there is no compiler to compile with.
    """
    torch.set_num_threads(max(1, int(config.resources.cpu)))
    if config.resources.compile:
        check_compiler("resources.compile")
    if not ray.is_initialized():
        return torch.device("cuda" if has_gpu(config) else "cpu")
    share = assigned_share()
    if share == 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise MollituneError(f"Ray has GPUs, but on {platform.node()} {NO_CUDA}")
    device = torch.device("cuda")
    if share < 1:
        torch.cuda.set_per_process_memory_fraction(share, torch.cuda.current_device())
    return device


def assigned_share() -> float:
    """Return the share of a GPU that Ray has assigned to this process; without Ray, 1."""
    if not ray.is_initialized():
        return 1.0
    share: float = ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0)
    return share


@contextlib.contextmanager
def in_own_memory() -> Iterator[None]:
    """Let an error of a full GPU say how much of it was this process's."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        share = assigned_share()
        if share in (0, 1):
            raise
        text = f"{share:g} of a GPU's memory, the share of a trial, is full"
        raise torch.OutOfMemoryError(f"{text}: {first_line(error)}") from error
