import re

import pandas as pd
from tests.analysis.conftest import PARAMS, TRIALS, FakeTrial, MakeSearch

from mollitune.analysis import load_results
from mollitune.analysis.diagnostics import importance
from mollitune.analysis.report.cards.importance import importance_card, shares_card
from mollitune.schedules import build
from mollitune.search.store.writer import Store

COLUMNS = ["kind", "within", "name", "importance", "low", "high", "chance", "configurations"]
FOUND = pd.DataFrame(
    [
        ("parameter", "all", "until", 0.5, 0.3, 0.7, 0.2, 40),
        ("parameter", "sigmoid", "sigmoid.tau", 0.1, 0.0, 0.6, 0.3, 12),
        ("shape", "all", "area", 0.4, 0.25, 0.5, 0.1, 40),
    ],
    columns=COLUMNS,
)


def test_a_bar_with_interval_and_chance_for_each() -> None:
    card = shares_card(FOUND)
    rows = re.findall(r"<tr class=.*?</tr>", card, re.DOTALL)
    assert [re.findall(r'class="name">(.*?)<', row)[0] for row in rows] == [
        "mean level",
        "until",
        "tau",
    ]
    assert "50 %<small>30 to 70 %</small>" in rows[1]
    width = {row: float(re.findall(r'width="([\d.]+)%" height="50%"', row)[0]) for row in rows}
    assert width[rows[0]] < width[rows[1]]
    line = re.findall(r'"interval"><line x1="([\d.]+)%" x2="([\d.]+)%"', rows[1])[0]
    chance = re.findall(r'class="zero" x1="([\d.]+)%', rows[1])[0]
    assert float(chance) < float(line[0]) < width[rows[1]] < float(line[1])


def test_what_chance_finds_too_is_grey() -> None:
    kinds = re.findall(r'<tr class="(\w*)">', shares_card(FOUND))
    assert kinds == ["", "", "out"]


def test_groups_say_what_they_are_of() -> None:
    card = shares_card(FOUND)
    for words in ("feature of the shape", "parameter of all schedules", "parameter of sigmoid"):
        assert words in card
    assert "12 configurations" in card


def test_too_little_data() -> None:
    assert "Too little is known" in shares_card(FOUND.iloc[:0])
    assert "<svg" not in shares_card(FOUND.iloc[:0])


def test_of_a_search(make_search: MakeSearch) -> None:
    trials = [
        FakeTrial(i, build("linear", until=0.1 + i / 20), 20.0 + i**2 / 10) for i in range(14)
    ]
    results = load_results(make_search(tuple(trials), samples=False))
    assert len(importance(results, "glow"))
    card = importance_card(results, "glow")
    assert "mean level" in card
    assert "until" in card


def test_values_that_do_not_compare(make_search: MakeSearch) -> None:
    location = make_search(TRIALS[:3])
    with Store.open(location, PARAMS) as store:
        store.report({**TRIALS[0].report(1.0), "fid_samples": 50000})
    assert "they differ in fid_samples" in importance_card(load_results(location), "glow")
