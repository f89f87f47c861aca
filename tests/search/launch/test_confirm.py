"""What a confirmation plans before its first run, and says about it."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.analysis.conftest import CONFIRMED, PLAN, TRIALS, FakeTrial, maker

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.schedules import Blur, NoiseSchedule, Vanilla, build
from mollitune.search.config import SearchConfig
from mollitune.search.launch.confirm import (
    Request,
    _announced,
    _arms,
    _check_same,
    _contestants,
    _left,
    _level,
    _scales,
)
from mollitune.search.launch.controls import constant
from mollitune.search.policy.configuration import Configuration, settings_of
from mollitune.search.policy.hyperspace import NOTHING
from mollitune.search.store.confirmation_file import Contestant, Description

FILE: dict[str, Any] = {
    **PLAN,
    **{"top": 1, "steps": {"glow": 1000}, "every": {"glow": 0.5}},
    "arms": {"glow": [{"configuration": 0, "schedule": build("vanilla").to_dict()}]},
}
"""The file of a confirmation of before there were budgets."""


def config(**values: Any) -> SearchConfig:
    return SearchConfig.model_validate({"name": "fake", "model": "glow", **values})


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A search that has one of its configurations also at four times its length."""
    longer = FakeTrial(20, TRIALS[2].schedule, 12.0, scale=4.0)
    return load_results(maker(tmp_path)((*TRIALS[:8], longer)))


def contestants(results: Results, *scales: float) -> list[Contestant]:
    arms = _arms(results, "glow", NOTHING, 2, paper=True)
    return list(_contestants(results, "glow", arms, scales, itertools.count(1_000_000), 1))


def test_controls_are_constant_noise_of_the_same_mean_level(results: Results) -> None:
    plain = _arms(results, "glow", NOTHING, 2, paper=True)
    arms = _arms(results, "glow", NOTHING, 2, paper=True, controls=True)
    new = [arm.schedule for arm in arms if arm not in plain]
    found = [arm.schedule for arm in plain[2:]]  # behind vanilla and the paper's default
    assert len(new) == sum(isinstance(own, NoiseSchedule) for own in found) > 0
    for own, control in zip((s for s in found if isinstance(s, NoiseSchedule)), new, strict=True):
        assert own.until == control.until
        at = [own.until * (k + 0.5) / 1000 for k in range(1000)]
        level = sum(own.level(p) for p in at) / 1000
        ends = [control.level(p) for p in (0.0, 0.999 * own.until)]
        assert ends == pytest.approx([level] * 2, rel=1e-3)
        assert control.level(own.until) == 0
    assert constant(Blur(sigma_max=2.0, until=0.5)) is None
    assert constant(Vanilla()) is None


def test_budgets_are_multiples_or_in_what_the_search_counts_in() -> None:
    assert _scales(config(steps=600), [1, 4, 16]) == (1, 4, 16)
    assert _scales(config(steps=600), [300, 2400]) == (0.5, 4)
    assert _scales(config(images=6400), [6400, 12800]) == (1, 2)
    assert _scales(config(steps=600), None) == (1.0,)
    assert _scales(config(steps=600, budgets=[1, 4], stopping={"policy": "none"}), None) == (1, 4)


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ([4, 1], r"^--budgets 4 1: must be numbers above 0 that rise"),
        ([1, 1], r"^--budgets 1 1: must be"),
        ([0, 1], r"^--budgets 0 1: must be"),
        (
            [1.5, 600],
            r"^--budgets 1.5 600: 1.5 steps are less than a 20th of .* --budgets 1 1.5 600$",
        ),
        ([8], r"8 steps are less than .*: --budgets 1 8$"),  # multiples were meant
        ([1, 1e9], r"^--budgets 1 1000000000: glow would train 6e\+11 steps"),
    ],
)
def test_budgets_that_cannot_be_trained(budgets: list[float], message: str) -> None:
    with pytest.raises(MollituneError, match=message):
        _scales(config(steps=600), budgets)


def test_every_budget_has_the_same_arms_as_configurations_of_their_own(results: Results) -> None:
    alone = contestants(results, 1.0)
    # vanilla, the paper's default and two finalists; what the search tried keeps its number
    assert [arm.configuration for arm in alone] == [0, 1_000_000, 2, 1]
    ladder = contestants(results, 1.0, 4.0, 16.0)
    assert ladder[:4] == alone
    assert [arm.scale for arm in ladder] == [1.0] * 4 + [4.0] * 4 + [16.0] * 4
    numbers = [arm.configuration for arm in ladder]
    assert numbers[4:8] == [1_000_001, 1_000_002, 20, 1_000_003]
    assert len(set(numbers)) == 12
    for own in (ladder[4:8], ladder[8:]):
        assert [arm.schedule for arm in own] == [arm.schedule for arm in alone]


def test_what_is_trained_and_what_it_costs_at_most(results: Results) -> None:
    def said(*scales: float) -> list[str]:
        own = {"budgets": scales, "arms": {"glow": contestants(results, *scales)}}
        plan = Description.model_validate(FILE | own)
        return list(_announced(results, plan, config(steps=1000)))

    first, power = said(1.0)
    assert first.startswith(
        "confirmation 1 of glow: 4 configurations x 3 fresh seeds, 1,000 steps each, FID on 500 "
        "samples: vanilla; sigmoid(until=0.6); "
    )
    by_bits = replace(results, metadata={**results.metadata, "objective": {"column": "bpd"}})
    own = {"budgets": (1.0,), "arms": {"glow": contestants(results, 1.0)}}
    lines = _announced(by_bits, Description.model_validate(FILE | own), config(steps=1000))
    assert ", 1,000 steps each, bits per dim of test data: vanilla; " in next(iter(lines))
    ladder, cost, same_power = said(1.0, 4.0)
    assert same_power == power
    assert " x 3 fresh seeds at 2 budgets (1,000 steps, 4,000 steps), FID on 500 sam" in ladder
    assert ladder.partition(" samples: ")[2] == first.partition(" samples: ")[2]
    assert cost == (
        "glow: at most 60,000 steps in all; 12 runs of 1,000 steps are 12,000 steps, "
        "12 runs of 4,000 steps are 48,000 steps"
    )


def test_what_was_dropped_stays_out_unless_nothing_is_left() -> None:
    vanilla, one, other = (Configuration(build(name)) for name in ("vanilla", "linear", "cosine"))
    tuned = settings_of({"lr": 0.01})
    faster, plain = (Configuration(own.schedule, tuned) for own in (one, vanilla))
    arms = [vanilla, one, faster, other, plain]
    assert _left(arms, set()) == arms
    assert _left(arms, {one}) == [vanilla, faster, other, plain]
    assert _left(arms, {faster, plain}) == [vanilla, one, other]  # nobody needs its twin
    assert _left(arms, {plain}) == arms
    assert _left(arms, {one, faster, other}) == arms


def test_each_confirmation_spends_a_part_of_the_error() -> None:
    fixed = Description.model_validate(FILE | {"level": 0.96})
    anytime = fixed.model_copy(update={"anytime": True})
    assert _level(1, None, anytime=False) == pytest.approx(0.96)
    assert _level(2, fixed, anytime=False) == pytest.approx(0.992)
    assert _level(2, fixed, anytime=True) == _level(2, anytime, anytime=False)
    assert _level(2, anytime, anytime=True) == anytime.level  # it was looked at in between anyway


def test_a_file_without_budgets_has_that_of_the_search() -> None:
    known = Description.model_validate(FILE)
    assert known.budgets == (1.0,)
    assert known.arms["glow"][0].candidate().configuration.scale == 1
    assert known.work == known.runs == 3
    _check_same(known, Request(), (1.0, 4.0))  # none were asked for
    _check_same(known, Request(budgets=[1000]), (1.0,))
    with pytest.raises(MollituneError, match=r"was begun with --budgets 1, not 1 4: seeds"):
        _check_same(known, Request(budgets=[1, 4]), (1.0, 4.0))
    with pytest.raises(MollituneError, match=r"^confirmation 1 was begun without --anytime: "):
        _check_same(known, Request(anytime=True), (1.0,))


def test_confirmed_before_there_were_budgets(tmp_path: Path) -> None:
    """New numbers do not depend on what an earlier confirmation trained."""
    results = load_results(maker(tmp_path)((*TRIALS[:8], *CONFIRMED), plan=PLAN))
    assert [arm.configuration for arm in contestants(results, 1.0)] == [0, 1_000_000, 2, 1]
