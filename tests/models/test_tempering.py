import math

import pytest
import torch

from mollitune.models._tempering import make_tempering


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize(("kind", "temperature"), [("none", 1.0), ("fixed", 1.5)])
def test_the_factors_end_at_temperature_one(kind: str, temperature: float, steps: int) -> None:
    factors = make_tempering(kind, steps).factors()
    assert factors.shape == (steps,)
    assert factors.prod().item() == pytest.approx(temperature**-0.5)


def test_fixed_tempering_is_quadratic() -> None:
    tempering = make_tempering("fixed", 3)
    with torch.no_grad():
        for parameter in tempering.parameters():
            parameter.fill_(math.log(8.0))
    # Temperatures 9, 9 - 8/9, 9 - 32/9 and 1.
    expected = torch.tensor([73 / 81, 49 / 73, 9 / 49]).sqrt()
    torch.testing.assert_close(tempering.factors(), expected)


def test_free_tempering_starts_at_nine_tenths() -> None:
    torch.testing.assert_close(make_tempering("free", 4).factors(), torch.full((4,), 0.9))


@pytest.mark.parametrize("kind", ["fixed", "free"])
def test_learned_factors_cool_whatever_the_parameters(kind: str) -> None:
    tempering = make_tempering(kind, 3)
    for value in (-10.0, 0.0, 10.0):
        with torch.no_grad():
            for parameter in tempering.parameters():
                parameter.fill_(value)
        factors = tempering.factors()
        assert (factors > 0).all()
        assert (factors <= 1).all()


def test_unknown_tempering() -> None:
    with pytest.raises(ValueError, match="unknown tempering 'fix', did you mean 'fixed'"):
        make_tempering("fix", 2)
