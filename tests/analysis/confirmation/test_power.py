"""What a confirmation will find, told from the spread that the search has seen."""

import dataclasses
import math

import pytest
from tests.analysis.conftest import TRIALS, FakeTrial, Search, runs_of

from mollitune.analysis import Results, detectable, seeds_needed
from mollitune.analysis.confirmation.judgement import kept_level
from mollitune.analysis.confirmation.power import paired_noise, power_sentence
from mollitune.schedules import build

# three configurations on three seeds; what seed 2 adds to all of them is no noise of a difference
FIDS = {10: [20.0, 22.0, 34.0], 11: [30.0, 34.0, 44.0], 12: [40.0, 40.0, 54.0]}
REPEATED = [
    run
    for number, fids in FIDS.items()
    for run in runs_of(build("linear", until=number / 100), fids, number, 100 * number)
]
# differences: (-10, -12, -10), (-20, -18, -20), (-10, -6, -10); two degrees of freedom each
NOISE = math.sqrt((8 / 3 + 8 / 3 + 32 / 3) / 6)


def test_the_noise_is_that_of_differences_on_the_same_seed(search: Search) -> None:
    assert paired_noise(search(*REPEATED), "glow") == pytest.approx(NOISE)
    # runs of a confirmation and single runs do not count
    alone = FakeTrial(7, build("linear", until=0.9), 90.0, seed=0)
    confirmed = [dataclasses.replace(t, stage="confirm", number=10**6 + t.number) for t in TRIALS]
    results = search(*REPEATED, alone, *confirmed[:4])
    assert paired_noise(results, "glow") == pytest.approx(NOISE)


def test_nothing_is_known_of_a_search_that_repeated_no_seed(results: Results) -> None:
    assert paired_noise(results, "glow") is None
    assert "repeated too few seeds to tell" in power_sentence(results, "glow", 3, 5, 0.95)


def test_the_sentence_holds_what_the_seeds_find(search: Search) -> None:
    level = kept_level(0.95)
    gap = detectable(NOISE, 5, 3, level, 0.8)
    assert gap is not None
    text = power_sentence(search(*REPEATED), "glow", 3, 5, 0.95)
    needed = seeds_needed(gap / 2, NOISE, 3, level, 0.8)
    assert text == (
        "glow: with 5 seeds there is an 80 % chance to detect a true difference from vanilla of "
        f"{gap:.2f} FID; half of that takes {needed} seeds (between seeds, differences of "
        f"the schedules that the search repeated vary by {NOISE:.2f} FID; those from vanilla may "
        "vary more)"
    )
