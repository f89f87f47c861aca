"""The card of a verdict that is made up here; the judging has tests of its own."""

import dataclasses
import math
import re
from typing import Any

import pytest

from mollitune.analysis import Arm, Verdict
from mollitune.analysis.confirmation.measures import Measure
from mollitune.analysis.report.cards.verdict import verdict_card
from mollitune.analysis.words import MINUS
from mollitune.schedules import Schedule, build
from mollitune.search.store import Objective

SEEDS = (10_000, 10_001, 10_002, 10_003)


def arm(
    number: int,
    schedule: Schedule,
    difference: tuple[float | None, float | None, float | None] = (None, None, None),
    fids: tuple[float, ...] = (52.0, 55.0, 54.0, 51.0),
    **more: Any,
) -> Arm:
    """An arm whose trials are 100 times its number and on."""
    trials = tuple(range(100 * number, 100 * number + len(fids)))
    mean, seeds = sum(fids) / len(fids), SEEDS[: len(fids)]
    known = (number, schedule, (), str(schedule), trials, seeds, fids, mean, 0.9)
    found = Arm(*known, *difference, tied=False, out=None, baseline=schedule.family == "vanilla")
    return dataclasses.replace(found, **more)


ARMS = (
    arm(5, build("cosine", until=0.6), (-14.2, -18.9, -9.4), tied=True),
    arm(3, build("sigmoid", until=0.6), (-12.9, -17.1, -8.6), tied=True),
    arm(4, build("linear", until=0.8), (-2.9, -8.8, 3.1)),
    arm(1, build("vanilla")),
    arm(
        7,
        build("blur", sigma_max=2.0, until=0.5),
        (36.0, 20.0, 52.0),
        (101.0, 105.0),
        out="after 2 seeds <b>it is worse</b>",
    ),
)
VERDICT = Verdict("fake", 1, "glow", "digits", 1000, "lenet", 10_000, "test", 0.95, 4, True, ARMS)


def rows(verdict: Verdict) -> list[str]:
    return re.findall(r"<tr class=.*?</tr>", verdict_card(verdict), re.DOTALL)


def test_sentence_and_how_it_was_measured_stand_on_top() -> None:
    card = verdict_card(VERDICT, "For production: <i>.")
    assert "<p>For production: &lt;i&gt;.</p>" in card
    assert f'<p class="sentence">{VERDICT.sentence}</p>' in card
    assert "4 fresh seeds for each schedule." in card
    assert "10,000 samples against the test data of digits" in card
    assert "hold at once with 95 %" in card


def test_each_arm_has_a_row_with_its_numbers() -> None:
    cosine, sigmoid, linear, vanilla, blur = rows(VERDICT)
    assert "53.00 ± 0.90" in cosine
    assert "4 of 4" in cosine
    assert "-14.20<small>-18.90 to -9.40</small>" in cosine.replace(MINUS, "-")
    assert "reference" in vanilla
    assert "2 of 4" in blur
    assert re.findall(r">(\d+)</button>", sigmoid) == ["1", "2", "3", "4"]
    assert 'data-trial="403"' in linear


def test_the_images_behind_the_fids_are_named() -> None:
    assert "mean test FID ± s.e." in verdict_card(VERDICT)


def test_choice_ties_and_winners_are_marked() -> None:
    tags = [re.findall(r'class="tag [a-z]+">([a-z ]+)<', row) for row in rows(VERDICT)]
    both = ["tied", "beats vanilla"]
    assert tags == [["choice", *both], both, [], [], []]


def test_zero_line_and_interval_are_drawn_to_scale() -> None:
    cosine, _, linear, vanilla, _ = rows(VERDICT)
    zero = [re.findall(r'class="zero" x1="([\d.]+)%', row) for row in rows(VERDICT)]
    assert zero == [zero[3]] * 5
    assert len(zero[3]) == 1
    at = float(zero[3][0])
    (ends,) = re.findall(r'<g class="interval"><line x1="([\d.]+)%', cosine)
    assert float(ends) < at
    low, high = re.findall(r'"interval"><line x1="([\d.]+)%" x2="([\d.]+)%"', linear)[0]
    assert float(low) < at < float(high)
    assert f'cx="{zero[3][0]}%"' in vanilla
    assert ("better" in cosine, "better" in linear) == (True, False)


def test_arm_that_is_out_is_grey_with_its_reason_and_does_not_stretch_the_scale() -> None:
    blur = rows(VERDICT)[-1]
    assert 'class="out"' in blur
    assert "out: after 2 seeds &lt;b&gt;it is worse&lt;/b&gt;" in blur
    assert "\N{RIGHTWARDS ARROW}" in blur


def test_incomplete_confirmation() -> None:
    one = arm(5, build("cosine"), (-3.0, None, None), error=math.nan)
    none = dataclasses.replace(ARMS[1], fids=(), trials=(), seeds=(), mean=math.nan)
    none = dataclasses.replace(none, difference=None, low=None, high=None, tied=False)
    card = verdict_card(dataclasses.replace(VERDICT, complete=False, arms=(one, none, ARMS[3])))
    for words in ("not complete yet", "no interval yet", "no complete run", "no seed in common"):
        assert words in card
    assert 'class="tag choice"' not in card


@pytest.mark.parametrize("arms", [ARMS[3:4], ARMS[:1], ()])
def test_few_arms(arms: tuple[Arm, ...]) -> None:
    assert "sentence" in verdict_card(dataclasses.replace(VERDICT, arms=arms))


def test_the_metrics_that_do_not_decide_have_a_table_of_their_own() -> None:
    better, unclear = Measure(8.0, 4, -2.0, -3.0, -1.0), Measure(9.5, 4, -0.5, -2.0, 1.0)
    shown = {5: {"kid": better}, 4: {"kid": unclear}, 1: {"kid": Measure(10.0, 4, 0, 0, 0)}}
    arms = tuple(
        dataclasses.replace(arm, measures=shown.get(arm.configuration, {})) for arm in ARMS
    )
    metrics = {"kid": Objective("kid"), "bpd": Objective("bpd")}
    known = dataclasses.replace(VERDICT, arms=arms, metrics=metrics, also="By <others>.")
    card = verdict_card(known).replace(MINUS, "-")
    assert '<p class="also">By &lt;others&gt;.</p>' in card
    own = card[card.index('<p class="also">') :]
    assert "bits per dim" not in own  # vanilla has none
    vanilla = next(row for row in re.findall(r"<tr class=.*?</tr>", own) if "reference" in row)
    assert ">10.00</td>" in vanilla
    assert '<td class="n better">-2.00<small>-3.00 to -1.00</small></td>' in own
    assert '<td class="n">-0.500<small>-2.00 to +1.00</small></td>' in own
    assert "other metrics" not in verdict_card(VERDICT)
