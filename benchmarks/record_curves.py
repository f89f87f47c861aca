"""Trains a fixed pool of configurations with several seeds, and records every evaluation.

The result is an ordinary search folder, on which search policies are replayed (`policy.py`, or
``mollitune replay``) in seconds instead of hours. The first seeds are recorded with whole curves
and cooldown probes; the others, which only judge the policies, with their last value alone. Where
hyperparameters vary, all seeds of a configuration are trained as one, without probes. So are they
without judging seeds: then all have whole curves, and any of them may be drawn to judge.
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

from mollitune.schedules import Choice, Float, families
from mollitune.search.policy.configuration import Configuration, settings_of
from mollitune.search.policy.hyperspace import NOTHING, Hyperspace
from mollitune.search.policy.space import FamilySpace
from mollitune.search.training.settings import Training
from mollitune.search.training.trial import TrialSpec

PROBES = (1 / 3, 1 / 2, 2 / 3)
PROBE_EXTRA = 0.3
TABLES = Path(__file__).parent / "curves"
LATE = (1 / 2, 2 / 3)
CIFAR = "parquet:cifar10-train.parquet@16"  # resized to 16x16
MLP = {"net": "mlp", "latent": 8, "hidden": 128}
"""What `vae` was at such sides when they were recorded."""


@dataclass(frozen=True)
class Study:
    """What is recorded.

    Arguments:
        data: The data set.
        model: The model.
        steps: Training steps.
        batch_size: Images per step.
        configurations: How many are in the pool: vanilla, the families' defaults, and random ones.
        search_seeds: Seeds whose whole curves are recorded; the policies see these.
        held_out_seeds: Seeds that judge.
        points: Evaluations per run of a search seed.
        probes: Where the search seeds are probed.
        hparams: Arguments of the model.
        first_seed: The first seed; the search seeds come first.
        space: Hyperparameters that vary beside the schedule, vanilla being a third of the pool
            then; a batch of another size gets as many images in fewer or more steps.
        families: The families in the pool; all by default.
        drawn: Seed of the random configurations of the pool.
    """

    data: str
    model: str
    steps: int
    batch_size: int = 128
    configurations: int = 64
    search_seeds: int = 3
    held_out_seeds: int = 3
    points: int = 12
    probes: tuple[float, ...] = PROBES
    hparams: dict[str, Any] = field(default_factory=dict)
    first_seed: int = 0
    space: Hyperspace = NOTHING
    families: tuple[str, ...] = ()
    drawn: int = 0

    @property
    def searched(self) -> range:
        """The seeds that policies see."""
        return range(self.first_seed, self.first_seed + self.search_seeds)

    @property
    def judging(self) -> range:
        """The seeds that judge."""
        return range(self.searched.stop, self.searched.stop + self.held_out_seeds)

    @property
    def together(self) -> int:
        """Seeds of a configuration that are trained as one."""
        alike = bool(self.space) or not self.held_out_seeds
        return self.search_seeds + self.held_out_seeds if alike else 1


JOINT = Hyperspace(
    {
        "batch_size": Choice((32, 64, 128)),
        "lr": Float(3e-4, 3e-2, log=True),
        "lr_decay": Choice(("constant", "cosine")),
    },
    settings_of({"batch_size": 64, "lr": 1e-3, "lr_decay": "constant"}),
)
SIMPLE = ("sigmoid", "cosine", "linear", "polynomial")
UNSEEN: dict[str, Any] = {
    "search_seeds": 6,
    "held_out_seeds": 0,
    "points": 6,
    "probes": (),
    "first_seed": 40,
    "drawn": 1,
}
STUDIES = {
    "digits-realnvp": Study("digits", "realnvp", 240, held_out_seeds=9),
    "digits-vae": Study("digits", "vae", 1000, held_out_seeds=14),
    "cifar10-vae": Study(CIFAR, "vae", 400, 64, 32, 3, 8, 6, LATE, MLP),
    # seeds that nobody had seen when the number of arms was chosen; final values alone
    "cifar10fresh-vae": Study(CIFAR, "vae", 400, 64, 32, 3, 3, 1, (), MLP, first_seed=11),
    "cifar10-glow": Study(CIFAR, "glow", 100, 32, 16, 2, 2, 4, (), {"levels": 2, "steps": 4}),
    "digitsjoint-realnvp": Study(
        *("digits", "realnvp", 240, 64, 102, 3, 5, 3, ()), space=JOINT, families=SIMPLE
    ),
    # seeds and schedules that nobody had seen when all of the policy was settled
    "digitsunseen-realnvp": Study("digits", "realnvp", 240, 128, 32, **UNSEEN),
    "digitsunseen-vae": Study("digits", "vae", 1000, 128, 32, **UNSEEN),
    "cifar10unseen-vae": Study(CIFAR, "vae", 400, 64, 32, hparams=MLP, **UNSEEN),
}


def pool(study: Study, side: int) -> list[Configuration]:
    """Vanilla and every family's default, then random configurations, each family in turn."""
    names = study.families or [name for name in families() if name != "vanilla"]
    vanilla, spaces = FamilySpace("vanilla"), [FamilySpace(name) for name in names]
    rng, first = random.Random(study.drawn), study.space.first
    defaults = [vanilla.schedule({}), *(space.default(side) for space in spaces)]
    found = [Configuration(schedule, first) for schedule in defaults]
    while len(found) < study.configurations:
        plain = bool(study.space) and len(found) % 3 == 0
        space = vanilla if plain else spaces[len(found) % len(spaces)]
        point = {name: d.sample(rng) for name, d in space.dimensions(side).items()}
        found.append(Configuration(space.schedule(point), study.space.draw(rng)))
    return found[: study.configurations]


def runs(study: Study, side: int) -> Iterator[Run]:
    """All runs, seed by seed: search seeds and judging ones in turn, so that a part is of use."""
    configurations = pool(study, side)
    searched, judging = list(study.searched), list(study.judging)
    order = [s for pair in zip(searched, judging, strict=False) for s in pair]
    order += sorted(set(searched + judging) - set(order))
    numbers = range(study.configurations)
    turns = [(number, seed) for seed in order for number in numbers]
    if study.together > 1:  # those that can be trained as one follow each other
        turns = [(number, seed) for number in numbers for seed in order]
    for number, seed in turns:
        own, whole = configurations[number], seed in searched
        training: dict[str, Any] = {
            "batch_size": study.batch_size,
            "hparams": study.hparams,
            **dict(own.settings),
        }
        images = study.steps * study.batch_size
        spec = TrialSpec(
            study.model,
            own.schedule,
            seed,
            images // training["batch_size"],
            every=1 / study.points if whole or study.space else 1.0,
            training=Training(**training),
            probe_at=study.probes if whole else (),
            probe_extra=PROBE_EXTRA,
        )
        yield Run(f"{number}/{seed}", study.data, spec, own.settings)


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
        out = options.out / f"{name}.jsonl"
        results = run_all(planned, options.workers, out, study.together)
        write_tables(TABLES / name, planned, results, study.searched.stop, study.space)


if __name__ == "__main__":
    main()
