from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from tests.search.store.conftest import (
    NOW,
    report,
    rows,
)

from mollitune.search.store.writer import Store


def test_row_comes_back_as_it_was(opened: Store, root: Path) -> None:
    given = report(3, fid=1.25, curve="sine", time=NOW.astimezone(timezone(timedelta(hours=2))))
    del given["curve"]
    given["params.curve"] = None
    opened.report(given)
    opened.flush()
    assert rows(root) == [{**given, "time": NOW}]


def test_numpy_scalars_are_taken(opened: Store, root: Path) -> None:
    opened.report(report(np.int64(3), fid=np.float32(0.5), comparable=np.bool_(False)))  # type: ignore[arg-type]
    opened.flush()
    assert rows(root)[0]["fid"] == 0.5


def test_params_may_be_left_out(opened: Store, root: Path) -> None:
    given = {k: v for k, v in report(0).items() if not k.startswith("params.")}
    opened.report(given)
    opened.flush()
    assert rows(root)[0]["params.until"] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": 1.0}, "reports has no column 'loss'; its columns: search, trial"),
        ({"fid": "12"}, "reports.fid must be double, got '12' \\(a str\\)"),
        ({"fid": True}, "reports.fid must be double, got True \\(a bool\\)"),
        ({"step": 1.5}, "reports.step must be int64, got 1.5 \\(a float\\)"),
        ({"step": 2**63}, "reports.step must be int64, got .* \\(more than 64 bits\\)"),
        ({"step": None}, "reports.step must not be empty"),
        ({"comparable": 1}, "reports.comparable must be bool, got 1 \\(a int\\)"),
        ({"phase": "warm"}, "reports.phase must be one of mollified, clean, got 'warm'"),
        ({"time": datetime(2026, 1, 1)}, "reports.time .*a time needs a time zone"),
        ({"time": 5}, "reports.time must be timestamp.*, got 5 \\(a int\\)"),
        ({"params.curve": 2.0}, "reports.params.curve must be string, got 2.0"),
    ],
)
def test_wrong_rows_are_refused_at_once(
    opened: Store, root: Path, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        opened.report(report(0, **values))
    opened.flush()
    assert not root.exists()


def test_missing_column_is_named(opened: Store) -> None:
    given = report(0)
    del given["bpd"]
    with pytest.raises(ValueError, match="row of reports lacks the column 'bpd'"):
        opened.report(given)


def test_comparable_cannot_contradict_the_row(opened: Store) -> None:
    opened.report(report(0, comparable=True, progress=1, phase="clean", fid=3))
    with pytest.raises(ValueError, match="comparable must be False unless"):
        opened.report(report(0, comparable=True, progress=0.5, phase="clean", fid=3))


@pytest.mark.parametrize(
    ("fid", "steps"), [(None, 3), (1.0, 0), (float("nan"), 0), (1.0, -1), (None, -1)]
)
def test_a_branch_has_steps_and_a_value(opened: Store, fid: float | None, steps: int) -> None:
    with pytest.raises(ValueError, match="probe_fid needs the steps of its branch"):
        opened.report(report(0, probe_fid=fid, probe_steps=steps))


def test_a_branch_of_a_mollified_row_is_kept_but_never_comparable(
    opened: Store, root: Path
) -> None:
    probed = report(0, phase="mollified", progress=0.5, probe_fid=3.0, probe_steps=20)
    opened.report(probed)
    opened.report(report(1, probe_fid=None, probe_steps=0))
    opened.report(report(2, probe_fid=np.nan, probe_steps=4))  # a branch that diverged
    with pytest.raises(ValueError, match="comparable must be False unless"):
        opened.report({**probed, "comparable": True})
    opened.flush()
    assert [(r["probe_fid"], r["probe_steps"]) for r in rows(root)[:2]] == [(3.0, 20), (None, 0)]
    assert np.isnan(rows(root)[2]["probe_fid"])
