import re

import pandas as pd
from tests.analysis.conftest import FakeTrial, Search

from mollitune.analysis import Results
from mollitune.analysis.report.cards.importance import importance_card, shares_card
from mollitune.schedules import build

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


def test_groups_say_what_they_are_of_and_what_chance_finds_too_is_grey() -> None:
    card = shares_card(FOUND)
    for words in ("feature of the shape", "parameter of all schedules", "parameter of sigmoid"):
        assert words in card
    assert "12 configurations" in card
    assert re.findall(r'<tr class="(\w*)">', card) == ["", "", "out"]


def test_what_two_explain_only_together_stands_apart_and_is_explained() -> None:
    pair = pd.DataFrame([("parameter", "all", "lr x until", 0.3, 0.2, 0.4, 0.1, 40)])
    card = shares_card(pd.concat([FOUND, pair.set_axis(COLUMNS, axis=1)]))
    tables = card.split("<table")[1:]
    assert ["lr x until" in table for table in tables] == [False, False, True, False]
    assert "pair: beyond each alone" in tables[2]
    assert "the best value of one depends on the other" in card
    assert "the best value of one" not in shares_card(FOUND)


def test_too_little_data() -> None:
    assert "Not enough data yet" in shares_card(FOUND.iloc[:0])
    assert "<svg" not in shares_card(FOUND.iloc[:0])


def test_of_a_search(search: Search, unlike: Results) -> None:
    untils = [0.1 + i / 20 for i in range(14)]
    trials = (FakeTrial(i, build("linear", until=u), 20.0 + i) for i, u in enumerate(untils))
    card = importance_card(search(*trials), "glow")
    assert "mean level" in card
    assert "until" in card
    assert "they differ in fid_samples" in importance_card(unlike, "glow")
