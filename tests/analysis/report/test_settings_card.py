import re
from typing import Any

import pyarrow as pa
import pytest
from tests.analysis.conftest import CONFIRMED, PLAN, FakeTrial, Search

from mollitune.analysis import Results
from mollitune.analysis.report.cards.settings import settings_card
from mollitune.analysis.report.data import shape_points
from mollitune.analysis.report.view import view
from mollitune.schedules import build

LR = {"low": 1e-4, "high": 1e-2, "log": True, "int": False}
SEARCHED = {"batch_size": {"choices": [64, 128]}, "lr": LR, "hparams": {"hidden": LR, "depth": 3}}
COLUMNS = {"lr": pa.float64(), "batch_size": pa.int64(), "hparams.hidden": pa.float64()}


def settings(lr: float) -> dict[str, Any]:
    return {"lr": lr, "batch_size": 64, "hparams.hidden": 0.001}


TUNED = (
    FakeTrial(0, build("vanilla"), 30.0, settings=settings(0.001)),
    FakeTrial(1, build("vanilla"), 25.0, settings=settings(0.003)),
    FakeTrial(2, build("linear", until=0.5), 27.0, settings=settings(0.001)),
    FakeTrial(3, build("linear", until=0.2), 21.0, settings=settings(0.004)),
)


@pytest.fixture
def joint(search: Search) -> Search:
    """A function that makes a search of hyperparameters, too."""
    config = {"name": "fake", "model": [{"name": "glow", "steps": None, **SEARCHED}]}

    def load(*trials: FakeTrial, **more: Any) -> Results:
        return search(*trials, metadata={"config": config}, params=COLUMNS, **more)

    return load


def test_points_have_the_hyperparameters_of_their_configuration(joint: Search) -> None:
    points = {p.configuration: p for p in shape_points(joint(*TUNED), "glow")}
    assert {n: p.settings for n, p in points.items()} == {t.number: t.settings for t in TUNED}


def test_a_figure_for_each_with_the_learning_rate_first(joint: Search) -> None:
    results = joint(*TUNED)
    card = settings_card(results, view(results, "glow"), 2)
    labels = re.findall(r'data-figure="(.*?)" aria-label="FID against (\S+) for 4 ', card)
    assert labels == [
        ("setting-2-0", "lr"),
        ("setting-2-1", "batch_size"),
        ("setting-2-2", "hidden"),
    ]


def test_it_names_the_best_of_each_side(joint: Search) -> None:
    results = joint(*TUNED)
    own = view(results, "glow")
    card = settings_card(results, own, 0)
    assert "Vanilla is tuned, too: compare the lowest diamond of each colour." in card
    best = {point.configuration: point for point in own.points}
    for side, number in (("mollification", 3), ("vanilla", 1)):
        text = f"{best[number].text}, expected FID {best[number].expected:.2f}."
        assert f"The best of {side}: {text}" in card
    assert "vanilla with batch_size=64 hidden=0.001 lr=0.003, expected" in card
    assert "run mollitune confirm" in card


def test_with_a_verdict_it_refers_to_that(joint: Search) -> None:
    confirmed = (run.again(settings=settings(0.001)) for run in CONFIRMED)
    results = joint(*TUNED, *confirmed, plan=PLAN)
    card = settings_card(results, view(results, "glow"), 0)
    assert "The verdict compares the two sides" in card
    assert "mollitune confirm" not in card


def test_one_side_alone(joint: Search) -> None:
    results = joint(*TUNED[:2])
    assert "The best of mollification" not in settings_card(results, view(results, "glow"), 0)


def test_no_card_without_hyperparameters_or_complete_runs(results: Results, joint: Search) -> None:
    assert settings_card(results, view(results, "glow"), 0) == ""
    young = joint(FakeTrial(0, build("vanilla"), 30.0, "glow", "running", 0.4))
    assert settings_card(young, view(young, "glow"), 0) == ""
