"""Metrics and features of a user's own are one file; all that a search leaves behind has them."""

import pytest
import torch
from tests.search.launch.conftest import TINY, Place
from tests.search.tune.test_loggers import scalars

pytestmark = pytest.mark.slow
TOY = '''
"""The toy metric: this file is all there is of it."""

from mollitune.search.metrics.extras import Extra, extra_metric


class Spread(Extra):
    columns = (extra_metric("spread", "mean spread of the features", better="higher"),)

    def measure(self, sides):
        return {"extra.spread": sides.generated.std(0).mean()}


def gap(generated, real):
    """distance of the mean features"""
    return (generated.mean(0) - real.mean(0)).norm()
'''
CONFIG = {
    **TINY,
    **{"name": "toy", "families": ["linear"], "steps": 20, "trials": 3},
    "stopping": {"policy": "none"},
    "fid": {
        **{"extractor": "file:pooled.pt", "samples": 120, "every": 0.5},
        **{"ema": 0.05},
        "extra": ["toy_metric:Spread", "kid", "prc", "fid_infinity", "toy_metric:gap"],
    },
    "loggers": ["tensorboard"],
}


class Pooled(torch.nn.Module):
    """Sixteen features of a gray image: means of patches."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 4).flatten(1)


# of TorchScript, which is still about
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_what_is_in_one_file_arrives_everywhere(place: Place) -> None:
    torch.jit.script(Pooled()).save(str(place.folder / "pooled.pt"))
    (place.folder / "toy_metric.py").write_text(TOY)
    assert "(resize: its own)" in place.run("search", place.config(CONFIG)).stdout
    folder, results = place.folder / "results" / "toy", place.results("toy")
    reports = results.reports
    metrics = reports[["kid", "precision", "recall", "fid_infinity", "extra.spread", "extra.gap"]]
    assert len(metrics) == 6
    assert not metrics.isna().any(axis=None)
    assert (metrics["extra.spread"] > 0).all()
    shares = metrics[["precision", "recall"]].to_numpy()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert set(reports["ema"]) == {0.05}
    assert set(reports["extractor_resize"]) == {"its own"}
    assert reports["extractor"].str.contains("pooled.pt").all()
    field = results.tables["reports"].schema.field("extra.spread")
    assert field.metadata[b"description"] == b"mean spread of the features; higher is better"
    assert results.sql('select max("extra.gap") as x from reports')["x"].item() > 0
    for number, rows in results.reports.groupby("trial"):
        found = scalars(folder / "tensorboard" / f"{number:04d}")
        for name in ("kid", "extra.spread", "extra.gap"):
            _, values = zip(*found[name], strict=True)
            assert values == pytest.approx(rows[name].tolist(), rel=1e-6)
    assert "vanilla" in (folder / "report.html").read_text(encoding="utf-8")
