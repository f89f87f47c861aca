import dataclasses

import pytest
from rich.console import Console
from tests.analysis.conftest import TRIALS, YOUNG, Search

from mollitune.analysis import summary
from mollitune.search.cli import _print_frame

MAF = dataclasses.replace(YOUNG, number=9, model="maf")


def test_a_row_per_model_that_fits_eighty_columns(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    table = summary(search(*TRIALS, TRIALS[2].again(number=10, final=22.0, seed=8), MAF))
    expected = table["expected FID"][0]
    assert expected.startswith("21.00 (")
    assert table.to_numpy().tolist() == [
        ["glow", "sigmoid until 60%", expected, "30.00", "\N{MINUS SIGN}9.00", "2"],
        ["vae", "vanilla", "50.00", "50.00", "", "1"],
        ["maf", *[""] * 5],
    ]
    _print_frame(table, Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4  # nothing is folded
    assert max(map(len, lines)) <= 80
