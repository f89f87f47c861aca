"""Runs a search: prepare data and reference, start Ray, let Tune run the trials, keep a record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from rich.console import Console

from mollitune._errors import MollituneError
from mollitune._files import below
from mollitune._folder import Folder
from mollitune.analysis.tables import Results, Wanted, earlier_runs, load_results, training_of
from mollitune.analysis.words import count_of
from mollitune.search.config import SearchConfig
from mollitune.search.data.decoding import picture
from mollitune.search.data.images import side_of
from mollitune.search.metrics.extractors.names import COLUMNS, UNLABELLED
from mollitune.search.policy.earlier import Earlier
from mollitune.search.store.description import read_description, read_metadata
from mollitune.search.store.journal import JOURNAL
from mollitune.search.store.lease import Lease
from mollitune.search.store.retry import wait_seconds
from mollitune.search.store.writer import Store, create_search_folder
from mollitune.search.tune.cluster import on_ray
from mollitune.search.tune.context import Context
from mollitune.search.tune.plugged import plugged
from mollitune.search.tune.session import Job, Outcome, run_job

from .planning import plan_evaluations
from .prepare import check_unchanged, describe, prepare
from .proposals import Prior, arms, proposer
from .resumed import config_of, known_parameters, known_prior, plans_of, table_parameters


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
    with Lease(folder) as lease, contextlib.ExitStack() as until_the_end:
        try:
            searches = [load_results(name, config.root) for name in config.prior]
            until_the_end.enter_context(on_ray(config, console, early=True))
            context = prepare(config, folder, console)
            prior = prior_of(searches, context.config, console)
            context = replace(context, plans=plan_evaluations(context, console))
            until_the_end.enter_context(on_ray(config, console))
            job = job_of(context, table_parameters(config), prior)
        except BaseException:
            _remove_claim(folder)
            raise
        return run_job(job, console, wait, lease)


def search_or_resume(config: SearchConfig, console: Console) -> Outcome | None:
    """Run a search, or go on with it if it was begun: the same however often it is called.

    A driver elsewhere that does not show itself any more is waited for.

    Args:
        config: What to search.
        console: Where progress goes.

    Returns:
        How it ended; None if it had ended before.

    Raises:
        MollituneError: As for `run_search` and `resume_search`; or if it was begun with another
            config.
    """
    folder = below(config.root, config.name)
    metadata = read_description(Folder(folder))
    if metadata is None:
        return run_search(config, console)
    check_same(metadata, config, folder)
    if metadata.get("status") in ("finished", "failed"):
        return None
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    return resume_search(folder, console, address=config.address, say=say)


_AS_FOUND = {"address", "epochs", "images", "budgets", "target_epochs", "target_images"}
"""Keys of a config that may stand differently in the description of its search."""


def check_same(metadata: Mapping[str, Any], config: SearchConfig, folder: str) -> None:
    """Refuse to go on with a search as if it were another one.

    Raises:
        MollituneError: If it was begun with another config.
    """
    asked, known = (
        {key: value for key, value in plain.items() if key not in _AS_FOUND}
        for plain in (config.to_dict(), config_of(dict(metadata)).to_dict())
    )
    if known["fid"]["extractor"] in (
        UNLABELLED,
        COLUMNS,
    ):  # what was there for the one that was asked
        known["fid"]["extractor"] = asked["fid"]["extractor"]
    more = asked.pop("trials") - known.pop("trials")  # it may have been extended
    if more > 0:
        raise MollituneError(
            f"{folder} was begun with {more} trials fewer; add them with mollitune extend "
            f"{config.name} --trials {more}"
        )
    for key in asked.keys() & known.keys():
        if asked[key] != known[key]:
            raise MollituneError(
                f"{folder} was begun with another {key}, and a search cannot change on its way; "
                f"choose another name, such as name={config.name}-2"
            )


def resume_search(
    folder: str,
    console: Console,
    more: int = 0,
    address: str | None = None,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """Go on with a search that was killed, interrupted, or finished and is to be extended.

    The policy is brought to where it was from the record; trials that had not ended go on from
    their checkpoints.

    Args:
        folder: The search, a path or URI.
        console: Where progress goes.
        more: Trials beyond those of the config.
        address: Ray cluster to join instead of the config's.
        say: Where it is told that another driver is waited for; by default it is refused.

    Returns:
        How it ended.

    Raises:
        MollituneError: If there is no such search, another driver works on it, nothing is left to
            do, the data or the extractor have changed, or the record is damaged.
    """
    metadata = read_metadata(folder)
    config = config_of(metadata, more, address)
    wait = wait_seconds()
    with Lease(folder, say=say) as lease, on_ray(config, console, early=True):
        context = prepare(config, folder, console)
        check_unchanged(metadata, context)
        context = replace(context, plans=plans_of(metadata))
        with on_ray(config, console):
            known, prior = known_parameters(metadata), known_prior(metadata)
            job = job_of(context, known, prior, metadata["created"])
            return run_job(job, console, wait, lease)


def job_of(
    context: Context,
    params: Mapping[str, pa.DataType],
    prior: Prior,
    created: str | None = None,
    *,
    pictures: bool = True,
) -> Job:
    """Return what a search runs.

    Args:
        context: What all its trials share.
        params: Arrow type of each parameter in the tables.
        prior: What earlier searches have shown, by model.
        created: When it began; None: now.
        pictures: Whether to show real images in the report.
    """
    metadata = {**describe(context), "params": sorted(params)}
    # a copy: what this search has learned from must not change, or go, with the earlier ones
    metadata["prior"] = {name: [one.to_dict() for one in own] for name, own in prior.items()}
    if created is not None:
        metadata["created"] = created

    def tell(store: Store, status: str, seconds: float) -> None:
        store.write_metadata({**metadata, "status": status, "elapsed_seconds": seconds})
        if status == "running" and pictures:
            store.write_file("samples/real.png", picture(context.splits.validation.pixels))

    ladder, side = context.config.ladder, side_of(context.splits.shape)
    foreign = plugged(context.config, side, [*arms(context.config, side)])
    own = None if foreign is None else foreign.proposer
    return Job(
        context=context,
        proposer=proposer(context.config, side, prior) if own is None else own,
        plugged=foreign,
        work=context.config.trials,
        shortest=1.0 if ladder is None else ladder.scales[0],
        record=JOURNAL,
        params=params,
        describe=tell,
        go_on=f"mollitune resume {context.folder}",
    )


def prior_of(
    searches: Sequence[Results], config: SearchConfig, console: Console
) -> dict[str, tuple[Earlier, ...]]:
    """What earlier searches have shown, for each model; says what is taken from each."""
    if not searches:
        return {}
    plain, found = config.to_dict(), {}
    for entry in config.model:
        wanted = Wanted(
            *(entry.name, training_of(plain, entry.name), entry.hyperspace),
            *(config.images_of(entry.name), config.ladder is not None, config.minimised),
        )
        found[entry.name] = earlier_runs(searches, wanted)
        for own in found[entry.name]:
            runs = count_of(sum(map(len, own.values)), "run")
            text = f"prior of {entry.name}: {runs} of {own.model} on {own.dataset} in {own.search}"
            console.print(text, soft_wrap=True, markup=False, highlight=False)
    return found


def _remove_claim(folder: str) -> None:
    """Give the name back when nothing has run: the folder is still empty."""
    with contextlib.suppress(OSError):
        Folder(folder).delete()
