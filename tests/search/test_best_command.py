"""What ``mollitune best`` says of other budgets than the one it is about."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.analysis.conftest import CROSSING, TRIALS, FakeTrial, climb, maker

from mollitune.search.cli import main

LADDER = {"scales": [1], "target": 200}
RATIO = "is an extrapolation (ratio"


def said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trials: list[FakeTrial],
    ladder: Mapping[str, object] | None,
    *args: str,
) -> list[str]:
    """The lines that the command prints, in the folder of the results."""
    maker(tmp_path)(tuple(trials), metadata={"ladder": ladder})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command adds its folder to it
    with pytest.raises(SystemExit) as ended:
        main(["best", "fake", *args])
    assert ended.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_it_says_per_budget_what_won_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(tmp_path, monkeypatch, capsys, climb(CROSSING), LADDER, "--export", "best.json")
    first, short, long, trend, choice, warning, file = lines
    assert first.startswith("On glow at 200,000 steps, linear(until=0.5) looks best")
    assert short.startswith("at 1,000 steps vanilla has the lowest mean, FID 40.03")
    assert long.startswith("at 4,000 steps linear(until=0.5) has the lowest mean, FID 16.05")
    assert "starts to pay at about 2,000 steps" in trend
    assert "the choice changes between 1,000 and 4,000 steps" in choice
    assert warning == f"warning: measured to 4,000 steps; at 200,000 this {RATIO} 50)"
    assert json.loads(Path(file).read_text())["provenance"]["budgets"] == [1000, 4000]


def test_with_one_budget_it_says_no_more_than_the_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (only,) = said(tmp_path, monkeypatch, capsys, list(TRIALS[:3]), None)
    assert only.startswith("On glow, sigmoid(")


def test_a_target_warns_with_one_budget_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, warning = said(tmp_path, monkeypatch, capsys, list(TRIALS[:3]), LADDER)
    assert warning == f"warning: measured to 1,000 steps; at 200,000 this {RATIO} 200)"
