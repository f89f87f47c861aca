"""Recordings out of a real folder of results, whose numbers are invented."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.schedules import Schedule, build, families, shape_features
from mollitune.search.policy.space import parameter_types
from mollitune.search.replay.recording import LEAST, record
from mollitune.search.replay.replay import Point
from mollitune.search.store.writer import Store, create_search_folder

STEPS = 60
TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEDULES = [build("vanilla"), *(build("linear", until=k / 10) for k in range(1, 9))]
SCHEDULES.append(build("sigmoid", start=-2.0, end=3.0, tau=1.0, until=0.9))


def write_run(store: Store, trial: int, schedule: Schedule, fid: float, **over: Any) -> None:
    """Write a run: its reports up to ``end`` and its row of ``trials``."""
    end, status, probe = (
        over.pop("end", STEPS),
        over.pop("status", "completed"),
        over.pop("probe", 0),
    )
    broken, every = over.pop("broken", None), over.pop("every", 20)
    measured = {
        "extractor": "lenet",
        "extractor_sha256": "0" * 64,
        "extractor_resize": "none",
        "ema": 0.0,
        "fid_samples": 500,
        "fid_reference": "validation",
        "fid_reference_size": 300,
    }
    start = {
        "search": "made",
        "trial": trial,
        "configuration": trial,
        "attempt": 1,
        "seed": 7,
        "stage": "search",
        "model": "vae",
        "dataset": "digits",
        "family": schedule.family,
        **{f"params.{k}": v for k, v in schedule.to_dict()["params"].items()},
        **{k: v for k, v in over.items() if k not in measured},
    }
    for step in range(every, end + 1, every):
        progress = step / STEPS
        mollified = schedule.mollified(progress)
        row = {
            **dict.fromkeys(("kid", "precision", "recall", "fid_infinity", "probe_fid"), None),
            "step": step,
            "progress": progress,
            "level": schedule.level(progress),
            "phase": "mollified" if mollified else "clean",
            "comparable": step == STEPS,
            "fid": None if step == broken else fid + STEPS - step,
            "probe_steps": 0,
            **dict.fromkeys(("bpd", "train_loss", "step_seconds", "eval_seconds"), 1.0),
            **dict.fromkeys(("non_finite_losses", "non_finite_samples"), 0),
            "device": "cpu",
            "time": TIME,
        }
        if probe and step < STEPS:
            row |= {"probe_fid": fid + 0.5, "probe_steps": probe}
        store.report(
            {**start, **measured, **row, **{k: v for k, v in over.items() if k in measured}}
        )
    shape = shape_features(schedule)
    done = status == "completed"
    row = {
        **dict.fromkeys(("error", "checkpoint"), None),
        "status": status,
        "start": TIME,
        "end": TIME,
        "step": end,
        "steps": STEPS,
        "final_fid": fid if done else None,
        "final_bpd": 1.0 if done else None,
        **{f"shape.{name}": number for name, number in shape.items()},
        "shape.clean_steps": round(STEPS * shape["clean_share"]),
    }
    store.trial({**start, **row})


Write = Callable[[Store], None]


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Write], Results]:
    """A function that hands a store to another one, and loads what that wrote."""

    def make(write: Write) -> Results:
        location = create_search_folder(str(tmp_path), "made")
        with Store.open(location, parameter_types(families())) as store:
            store.write_metadata({"name": "made", "created": TIME.isoformat()})
            write(store)
        return load_results(location)

    return make


Made = Callable[[Write], Results]


def all_once(store: Store, **over: Any) -> None:
    for number, schedule in enumerate(SCHEDULES):
        write_run(store, number, schedule, 10.0 + number, **over)


def test_the_curves_of_a_search(made: Made) -> None:
    found = record(made(all_once), "vae")
    assert (found.model, found.schedules) == ("vae", tuple(SCHEDULES))
    assert found.curves[3] == (
        (
            Point(20, 1 / 3, "clean", 53.0),
            Point(40, 2 / 3, "clean", 33.0),
            Point(60, 1.0, "clean", 13.0),
        ),
    )
    assert [point.phase for point in found.curves[8][0]] == ["mollified", "mollified", "clean"]
    assert found.truth == tuple((10.0 + k,) for k in range(10))
    assert not found.held_out
    assert (found.seeds, found.arms) == (1, SCHEDULES[:2])


def test_probes_are_recorded(made: Made) -> None:
    found = record(made(lambda store: all_once(store, probe=6)), "vae")
    first, _, last = found.curves[2][0]
    assert (first.probe_fid, first.probe_steps) == (12.5, 6)
    assert (last.probe_fid, last.probe_steps) == (None, 0)


def test_repeated_runs_are_seeds_of_one_schedule(made: Made) -> None:
    def write(store: Store) -> None:
        all_once(store)
        for number in range(10):
            over = {"configuration": number, "seed": 8}
            write_run(store, 10 + number, SCHEDULES[number], 30.0 + number, **over)

    found = record(made(write), "vae")
    assert [[run[-1].fid for run in runs] for runs in found.curves[:2]] == [[10, 30], [11, 31]]
    assert found.values == [20.0 + number for number in range(10)]
    assert found.seeds == 2


def confirm(store: Store, count: int) -> None:
    all_once(store)
    for number in range(count):
        over = {"configuration": number, "seed": 100, "stage": "confirm"}
        write_run(store, 100 + number, SCHEDULES[number], 50.0 - number, **over)


def test_the_confirmation_judges_and_is_not_replayed(made: Made) -> None:
    found = record(made(lambda store: confirm(store, 10)), "vae")
    assert found.held_out
    assert found.truth == tuple((50.0 - number,) for number in range(10))
    assert all(len(runs) == 1 for runs in found.curves)


def test_what_was_not_confirmed_is_left_out(made: Made) -> None:
    found = record(made(lambda store: confirm(store, LEAST)), "vae")
    assert found.schedules == tuple(SCHEDULES[:LEAST])
    assert found.held_out


def test_a_confirmation_of_few_judges_nobody(made: Made) -> None:
    """A mixture would favour those that are judged by the runs that chose them."""
    found = record(made(lambda store: confirm(store, LEAST - 1)), "vae")
    assert not found.held_out
    assert found.truth == tuple((10.0 + number,) for number in range(10))


def test_stopped_runs_are_left_out(made: Made) -> None:
    def write(store: Store) -> None:
        all_once(store)
        write_run(store, 10, build("cosine", until=0.5), 1.0, end=40, status="stopped")

    assert record(made(write), "vae").schedules == tuple(SCHEDULES)


def test_a_value_that_is_no_number_on_the_way_stays_one(made: Made) -> None:
    found = record(made(lambda store: all_once(store, broken=40)), "vae")
    assert [math.isnan(point.fid) for point in found.curves[0][0]] == [False, True, False]


def test_models_are_recorded_apart(made: Made) -> None:
    def write(store: Store) -> None:
        all_once(store)
        for number, schedule in enumerate(SCHEDULES):
            over = {"model": "glow", "configuration": 10 + number}
            write_run(store, 10 + number, schedule, 100.0 + number, **over)

    results = made(write)
    assert record(results, "vae").values[0] == 10
    assert record(results, "glow").values[0] == 100


def test_too_few_runs_are_refused(made: Made) -> None:
    def write(store: Store) -> None:
        for number, schedule in enumerate(SCHEDULES[: LEAST - 1]):
            write_run(store, number, schedule, 10.0)

    results = made(write)
    words = r"^'made' has 7 configurations of vae .* needs 8: search with stopping.policy=none$"
    with pytest.raises(MollituneError, match=words):
        record(results, "vae")
    with pytest.raises(MollituneError, match=r"^'made' has 0 configurations of glow"):
        record(results, "glow")


@pytest.mark.parametrize(("column", "other"), [("fid_samples", 400), ("ema", 0.1)])
def test_runs_measured_in_different_ways_are_refused(made: Made, column: str, other: Any) -> None:
    def write(store: Store) -> None:
        all_once(store)
        write_run(store, 10, build("cosine", until=0.5), 1.0, **{column: other})

    words = f"^the runs of 'made' cannot be replayed: their FIDs differ in {column}$"
    with pytest.raises(MollituneError, match=words):
        record(made(write), "vae")


def test_runs_evaluated_at_different_steps_are_refused(made: Made) -> None:
    def write(store: Store) -> None:
        all_once(store)
        write_run(store, 10, build("cosine", until=0.5), 1.0, every=30)

    with pytest.raises(
        MollituneError, match=r"^the runs of vae in 'made' were evaluated at differ"
    ):
        record(made(write), "vae")
