"""Islands of full precision under mixed-precision training, and TF32 in place of fp32."""

import warnings
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context without autocast on the device of ``x``.

    Networks may run in bfloat16; what they feed may not. The rule of this package: the state of a
    flow, log-determinants, densities and bounds keep the dtype of the data, a network's output is
    cast back to it at once, and the few matrix products among them stand in this context. (In a
    Glow of 64 dimensions a bfloat16 state costs .17 nats of log-determinant and a round-trip
    error of .02.)
    """
    device = x.device.type
    if not torch.amp.is_autocast_available(device):  # such as "meta"
        return nullcontext()
    return torch.autocast(device, enabled=False)


def allow_tf32(allowed: bool) -> None:
    """Set whether CUDA may compute products and convolutions of fp32 in TF32, from now on.

    That is 10 bits of a factor instead of 23, on tensor cores. By torch's defaults products are
    in fp32 and convolutions in TF32, where the GPU has it: kinds of GPUs would differ.
    """
    with warnings.catch_warnings():
        # torch 2.11 advises other names, after which its own compiler fails on reading these
        warnings.filterwarnings("ignore", message=".*control TF32 behavior")
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed
