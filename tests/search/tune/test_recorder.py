"""What a driver writes into the tables that goes on after another one was killed."""

import io
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits
from mollitune.search.launch.proposals import proposer
from mollitune.search.metrics.reference import Reference
from mollitune.search.policy.comparability import Comparability
from mollitune.search.policy.space import parameter_types
from mollitune.search.store.evaluation import Evaluation
from mollitune.search.store.journal import REPORT, START
from mollitune.search.store.writer import Store
from mollitune.search.terminal import ProgressView
from mollitune.search.tune.budget import Plan
from mollitune.search.tune.context import Context
from mollitune.search.tune.fold import Fold
from mollitune.search.tune.recorder import Recorder
from mollitune.search.tune.runs import start_of
from mollitune.search.tune.scheduler import PolicyScheduler
from mollitune.search.tune.searcher import ScheduleSearcher
from mollitune.search.tune.session import stopping_of


def result(step: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        **{"step": step, "progress": step / 40, "level": 0.0, "phase": "clean"},
        **{"fid": 50.0, "step_fid": 50.0, "bpd": 3.0, "nll": math.nan, "train_bpd": None},
        **{"train_loss": 1.0, "probe_fid": None, "probe_steps": 0, "non_finite_losses": 0},
        **{"non_finite_samples": 0, "step_seconds": 0.01, "eval_seconds": 1.0},
    }
    evaluation = Evaluation(**values, samples=np.zeros((0, 1, 8, 8), np.uint8))
    return {**evaluation.row(), "device": "cpu"}


def test_a_report_that_was_in_the_tables_but_not_yet_in_the_record_stands_there_once(
    digits: Splits, reference: Reference, tmp_path: Path
) -> None:
    """The tables are written every two seconds, the record every second, and a kill may come."""
    config = SearchConfig.model_validate({"name": "a", "model": ["vae"], "steps": 40})
    context = Context(config, digits, reference, str(tmp_path), {"vae": Plan(0.25, 9)})

    def session(*steps: int, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Go on after what the record holds; return the start of the first trial."""
        store = Store.open(str(tmp_path), parameter_types(f.family for f in config.families))
        fold = Fold(
            ScheduleSearcher(proposer(config, 8), config.trials),
            PolicyScheduler(stopping_of(config), {"vae": Comparability("vae", 0.0)}),
            Recorder(store, context, lambda error: None),
            ProgressView(config.trials, Console(file=io.StringIO())),
        )
        fold.replay(known)
        now = datetime.now(UTC).isoformat()
        if not known:
            proposal = fold.searcher.propose()
            assert proposal is not None
            known = [{"event": START, "trial": 0, "time": now, **start_of(proposal)}]
            fold.apply(known[0])
        for step in steps:
            fold.apply({"event": REPORT, "trial": 0, "time": now, "result": result(step)})
        store.flush()
        return known

    started = session(10, known=[])
    session(10, 20, known=started)  # the trial repeats the report that the record does not hold
    assert pd.read_parquet(tmp_path / "reports")["step"].tolist() == [10, 20]
