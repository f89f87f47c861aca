"""Trains a fixed pool of schedules with several seeds, and records every evaluation.

The result is an ordinary search folder, on which search policies are replayed (`policy.py`, or
``mollitune replay``) in seconds instead of hours. The first seeds are recorded with whole curves
and cooldown probes; the others, which only judge the policies, with their last value alone.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curve_tables import write_tables
from paired import Run, run_all

from mollitune.schedules import Schedule, families
from mollitune.search.policy.space import FamilySpace
from mollitune.search.training.settings import Training
from mollitune.search.training.trial import TrialSpec

PROBES = (1 / 3, 1 / 2, 2 / 3)
PROBE_EXTRA = 0.3
TABLES = Path(__file__).parent / "curves"
LATE = (1 / 2, 2 / 3)
CIFAR = "parquet:../shared/data/cifar10-train.parquet@16"  # resized to 16x16


@dataclass(frozen=True)
class Study:
    """What is recorded.

    Arguments:
        data: The data set.
        model: The model.
        steps: Training steps.
        batch_size: Images per step.
        schedules: Schedules in the pool: vanilla, the families' defaults, and random ones.
        search_seeds: Seeds whose whole curves are recorded; the policies see these.
        held_out_seeds: Seeds that judge.
        points: Evaluations per run of a search seed.
        probes: Where the search seeds are probed.
        hparams: Arguments of the model.
        first_seed: The first seed; the search seeds come first.
    """

    data: str
    model: str
    steps: int
    batch_size: int = 128
    schedules: int = 64
    search_seeds: int = 3
    held_out_seeds: int = 3
    points: int = 12
    probes: tuple[float, ...] = PROBES
    hparams: dict[str, Any] = field(default_factory=dict)
    first_seed: int = 0

    @property
    def searched(self) -> range:
        """The seeds that policies see."""
        return range(self.first_seed, self.first_seed + self.search_seeds)

    @property
    def judging(self) -> range:
        """The seeds that judge."""
        return range(self.searched.stop, self.searched.stop + self.held_out_seeds)


STUDIES = {
    "digits-realnvp": Study("digits", "realnvp", 240, held_out_seeds=9),
    "digits-vae": Study("digits", "vae", 1000, held_out_seeds=14),
    "cifar10-vae": Study(CIFAR, "vae", 400, 64, 32, 3, 8, 6, LATE),
    # seeds that nobody had seen when the number of arms was chosen; final values alone
    "cifar10fresh-vae": Study(CIFAR, "vae", 400, 64, 32, 3, 3, 1, (), first_seed=11),
    "cifar10-glow": Study(CIFAR, "glow", 100, 32, 16, 2, 2, 4, (), {"levels": 2, "steps": 4}),
}


def pool(count: int, side: int) -> list[Schedule]:
    """Vanilla and every family's default, then random schedules, each family in turn."""
    spaces = [FamilySpace(name) for name in families() if name != "vanilla"]
    rng = random.Random(0)
    found = [FamilySpace("vanilla").schedule({})] + [space.default(side) for space in spaces]
    while len(found) < count:
        space = spaces[len(found) % len(spaces)]
        point = {name: d.sample(rng) for name, d in space.dimensions(side).items()}
        found.append(space.schedule(point))
    return found[:count]


def runs(study: Study, side: int) -> Iterator[Run]:
    """All runs, seed by seed: search seeds and judging ones in turn, so that a part is of use."""
    schedules = pool(study.schedules, side)
    searched, judging = list(study.searched), list(study.judging)
    order = [s for pair in zip(searched, judging, strict=False) for s in pair]
    order += sorted(set(searched + judging) - set(order))
    for seed in order:
        whole = seed in searched
        for number, schedule in enumerate(schedules):
            spec = TrialSpec(
                study.model,
                schedule,
                seed,
                study.steps,
                every=1 / study.points if whole else 1.0,
                training=Training(batch_size=study.batch_size, hparams=study.hparams),
                probe_at=study.probes if whole else (),
                probe_extra=PROBE_EXTRA,
            )
            yield Run(f"{number}/{seed}", study.data, spec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=list(STUDIES))
    parser.add_argument("--workers", type=int, default=2, help="runs at once, one thread each")
    parser.add_argument("--out", type=Path, default=Path("results/curves"))
    options = parser.parse_args()
    for name in options.studies:
        study = STUDIES[name]
        side = 8 if study.data == "digits" else 16
        planned = list(runs(study, side))
        results = run_all(planned, options.workers, options.out / f"{name}.jsonl")
        write_tables(TABLES / name, planned, results, study.searched.stop)


if __name__ == "__main__":
    main()
