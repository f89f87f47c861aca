"""The random stream of the mollification noise, apart from torch's global one.

Vanilla and mollified runs with one seed must see the same batches and start from the same weights,
or a comparison measures luck. So the noise never touches the global generators: each device has a
generator of its own, seeded from `torch.initial_seed` mixed with a constant.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SALT = 0x6D6F6C6C69667931
_MASK = 2**64 - 1

_generators: dict["torch.device", tuple[int, "torch.Generator"]] = {}


def noise_generator(device: "torch.device") -> "torch.Generator":
    """Return the module's own generator for a device.

    It is seeded at first use, and again whenever `torch.initial_seed` has changed since, that is
    after `torch.manual_seed` with another seed, and in each worker process of a data loader.
    Calling `torch.manual_seed` twice with the *same* seed does not rewind it: who repeats or
    resumes a run within one process passes a ``generator`` of their own instead.
    """
    import torch

    seed = torch.initial_seed()
    known = _generators.get(device)
    if known is not None and known[0] == seed:
        return known[1]
    generator = torch.Generator(device=device)
    generator.manual_seed(_mixed(seed))
    _generators[device] = (seed, generator)
    return generator


def normal_like(x: "torch.Tensor", std: float, generator: "torch.Generator") -> "torch.Tensor":
    """Draw noise from N(0, std^2) in the shape, dtype, device and memory layout of ``x``."""
    import torch

    # Filling a channels-last tensor in place is many times slower on a CPU than a contiguous one,
    # so the dimensions are laid out in memory order and then renamed.
    order = sorted(range(x.ndim), key=x.stride, reverse=True)
    noise = torch.empty([x.shape[d] for d in order], dtype=x.dtype, device=x.device)
    noise.normal_(0.0, std, generator=generator)
    return noise.permute([order.index(d) for d in range(x.ndim)])


def _mixed(seed: int) -> int:
    """Scramble a seed (the splitmix64 finaliser), so that seed s gives a stream unlike torch's.

    All bits must change: the CPU generator seeds itself from the low 32 bits only.
    """
    z = (seed + _SALT) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
