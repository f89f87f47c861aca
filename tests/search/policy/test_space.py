import math
from typing import Any

import optuna
import pyarrow as pa
import pytest

from mollitune.schedules import Blur, Float, Schedule, Sigmoid, build, families
from mollitune.search.policy.space import FamilySpace, parameter_types
from mollitune.search.policy.study import suggest

SEARCHED = [name for name in families() if name != "vanilla"]
GRID = [k / 40 for k in range(41)]


def curve(schedule: Schedule) -> list[float]:
    return [schedule.level(p) for p in GRID]


def test_a_name_alone_searches_the_familys_own_space() -> None:
    space = FamilySpace.parse("sigmoid")
    assert space.dimensions(8) == Sigmoid.search_space(8)
    assert space.fixed() == {}
    assert space.to_dict() == "sigmoid"


def test_fixed_values_leave_the_space_and_ranges_replace_it() -> None:
    space = FamilySpace.parse({"sigmoid": {"end": 4, "until": [0.2, 0.5], "peak": [0.5, 1.0]}})
    assert space.dimensions(8) == {
        "start": Sigmoid.search_space(8)["start"],
        "until": Float(0.2, 0.5),
        "peak": Float(0.5, 1.0),
    }
    assert space.fixed() == {"end": 4}
    schedule = space.schedule({"start": 0.0, "until": 0.3, "peak": 0.9})
    assert schedule == Sigmoid(start=0, end=4, tau=1, until=0.3, peak=0.9)


def test_blur_searches_up_to_half_the_side() -> None:
    space = FamilySpace.parse("blur")
    for side in (8, 64):
        sigma = space.dimensions(side)["sigma_max"]
        assert isinstance(sigma, Float)
        assert sigma.high == side / 2


@pytest.mark.parametrize("family", SEARCHED)
def test_what_is_written_reads_back(family: str) -> None:
    span = {"low": 0.25, "high": 0.75, "log": False, "int": False}
    written: list[tuple[Any, Any]] = [
        (family, family),
        ({family: {"until": 0.5}}, {family: {"until": 0.5}}),
        ({family: {"until": [0.25, 0.75]}}, {family: {"until": span}}),
    ]
    if family == "blur":
        names = ["log", "sine"]
        written.append(({family: {"curve": names}}, {family: {"curve": {"choices": names}}}))
    for entry, spelled_out in written:
        space = FamilySpace.parse(entry)
        assert space.to_dict() == spelled_out
        assert FamilySpace.parse(space.to_dict()) == space
        assert FamilySpace.parse(space) is space


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("sigmoyd", r"family 'sigmoyd' is unknown; allowed: .*sigmoid"),
        (3, "3 is no family; write a name or"),
        ({"linear": {}, "cosine": {}}, "is no family; write a name or"),
        ({"linear": 0.5}, "family linear: 0.5 is no mapping"),
        ({"linear": {"tau": 1}}, "linear has no parameter 'tau'; allowed: floor, peak, until"),
        ({"linear": {"until": True}}, "parameter until: True is no number, no range"),
        ({"linear": {"until": [0.1, 0.2, 0.3]}}, "is no range .low, high. and no list of names"),
        ({"linear": {"until": math.nan}}, "parameter until: nan is no number"),
        ({"linear": {"until": [0.5, 1.5]}}, r"family linear: until must be in \(0, 1\].*1.5"),
        (
            {"linear": {"until": [0.5, 0.2]}},
            "family linear, parameter until: high must be above low = 0.5",
        ),
        ({"sigmoid": {"tau": 0}}, "family sigmoid: tau must be > 0.*0"),
        ({"sigmoid": {"start": 2, "end": [2, 3]}}, "family sigmoid: end"),
        ({"blur": {"curve": ["sine", "cubic"]}}, "family blur: curve .*cubic"),
        (
            {"blur": {"curve": ["sine", "sine"]}},
            "family blur, parameter curve: options must be distinct",
        ),
    ],
)
def test_an_illegal_entry_is_named(entry: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FamilySpace.parse(entry)


def test_the_first_sigmoid_is_the_authors() -> None:
    space = FamilySpace.parse("sigmoid")
    assert space.default(8) == Sigmoid(start=0, end=3, tau=0.7, until=0.6)
    point = space.point(space.default(8), 8)
    assert point is not None
    assert point == pytest.approx({"start": 0.0, "end": 3 / 0.7, "until": 0.6})
    assert space.schedule(point).to_dict()["params"]["tau"] == 1
    assert FamilySpace.parse("blur").default(8) == Blur(sigma_max=math.sqrt(0.5 * 4), until=0.6)


def test_the_config_moves_the_default_to_its_nearest_end() -> None:
    space = FamilySpace.parse({"sigmoid": {"until": [0.1, 0.4], "end": 5, "start": [1.0, 2.0]}})
    assert space.default(8) == Sigmoid(start=1, end=5, tau=0.7, until=0.4)
    space = FamilySpace.parse({"blur": {"curve": ["log", "linear"], "sigma_max": [1.0, 3.0]}})
    assert space.default(8) == Blur(sigma_max=math.sqrt(3), curve="log", until=0.6)  # a log range


@pytest.mark.parametrize("family", SEARCHED)
def test_every_default_lies_in_its_own_space(family: str) -> None:
    space = FamilySpace.parse(family)
    default = space.default(8)
    assert (default.family, default.until) == (family, 0.6)  # the authors' share
    point = space.point(default, 8)
    assert point is not None
    assert set(point) == set(space.dimensions(8))
    assert curve(space.schedule(point)) == pytest.approx(curve(default), abs=1e-12)


def test_a_schedule_outside_the_space_has_no_point() -> None:
    space = FamilySpace.parse("sigmoid")
    assert space.point(Sigmoid(end=90, tau=1, until=0.5), 8) is None  # beyond a range
    assert space.point(Sigmoid(until=0.5, peak=0.5), 8) is None  # the space holds peak at 1
    fixed = FamilySpace.parse({"linear": {"until": 0.5}})
    assert fixed.point(build("linear", until=0.6), 8) is None
    assert fixed.point(build("linear", until=0.5), 8) == {}


@pytest.mark.parametrize("side", [8, 32])
def test_every_suggestion_is_a_legal_schedule_inside_the_space(side: int) -> None:
    spaces = {name: FamilySpace.parse(name) for name in SEARCHED}
    spaces["linear"] = FamilySpace.parse({"linear": {"until": 0.3}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    seen = set()
    for _ in range(200):
        asked = study.ask()
        schedule = suggest(asked, spaces, side).schedule
        levels = curve(schedule)
        assert all(math.isfinite(level) for level in levels)
        assert levels == sorted(levels, reverse=True)
        assert levels[0] > 0
        assert levels[-1] == 0
        assert schedule.family != "linear" or schedule.until == 0.3
        assert spaces[schedule.family].point(schedule, side) is not None
        assert all(k == "family" or k.startswith(f"{schedule.family}.") for k in asked.params)
        seen.add(schedule.family)
    assert seen == set(SEARCHED)


def test_parameter_types_are_the_union_of_the_families() -> None:
    spaces = {name: FamilySpace.parse(name) for name in ("blur", "linear")}
    numbers = dict.fromkeys(("sigma_max", "noise", "until", "peak", "floor"), pa.float64())
    assert parameter_types(spaces) == {**numbers, "curve": pa.string()}
