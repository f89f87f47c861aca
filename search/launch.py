"""Runs a search: prepare data and reference, start Ray, let Tune run the trials, keep a record."""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import math
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from .rayenv import set_defaults

set_defaults()

import ray  # noqa: E402
import torch  # noqa: E402
from ray import tune  # noqa: E402
from rich.console import Console  # noqa: E402

from mollitune._errors import MollituneError  # noqa: E402
from mollitune._files import first_line, resolve  # noqa: E402

from .budget import Plan  # noqa: E402
from .checkpoints import CHECKPOINTS  # noqa: E402
from .config import SearchConfig, check_models  # noqa: E402
from .dataset import Images, split  # noqa: E402
from .extra_metrics import NEED_REAL_FEATURES, check_extras  # noqa: E402
from .extractors import Extractor, cache_folder, prepare_extractor  # noqa: E402
from .faults import summary  # noqa: E402
from .fid import Reference  # noqa: E402
from .journal import Journal  # noqa: E402
from .lease import Lease  # noqa: E402
from .metadata import config_of, read_metadata  # noqa: E402
from .patience import Patience, wait_seconds  # noqa: E402
from .planning import plan_evaluations  # noqa: E402
from .policy.likeness import Likeness  # noqa: E402
from .progress import ProgressView  # noqa: E402
from .recorder import DecisionSource, Recorder  # noqa: E402
from .recovery import fold  # noqa: E402
from .sampler import ScheduleSearcher  # noqa: E402
from .sources import load_images  # noqa: E402
from .space import parameter_types  # noqa: E402
from .stop_all import StopAll  # noqa: E402
from .stopping import PolicyScheduler  # noqa: E402
from .store import Store, create_search_folder  # noqa: E402
from .trainable import ScheduleTrainable, Shared, picture  # noqa: E402
from .watchdog import Watchdog  # noqa: E402

RAY_FOLDER = "tune"
_LOOPBACK = "127.0.0.2"


@dataclass(frozen=True)
class Outcome:
    """How a search ended.

    Arguments:
        folder: Its folder, a path or URI.
        trials: Number of trials by status.
        interrupted: Whether it was cut off before all trials had ended.
        seconds: Wall time of the search itself.
    """

    folder: str
    trials: dict[str, int]
    interrupted: bool
    seconds: float


def run_search(config: SearchConfig, console: Console) -> Outcome:
    """Run a search to its end, or to the first SIGINT or SIGTERM.

    Args:
        config: What to search.
        console: Where progress goes.

    Returns:
        How it ended; all results are in the tables of the folder by then.

    Raises:
        MollituneError: If the name is taken, or the data, the models, the extractor's weights,
            the results folder or the Ray cluster cannot be used. Nothing is left behind unless
            a trial has run.
    """
    wait = wait_seconds()
    folder = create_search_folder(config.root, config.name)
    with Lease(folder) as lease:
        try:
            shared = _prepare(config, folder, console)
            _start_ray(config)
            _check_custom(config, console)
            plans = plan_evaluations(shared, _resources(config), console)
            shared = replace(shared, plans=plans)
        except BaseException:
            ray.shutdown()
            _remove_claim(folder)
            raise
        try:
            return _run(shared, console, _patience(wait, console, lease))
        finally:
            ray.shutdown()


def resume_search(
    folder: str, console: Console, more: int = 0, address: str | None = None
) -> Outcome:
    """Go on with a search that was killed, interrupted, or finished and is to be extended.

    The policy is brought to where it was from the record; trials that had not ended go on from
    their checkpoints.

    Args:
        folder: The search, a path or URI.
        console: Where progress goes.
        more: Trials beyond those of the config.
        address: Ray cluster to join instead of the config's.

    Returns:
        How it ended.

    Raises:
        MollituneError: If there is no such search, another driver works on it, nothing is left to
            do, the data or the extractor have changed, or the record is damaged.
    """
    metadata = read_metadata(folder)
    config = config_of(metadata, more, address)
    wait = wait_seconds()
    with Lease(folder) as lease:
        shared = _prepare(config, folder, console)
        _check_unchanged(metadata, shared)
        plans = {name: Plan(**plan) for name, plan in metadata["evaluation"].items()}
        shared = replace(shared, plans=plans)
        _start_ray(config)
        try:
            _check_custom(config, console)
            patience = _patience(wait, console, lease)
            return _run(shared, console, patience, created=metadata["created"])
        finally:
            ray.shutdown()


def _check_unchanged(metadata: dict[str, Any], shared: Shared) -> None:
    """Refuse to go on with other images or another extractor: values would not compare."""
    extractor = shared.reference.extractor
    found = {"dataset": shared.splits.train.sha256, "extractor": extractor.sha256}
    for name, digest in found.items():
        if metadata[name]["sha256"] != digest:
            raise MollituneError(
                f"the {name} has changed since the search began: sha256 {digest[:12]} instead of "
                f"{metadata[name]['sha256'][:12]}; restore it, or start a search with a new name"
            )


def _prepare(config: SearchConfig, folder: str, console: Console) -> Shared:
    """Load everything that may be wrong before the first trial."""
    splits = split(load_images(config.dataset))
    check_models(config, splits.shape)
    console.print(
        f"data: {config.dataset}, {_shape(splits.shape)}, {splits.counts()}", soft_wrap=True
    )
    extractor = prepare_extractor(
        config.fid.extractor, config.fid.weights, splits.train, cache_folder()
    )
    reference = _reference(config, extractor, splits.validation)
    console.print(
        f"FID: {extractor.name} {extractor.sha256[:12]} (resize: {extractor.resize}), against "
        f"{reference.count} validation images",
        soft_wrap=True,
    )
    return Shared(config, splits, reference, folder, plans={})


def _reference(config: SearchConfig, extractor: Extractor, images: Images) -> Reference:
    """Measure the real images, or read what an earlier search measured."""
    extras = set(config.fid.extra)
    keep = bool(NEED_REAL_FEATURES & extras)
    try:
        check_extras(extras, min(config.fid.samples, len(images)), keep)
        return Reference.measure(
            extractor, images, "validation", cache_folder(), keep_features=keep
        )
    except ValueError as error:
        raise MollituneError(f"fid.extra: {error}") from None
    except OSError as error:
        raise MollituneError(
            f"cannot keep the statistics of the real images in {cache_folder()} "
            f"({first_line(error)}); set MOLLITUNE_CACHE to a folder that can be written"
        ) from None


def _patience(seconds: float, console: Console, lease: Lease) -> Patience:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return Patience(seconds, say, lease)


def _run(
    shared: Shared, console: Console, patience: Patience, created: str | None = None
) -> Outcome:
    config = shared.config
    start = time.monotonic()
    journal, stop = Journal.open(shared.folder, patience), StopAll()
    types = parameter_types(f.family for f in config.families)
    store = Store.open(shared.folder, types, patience)
    metadata = _metadata(shared)
    if created is not None:
        metadata["created"] = created
    # before anything else: from here on the search can be resumed
    store.write_metadata({**metadata, "status": "running", "elapsed_seconds": 0.0})
    store.write_file("samples/real.png", picture(shared.splits.validation.pixels))
    scheduler = PolicyScheduler(config.stopping, config.seed, _likeness(shared), journal, stop)
    searcher = ScheduleSearcher(config, max(shared.splits.shape[1:]), journal, stop)
    spread = _on_any_node(shared)
    watchdog = Watchdog(spread.folder, config.resources.hang_seconds)
    with ProgressView(config.trials, console) as view, _interruptible() as interrupted:
        patience.interrupted = interrupted.is_set
        sources: list[DecisionSource] = [searcher, scheduler]
        recorder = Recorder(store, shared, sources, view, journal, stop, watchdog.reasons)
        if len(journal):  # hundreds of proposals are made again, which takes its time
            console.print(f"record: {len(journal):,} events are read back", soft_wrap=True)
        with view.silent():
            fold(journal, searcher, scheduler, recorder)
        if searcher.left:
            callbacks = [recorder, watchdog]  # in this order: a kill's reason outlives its trial
            _tuner(spread, searcher, scheduler, callbacks, stop).fit()
    whole = len(recorder.outcomes) == config.trials and "running" not in recorder.outcomes
    cut_off = interrupted.is_set() or not whole
    try:
        recorder.close()
    except MollituneError as error:
        stop.fail(error)
    if stop.failure is not None:
        raise MollituneError(
            f"{stop.failure}; nothing reported is lost, go on with: mollitune resume "
            f"{shared.folder}"
        )
    if recorder.failures:
        console.print(summary(recorder.failures), highlight=False, markup=False, soft_wrap=True)
    seconds = time.monotonic() - start
    status = "interrupted" if cut_off else "finished"
    store.write_metadata({**metadata, "status": status, "elapsed_seconds": seconds})
    if not cut_off:
        _delete(shared.folder, CHECKPOINTS)
    counts = {name: recorder.outcomes.count(name) for name in sorted(set(recorder.outcomes))}
    return Outcome(shared.folder, counts, cut_off, seconds)


def _likeness(shared: Shared) -> dict[str, Likeness]:
    """Return for each model what its FIDs have in common in this search."""
    reference = shared.reference
    return {
        name: Likeness(
            model=name,
            step=0,
            extractor=reference.extractor.identity,
            samples=plan.samples,
            reference=f"{reference.count} {reference.split} images",
            ema=shared.config.fid.ema or 0.0,
        )
        for name, plan in shared.plans.items()
    }


def _on_any_node(shared: Shared) -> Shared:
    """Name the folder in full: a node works in the folder that it was started in."""
    if "://" in shared.folder:
        return shared
    return replace(shared, folder=resolve(shared.folder)[1])


def _tuner(
    shared: Shared,
    searcher: ScheduleSearcher,
    scheduler: PolicyScheduler,
    callbacks: list[tune.Callback],
    stop: StopAll,
) -> tune.Tuner:
    config = shared.config
    trainable = tune.with_resources(
        tune.with_parameters(ScheduleTrainable, shared=shared), _resources(config)
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=searcher.left,
            max_concurrent_trials=config.workers,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            # nothing is read from Ray's snapshots, and a storage that is away must not hold it up
            storage_path=_temp_folder(),
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=config.resources.retries),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            stop=stop,
            verbose=0,
        ),
    )


def _trial_name(trial: Any) -> str:
    return f"{trial.config['trial']:04d}"


def _resources(config: SearchConfig) -> dict[str, float]:
    """Return what one trial asks of Ray; GPUs, if any, are divided among the workers."""
    gpus = ray.cluster_resources().get("GPU", 0)
    share = config.resources.gpu
    if share is None:
        share = min(1.0, math.floor(100 * gpus / config.workers) / 100)
    own = {"cpu": config.resources.cpu, **({"gpu": share} if share else {})}
    return {**own, **config.resources.custom}


def _check_custom(config: SearchConfig, console: Console) -> None:
    """Tell of resources that no node has: a cluster may grow, a Ray of our own does not.

    Raises:
        MollituneError: If trials could never start.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, amount in config.resources.custom.items():
        if any(node.get(name, 0) >= amount for node in nodes):
            continue
        what = f"resources.custom: no node has {amount:g} of {name}"
        if config.address is None:
            raise MollituneError(
                f"{what}; join a cluster that has it (--address), or leave it out"
            )
        console.print(f"{what} yet; trials wait for one", markup=False, soft_wrap=True)


def _start_ray(config: SearchConfig) -> None:
    """Join the cluster of the config, or start Ray on this machine, reachable from it alone."""
    try:
        if config.address is not None:
            _check_reachable(config.address)
            ray.init(address=config.address, log_to_driver=False, logging_level="ERROR")
            return
        loopback = {"_node_ip_address": _LOOPBACK} if sys.platform == "linux" else {}
        ray.init(
            address="local",
            num_cpus=max(1, math.ceil(config.workers * config.resources.cpu)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=_temp_folder(),
            **loopback,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = config.address or "this machine"
        raise MollituneError(
            f"cannot use Ray on {where}: {first_line(error)}; check address, or leave it out to "
            "run here"
        ) from None


def _check_reachable(address: str) -> None:
    """Fail at once where nothing listens; Ray itself would go on trying for minutes.

    Raises:
        OSError: If a connection to ``host:port`` is refused or takes more than 10 s.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _temp_folder() -> str:
    """Return a new folder for Ray's files and sockets, whose paths may have at most 107 bytes.

    It is removed at exit, after Ray has gone.
    """
    parent = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="mt-", dir=parent if len(parent) < 30 else "/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Let SIGINT and SIGTERM end Tune in order; the event tells whether one came.

    Tune handles SIGUSR1 by saving and returning. On SIGINT it would do the same, but does not
    tell that it did, and SIGTERM, which clusters send, would kill it.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def on_signal(number: int, frame: Any) -> None:
        came.set()
        os.kill(os.getpid(), signal.SIGUSR1)

    before = {s: signal.signal(s, on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _metadata(shared: Shared) -> dict[str, Any]:
    splits, extractor = shared.splits, shared.reference.extractor
    packages = ("mollitune", "torch", "ray", "optuna", "torch-fidelity")
    return {
        "name": shared.config.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": shared.config.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, "
        f"{torch.cuda.device_count()} GPUs",
        "dataset": {
            "name": shared.config.dataset,
            "sha256": splits.train.sha256,
            "shape": list(splits.shape),
            **splits.counts(),
        },
        "extractor": {
            "name": extractor.name,
            "sha256": extractor.sha256,
            "resize": extractor.resize,
            "features": extractor.features,
        },
        "evaluation": {name: asdict(plan) for name, plan in shared.plans.items()},
        "params": sorted(parameter_types(f.family for f in shared.config.families)),
    }


def _remove_claim(folder: str) -> None:
    """Give the name back when nothing has run: the folder is still empty."""
    filesystem, path = resolve(folder)
    with contextlib.suppress(OSError):
        filesystem.delete_dir(path)


def _delete(folder: str, name: str) -> None:
    filesystem, path = resolve(folder)
    with contextlib.suppress(OSError):
        filesystem.delete_dir(f"{path}/{name}")


def _shape(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))
