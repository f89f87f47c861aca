"""The switch that ends a whole search."""

from __future__ import annotations

from typing import Any

from ray.tune import Stopper

from mollitune._errors import MollituneError


class StopAll(Stopper):  # type: ignore[misc]
    """Ends the whole search once ``now`` is set, e.g. when results can no longer be written.

    Ray's event loop must not see an exception, so what went wrong is kept here and raised by the
    launcher.

    Attributes:
        now: Whether the search must end.
        failure: The first thing that went wrong.
    """

    def __init__(self) -> None:
        self.now = False
        self.failure: MollituneError | None = None

    def fail(self, error: MollituneError) -> None:
        """End the search because of an error."""
        self.failure = self.failure or error
        self.now = True

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: no single trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Return whether the search must end."""
        return self.now
