import pytest
import torch
from torch import nn

from mollitune.search.training.averaging import WeightAverage


def _set(model: nn.Linear, value: float) -> None:
    with torch.no_grad():
        model.weight.fill_(value)


def _run(average: WeightAverage, model: nn.Linear, values: list[float]) -> float:
    for value in values:
        _set(model, value)
        average.update(model)
    return average.model.weight.item()  # type: ignore[operator]


def test_it_is_the_mean_at_first_and_exponential_later() -> None:
    values = [float(v) for v in torch.randn(40)]
    decay, expected, model = 0.5 ** (1 / 4), 0.0, nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, half_life=4)
    for count, value in enumerate(values, 1):
        share = max(1 - decay, 1 / count)
        expected = (1 - share) * expected + share * value
        found = _run(average, model, [value])
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
        # 1 / (1 - d) is 6.3 steps: five steps are still a plain mean
        assert count > 5 or found == pytest.approx(sum(values[:count]) / count, abs=1e-6)


def test_a_weight_counts_half_after_the_half_life() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, half_life=10)
    before = _run(average, model, [1.0] * 200)
    after = _run(average, model, [0.0] * 10)
    assert abs(before - 1) < 1e-6
    assert abs(after - 0.5) < 1e-4


def test_the_initial_weights_do_not_count() -> None:
    model = nn.Linear(1, 1, bias=False)
    _set(model, 1e6)
    average = WeightAverage(model, half_life=1000)
    assert _run(average, model, [2.0, 4.0]) == 3.0


def test_buffers_are_copied_and_the_model_is_untouched() -> None:
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, half_life=3)
    model(torch.randn(8, 2))
    average.update(model)
    copy: nn.Module = average.model
    assert copy is not model
    assert torch.equal(copy.get_buffer("running_mean"), model.running_mean)  # type: ignore[arg-type]


def test_it_resumes_to_the_same_numbers() -> None:
    values = [float(v) for v in torch.randn(12)]
    model = nn.Linear(1, 1, bias=False)
    whole = WeightAverage(model, half_life=5)
    _run(whole, model, values[:6])
    resumed = WeightAverage(nn.Linear(1, 1, bias=False), half_life=5)
    resumed.load_state_dict(whole.state_dict())
    assert _run(whole, model, values[6:]) == _run(resumed, model, values[6:])
