"""What every registered model must satisfy, at every size."""

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.models.flows import perturb
from tests.models.linear_gaussian import Loss
from torch import Tensor, nn

from mollitune.models import GenerativeModel, build, dequantise, models

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
VECTOR = (6,)
# Small versions, so that the whole suite takes seconds. A model without an entry is tested as its
# preset builds it.
SMALL: dict[str, dict[str, Any]] = {
    **{vae: {"hidden": 8, "latent": 3} for vae in ("beta_vae", "hvae", "iwae", "vae", "vae_iaf")},
    **{"glow": {"hidden": 4, "steps": 2}, "maf": {"hidden": 8, "blocks": 2}},
    "realnvp": {"hidden": 4, "blocks": 1},
}
Shape = tuple[int, ...]


def at(*shapes: Shape) -> Callable[[Callable[[str, Shape], None]], Callable[[str], None]]:
    """Run a test at these sizes as one case for each model, on vectors too where it takes them."""

    def decorate(test: Callable[[str, Shape], None]) -> Callable[[str], None]:
        def run(name: str) -> None:
            for shape in (*shapes, VECTOR) if _takes_vectors(name) else shapes:
                torch.manual_seed(0)
                test(name, shape)

        run.__doc__ = test.__doc__
        return run

    return decorate


def _takes_vectors(name: str) -> bool:
    try:
        build(name, shape=VECTOR, **SMALL.get(name, {}))
    except ValueError:
        return False
    return True


# one size for which a preset has plain layers, and one for which it has convolutions
each_kind = at((1, 8, 8), (3, 32, 32))
pytestmark = pytest.mark.parametrize("name", models())


def _make(name: str, shape: Shape) -> GenerativeModel:
    model = build(name, shape=shape, **SMALL.get(name, {}))
    perturb(model, 0.02)
    return model


def _batch(shape: Shape, n: int = 4) -> Tensor:
    return dequantise(torch.randint(0, 256, (n, *shape), dtype=torch.uint8))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@at(*SHAPES)
def test_shapes_and_ranges(name: str, shape: Shape) -> None:
    model, x = _make(name, shape), _batch(shape)
    assert model.shape == shape
    assert model.dims == math.prod(shape)
    loss, bits, sample = model.loss(x), model.bits_per_dim(x), model.sample(3)
    assert loss.shape == ()
    assert loss.isfinite()
    assert bits.shape == (4,)
    assert bits.isfinite().all()
    assert sample.shape == (3, *shape)
    assert sample.isfinite().all()
    assert len(shape) == 1 or sample.abs().max() <= 1
    assert not bits.requires_grad
    assert not sample.requires_grad


@at(*SHAPES)
def test_gradients_reach_every_parameter(name: str, shape: Shape) -> None:
    model = _make(name, shape)
    model.loss(_batch(shape)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.count_nonzero() > 0, key


@each_kind
def test_same_seed_same_numbers(name: str, shape: Shape) -> None:
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        model = _make(name, shape)
        x = _batch(shape)
        runs.append((model.loss(x), model.sample(2), model.bits_per_dim(x)))
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first, second)


@each_kind
def test_a_generator_decides_alone(name: str, shape: Shape) -> None:
    model, x = _make(name, shape), _batch(shape)
    state = torch.get_rng_state()
    first = model.sample(2, _generator()), model.bits_per_dim(x, _generator())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    assert torch.equal(first[0], model.sample(2, _generator()))
    assert torch.equal(first[1], model.bits_per_dim(x, _generator()))
    assert not torch.equal(first[0], model.sample(2))


def _train(
    model: GenerativeModel, optimizer: torch.optim.Optimizer, x: Tensor, steps: int
) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@each_kind
def test_evaluation_changes_nothing_and_has_one_mode(name: str, shape: Shape) -> None:
    model, x = _make(name, shape), _batch(shape)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train = model.bits_per_dim(x, _generator()), model.sample(2, _generator())
    model.eval().loss(x)
    assert torch.equal(train[0], model.bits_per_dim(x, _generator()))
    assert torch.equal(train[1], model.sample(2, _generator()))
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


@each_kind
def test_loss_decreases(name: str, shape: Shape) -> None:
    model, x = _make(name, shape), 0.2 * _batch(shape) - 0.5
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = _train(model, optimizer, x, steps=16)
    assert losses[-1] < losses[0] - 0.1


@each_kind
def test_resume_equals_uninterrupted(name: str, shape: Shape) -> None:
    """Weights, buffers, optimiser and the random state are all that training depends on."""
    x = _batch(shape)
    model = _make(name, shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    _train(model, optimizer, x, steps=2)
    file = io.BytesIO()
    torch.save((model.state_dict(), optimizer.state_dict(), torch.get_rng_state()), file)
    whole = _train(model, optimizer, x, steps=2)

    file.seek(0)
    state, optimizer_state, rng = torch.load(file, weights_only=True)
    other = build(name, shape=shape, **SMALL.get(name, {}))
    other.load_state_dict(state)
    optimizer = torch.optim.Adam(other.parameters(), lr=1e-3)
    optimizer.load_state_dict(optimizer_state)
    torch.set_rng_state(rng)
    assert _train(other, optimizer, x, steps=2) == whole
    for key, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    assert torch.equal(model.sample(2, _generator()), other.sample(2, _generator()))
    assert torch.equal(*(m.bits_per_dim(x, _generator()) for m in (model, other)))


@each_kind
def test_initialise_runs_only_when_called(name: str, shape: Shape) -> None:
    model, x = _make(name, shape), _batch(shape)
    before = [parameter.clone() for parameter in model.parameters()]
    model.loss(x)
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
    model.initialise(x, 3 * torch.randn_like(x))
    assert model.loss(x).isfinite()
    assert model.sample(2, _generator()).isfinite().all()


@each_kind
def test_mixed_precision_is_safe(name: str, shape: Shape) -> None:
    """Under autocast only the networks run in bfloat16; evaluation does not change at all."""
    model, x = _make(name, shape).eval(), _batch(shape)
    exact = model.bits_per_dim(x, _generator()), model.sample(2, _generator())
    torch.manual_seed(1)
    full = model.loss(x)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x)
        mixed = model.bits_per_dim(x, _generator()), model.sample(2, _generator())
    assert torch.equal(exact[0], mixed[0])
    assert torch.equal(exact[1], mixed[1])
    assert loss.dtype == torch.float32
    assert loss.item() != full.item()
    # Eight bits of mantissa in the networks' outputs, averaged over the batch.
    assert abs(loss - full).item() < 0.02
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@each_kind
def test_a_batch_is_its_images(name: str, shape: Shape) -> None:
    """No statistic is shared in a batch: each image has the density that it has alone."""
    model, x = _make(name, shape), _batch(shape, n=2)
    other = torch.stack((x[0], -x[1]))
    bits, other_bits = (model.bits_per_dim(batch, _generator()) for batch in (x, other))
    assert bits[0] == other_bits[0]
    assert bits[1] != other_bits[1]


@at(*SHAPES)
def test_loss_needs_no_host(name: str, shape: Shape) -> None:
    """On the meta device there are no values: .item() and data-dependent branches raise."""
    model = _make(name, shape).to("meta")
    loss = model.loss(_batch(shape).to("meta"))
    loss.backward()
    assert loss.device.type == "meta"


@each_kind
def test_models_can_be_stacked(name: str, shape: Shape) -> None:
    """Losses and gradients of two models at once, through vmap."""
    members = [_make(name, shape) for _ in range(2)]
    parameters, buffers = torch.func.stack_module_state(list[nn.Module](members))
    skeleton = Loss(members[0])

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        state = {f"model.{key}": value for key, value in {**parameters, **buffers}.items()}
        value: Tensor = torch.func.functional_call(skeleton, state, (x,))
        return value

    run = torch.vmap(torch.func.grad(loss), in_dims=(0, 0, None), randomness="different")
    grads = run(parameters, buffers, _batch(shape))
    for key, grad in grads.items():
        assert grad.shape == parameters[key].shape, key
        assert grad.isfinite().all(), key
    first = next(iter(grads.values()))
    assert not torch.equal(first[0], first[1])


@each_kind
def test_wrong_inputs(name: str, shape: Shape) -> None:
    model, expected = _make(name, shape), ", ".join(map(str, shape))
    for call in (model.loss, model.bits_per_dim):
        for x in (torch.zeros(2, 1, 5, 5), torch.zeros(shape)):
            with pytest.raises(ValueError, match=rf"x must have shape \(N, {expected}\), got \("):
                call(x)
        with pytest.raises(ValueError, match=r"x must be floating-point .*, got torch.uint8"):
            call(torch.zeros(2, *shape, dtype=torch.uint8))
