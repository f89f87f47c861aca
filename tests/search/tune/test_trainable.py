"""What a process reports, called as Ray calls it."""

from pathlib import Path
from typing import Any

import pytest

from mollitune.schedules import Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits
from mollitune.search.metrics.reference import Reference
from mollitune.search.tune import beacon
from mollitune.search.tune.budget import Plan
from mollitune.search.tune.context import Context
from mollitune.search.tune.trainable import RunsTrainable


def test_a_process_that_goes_on_repeats_what_was_reported_before_its_checkpoint(
    digits: Splits, kept: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver may have been killed before it had written it down."""
    monkeypatch.setattr(beacon, "get", lambda *_: None)  # there is no Ray to keep anything
    monkeypatch.setattr(beacon, "put", lambda *_: None)
    values = {"name": "own", "model": ["vae"], "steps": 8, "results": str(tmp_path)}
    config = SearchConfig.model_validate({**values, "resources": {"checkpoint_seconds": 0}})
    own = Context(config, digits, kept, str(tmp_path), {"vae": Plan(0.25, 9)})

    class Own(RunsTrainable):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, own)

    def process() -> Own:
        run = {"trial": 0, "model": "vae", "schedule": Vanilla().to_dict(), "seed": 0}
        return Own({"trials": [run]})

    first = process()
    reported = [result for _ in range(2) for result in first.step()["results"]]
    assert [result["step"] for result in reported] == [2, 4]
    again = process().step()["results"]
    # the checkpoint is from right before the second evaluation
    assert again[0] == reported[0]
    assert [result["step"] for result in again] == [2, 4]
    assert again[1]["fid"] == reported[1]["fid"]
