from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from tests.search.bench import Bench
from torch import Tensor

from mollitune._errors import MollituneError
from mollitune.search.config import FidConfig
from mollitune.search.data.images import Splits
from mollitune.search.metrics.extras.fid_infinity import fid_infinity
from mollitune.search.metrics.extras.kid import kid
from mollitune.search.metrics.extras.mind import DIRECTIONS, SEED, mind
from mollitune.search.metrics.extras.prc import precision_recall
from mollitune.search.metrics.extras.registry import check_extras
from mollitune.search.metrics.fid import FidMeter, Measurement
from mollitune.search.metrics.frechet import Target
from mollitune.search.metrics.moments import Moments
from mollitune.search.metrics.reference import Reference

CPU = torch.device("cpu")
ALL = ("kid", "prc", "fid_infinity", "mind")
Measure = Callable[..., Measurement]


def gaussian(count: int, seed: int, shift: float = 0.0, width: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator) + shift


def test_kid_is_the_unbiased_estimate_of_the_cubic_kernel() -> None:
    x, y = gaussian(60, 0), gaussian(1100, 1, shift=0.5)  # the latter in two blocks

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a.double() @ b.double().T / 8 + 1) ** 3

    blocks = [kernel(part, part) for part in (x, y[:550], y[550:])]
    one, *two = [float(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in blocks]
    expected = one + sum(two) / 2 - 2 * float(kernel(x, y).mean())
    assert kid(x, y) == pytest.approx(expected, rel=1e-4)  # products in float32


def test_kid_of_one_distribution_is_about_zero_and_may_be_below() -> None:
    values = [kid(gaussian(300, seed), gaussian(300, seed + 50)) for seed in range(6)]
    assert min(values) < 0 < max(values)
    assert max(np.abs(values)) < 0.05 * kid(gaussian(300, 0), gaussian(300, 1, shift=1))


def test_precision_and_recall_know_which_side_is_missing() -> None:
    two_modes = torch.cat([gaussian(200, 0), gaussian(200, 1, shift=20)])
    one_mode = gaussian(400, 2)
    precision, recall = precision_recall(generated=one_mode, real=two_modes)
    assert precision > 0.85
    assert 0.4 < recall < 0.51
    assert precision_recall(generated=two_modes, real=one_mode) == (recall, precision)


def test_mind_of_equally_many_is_the_formula_of_the_paper() -> None:
    x, y = gaussian(60, 0), gaussian(60, 1, shift=0.5)
    generator = torch.Generator().manual_seed(SEED)
    directions = torch.randn(DIRECTIONS, 8, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    sides = ((own.double() @ directions.T).sort(dim=0).values for own in (x, y))
    first, second = sides
    expected = 3 * 8 * float(((first - second) ** 2).mean())
    assert mind(x, y) == mind(y, x) == pytest.approx(expected, rel=1e-4)
    assert mind(x, x[torch.randperm(60)]) == pytest.approx(0, abs=1e-6)


def test_mind_leaves_no_image_out_and_a_shift_costs_three_times_its_square() -> None:
    x, y = gaussian(40, 0), gaussian(60, 1)
    assert mind(x, y) == pytest.approx(mind(x.repeat(3, 1), y.repeat(2, 1)), rel=1e-4)
    assert mind(x, x + 0.5) == pytest.approx(3 * 8 * 0.25, rel=0.05)  # FID: 8 * .25


def test_fid_infinity_undoes_the_bias_of_few_samples() -> None:
    real = Moments(torch.zeros(8).double(), torch.eye(8).double(), 10**9)
    target = Target.of(real)  # the true distance to a shift of 0.5 in each feature: 8 / 4 = 2
    biases = []
    for seed in range(12):
        x = gaussian(300, seed, shift=0.5)
        biases.append((target.distance_of(x) - 2, fid_infinity(target, x) - 2))
    plain, extrapolated = np.mean(biases, axis=0)
    error = np.std(biases, axis=0)[1] / np.sqrt(len(biases))
    # the floor of 300 samples against an endless real set: (8 + (8 * 8 / 2 + 8 / 2) / 2) / 299
    assert plain == pytest.approx(0.087, abs=0.08)
    assert abs(extrapolated) < 3 * error + 0.02


def test_extras_are_seeded_and_leave_the_global_generators_alone(
    kept: Reference, digits: Splits, measure: Measure
) -> None:
    def run(pause: Callable[[], Measurement | None]) -> tuple[float, float, Measurement | None]:
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002
        found = pause()
        return float(torch.rand(())), np.random.random(), found  # noqa: NPY002

    *expected, _ = run(lambda: None)
    *draws, one = run(lambda: measure(kept, digits.train.pixels[:400], ALL))
    assert draws == expected
    two = measure(kept, digits.train.pixels[:400], ALL)
    assert one is not None
    assert (one.fid, one.extras) == (two.fid, two.extras)
    assert set(one.extras) == {"kid", "precision", "recall", "fid_infinity", "extra.mind"}


def test_they_stand_beside_the_same_fid(kept: Reference, digits: Splits, measure: Measure) -> None:
    pixels = digits.train.pixels[:400]
    plain, full = measure(kept, pixels), measure(kept, pixels, ALL)
    assert full.fid == pytest.approx(plain.fid, rel=1e-9)
    damaged = measure(kept, 255 - pixels, ("kid",))
    assert plain.extras == {}
    assert abs(full.extras["kid"]) < damaged.extras["kid"] / 100
    assert full.extras["precision"] > 0.8
    assert full.extras["recall"] > 0.8
    assert full.extras["fid_infinity"] < full.fid
    only = measure(kept, pixels, ("prc",))
    assert only.extras == {name: full.extras[name] for name in ("precision", "recall")}


def test_what_cannot_be_computed_is_refused(kept: Reference, reference: Reference) -> None:
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (
            ("kdi",),
            400,
            "extra metric 'kdi' is unknown; allowed: kid, prior, prc, fid_infinity, mind, ",
        ),
        (("prc",), 3, "prc needs at least 4 images, got 3"),
        (("fid_infinity",), 39, "fid_infinity needs at least 40 images, got 39"),
        ((), 1, "at least 2 images on either side, got 1"),
    ]
    for extras, samples, message in cases:
        with pytest.raises(ValueError, match=message):
            FidMeter(kept, samples, CPU, extras)
    with pytest.raises(ValueError, match="keep_features=True"):
        FidMeter(reference, 400, CPU, ["kid"])
    FidMeter(reference, 400, CPU, ["fid_infinity"])  # needs none


OWN = '''
from mollitune.search.metrics.extras import AtEnd, Extra, extra_metric
from mollitune.search.store.evaluation import OPTIONAL

NUMBER = 3


class Spread(Extra):
    columns = (extra_metric("spread", "spread of the features"),)
    needs_real = False

    def measure(self, sides):
        return {"extra.spread": sides.generated.std()}


class Forgetful(Spread):
    def measure(self, sides):
        return {}


class Impostor(Spread):
    columns = (OPTIONAL["kid"],)


class Weights(AtEnd):
    columns = (extra_metric("weights", "mean square of the weights"),)

    def look(self, trained):
        return {"extra.weights": sum(p.square().mean() for p in trained.model.parameters())}


class Argued(Spread):
    def __init__(self, size):
        pass


def gap(generated, real):
    """Distance of the means.

    Of all features.
    """
    return (generated.mean(0) - real.mean(0)).norm()


def broken(generated, real):
    return generated @ real
'''


@pytest.fixture(scope="module", autouse=True)
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_metrics.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


def test_own_metrics_are_a_class_or_a_function(
    kept: Reference, reference: Reference, digits: Splits, measure: Measure
) -> None:
    pixels = digits.train.pixels[:100]
    values = measure(kept, pixels, ("own_metrics:gap", "own_metrics:Spread")).extras
    assert set(values) == {"extra.gap", "extra.spread"}
    assert values == measure(kept, pixels, ("own_metrics:Spread", "own_metrics:gap")).extras
    assert measure(reference, pixels, ("own_metrics:Spread",)).extras.keys() == {"extra.spread"}
    (column,) = FidConfig(extra=["kid", "own_metrics:gap", "prc"]).own_metrics
    assert (column.name, column.text) == ("extra.gap", "Distance of the means")


def test_an_own_metric_may_look_at_the_trained_model(bench: Bench) -> None:
    *before, last = bench.trial(extras=("own_metrics:Weights",)).run()
    assert last.extras["extra.weights"] > 0
    assert not any(row.extras for row in before)


def test_an_own_metric_that_cannot_be_used_is_refused() -> None:
    cases = {
        "no_such_module:Spread": "cannot import no_such_module .*PYTHONPATH",
        "own_metrics:Spraed": "own_metrics has no Spraed",
        "own_metrics:NUMBER": "neither a function nor a class derived from Extra",
        "own_metrics:Argued": r"own_metrics:Argued\(\) fails: TypeError: .*without arguments",
        "own_metrics:Impostor": "own_metrics:Impostor: make its columns with .*extra_metric",
        "own_metrics:Spread own_metrics:Forgetful": "two metrics fill the column extra",
    }
    for names, message in cases.items():
        with pytest.raises(ValueError, match=message):
            check_extras(names.split(), 100, has_real_features=True)


def test_an_own_metric_that_fails_is_named(
    kept: Reference, digits: Splits, measure: Measure
) -> None:
    cases = {
        "own_metrics:broken": r"broken fails on features \(100, \d+\) and .*RuntimeError",
        "own_metrics:Forgetful": "own_metrics:Forgetful measures , not extra.spread",
    }
    for name, message in cases.items():
        with pytest.raises(MollituneError, match=message):
            measure(kept, digits.train.pixels[:100], (name,))
