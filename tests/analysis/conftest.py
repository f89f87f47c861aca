"""A small made-up search, written by the real store: the values are invented, the code is not."""

import dataclasses
import io
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from mollitune.analysis import Results, load_results
from mollitune.schedules import Schedule, build, shape_features
from mollitune.search.store.description import confirmation_name
from mollitune.search.store.schema import CONFIRM_TRIALS
from mollitune.search.store.writer import Store, create_search_folder

STEPS, BATCH = 1000, 128
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARAMS = {
    "curve": pa.string(),
    **dict.fromkeys(
        ("until", "peak", "floor", "start", "end", "tau", "sigma_max", "noise"), pa.float64()
    ),
}
EVALUATIONS = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclasses.dataclass
class FakeTrial:
    """One made-up trial: ``final`` is its FID at full budget, ``end`` the share that was run."""

    number: int
    schedule: Schedule
    final: float
    model: str = "glow"
    status: str = "completed"
    end: float = 1.0
    stage: str = "search"
    seed: int = 7
    error: str | None = None
    non_finite: int = 0
    configuration: int | None = None  # None: one of its own
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    scale: float = 1.0  # of its budget

    @property
    def group(self) -> int:
        return self.number if self.configuration is None else self.configuration

    @property
    def steps(self) -> int:
        return round(STEPS * self.scale)

    def start_of_row(self) -> dict[str, Any]:
        own = {**self.schedule.to_dict()["params"], **self.settings}
        params = {f"params.{name}": value for name, value in own.items()}
        return {
            **{"search": "fake", "trial": self.number, "configuration": self.group},
            **{"attempt": 1, "seed": self.seed, "stage": self.stage, "model": self.model},
            **{"dataset": "digits", "family": self.schedule.family, **params},
            **{"budget": BATCH * self.steps, "scale": self.scale},
        }

    def evaluations(self) -> list[float]:
        return [p for p in EVALUATIONS if p <= self.end]

    def report(self, progress: float) -> dict[str, Any]:
        mollified = self.schedule.mollified(progress)
        level = self.schedule.level(progress)
        fid = self.final * (1 + (1 - progress)) + 100 * level
        return {
            **self.start_of_row(),
            **{"step": round(self.steps * progress), "progress": progress, "level": level},
            "phase": "mollified" if mollified else "clean",
            **{"comparable": progress == 1 and not mollified, "fid": fid, "ema": 0.0},
            **{"extractor": "lenet", "extractor_sha256": "0" * 64, "extractor_resize": "none"},
            **dict.fromkeys(("kid", "precision", "recall", "fid_infinity", "probe_fid")),
            **{"probe_steps": 0, "fid_samples": 500, "fid_final": "last", "step_fid": fid},
            "fid_reference": "test" if self.stage == "confirm" else "validation",
            "fid_reference_size": 300,
            **{"bpd": 3.0 + self.final / 100, "nll": None, "train_bpd": None, "train_loss": 2.0},
            "non_finite_losses": self.non_finite // 2,
            "non_finite_samples": self.non_finite - self.non_finite // 2,
            **{"step_seconds": 0.01, "eval_seconds": 1.5, "device": "cpu"},
            "time": START + timedelta(seconds=self.number * 100 + progress),
        }

    def decision(self, rung: int, progress: float) -> dict[str, Any]:
        report = self.report(progress)
        stop = self.status == "stopped" and progress == self.end
        clean = report["phase"] == "clean"
        same = ("search", "trial", "configuration", "step", "progress", "phase", "time")
        return {
            **{name: report[name] for name in same},
            **{"policy": "asha", "rung": rung, "reason": "made up", "value": report["fid"]},
            "action": "stop" if stop else ("continue" if clean else "skip"),
            **{"cutoff": 40.0 if clean else None, "competitors": self.number},
        }

    def row(self) -> dict[str, Any]:
        done = self.status == "completed"
        features = shape_features(self.schedule)
        return {
            **self.start_of_row(),
            "status": self.status,
            "start": START,
            "end": None if self.status == "running" else START + timedelta(minutes=5),
            "step": round(self.steps * self.end),
            "steps": self.steps,
            "error": self.error,
            "checkpoint": None,
            "final_fid": self.final if done else None,
            "final_bpd": 3.0 + self.final / 100 if done else None,
            **{f"shape.{name}": value for name, value in features.items()},
            "shape.clean_steps": round(self.steps * features["clean_share"]),
        }

    def again(self, **changes: Any) -> "FakeTrial":
        """Another run of the same configuration, or the same run with other fields."""
        return dataclasses.replace(self, **{"configuration": self.group, **changes})

    def write(self, store: Store) -> None:
        for rung, progress in enumerate(self.evaluations()):
            store.report(self.report(progress))
            store.decision(self.decision(rung, progress))
        store.trial(self.row())


def png_grid(seed: int, side: int = 8) -> bytes:
    """A PNG of 8 x 8 small random images."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8 * side, 8 * side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


METADATA = {
    "name": "fake",
    "created": START.isoformat(),
    "status": "finished",
    "config": {"name": "fake", "trials": 6, "note": "<script>alert(1)</script>"},
    "versions": {"mollitune": "0.1.0", "torch": "2.11.0"},
    "machine": "a & b",
    "dataset": {"name": "digits", "train": 1200},
    "extractor": {"name": "lenet", "features": 84},
    "params": sorted(PARAMS),
    "elapsed_seconds": 3723.4,
}

_FAILED: dict[str, Any] = {
    **{"status": "failed", "end": 0.2, "error": "no <memory>", "non_finite": 3}
}
TRIALS = (
    FakeTrial(0, build("vanilla"), 30.0),
    FakeTrial(1, build("linear", until=0.5), 25.0),
    FakeTrial(2, build("sigmoid", start=-2.0, end=3.0, tau=1.0, until=0.6), 20.0),
    FakeTrial(3, build("blur", sigma_max=4.0, until=0.3), 35.0),
    FakeTrial(4, build("cosine", until=0.5), 60.0, status="stopped", end=0.6),
    FakeTrial(5, build("linear", until=0.9), 28.0, **_FAILED),
    FakeTrial(6, build("vanilla"), 50.0, model="vae"),
    FakeTrial(7, build("linear", until=0.7), 55.0, model="vae"),
    FakeTrial(8, build("linear", until=0.4), 1.0, stage="confirm"),
)

LATE = build("linear", until=0.4)
_ARMS = [(0, build("vanilla"), 30.0), (2, TRIALS[2].schedule, 24.0), (9, LATE, 20.0)]
_SHIFTS = [(0.2, 0.0, 0.1), (0.0, 0.1, 0.3), (0.1, 0.3, 0.0)]
CONFIRMED = tuple(
    FakeTrial(
        CONFIRM_TRIALS + 3 * i + j,
        schedule,
        fid + shift,
        stage="confirm",
        seed=10_001 + i,
        configuration=configuration,
    )
    for i, shifts in enumerate(_SHIFTS)
    for j, ((configuration, schedule, fid), shift) in enumerate(zip(_ARMS, shifts, strict=True))
)
"""A confirmation of three schedules on three seeds: the search's favourite comes second."""

PLAN = {
    **{"format": "mollitune.confirmation", "number": 1, "seeds": 3, "first_seed": 10_001},
    **{"fid_samples": 500, "level": 0.95, "reference": "test", "reference_size": 300},
    **{"status": "finished", "created": START.isoformat(), "machine": "Linux x86_64"},
    "versions": {"torch": "2.11.0"},
}
"""What the file of this confirmation says."""

MakeSearch = Callable[..., str]
Search = Callable[..., Results]
Row = Mapping[str, Any]

YOUNG = FakeTrial(0, build("vanilla"), 30.0, status="running", end=0.0)
"""A run that was not evaluated yet."""
UNLIKE = {**TRIALS[0].report(1.0), "fid_samples": 50000}
"""An evaluation of the first trial that does not compare with the others."""


def stranger(fid: float = 10.0, **params: float) -> dict[str, Any]:
    """A complete evaluation of a family that is not registered here."""
    own = {f"params.{name}": value for name, value in params.items()}
    return {**FakeTrial(9, build("vanilla"), fid).report(1.0), "family": "stairs", **own}


def runs_of(
    schedule: Schedule, fids: Sequence[float], configuration: int, first: int, **more: Any
) -> list[FakeTrial]:
    """Runs of one configuration with the seeds 0, 1, ..., on trials from ``first`` on."""
    one = FakeTrial(first, schedule, 0.0, configuration=configuration, **more)
    return [one.again(number=first + i, final=fid, seed=i) for i, fid in enumerate(fids)]


VANILLA, LINEAR = build("vanilla"), build("linear", until=0.5)
CROSSING: Mapping[Schedule, Mapping[int, float]] = {
    VANILLA: {1: 40.0, 4: 26.0},
    LINEAR: {1: 50.0, 4: 16.0},
}
"""FIDs at two scales: mollification costs at the first and pays at the second."""
_OFF = ((0.0, 0.1), (0.3, 0.0), (-0.2, -0.05), (0.1, 0.2), (-0.1, -0.15))
"""What a seed does to all arms, and to those with mollification alone."""


def climb(
    finals: Mapping[Schedule, Mapping[int, float]], first: int = 0, seeds: int = 3, **more: Any
) -> list[FakeTrial]:
    """Runs of each schedule at each scale of the budget; every pair is a configuration."""
    pairs = [(what, scale, fid) for what, own in finals.items() for scale, fid in own.items()]
    return [
        FakeTrial(
            *(first + number * seeds + seed, schedule),
            fid + off + own * (schedule.family != "vanilla"),
            **{"seed": seed, "configuration": first + number, "scale": scale, **more},
        )
        for number, (schedule, scale, fid) in enumerate(pairs)
        for seed, (off, own) in enumerate(_OFF[:seeds])
    ]


def maker(folder: Path) -> MakeSearch:
    """A function that writes a search into a folder and returns its location.

    Rows of the tables that are given too come after those of the trials, and replace them.
    """

    def make(
        trials: tuple[FakeTrial, ...] = TRIALS,
        name: str = "fake",
        metadata: dict[str, Any] | None = None,
        samples: bool = True,
        *,
        reports: Sequence[Row] = (),
        decisions: Sequence[Row] = (),
        ended: Sequence[Row] = (),
        plan: Row | None = None,
        params: Mapping[str, pa.DataType] | None = None,
        root: str = "results",
    ) -> str:
        location = create_search_folder(str(folder / root), name)
        with Store.open(location, {**PARAMS, **(params or {})}) as store:
            store.write_metadata({**METADATA, **(metadata or {}), "name": name})
            for trial in trials:
                trial.write(store)
            writers = ((store.report, reports), (store.decision, decisions), (store.trial, ended))
            for write, rows in writers:
                for row in rows:
                    write(row)
            if plan is not None:
                name = confirmation_name(plan.get("number", 1))
                store.write_file(name, json.dumps(plan).encode())
            if samples:
                for number, trial in enumerate(trials):
                    if trial.status == "completed":
                        store.write_file(f"samples/{trial.number:04d}.png", png_grid(number))
                store.write_file("samples/real.png", png_grid(99))
        return location

    return make


@pytest.fixture
def make_search(tmp_path: Path) -> MakeSearch:
    return maker(tmp_path)


@pytest.fixture
def search(make_search: MakeSearch) -> Search:
    """A function that makes a search of the given trials, without pictures, and loads it."""
    roots = (f"root-{i}" for i in itertools.count())

    def load(*trials: FakeTrial, **more: Any) -> Results:
        return load_results(make_search(trials, samples=False, root=next(roots), **more))

    return load


@pytest.fixture
def unlike(search: Search) -> Results:
    """A search whose FIDs were not all measured alike."""
    return search(*TRIALS[:3], reports=[UNLIKE])


@pytest.fixture
def results(make_search: MakeSearch) -> Results:
    """The made-up search, loaded."""
    return load_results(make_search())
