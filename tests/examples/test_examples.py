"""The examples do what they say, beside folders that carry the packages' bare names."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mollitune.models import build
from mollitune.schedules import Schedule, Sigmoid, Vanilla
from mollitune.search.config import load_config

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("schedule", [Sigmoid(until=0.6), Vanilla()], ids=str)
def test_the_loop_trains_under_an_exported_schedule(schedule: Schedule, tmp_path: Path) -> None:
    schedule.save(tmp_path / "best.json")
    for name in ("models", "search", "schedules", "analysis"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWN = True\n")
    loop = (EXAMPLES / "own_loop.py").read_text(encoding="utf-8")
    script = tmp_path / "own_loop.py"
    script.write_text(f"{loop}\nimport models, schedules\nassert models.OWN and schedules.OWN\n")
    done = subprocess.run(
        [sys.executable, script.name, "best.json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    text, _, loss = done.stdout.partition(": ")
    assert text == str(schedule)
    assert float(loss.split()[0]) < 59  # the least that a Gaussian of unit variance can reach


def test_the_model_is_a_density_and_samples_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    torch.manual_seed(0)
    model = build("own_model:FactorPCA", (1, 2, 2), rank=2)
    x = torch.rand(5, 1, 2, 2) * 2 - 1
    covariance = model.factor @ model.factor.T + torch.diag((2 * model.log_std).exp())  # type: ignore[operator, union-attr]
    exact = torch.distributions.MultivariateNormal(torch.zeros(4), covariance)
    expected = -exact.log_prob(x.flatten(1)).mean() / 4
    torch.testing.assert_close(model.loss(x), expected)
    count = 20_000
    draws = model._draw(count, torch.Generator().manual_seed(1), 1.0).flatten(1)
    # the variance of a sample covariance is (c_ij^2 + c_ii c_jj) / n; five standard errors
    scale = covariance.diagonal()
    error = ((covariance**2 + scale[:, None] * scale) / count).sqrt()
    assert ((draws.T.cov() - covariance).abs() < 5 * error).all()


def test_the_flow_of_vectors_learns_under_both_arms() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "vectors.py"), "100"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.removesuffix(" nats").split(": ") for line in done.stdout.splitlines())
    assert list(lines) == ["vanilla", "mollified"]
    for values in lines.values():
        # A standard normal would give the standardised rows of 30 numbers about -42.6 nats.
        assert all(-42 < float(value) < 0 for value in values.split(", "))
        assert len(set(values.split(", "))) == 3


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_is_legal(path: Path) -> None:
    assert path.stem.startswith(load_config(path).name)
