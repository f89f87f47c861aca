"""Trials on the rows of a table, whose likelihood is exact, and the choice of the best weights."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mollitune.schedules import Linear
from mollitune.search.data.images import Splits, as_tensor, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import prepare_extractor
from mollitune.search.metrics.fid import ROWS
from mollitune.search.metrics.reference import Reference
from mollitune.search.training.settings import Training
from mollitune.search.training.trial import Final, Trial, TrialSpec

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def wine() -> Splits:
    return split(load_images("wine"))


def trial(wine: Splits, part: str = "validation", **more: Any) -> Trial:
    extractor = prepare_extractor("columns", None, wine.train, Path())
    reference = Reference.measure(extractor, getattr(wine, part), part)
    training = Training(batch_size=50, lr=3e-3, hparams={"hidden": 32, "blocks": 2})
    spec = TrialSpec("maf", Linear(until=0.3), 1, 150, 0.1, training, **more)
    return Trial(spec, wine, reference, 600, CPU)


def test_rows_are_trained_on_as_they_are_and_judged_in_nats(wine: Splits) -> None:
    made = trial(wine)
    x = made.batch(1.0)
    assert {tuple(row) for row in x.tolist()} <= {tuple(row) for row in wine.train.pixels.tolist()}
    assert not torch.equal(made.batch(0.0), x)
    *_, last = made.run()
    with torch.no_grad():
        rows = as_tensor(wine.validation.pixels)
        expected = -made.model.log_prob(rows).mean().item()  # type: ignore[operator]
    assert last.nll == pytest.approx(expected, rel=1e-5)
    assert last.bpd == pytest.approx(expected / 13 / math.log(2), rel=1e-5)
    assert last.samples.shape == (ROWS, 13)
    assert last.fid < 5  # the distance of two normal distributions in 13 dimensions


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_best_weights_stay_by_validation_whatever_judges(wine: Splits, part: str) -> None:
    every = list(trial(wine).run())
    nlls = [row.nll for row in every]
    first = int(np.argmin(nlls))
    assert 0 < first < len(nlls) - 1  # the training ends in overfitting
    judged = [row.nll for row in trial(wine, part).run()]
    made = trial(wine, part, final=Final(best=True))
    rows = list(made.run())
    assert [row.nll for row in rows[:-1]] == judged[:-1]
    assert rows[-1].nll == judged[first]
    assert rows[-1].step_fid == list(trial(wine, part).run())[-1].fid
    weights = made.state_dict()["selected"]["weights"]
    assert all(
        torch.equal(weights[name], value) for name, value in made.model.state_dict().items()
    )


def test_a_trial_that_is_cut_off_knows_its_best_weights(wine: Splits) -> None:
    first = trial(wine, final=Final(best=True))
    whole = list(first.run())
    cut = trial(wine, final=Final(best=True))
    for _ in range(8):
        cut.train()
        cut.report()
    resumed = trial(wine, final=Final(best=True))
    resumed.load_state_dict(cut.state_dict())
    assert [row.nll for row in resumed.run()] == [row.nll for row in whole[8:]]
