"""Ray Tune's side of the search: hands the policy's runs to Ray, and their ends to the policy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ray.tune.search import Searcher

from mollitune.schedules import Schedule, build

from .config import SearchConfig
from .policy.decision import Decision
from .policy.proposer import Proposal, Proposer
from .policy.samplers import RandomSampler, Sampler, ShapeSampler
from .policy.source import SpaceSource
from .policy.study import StudySampler
from .space import FamilySpace


class ScheduleSearcher(Searcher):  # type: ignore[misc]
    """Hands Ray Tune the runs of a search, each with its numbers, seed, model and schedule.

    Arguments:
        config: The search.
        side: Side of the images in pixels.
    """

    def __init__(self, config: SearchConfig, side: int) -> None:
        super().__init__(metric="fid", mode="min")
        self._left = config.trials
        self._proposer = proposer(config, side)
        self._trials: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """Return the next trial's config, or ``FINISHED`` when all have been given."""
        if self._left == 0:
            return str(Searcher.FINISHED)
        self._left -= 1
        proposal = self._proposer.next()
        self._trials[trial_id] = proposal.run.trial
        return trial_config(proposal)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the policy how the trial ended; unknown trials are ignored."""
        if trial_id not in self._trials:
            return
        last = result or {}
        fid = last.get("fid")
        value = fid if fid is not None and math.isfinite(fid) else None
        outcome = "failed" if error else outcome_of(last)
        usable = value if last.get("phase") == "clean" else None
        if outcome == "completed" and usable is None:
            outcome = "failed"  # mollified to the very end: its FID measures the noise
        self._proposer.ended(self._trials.pop(trial_id), outcome, usable, last.get("step", 0))

    def take_decisions(self) -> list[Decision]:
        """Return the promotions since the last call."""
        return self._proposer.take_decisions()

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a search is resumed from its own tables, not from Ray's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see `save`."""


def proposer(config: SearchConfig, side: int) -> Proposer:
    """Return what decides on the runs of a search.

    Args:
        config: The search.
        side: Side of the images in pixels.
    """
    stopping = config.stopping
    return Proposer(
        arms=list(arms(config, side)),
        samplers={
            entry.name: sampler(config, side, config.seed + i)
            for i, entry in enumerate(config.model)
        },
        seed=config.seed,
        eta=stopping.reduction_factor if stopping.races else None,
        seeds=stopping.max_seeds,
    )


def sampler(config: SearchConfig, side: int, seed: int) -> Sampler:
    """Return the sampler that a config names, for one model."""
    schedules, spaces = source(config, side, seed), _spaces(config)
    if config.sampler == "shape":
        return ShapeSampler(schedules, seed)
    if config.sampler == "random" or not spaces:
        return RandomSampler(schedules, seed)
    return StudySampler(config.sampler, spaces, side, seed, config.workers, schedules)


def source(config: SearchConfig, side: int, seed: int) -> SpaceSource:
    """Return where the schedules of a search come from: its families, or vanilla alone."""
    return SpaceSource(_spaces(config) or {"vanilla": FamilySpace("vanilla")}, side, seed)


def trial_config(proposal: Proposal) -> dict[str, Any]:
    """Return a run as the plain config of a Ray Tune trial."""
    run = proposal.run
    return {
        "trial": run.trial,
        "configuration": run.configuration,
        "repeat": run.repeat,
        "seed": proposal.seed,
        "model": run.model,
        "schedule": proposal.schedule.to_dict(),
    }


def arms(config: SearchConfig, side: int) -> Iterable[tuple[str, Schedule]]:
    """Yield what every search must try: vanilla and each family's default, for each model."""
    searched = [space for space in config.families if space.family != "vanilla"]
    for schedule in (build("vanilla"), *(space.default(side) for space in searched)):
        for entry in config.model:
            yield entry.name, schedule


def outcome_of(result: Mapping[str, Any]) -> str:
    """Return ``completed``, ``stopped`` or ``failed`` from the last result of a trial."""
    fid = result.get("fid")
    if result.get("failure") or fid is None:
        return "failed"
    if result["progress"] < 1:
        return "stopped"
    return "completed" if math.isfinite(fid) else "failed"


def _spaces(config: SearchConfig) -> dict[str, FamilySpace]:
    return {space.family: space for space in config.families if space.family != "vanilla"}
