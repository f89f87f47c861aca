"""What is kept of a confirmation besides its rows: which schedules, how many seeds, how far."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mollitune._folder import Folder
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.confirmation import Candidate

from .description import confirmation_name, damaged, read_confirmation_file
from .schema import CONFIRM_TRIALS

SEEDS_APART = 10_000
"""Distance between the seeds of a search and of its confirmations, above the most seeds of any."""


class Contestant(BaseModel):
    """A configuration that is confirmed."""

    configuration: int
    schedule: dict[str, Any]
    settings: dict[str, bool | int | float | str] = {}
    scale: float = 1.0

    def candidate(self) -> Candidate:
        """Return what the policy knows it by.

        Raises:
            ValueError: If the schedule cannot be built.
        """
        return Candidate(self.configuration, Configuration.from_dict(self.model_dump()))


class Description(BaseModel):
    """A confirmation, as its file ``confirm/NUMBER.json`` tells.

    Arguments:
        number: Its number, from 1.
        top: How many recommended schedules of each model were asked for.
        seeds: Seeds per arm.
        budgets: How long is trained, rising, in multiples of the search's own length; in files of
            earlier versions that alone.
        first_seed: The first of them.
        fid_samples: Generated images behind each FID.
        level: Probability that the verdict's statements hold.
        anytime: Whether they hold for all numbers of seeds at once.
        controls: Whether constant noise is trained beside each schedule.
        reference: Split of the data that FID compares with.
        reference_size: Images in it.
        steps: Training steps of each model in the search.
        every: Share of the training between two evaluations, for each model.
        arms: For each model the schedules at each budget, the shortest one first.
        status: ``running``, ``interrupted`` or ``finished``.
        elapsed_seconds: Wall time of its trials.
        created: When it began.
        versions: Versions of the packages.
        machine: The machine of the driver.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["mollitune.confirmation"] = "mollitune.confirmation"
    number: int
    top: int
    seeds: int
    budgets: tuple[float, ...] = (1.0,)
    first_seed: int
    fid_samples: int
    level: float
    anytime: bool = False
    controls: bool = False
    reference: str = "test"
    reference_size: int
    steps: dict[str, int]
    every: dict[str, float]
    arms: dict[str, list[Contestant]]
    status: Literal["running", "interrupted", "finished"] = "running"
    elapsed_seconds: float = 0.0
    created: str
    versions: dict[str, str]
    machine: str

    @property
    def first_trial(self) -> int:
        """Number of the first trial."""
        return self.number * CONFIRM_TRIALS

    @property
    def runs(self) -> int:
        """How many runs there are, at most."""
        return self.seeds * sum(len(arms) for arms in self.arms.values())

    @property
    def work(self) -> float:
        """What they cost, in trainings of the search's own length."""
        return self.seeds * sum(arm.scale for arms in self.arms.values() for arm in arms)


def latest(location: str) -> Description | None:
    """Return the newest confirmation of a search; None if there is none.

    Args:
        location: The search, a path or URI.

    Raises:
        MollituneError: If its file cannot be read, or is damaged.
    """
    folder, found = Folder(location), None
    while (document := read_confirmation_file(folder, _next(found))) is not None:
        try:
            found = Description.model_validate(document)
        except ValidationError as error:
            raise damaged(folder.path(confirmation_name(_next(found))), error) from None
    return found


def _next(found: Description | None) -> int:
    return 1 if found is None else found.number + 1
