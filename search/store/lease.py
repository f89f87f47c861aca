"""One driver per search: a lease that its holder renews, and that expires when the holder dies."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from mollitune._errors import MollituneError
from mollitune._folder import Folder, StorageError

LEASE_FILE = "lease.json"
SECONDS = 60.0
RENEWALS = 4


class Lease:
    """Held while a driver works on a search; a second driver is refused meanwhile.

    A lease of a process of this machine that is gone is taken over at once, any other one after
    it has expired.

    Arguments:
        location: Folder of the search, a path or URI.
        seconds: How long a lease holds without being renewed.
        say: Where it is told that one is waited for whose holder may be gone; by default none is.
    """

    def __init__(
        self,
        location: str,
        seconds: float = SECONDS,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = Folder(location)
        self._location = location
        self._seconds = seconds
        self._say = say
        self._token = secrets.token_hex(8)
        self._lost: MollituneError | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            MollituneError: If another driver holds it; the message says which and for how long.
                Or if the folder cannot be written.
        """
        if self._say is not None:
            self._outwait(self._say)
        self.renew()
        self._refuse_if_held()  # of two that wrote at once, the later one holds it
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lease back."""
        self._done.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if self._is_ours():
                self._folder.delete(LEASE_FILE)

    def check(self) -> None:
        """Go on only while the lease is ours. Costs nothing: the file was read when last renewed.

        Raises:
            MollituneError: If another driver has taken it, after it had expired.
        """
        if self._lost is not None:
            raise self._lost

    def renew(self) -> None:
        """Take the lease, or hold it for longer.

        Raises:
            MollituneError: If another driver holds it.
            StorageError: If the storage does not answer.
        """
        self._refuse_if_held()
        self._write()

    def _is_ours(self) -> bool:
        held = self._read()
        return held is not None and held["token"] == self._token

    def _refuse_if_held(self) -> None:
        held = self._read()
        if held is None or held.get("token") == self._token or _is_over(held):
            return
        left = max(0.0, float(held["expires"]) - time.time())
        raise MollituneError(
            f"another driver works on {self._location}: process {held['pid']} on {held['host']}; "
            f"stop it, or wait {left:.0f} s if it is gone"
        )

    def _outwait(self, say: Callable[[str], None]) -> None:
        """Wait until a lease is over that nobody renews; one that is renewed is refused then."""
        held = self._read()
        if held is None or _is_over(held):
            return
        left = float(held["expires"]) - time.time()
        say(
            f"process {held['pid']} on {held['host']} held this search last; if it does not show "
            f"itself within {left:.0f} s, the search goes on here"
        )
        time.sleep(max(0.0, left) + 0.1)

    def _read(self) -> dict[str, Any] | None:
        try:
            held = json.loads(self._folder.read(LEASE_FILE) or b"")
        except ValueError:
            return None  # there is none, or a crash left half of it
        complete = isinstance(held, dict) and {"token", "pid", "host", "expires"} <= held.keys()
        return held if complete else None

    def _write(self) -> None:
        held = {
            "token": self._token,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "expires": time.time() + self._seconds,
        }
        self._folder.write(LEASE_FILE, json.dumps(held).encode())

    def _renew(self) -> None:
        while not self._done.wait(self._seconds / RENEWALS):
            try:
                self.renew()
            except StorageError:
                continue  # a full disk is for the tables to report
            except MollituneError as error:
                self._lost = error
                return


def _is_over(held: dict[str, Any]) -> bool:
    if held["host"] == socket.gethostname():
        try:
            os.kill(int(held["pid"]), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
    return float(held["expires"]) < time.time()
