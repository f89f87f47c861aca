"""Waits for a storage that does not take a write: for a limited time, saying so, interruptibly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mollitune._errors import MollituneError
from mollitune._files import first_line

if TYPE_CHECKING:
    from .lease import Lease

T = TypeVar("T")

WAIT_VARIABLE = "MOLLITUNE_STORAGE_WAIT"
WAIT_SECONDS = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_NAP = 0.25  # between two looks at whether the user wants to stop


class Retry:
    """Tries a write again and again while the storage does not take it.

    Once it has given up it stays so: whatever else is to be written on the way out gets one try.
    A pickled copy does not wait.

    Arguments:
        seconds: How long a write is tried again, >= 0.
        say: Where its messages go, one line each.
        lease: Checked before every write and renewed before every other try: while the storage
            was away it may have expired, and another driver may have taken it.

    Attributes:
        interrupted: Tells whether the user wants to stop; then nothing waits any more.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        say: Callable[[str], None] | None = None,
        lease: Lease | None = None,
    ) -> None:
        self._seconds = seconds
        self._say = say
        self._lease = lease
        self._over = False
        self.interrupted: Callable[[], bool] = bool

    def __reduce__(self) -> tuple[type[Retry], tuple[()]]:
        return Retry, ()

    def __call__(self, attempt: Callable[[], T]) -> T:
        """Return what a function that reads or writes returns, as soon as it succeeds.

        Arguments:
            attempt: May be called many times.

        Raises:
            OSError: The last one, if none succeeded in time.
            MollituneError: If another driver has taken the lease.
        """
        if self._lease is not None:
            self._lease.check()
        try:
            return attempt()
        except OSError as error:
            if self._over or self._seconds <= 0:
                raise
            return self._again(attempt, error)

    def _again(self, attempt: Callable[[], T], error: OSError) -> T:
        start, pause = time.monotonic(), _FIRST_PAUSE
        self._tell(
            f"the storage does not answer or is full: {first_line(error)}; trying again for up to "
            f"{self._seconds:g} s ({WAIT_VARIABLE}), Ctrl-C stops"
        )
        while self._rest(min(pause, start + self._seconds - time.monotonic())):
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                if self._lease is not None:
                    self._lease.renew()
                result = attempt()
            except OSError as latest:
                error = latest
            else:
                self._tell(f"the storage is back after {time.monotonic() - start:.0f} s")
                return result
        self._over = True
        raise error

    def _rest(self, seconds: float) -> bool:
        """Sleep; return False when there is no time left or the user wants to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.interrupted():
            time.sleep(min(left, _NAP))
        return seconds > 0 and not self.interrupted()

    def _tell(self, text: str) -> None:
        if self._say is not None:
            self._say(text)


def wait_seconds() -> float:
    """Return how long a search waits for its storage: ``MOLLITUNE_STORAGE_WAIT`` or 300 s.

    Raises:
        MollituneError: If the variable is no number of seconds from 0 up.
    """
    text = os.environ.get(WAIT_VARIABLE, "")
    try:
        seconds = float(text or WAIT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise MollituneError(f"{WAIT_VARIABLE} is {text!r}; give seconds, 0 or more")
    return seconds
