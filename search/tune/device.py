"""What a trial gets of a machine: its resources with Ray, its device, its share of the memory."""

from __future__ import annotations

import contextlib
import math
import platform
from collections.abc import Iterator

import ray
import torch

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.search.config import SearchConfig
from mollitune.search.training.programs import check_compiler

from .environment import address_of

NO_CUDA = (
    f"torch {torch.__version__} cannot use one; install a torch that can, or train on the CPU "
    "with resources.gpu=0"
)
NAMESPACE = "mollitune"
"""Of the jobs in Ray that were started for a search."""
_UNITS = 10_000  # of a resource, in one: Ray counts in ten-thousandths


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
    """Return whether only processes of Ray train: on a cluster, on GPUs, in the user's own Ray.

    What is measured as a trial leaves nothing of CUDA in this process then, which would take
    memory from the trials, and the whole GPU where that serves one process at a time.
    """
    return is_joined(config) or has_gpu(config)


def is_joined(config: SearchConfig) -> bool:
    """Return whether trials run in a Ray that is not of our own, whose nodes may come and go."""
    return address_of(config) is not None or is_of_others()


def is_of_others() -> bool:
    """Return whether Ray runs here and is not of a search: the user's own, which goes on."""
    return bool(ray.is_initialized() and ray.get_runtime_context().namespace != NAMESPACE)


def trains_on_gpus(config: SearchConfig) -> bool:
    """Return whether trials train on GPUs: as Ray would place them if it runs, else here."""
    return "gpu" in trial_resources(config) if ray.is_initialized() else has_gpu(config)


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
