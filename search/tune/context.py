"""What all trials of a search share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from mollitune.schedules import Option, Schedule
from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.store.objective import Objective
from mollitune.search.training.settings import Training
from mollitune.search.training.spec import TrialSpec

from .budget import Plan, stack_size


@dataclass(frozen=True)
class Context:
    """What all trials of a search share; Ray keeps one read-only copy per node.

    Arguments:
        config: The search.
        splits: The images.
        reference: What FID compares with.
        folder: Folder of the search, a path or URI.
        plans: For each model, how often and on how many samples it is evaluated.
        stage: ``search`` or ``confirm``, as in the tables.
        own: What a worker could not import of a user's own, by name.
    """

    config: SearchConfig
    splits: Splits
    reference: Reference
    folder: str
    plans: dict[str, Plan]
    stage: str = "search"
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """What the search minimises."""
        return self.config.minimised

    def trials_per_process(self, runs: int) -> int:
        """Return how many trials a process takes: one, if by its plan no model gains by more.

        Args:
            runs: Trials to be run.
        """
        if not any(plan.as_one for plan in self.plans.values()):
            return 1
        return stack_size(self.config.resources.most_stacked, runs, self.config.workers)

    def spec(self, config: Mapping[str, Any]) -> TrialSpec:
        """Return what a trial's config from the searcher means."""
        name, stopping = config["model"], self.config.stopping
        return replace(
            self.whole_run(
                name,
                Schedule.from_dict(config["schedule"]),
                config["seed"],
                config.get("settings", {}),
                config.get("scale", 1.0),
            ),
            every=self.plans[name].every,
            final=self.plans[name].final,
            probe_at=stopping.probe_at,
            probe_extra=stopping.probe_extra,
        )

    def whole_run(
        self,
        model: str,
        schedule: Schedule,
        seed: int,
        settings: Mapping[str, Option] = MappingProxyType({}),
        scale: float = 1.0,
    ) -> TrialSpec:
        """Return a training of a model of the search that is evaluated at its end.

        Args:
            model: Its name.
            schedule: How the training data are mollified.
            seed: Seed of weights, batches and noise.
            settings: Hyperparameters that are searched; the others are as the config says.
            scale: How long, as a multiple of the length that the config gives.
        """
        entry = self.config.model_entry(model)
        return TrialSpec(
            model=entry.name,
            schedule=schedule,
            seed=seed,
            steps=self.config.steps_of(entry.name, settings, scale),
            every=1.0,
            training=Training.of(entry, settings),
        )
