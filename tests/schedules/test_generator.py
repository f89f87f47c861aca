import torch

from mollitune.schedules import Blur, Linear
from mollitune.schedules._generator import noise_generator

X = torch.zeros(1, 1, 4, 4)


def test_global_random_state_is_untouched() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for schedule in (Linear(), Blur(sigma_max=2)):
        schedule(X, 0.1)
    assert torch.equal(torch.get_rng_state(), before)


def test_global_draws_do_not_move_the_noise() -> None:
    torch.manual_seed(6)
    expected = [Linear()(X, 0.1) for _ in range(2)]
    torch.manual_seed(0)
    Linear()(X, 0.1)
    torch.manual_seed(6)
    torch.rand(100)
    assert torch.equal(Linear()(X, 0.1), expected[0])
    torch.rand(100)
    assert torch.equal(Linear()(X, 0.1), expected[1])


def test_seed_changes_reseed_the_noise_and_the_same_seed_goes_on() -> None:
    def after(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return Linear()(X, 0.1)

    one, two, again, further = after(1), after(2), after(1), after(1)
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    assert not torch.equal(one, further)


def test_noise_differs_from_the_global_stream_of_the_same_seed() -> None:
    torch.manual_seed(8)
    assert not torch.equal(Linear()(X, 0.0), torch.randn_like(X))


def test_nearby_and_extreme_seeds_give_distinct_streams() -> None:
    # 2**32 apart: the CPU generator alone would take these for one seed.
    seeds = [0, 1, 2, 2**32, 2**32 + 1, -1, 2**63, 2**64 - 2]
    draws = []
    for seed in seeds:
        torch.manual_seed(seed)
        draws.append(tuple(torch.randn(3, generator=noise_generator(X.device)).tolist()))
    assert len(set(draws)) == len(seeds)


def test_own_generator_is_used_and_leaves_the_package_generator_alone() -> None:
    before = noise_generator(X.device).get_state()
    own = torch.Generator().manual_seed(1)
    state = own.get_state()
    Linear()(X, 0.1, generator=own)
    assert not torch.equal(own.get_state(), state)
    assert torch.equal(noise_generator(X.device).get_state(), before)


def test_one_generator_per_device(device: torch.device) -> None:
    x = X.to(device)
    generator = noise_generator(x.device)
    assert generator.device == x.device
    assert noise_generator(x.device) is generator
