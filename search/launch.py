"""Runs a search: prepare data and reference, start Ray, let Tune run the trials, keep a record."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from .rayenv import set_defaults

set_defaults()

import pyarrow as pa  # noqa: E402
import ray  # noqa: E402
from rich.console import Console  # noqa: E402

from mollitune._files import resolve  # noqa: E402

from .cluster import check_custom, start_ray, trial_resources  # noqa: E402
from .config import SearchConfig  # noqa: E402
from .journal import JOURNAL  # noqa: E402
from .lease import Lease  # noqa: E402
from .metadata import config_of, plans_of, read_metadata  # noqa: E402
from .parameters import known_parameters, table_parameters  # noqa: E402
from .patience import wait_seconds  # noqa: E402
from .picture import picture  # noqa: E402
from .planning import plan_evaluations  # noqa: E402
from .prepare import check_unchanged, describe, prepare  # noqa: E402
from .sampler import proposer  # noqa: E402
from .session import Job, Outcome, run_job  # noqa: E402
from .shared import Shared  # noqa: E402
from .store import Store, create_search_folder  # noqa: E402


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
            shared = prepare(config, folder, console)
            start_ray(config)
            check_custom(config, console)
            plans = plan_evaluations(shared, trial_resources(config), console)
            shared = replace(shared, plans=plans)
        except BaseException:
            ray.shutdown()
            _remove_claim(folder)
            raise
        try:
            return run_job(_job(shared, table_parameters(config)), console, wait, lease)
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
        shared = prepare(config, folder, console)
        check_unchanged(metadata, shared)
        shared = replace(shared, plans=plans_of(metadata))
        start_ray(config)
        try:
            check_custom(config, console)
            job = _job(shared, known_parameters(metadata), created=metadata["created"])
            return run_job(job, console, wait, lease)
        finally:
            ray.shutdown()


def _job(shared: Shared, params: Mapping[str, pa.DataType], created: str | None = None) -> Job:
    metadata = {**describe(shared), "params": sorted(params)}
    if created is not None:
        metadata["created"] = created

    def tell(store: Store, status: str, seconds: float) -> None:
        store.write_metadata({**metadata, "status": status, "elapsed_seconds": seconds})
        if status == "running":
            store.write_file("samples/real.png", picture(shared.splits.validation.pixels))

    return Job(
        shared=shared,
        proposer=proposer(shared.config, max(shared.splits.shape[1:])),
        runs=shared.config.trials,
        record=JOURNAL,
        params=params,
        describe=tell,
        go_on=f"mollitune resume {shared.folder}",
    )


def _remove_claim(folder: str) -> None:
    """Give the name back when nothing has run: the folder is still empty."""
    filesystem, path = resolve(folder)
    with contextlib.suppress(OSError):
        filesystem.delete_dir(path)
