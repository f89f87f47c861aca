"""What one FID costs against a fixed real set: this library beside torch-fidelity.

Both get the same features or the same samples, the same extractor, device and threads, and may
keep what they know of the real images. Each repetition times one after the other, so that both
see the machine in the same state, and takes their ratio.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch_fidelity
import torch_fidelity.feature_extractor_inceptionv3 as inception
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)

from mollitune.search.data.images import Images, Splits, split
from mollitune.search.data.sources import load_images
from mollitune.search.metrics.extractors.extractor import (
    INCEPTION,
    LENET,
    Extractor,
    prepare_extractor,
    register,
)
from mollitune.search.metrics.fid import FidMeter, to_bytes
from mollitune.search.metrics.frechet import Target
from mollitune.search.metrics.moments import Moments
from mollitune.search.metrics.reference import Reference, compute_statistics

CPU = torch.device("cpu")
INCEPTION_REAL = 1000
REAL = 5000
MEMORY_SAMPLES = (1_000, 10_000, 100_000)
TF_DEFAULT: dict[str, Any] = {}
TF_TUNED: dict[str, Any] = {"batch_size": 256, "save_cpu_ram": True}  # the latter: no workers


@dataclass(frozen=True)
class Case:
    """One comparison: calls that return the same FID."""

    name: str
    ours: Callable[[], float]
    theirs: Callable[[], float]


class Bytes(Dataset[Tensor]):
    """Images for torch-fidelity: uint8 with shape (C, H, W)."""

    def __init__(self, pixels: Tensor) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self._pixels[index]


class Drawn(Dataset[Tensor]):
    """Images that are made when they are asked for, and not kept."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Tensor:
        return to_bytes(torch.rand(1, 8, 8) * 2 - 1)


# how fast eigenvalues fall: the median one is 1/370 of the largest, as measured of EfficientNet
# features of CIFAR-10 (1/354), or 1/3000; a general eigenvalue problem is slower on the latter
SPECTRA: dict[str, Callable[[int], Tensor]] = {
    "slow": lambda width: torch.logspace(0, -2, width),
    "fast": lambda width: torch.exp(torch.arange(width) / (-0.15 * width)),
}


def correlated(count: int, width: int, seed: int, spectrum: str = "slow") -> Tensor:
    """Return float32 features with shape (count, width) of a given spectrum."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=generator)
    mix *= SPECTRA[spectrum](width)[:, None] / width**0.5
    return torch.randn(count, width, generator=generator) @ mix + seed / 10


def moments_case(width: int, spectrum: str) -> Case:
    """Compare the moments of both sides to number; ours keeps the root of the real covariance."""
    real, fake = (correlated(REAL, width, seed, spectrum) for seed in (0, 1))
    target, moments = Target.of(Moments.of(real)), Moments.of(fake)
    known, measured = fid_features_to_statistics(real), fid_features_to_statistics(fake)

    def theirs() -> float:
        return float(fid_statistics_to_metric(measured, known, verbose=False)[KEY_METRIC_FID])

    name = f"moments to number, F = {width}, spectrum falls {spectrum}"
    return Case(name, lambda: target.distance(moments), theirs)


def features_case(samples: int, width: int) -> Case:
    """Compare features to number; the real side is known to both."""
    real, fake = correlated(REAL, width, 0), correlated(samples, width, 1)
    target, known = Target.of(Moments.of(real)), fid_features_to_statistics(real)

    def theirs() -> float:
        metric = fid_statistics_to_metric(fid_features_to_statistics(fake), known, verbose=False)
        return float(metric[KEY_METRIC_FID])

    name = f"features to number, F = {width}, N = {samples:,}"
    return Case(name, lambda: target.distance_of(fake), theirs)


class Evaluation:
    """LeNet on 8x8 digits, and the files that torch-fidelity wants."""

    def __init__(self, folder: Path) -> None:
        self.splits: Splits = split(load_images("digits"))
        self.folder = folder
        self.extractor: Extractor = prepare_extractor(LENET, None, self.splits.train, folder)
        self.reference = Reference.measure(
            self.extractor, self.splits.validation, "validation", folder
        )
        self.weights = folder / "weights.pt"
        self.weights.write_bytes(self.extractor.weights)

    def ours(self, draw: Callable[[int], Tensor], samples: int) -> float:
        """Measure samples that ``draw`` returns batch by batch."""
        return FidMeter(self.reference, samples, CPU).measure(draw).fid

    def theirs(self, samples: Dataset[Tensor], options: dict[str, Any]) -> float:
        """Call torch-fidelity as its documentation does; it keeps the real statistics."""
        real: Images = self.splits.validation
        register(LENET)
        metrics = torch_fidelity.calculate_metrics(
            input1=samples,
            input2=Bytes(torch.from_numpy(real.pixels)),
            input2_cache_name="digits-validation",
            cache_root=str(self.folder),
            fid=True,
            feature_extractor=LENET,
            feature_extractor_weights_path=str(self.weights),
            cuda=False,
            verbose=False,
            **options,
        )
        return float(metrics[KEY_METRIC_FID])


def evaluation_case(setup: Evaluation, samples: int, name: str, options: dict[str, Any]) -> Case:
    """Compare samples in [-1, 1] to number, on noised digits."""
    rng = np.random.default_rng(0)
    pixels = setup.splits.train.pixels
    noised = pixels[rng.integers(len(pixels), size=samples)] + rng.normal(
        0, 20, (samples, 1, 8, 8)
    )
    x = torch.from_numpy(np.clip(noised, 0, 255).astype(np.float32)) / 128 - 1

    def ours() -> float:
        batches = iter(x.split(256))
        return setup.ours(lambda n: next(batches), samples)

    return Case(
        f"8x8 samples to number, LeNet, N = {samples:,}; {name}",
        ours,
        lambda: setup.theirs(Bytes(to_bytes(x)), options),
    )


def random_inception() -> dict[str, Tensor]:
    """Return weights of such a size that activations stay near 1 through all layers."""
    no_file = mock.patch.object(inception, "load_state_dict_from_url", return_value={})
    network = inception.FeatureExtractorInceptionV3
    with no_file, mock.patch.object(network, "load_state_dict"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = network(INCEPTION, ["2048"])
        for module in built.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    state: dict[str, Tensor] = built.state_dict()
    return state


class Inception:
    """Random weights in Inception's architecture: as long to compute, without the file."""

    def __init__(self, folder: Path, samples: int, device: torch.device) -> None:
        rng = np.random.default_rng(0)
        count = min(samples, INCEPTION_REAL)
        real = Images("noise", rng.integers(0, 256, (count, 3, 32, 32), np.uint8))
        self.fake = torch.from_numpy(rng.integers(0, 256, (samples, 3, 32, 32), np.uint8))
        self.real, self.device, self.weights = real, device, folder / "inception.pth"
        torch.save(random_inception(), self.weights)
        extractor = prepare_extractor(INCEPTION, str(self.weights), real, folder)
        compute = partial(compute_statistics, device=device)
        reference = Reference.measure(extractor, real, "validation", folder, compute=compute)
        self.meter = FidMeter(reference, samples, device)

    def ours(self) -> float:
        """Measure the samples, which lie on the device."""
        batches = iter((self.fake.to(self.device).float() / 128 - 1).split(256))
        return self.meter.measure(lambda n: next(batches)).fid

    def theirs(self) -> float:
        """Call torch-fidelity; it keeps the real statistics."""
        metrics = torch_fidelity.calculate_metrics(
            input1=Bytes(self.fake),
            input2=Bytes(torch.from_numpy(self.real.pixels)),
            input2_cache_name="noise",
            cache_root=str(self.weights.parent / "torch-fidelity"),
            fid=True,
            feature_extractor_weights_path=str(self.weights),
            cuda=self.device.type == "cuda",
            verbose=False,
            **TF_TUNED,
        )
        return float(metrics[KEY_METRIC_FID])


def seconds(call: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def spread(values: list[float], digits: str) -> str:
    low, high = min(values), max(values)
    return f"**{statistics.median(values):{digits}}** ({low:{digits}}-{high:{digits}})"


def compare(case: Case, repetitions: int) -> str:
    """Return a row: ratio, both times, and how far the two values are apart."""
    case.ours(), case.theirs()
    mine, other, ratios, apart = [], [], [], 0.0
    for _ in range(repetitions):
        (a, ours), (b, theirs) = seconds(case.ours), seconds(case.theirs)
        mine.append(1e3 * a)
        other.append(1e3 * b)
        ratios.append(b / a)
        apart = max(apart, abs(ours / theirs - 1))
    return (
        f"| {spread(ratios, '.1f')} | {case.name} | {spread(mine, '.1f')} "
        f"| {spread(other, '.1f')} | {apart:.0e} |"
    )


def status(field: str) -> float:
    """Return a memory field of Linux's ``/proc/self/status``, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {field} in /proc/self/status; this part needs Linux")


def peak_growth(who: str, samples: int, folder: str) -> float:
    """Return by how many MiB one evaluation lifts the memory of a fresh process at its peak.

    The samples are made when they are needed and not kept; a small evaluation comes before.
    """
    torch.set_num_threads(1)
    setup = Evaluation(Path(folder))
    calls: dict[str, Callable[[int], float]] = {
        "ours": lambda n: setup.ours(lambda size: torch.rand(size, 1, 8, 8) * 2 - 1, n),
        "theirs": lambda n: setup.theirs(Drawn(n), TF_TUNED),
    }
    calls[who](2000)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    calls[who](samples)
    return status("VmHWM") - before


def memory_row(samples: int, folder: str) -> str:
    context = multiprocessing.get_context("spawn")
    grown = []
    for who in ("ours", "theirs"):
        with context.Pool(1) as pool:
            grown.append(pool.apply(peak_growth, (who, samples, folder)))
    return f"| {samples:,} | {grown[0]:.1f} | {grown[1]:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and numpy")
    parser.add_argument("--inception", type=int, help="only Inception, with so many samples")
    parser.add_argument("--device", default="cpu", help="of --inception")
    options = parser.parse_args()
    repetitions = options.repetitions
    torch.set_num_threads(options.threads)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f}, {options.threads} thread(s), Python "
        f"{platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, "
        f"torch-fidelity {torch_fidelity.__version__}, {options.device}; {repetitions} "
        "repetitions, median (min-max)\n"
    )
    with threadpool_limits(options.threads), tempfile.TemporaryDirectory() as folder:
        print("| times faster | case | ours, ms | torch-fidelity, ms | values apart, relative |")
        print("|---|---|---|---|---|")
        if options.inception:
            both = Inception(Path(folder), options.inception, torch.device(options.device))
            name = f"Inception, N = {options.inception:,}"
            print(compare(Case(name, both.ours, both.theirs), repetitions))
            return
        setup = Evaluation(Path(folder))
        cases = [
            moments_case(64, "slow"),
            moments_case(2048, "slow"),
            moments_case(2048, "fast"),
            *(
                features_case(n, width)
                for n, width in ((10_000, 64), (10_000, 2048), (1_000, 2048))
            ),
        ]
        for case in cases:
            print(compare(case, repetitions), flush=True)
        for name, tuned in (
            ("its defaults (batch 64, 4 workers)", TF_DEFAULT),
            ("batch 256, no workers", TF_TUNED),
        ):
            print(compare(evaluation_case(setup, 10_000, name, tuned), repetitions), flush=True)
        print("\n| samples | ours: peak grows by, MiB | torch-fidelity's |")
        print("|---|---|---|")
        for samples in MEMORY_SAMPLES:
            print(memory_row(samples, folder), flush=True)


if __name__ == "__main__":
    main()
