"""What stands at the end of a search, beside its tables."""

from pathlib import Path

import pytest
import typer
from tests.analysis.conftest import METADATA, PARAMS, FakeTrial

from mollitune._errors import MollituneError
from mollitune.schedules import Linear, Vanilla
from mollitune.search.cli import _finish
from mollitune.search.store.writer import Store, create_search_folder
from mollitune.search.tune.session import Outcome


class FewSamples(FakeTrial):
    """A trial whose model is measured on fewer samples than the others."""

    def report(self, progress: float) -> dict[str, object]:
        return {**super().report(progress), "fid_samples": 300}


def search(tmp_path: Path, trials: list[FakeTrial]) -> str:
    location = create_search_folder(str(tmp_path), "fake")
    models = [{"name": name} for name in dict.fromkeys(trial.model for trial in trials)]
    with Store.open(location, PARAMS) as store:
        config = {**dict(METADATA["config"]), "model": models}  # type: ignore[call-overload]
        store.write_metadata({**METADATA, "config": config, "status": "finished"})
        for trial in trials:
            trial.write(store)
    return location


def test_models_that_were_measured_unlike_each_have_their_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [(Vanilla(), 50.0), (Linear(until=0.5), 40.0)]
    glow = [FakeTrial(i, schedule, fid) for i, (schedule, fid) in enumerate(pair)]
    vae = [FewSamples(i + 2, s, fid, model="vae") for i, (s, fid) in enumerate(pair)]
    folder = search(tmp_path, [*glow, *vae])
    _finish(Outcome(folder, {"completed": 4}, False, 1.0))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["model", "best", "schedule", *lines[1].split()[3:]]
    assert lines[4].startswith("On glow, linear(until=0.5) looks best: expected FID 40.00")
    assert lines[5].startswith("On vae, linear(until=0.5) looks best: expected FID 40.00")
    assert lines[7].startswith(
        "schedule: best.json not written: the FIDs of 'glow' and 'vae' in 'fake' cannot be "
        "ranked: they differ in fid_samples (300, 500); name one of them: --model"
    )
    assert lines[-1] == f"next:     mollitune confirm {folder}"
    assert {path.name for path in Path(folder).glob("*.*")} == {
        *("search.json", "report.html", "best-glow.json", "best-vae.json")
    }


def test_a_search_without_a_result_ends_with_an_error(tmp_path: Path) -> None:
    failed = FakeTrial(0, Vanilla(), 50.0, status="failed", end=0.4, error="no memory")
    folder = search(tmp_path, [failed])
    with pytest.raises(MollituneError, match="has finished on clean data"):
        _finish(Outcome(folder, {"failed": 1, "stopped": 1}, False, 1.0))
    with pytest.raises(typer.Exit) as ended:  # all failed: the reasons are told, and a report
        _finish(Outcome(folder, {"failed": 1}, False, 1.0))
    assert ended.value.exit_code == 1
    assert Path(folder, "report.html").exists()
