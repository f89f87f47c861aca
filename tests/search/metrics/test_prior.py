"""What the prior of a VAE does to its samples, and FID in more than one network."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from mollitune.models import build
from mollitune.search.data.images import Splits, as_tensor
from mollitune.search.metrics.extractors.extractor import Extractor, prepare_extractor
from mollitune.search.metrics.extras.base import Trained
from mollitune.search.metrics.extras.prior import Prior, fitted, prior_kl
from mollitune.search.metrics.fid import FidMeter
from mollitune.search.metrics.reference import Reference

CPU = torch.device("cpu")
SAMPLES = 400


def codes_of(count: int = 20_000) -> tuple[Tensor, Tensor, Tensor]:
    """Draws from a Gaussian that is not the prior, with its mean and covariance."""
    root = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.1, 2.0]])
    mean = torch.tensor([0.5, -1.0, 0.0])
    noise = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    return mean + noise @ root.T, mean, root @ root.T


def trained(name: str, digits: Splits, reference: Reference) -> Trained:
    torch.manual_seed(3)
    model = build(name, digits.shape).eval()
    meter = FidMeter(reference, SAMPLES, CPU)
    generator = torch.Generator().manual_seed(7)
    images = as_tensor(digits.train.pixels)
    return Trained(model, images, SAMPLES, generator, lambda draw: meter.measure(draw).fid)


def test_the_fitted_prior_has_mean_and_covariance_of_the_codes() -> None:
    codes, mean, covariance = codes_of()
    drawn = fitted(codes, torch.Generator().manual_seed(1))(20_000)
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), covariance, atol=0.15, rtol=0)


def test_its_divergence_from_the_prior_is_that_of_the_two_gaussians() -> None:
    codes, _, _ = codes_of()
    own = codes.double()
    ours = MultivariateNormal(own.mean(0), torch.cov(own.T))
    plain = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    assert prior_kl(codes) == pytest.approx(float(kl_divergence(ours, plain)), rel=1e-4)
    exact = torch.randn(50_000, 3, generator=torch.Generator().manual_seed(2))
    assert prior_kl(exact) < 0.001


def test_a_decoder_that_knows_the_images_is_blamed_on_its_prior(
    digits: Splits, reference: Reference
) -> None:
    """Codes that are the images themselves: reconstructions are perfect, N(0, I) is no digit."""
    own = trained("vae", digits, reference)

    class Copy(torch.nn.Module):
        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.flatten(1), torch.zeros(len(x), 64)

        def codes(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
            return x.flatten(1)

        def render(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
            return z.reshape(-1, 1, 8, 8)

    found = Prior().look(replace(own, model=Copy()))  # type: ignore[arg-type]
    noise = torch.Generator().manual_seed(0)
    plain = own.fid(lambda n: torch.randn(n, 1, 8, 8, generator=noise).clamp(-1, 1))
    exact, gaussian = found["extra.fid_reconstructions"], found["extra.fid_fitted_prior"]
    assert exact < 0.2 * gaussian  # other digits than those of the reference
    assert gaussian < 0.5 * plain
    dark = int((digits.train.pixels.std(0) > 13).sum())  # a tenth in [-1, 1]: variance .01
    assert found["extra.active_units"] == pytest.approx(dark, abs=3)


def test_each_of_the_family_has_its_columns_and_flows_have_none(
    digits: Splits, reference: Reference
) -> None:
    names = {column.name for column in Prior.columns}
    for model in ("vae", "hvae", "vae_iaf"):
        first, again = (Prior().look(trained(model, digits, reference)) for _ in range(2))
        assert first.keys() == names
        assert first == again
    assert Prior().look(trained("realnvp", digits, reference)) == {}


def test_a_diverged_model_has_values_that_are_not_finite(
    digits: Splits, reference: Reference
) -> None:
    own = trained("vae", digits, reference)
    for parameter in own.model.parameters():
        parameter.data.fill_(torch.nan)
    assert all(value != value for value in Prior().look(own).values())


def test_fid_beside_is_that_of_the_same_samples_alone(
    cache: object, lenet: Extractor, digits: Splits, reference: Reference
) -> None:
    from mollitune.search.metrics.extractors.extractor import cache_folder

    other = prepare_extractor("lenet-unlabelled", None, digits.train, cache_folder())
    beside = Reference.measure(other, digits.validation, "validation")
    both = replace(reference, beside=(beside,))

    def draw(count: int) -> Tensor:
        return torch.rand(count, 1, 8, 8, generator=generator) * 2 - 1

    values = []
    for meter in (FidMeter(both, SAMPLES, CPU), FidMeter(beside, SAMPLES, CPU)):
        generator = torch.Generator().manual_seed(5)
        values.append(meter.measure(draw, beside=True))
    assert values[0].extras == {"extra.fid_lenet_unlabelled": pytest.approx(values[1].fid)}
    generator = torch.Generator().manual_seed(5)
    assert FidMeter(both, SAMPLES, CPU).measure(draw).extras == {}
