"""A table from the search to the training for production, through the command line."""

import json

import pandas as pd
import pytest
from PIL import Image
from tests.search.launch.conftest import TINY, Place

from mollitune.analysis.ranking import best


@pytest.mark.slow
def test_a_table_goes_the_whole_way(place: Place) -> None:
    config = {**TINY, "name": "wine", "dataset": "wine", "model": "realnvp", "steps": 60}
    how = {"samples": 200, "final": "best", "every": 0.25}
    done = place.run("search", place.config({**config, "fid": how}))
    assert "13 columns: 108 train, 35 validation and 35 test rows" in done.stdout
    results = place.results("wine")
    assert results.metadata["objective"]["column"] == "nll"
    reports = results.reports
    ends = reports[reports["progress"] == 1]
    assert set(ends["fid_final"]) == {"best on validation data"}
    for trial, own in reports.groupby("trial"):
        assert own["nll"].iloc[-1] == pytest.approx(own["nll"].min()), trial
    assert best(results, "realnvp").sentence.count("NLL") == 1
    folder = place.folder / "results" / "wine"
    with Image.open(folder / "samples" / "real.png") as picture:
        assert picture.size == (246, 246)

    told = place.run("confirm", "wine", "--seeds", "2", "--top", "1").stdout
    assert "NLL" in told
    assert "NLL" in (folder / "report.html").read_text()

    schedule = json.loads((folder / "best.json").read_text())
    assert schedule["provenance"]["dataset"] == "wine"
    place.run(
        "train", "--schedule", "results/wine/best.json", "--steps", "20", "--output", "trained"
    )
    rows = pd.read_parquet(place.folder / "trained" / "metrics.parquet")
    assert rows["nll"].notna().all()
    result = json.loads((place.folder / "trained" / "train.json").read_text())["result"]
    assert result["weights"] == "best"
    assert result["nll"] == rows["nll"].iloc[-1]
    on_the_way = rows[rows["fid_reference"] == "validation"]["nll"]
    assert on_the_way.iloc[-1] == pytest.approx(on_the_way.min())
