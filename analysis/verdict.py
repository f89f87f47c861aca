"""The verdict of a confirmation: which schedules beat vanilla, and which cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass

from mollitune.schedules import Schedule


@dataclass(frozen=True)
class Arm:
    """One schedule of a confirmation, and what its runs on fresh seeds showed.

    Attributes:
        configuration: Number of the configuration, as in the tables.
        schedule: The schedule.
        text: The schedule as short text.
        trials: Numbers of its complete runs, in the order of the seeds.
        seeds: Their seeds.
        fids: Their FIDs against the test images, at full budget on clean data.
        mean: Mean FID; NaN without a complete run.
        error: Standard error of the mean; NaN for fewer than two runs.
        difference: Mean over the seeds of its FID less that of vanilla on the same seed; negative
            is better; None for vanilla itself and without a seed in common.
        low: Lower end of the simultaneous interval of the difference; None without one.
        high: Upper end.
        tied: Whether it cannot be told apart from the best.
        out: Why it got no more seeds before the end, or failed; None if it was kept to the end.
    """

    configuration: int
    schedule: Schedule
    text: str
    trials: tuple[int, ...]
    seeds: tuple[int, ...]
    fids: tuple[float, ...]
    mean: float
    error: float
    difference: float | None
    low: float | None
    high: float | None
    tied: bool
    out: str | None

    @property
    def is_vanilla(self) -> bool:
        """Whether its data are never mollified."""
        return self.schedule.family == "vanilla"

    @property
    def beats_vanilla(self) -> bool:
        """Whether the whole interval of the difference lies below zero, and it was kept."""
        return self.out is None and self.high is not None and self.high < 0


@dataclass(frozen=True)
class Verdict:
    """What a confirmation says about the schedules of one model.

    Attributes:
        search: Name of the search.
        number: Number of the confirmation, from 1.
        model: Name of the model.
        dataset: Name of the data set.
        steps: Training steps of each run.
        extractor: Network behind the FIDs.
        fid_samples: Generated images behind each FID.
        reference: Split of the data set that the FIDs compare with.
        level: Probability that all intervals of one model hold at once, and that the best
            schedule is in the tie set.
        planned: Seeds that were planned for each arm.
        complete: Whether every arm has got them, is out, or has failed.
        arms: The arms, lowest mean first, those that are out last.
    """

    search: str
    number: int
    model: str
    dataset: str
    steps: int
    extractor: str
    fid_samples: int
    reference: str
    level: float
    planned: int
    complete: bool
    arms: tuple[Arm, ...]

    @property
    def tie_set(self) -> tuple[Arm, ...]:
        """The arms that cannot be told apart from the best."""
        return tuple(arm for arm in self.arms if arm.tied)
