"""Models that go wrong; a search finds them beside its config, as it finds a user's own."""

import ctypes
import os
import signal
import time
from pathlib import Path

import ray
import torch
from torch import Tensor, nn

from mollitune.models import GenerativeModel


class Plain(GenerativeModel):
    """One mean per dimension.

    Args:
        shape: shape ``(C, H, W)`` of one image.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.mean = nn.Parameter(torch.zeros(self.dims))

    def loss(self, x: Tensor) -> Tensor:
        return self._nll(x, None).mean() / self.dims

    def _nll(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return (x.flatten(1) - self.mean).square().sum(1)

    def _draw(self, n: int, generator: torch.Generator | None, temperature: float) -> Tensor:
        noise = torch.randn(n, self.dims, generator=generator)
        return (self.mean + temperature * noise).reshape(n, *self.shape)


class Healthy(Plain):
    """Makes a line of a log of every training step.

    Args:
        shape: shape ``(C, H, W)`` of one image.
        log: file that gets the number of the process at every step.
    """

    def __init__(self, shape: tuple[int, int, int], log: str) -> None:
        super().__init__(shape)
        self._log = Path(log)
        self._steps = 0

    def loss(self, x: Tensor) -> Tensor:
        if not ray.is_initialized():  # the search tries a model of a user's own first
            return super().loss(x)
        with self._log.open("a") as log:
            log.write(f"{os.getpid()}\n")
        self._steps += 1
        self.before_step(self._steps)
        return super().loss(x)

    def before_step(self, step: int) -> None:
        """Go wrong, perhaps, in the ``step``-th step of this process."""

    def first_time(self) -> bool:
        """Return whether this is the first process that trains the trial."""
        return len(set(self._log.read_text().split())) == 1


class OutOfGpuMemory(Healthy):
    """Fails at every attempt as a GPU does that is too small."""

    def before_step(self, step: int) -> None:
        if step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0")


class Buggy(Healthy):
    """Holds a mistake that shows late."""

    def before_step(self, step: int) -> None:
        if step == 4:
            raise KeyError("late")


class Killed(Healthy):
    """Its process is killed once, as the kernel does when memory is short."""

    def before_step(self, step: int) -> None:
        if step == 8 and self.first_time():
            os.kill(os.getpid(), signal.SIGKILL)


class Damaging(Healthy):
    """Asks once for more memory than any machine has; half of the newest checkpoint is lost."""

    def __init__(self, shape: tuple[int, int, int], log: str, checkpoints: str) -> None:
        super().__init__(shape, log)
        self._checkpoints = Path(checkpoints)

    def before_step(self, step: int) -> None:
        if step == 8 and self.first_time():
            found = self._checkpoints.parent.glob(self._checkpoints.name)
            newest = max(found, key=lambda path: path.stat().st_mtime_ns)
            os.truncate(newest, newest.stat().st_size // 2)
            bytearray(2**62)


class Hanging(Healthy):
    """Waits for ever, with Python's lock held, so that no thread of its process goes on.

    The first time in its eighth step, after that in the first one.
    """

    def before_step(self, step: int) -> None:
        if step == 8 or not self.first_time():
            ctypes.PyDLL(None).sleep(1000)


class Slow(Healthy):
    """Takes longer between two reports than a hanging trial is given, but goes on."""

    def before_step(self, step: int) -> None:
        if step in (3, 4):
            time.sleep(5)


class Paced(Healthy):
    """Goes on at a pace that leaves time to kill something."""

    def before_step(self, step: int) -> None:
        time.sleep(0.1)
