"""Recordings out of a real folder of results, whose numbers are invented."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.search.policy.worlds import plain

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.schedules import Schedule, build, families
from mollitune.search.policy.space import parameter_types
from mollitune.search.replay.recording import LEAST, prior_of, record
from mollitune.search.replay.replay import Point
from mollitune.search.store.schema import columns
from mollitune.search.store.writer import Store, create_search_folder

STEPS = 60
TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEDULES = [build("vanilla"), *(build("linear", until=k / 10) for k in range(1, 9))]
SCHEDULES.append(build("sigmoid", start=-2.0, end=3.0, tau=1.0, until=0.9))


EXAMPLES = {pa.int64(): 0, pa.float64(): 1.0, pa.string(): "x", pa.bool_(): False}


def row(table: str, **values: Any) -> dict[str, Any]:
    """A legal row: an example for each column that must be filled, some of them replaced."""
    made: dict[str, Any] = {}
    for column in columns(table):
        example = column.values[0] if column.values else EXAMPLES.get(column.type, TIME)
        made[column.name] = None if column.nullable else example
    return {**made, **values}


def write_run(
    store: Store,
    trial: int,
    schedule: Schedule,
    fid: float,
    *,
    end: int = STEPS,
    every: int = 20,
    probe: int = 0,
    broken: int | None = None,
    **over: Any,
) -> None:
    """Write a run: its reports up to ``end`` and its row of ``trials``."""
    params = {f"params.{k}": v for k, v in schedule.to_dict()["params"].items()}
    start = {"trial": trial, "configuration": trial, "model": "vae", "family": schedule.family}
    start |= params | over
    for step in range(every, end + 1, every):
        progress = step / STEPS
        branch = {"probe_fid": fid + 0.5, "probe_steps": probe} if step < STEPS and probe else {}
        phase = "mollified" if schedule.mollified(progress) else "clean"
        where = {"step": step, "progress": progress, "phase": phase, "comparable": step == STEPS}
        value = None if step == broken else fid + STEPS - step
        store.report(row("reports", fid=value, **start, **where, **branch))
    of_trial = {name: value for name, value in start.items() if name != "fid_samples"}
    status = "completed" if end == STEPS else "stopped"
    store.trial(row("trials", status=status, step=end, steps=STEPS, **of_trial))


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
    assert (found.seeds, found.arms) == (1, plain(*SCHEDULES[:2]))
    assert found.configurations == tuple(plain(*SCHEDULES))


def test_branches_and_values_that_are_no_number_are_recorded(made: Made) -> None:
    found = record(made(lambda store: all_once(store, probe=6, broken=40)), "vae")
    first, broken, last = found.curves[2][0]
    assert (first.probe_fid, first.probe_steps) == (12.5, 6)
    assert math.isnan(broken.fid)
    assert (last.probe_fid, last.probe_steps) == (None, 0)


def test_repeated_runs_are_seeds_of_one_schedule(made: Made) -> None:
    def write(store: Store) -> None:
        all_once(store)
        for number in range(10):
            over: dict[str, Any] = {"configuration": number, "seed": 8}
            write_run(store, 10 + number, SCHEDULES[number], 30.0 + number, **over)

    found = record(made(write), "vae")
    assert [[run[-1].fid for run in runs] for runs in found.curves[:2]] == [[10, 30], [11, 31]]
    assert found.values == [20.0 + number for number in range(10)]
    assert found.seeds == 2


def confirm(store: Store, count: int) -> None:
    all_once(store)
    for number in range(count):
        over: dict[str, Any] = {"configuration": number, "seed": 100, "stage": "confirm"}
        write_run(store, 100 + number, SCHEDULES[number], 50.0 - number, **over)


@pytest.mark.parametrize("count", [10, LEAST])
def test_the_confirmation_judges_and_is_not_replayed(made: Made, count: int) -> None:
    found = record(made(lambda store: confirm(store, count)), "vae")
    assert found.held_out
    assert found.schedules == tuple(SCHEDULES[:count])  # what was not confirmed is left out
    assert found.truth == tuple((50.0 - number,) for number in range(count))
    assert all(len(runs) == 1 for runs in found.curves)


def test_a_confirmation_of_few_judges_nobody(made: Made) -> None:
    """A mixture would favour those that are judged by the runs that chose them."""
    found = record(made(lambda store: confirm(store, LEAST - 1)), "vae")
    assert not found.held_out
    assert found.truth == tuple((10.0 + number,) for number in range(10))


def test_models_are_recorded_apart(made: Made) -> None:
    def write(store: Store) -> None:
        all_once(store)
        # a run that was stopped is left out
        write_run(store, 30, build("cosine", until=0.5), 1.0, end=40)
        for number, schedule in enumerate(SCHEDULES):
            over: dict[str, Any] = {"model": "glow", "configuration": 10 + number}
            write_run(store, 10 + number, schedule, 100.0 + number, **over)

    results = made(write)
    vae = record(results, "vae")
    assert (vae.schedules, vae.values[0]) == (tuple(SCHEDULES), 10)
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


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (
            {"fid_samples": 400},
            r"the runs of 'made' cannot be replayed: their FIDs differ in fid_samples$",
        ),
        ({"every": 30}, "the runs of vae in 'made' were evaluated at different steps$"),
    ],
)
def test_runs_that_do_not_compare_are_refused(
    made: Made, over: dict[str, Any], words: str
) -> None:
    def write(store: Store) -> None:
        all_once(store)
        write_run(store, 10, build("cosine", until=0.5), 1.0, **over)

    with pytest.raises(MollituneError, match=f"^{words}"):
        record(made(write), "vae")


def test_the_recorded_joint_table_is_a_joint_search() -> None:
    table = Path(__file__).parents[3] / "benchmarks" / "curves" / "digitsjoint-realnvp"
    found = record(load_results(str(table)), "realnvp")
    assert (len(found.configurations), found.seeds, len(found.truth[0])) == (102, 3, 5)
    assert list(found.hyperspace.dimensions) == ["batch_size", "lr", "lr_decay"]
    assert sum(own.is_vanilla for own in found.configurations) == 33
    assert [own.schedule.family for own in found.arms][:2] == ["vanilla", "sigmoid"]
    assert found.held_out


def test_a_recording_can_have_a_prior() -> None:
    curves = Path(__file__).parents[3] / "benchmarks" / "curves"
    results, other = (load_results(name, curves) for name in ("digits-vae", "digits-realnvp"))
    recording = record(results, "vae")
    (told,) = prior_of([other], results, recording)
    assert (told.search, told.model) == ("digits-realnvp", "realnvp")
    assert set(told.configurations) < set(recording.configurations), "the same pool was recorded"
