"""Confirms what a search recommends: fresh paired seeds, full budgets, test images."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from rich.console import Console

from mollitune._errors import MollituneError
from mollitune.analysis import Results, load_results
from mollitune.analysis.confirmation import (
    clearly_out,
    dropped_before,
    level_of,
    power_sentence,
)
from mollitune.analysis.ranking import finalists, same, tried
from mollitune.schedules import build
from mollitune.search.config import MAX_STEPS, SearchConfig, StoppingConfig
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.confirmation import Confirmation
from mollitune.search.policy.hyperspace import Hyperspace
from mollitune.search.policy.ladder import scales_of
from mollitune.search.policy.space import FamilySpace
from mollitune.search.store.confirmation_file import SEEDS_APART, Contestant, Description, latest
from mollitune.search.store.description import CONFIRMATIONS, confirmation_name, read_metadata
from mollitune.search.store.lease import Lease
from mollitune.search.store.retry import wait_seconds
from mollitune.search.store.schema import CONFIRM_TRIALS
from mollitune.search.store.writer import Store
from mollitune.search.tune.cluster import on_ray
from mollitune.search.tune.context import Context
from mollitune.search.tune.session import Job, Outcome, run_job

from .controls import constant
from .prepare import check_unchanged, describe, prepare
from .resumed import PAPER, config_of, known_parameters, plans_of

SHORTEST = 1 / 20
"""Share of the search's length below which a budget is taken for a multiple by mistake."""
EVALUATIONS = 3
"""Most evaluations per run, unless the best counts: they rest on many samples."""


@dataclass(frozen=True)
class Request:
    """What is asked of a confirmation; None: as the search's config says.

    Arguments:
        top: How many recommended schedules of each model.
        seeds: Fresh seeds per schedule.
        samples: Generated images behind each FID.
        model: Only this model.
        again: Whether to confirm once more, on other seeds, what is confirmed already.
        anytime: Whether the verdict is to hold whenever somebody looks at it.
        budgets: How long to train, rising: in what the search counts, or if they begin with 1 in
            multiples of its length.
        controls: Whether to train constant noise of the same mean level beside each schedule.
    """

    top: int | None = None
    seeds: int | None = None
    samples: int | None = None
    model: str | None = None
    again: bool = False
    budgets: Sequence[float] | None = None
    anytime: bool = False
    controls: bool = False


def confirm_search(
    folder: str, console: Console, request: Request, address: str | None = None
) -> Outcome | None:
    """Train finalists, vanilla and the paper's default on fresh seeds, or go on with that.

    Args:
        folder: The search, a path or URI.
        console: Where progress goes.
        request: What is asked.
        address: Ray cluster to join instead of the config's.

    Returns:
        How it ended; None if the search is confirmed already.

    Raises:
        MollituneError: If there is no such search, another driver works on it, nothing can be
            confirmed, a confirmation that goes on is asked to be another one, or as for
            `resume_search`.
    """
    metadata = read_metadata(folder)
    config = config_of(metadata, 0, address)
    scales = _scales(config, request.budgets)
    wait = wait_seconds()
    with Lease(folder) as lease, contextlib.ExitStack() as until_the_end:
        previous = latest(folder)
        begun = None if previous is None or previous.status == "finished" else previous
        if previous is not None and (begun or not request.again):
            _check_same(previous, request, scales)
            if begun is None:
                return None
        samples = begun.fid_samples if begun else request.samples or config.confirm.samples
        until_the_end.enter_context(on_ray(config, console, early=True))
        context = prepare(_to_the_end(config, samples), folder, console, reference="test")
        check_unchanged(metadata, context)
        results = load_results(folder)
        plan = begun or _plan(results, metadata, context, request, scales, previous)
        context = replace(
            context,
            plans={
                model: replace(
                    plans_of(metadata)[model], every=every, samples=plan.fid_samples, share=None
                )
                for model, every in plan.every.items()
            },
            stage="confirm",
        )
        for line in _announced(results, plan, context.config):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        until_the_end.enter_context(on_ray(config, console))
        return run_job(_job(context, plan, metadata), console, wait, lease)


def _to_the_end(config: SearchConfig, samples: int) -> SearchConfig:
    """Return the config of a search without early stopping, with so many samples behind FID."""
    fid = config.fid.model_copy(update={"samples": samples})
    return config.model_copy(update={"fid": fid, "stopping": StoppingConfig(policy="none")})


def _scales(config: SearchConfig, budgets: Sequence[float] | None) -> tuple[float, ...]:
    """Return budgets as multiples of a search's own length; None: those of its config.

    Raises:
        MollituneError: If they do not rise, or a model cannot train so long.
    """
    if budgets is None:
        return (1.0,) if config.ladder is None else config.ladder.scales
    told = f"--budgets {_spaced(budgets)}"
    try:
        scales = scales_of(float(getattr(config, config.unit)), budgets)
    except ValueError as error:
        raise MollituneError(f"{told}: {error}") from None
    if scales[0] < SHORTEST:
        raise MollituneError(
            f"{told}: {budgets[0]:g} {config.unit} are less than a {1 / SHORTEST:.0f}th of what "
            f"the search trained; budgets are in {config.unit}, or multiples if the first is 1: "
            f"--budgets 1 {_spaced(budgets)}"
        )
    for model in (entry.name for entry in config.model):
        for scale in scales:
            if not 2 <= (steps := scale * config.steps_of(model)) <= MAX_STEPS:
                raise MollituneError(
                    f"{told}: {model} would train {steps:,.4g} steps, and 2 to {MAX_STEPS:,} are "
                    f"allowed; budgets are {config.unit}, or multiples if the first is 1"
                )
    return scales


def _spaced(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.10g}" for number in numbers)


def _check_same(known: Description, request: Request, scales: tuple[float, ...]) -> None:
    """Refuse to go on with a confirmation as if it were another one.

    Raises:
        MollituneError: If what is asked differs from what was begun.
    """
    asked = {
        "top": (request.top, known.top),
        "seeds": (request.seeds, known.seeds),
        "samples": (request.samples, known.fid_samples),
        "budgets": (request.budgets and _spaced(scales), _spaced(known.budgets)),
        "anytime": (request.anytime or None, known.anytime),
        "controls": (request.controls or None, known.controls),
    }
    for name, (wanted, found) in asked.items():
        if wanted is not None and wanted != found:
            was = f"with --{name} {found}, not {wanted}" if found else f"without --{name}"
            raise MollituneError(
                f"confirmation {known.number} was begun {was}: seeds, budgets and schedules are "
                f"fixed before the first run; {_way_out(known)}"
            )
    if request.model is not None and set(known.arms) != {request.model}:
        raise MollituneError(
            f"confirmation {known.number} is of {', '.join(known.arms)}; {_way_out(known)}"
        )


def _way_out(known: Description) -> str:
    if known.status == "finished":
        return "add --again to confirm once more, on further fresh seeds"
    return "finish it first, without these options"


def _plan(
    results: Results,
    metadata: dict[str, Any],
    context: Context,
    request: Request,
    scales: tuple[float, ...],
    previous: Description | None,
) -> Description:
    """Fix everything of a new confirmation before its first run."""
    number = 1 if previous is None else previous.number + 1
    config = context.config
    names = [entry.name for entry in config.model]
    if request.model is not None and request.model not in names:
        raise MollituneError(
            f"the search has no model {request.model!r}; it has: {', '.join(names)}"
        )
    models = [name for name in names if request.model in (None, name)]
    top = request.top or config.confirm.top
    own, new = describe(context), count(number * CONFIRM_TRIALS)
    paper = "tau" in metadata["params"]
    if request.controls and not {"peak", "floor"} <= set(metadata["params"]):
        raise MollituneError(
            "--controls: the tables of this search, of an early version, have no columns for them"
        )
    return Description(
        number=number,
        top=top,
        seeds=request.seeds or config.confirm.seeds,
        budgets=scales,
        first_seed=config.seed + number * SEEDS_APART,
        fid_samples=config.fid.samples,
        level=_level(number, previous, request.anytime),
        anytime=request.anytime,
        controls=request.controls,
        reference=context.reference.split,
        reference_size=context.reference.count,
        steps={name: config.steps_of(name) for name in models},
        every={name: _every(metadata["evaluation"][name]["every"], config) for name in models},
        arms={
            entry.name: list(
                _contestants(
                    results,
                    entry.name,
                    _arms(
                        results,
                        entry.name,
                        entry.hyperspace,
                        top,
                        paper,
                        controls=request.controls,
                    ),
                    scales,
                    new,
                    number,
                )
            )
            for entry in config.model
            if entry.name in models
        },
        created=own["created"],
        versions=own["versions"],
        machine=own["machine"],
    )


def _every(searched: float, config: SearchConfig) -> float:
    """Return the share of the training between two evaluations."""
    # the best of few evaluations is not that of many
    return searched if config.fid.final.best else max(searched, 1 / EVALUATIONS)


def _arms(
    results: Results,
    model: str,
    space: Hyperspace,
    top: int,
    paper: bool,
    *,
    controls: bool = False,
) -> list[Configuration]:
    """Return what is confirmed of a model: the baseline first, every configuration once.

    The baseline is the best vanilla that the search has found. After it come the paper's default,
    the finalists and, where hyperparameters were searched, vanilla at those of each finalist: that
    the schedule is what helps, and not the learning rate that came with it.

    Arguments:
        results: Results of the search.
        model: Name of the model.
        space: The hyperparameters that were searched.
        top: How many finalists.
        paper: Whether the tables have room for the paper's default.
        controls: Whether each finalist has constant noise beside it.
    """
    vanilla, first = build("vanilla"), space.first
    plain = finalists(results, model, 1, vanilla=True)
    found = [finalist.configuration for finalist in finalists(results, model, top)]
    default = [Configuration(FamilySpace(PAPER).default(0), first)] if paper else []
    baseline = plain[0].configuration if plain else Configuration(vanilla, first)
    twins = [Configuration(vanilla, own.settings) for own in (*default, *found) if own.settings]
    beside = [
        Configuration(control, own.settings)
        for own in (found if controls else [])
        if (control := constant(own.schedule)) is not None
    ]
    arms: list[Configuration] = []
    for own in (baseline, *default, *found, *beside, *twins):
        if not any(same(own, arm) for arm in arms):
            arms.append(own)
    return arms


def _contestants(
    results: Results,
    model: str,
    arms: Sequence[Configuration],
    scales: Sequence[float],
    new: Iterator[int],
    number: int,
) -> Iterator[Contestant]:
    """Yield the arms of a model at each budget, with the numbers that the search knows them by.

    Arguments:
        results: Results of the search.
        model: Name of the model.
        arms: Its configurations.
        scales: The budgets.
        new: Numbers for what the search did not try.
        number: Number of the confirmation.
    """
    known: set[int] = set()
    for scale in scales:
        gone = dropped_before(results, number, model, scale)
        for own in _left([arm.at(scale) for arm in arms], gone):
            found = tried(results, model, own)
            chosen = next(new) if found is None or found in known else found
            known.add(chosen)
            yield Contestant(configuration=chosen, **own.to_dict())


def _left(
    arms: Sequence[Configuration], gone: AbstractSet[Configuration]
) -> Sequence[Configuration]:
    """Return the arms without those that were dropped before, unless none but vanilla is left."""
    schedules = [own for own in arms if not own.is_vanilla and own not in gone]
    needed = {own.settings for own in schedules}
    if not schedules:
        return arms
    return [
        own
        for i, own in enumerate(arms)
        if i == 0 or (own.settings in needed if own.is_vanilla else own in schedules)
    ]


def _level(number: int, previous: Description | None, anytime: bool) -> float:
    """Return the level of a new confirmation; one at any time goes on with that of another."""
    if anytime and previous is not None and previous.anytime:
        return previous.level
    return level_of(number)


def _announced(results: Results, plan: Description, config: SearchConfig) -> Iterator[str]:
    """Say what is trained, and which differences that many seeds will find."""
    for model, arms in plan.arms.items():
        of_each = Counter(arm.scale for arm in arms)
        shortest = [arm.candidate().configuration for arm in arms if arm.scale == arms[0].scale]
        lengths = {scale: config.length_of(model, scale) for scale in of_each}
        each = f", {' '.join(lengths.values())} each"
        if len(lengths) > 1:
            each = f" at {len(lengths)} budgets ({', '.join(lengths.values())})"
        judged = f"{results.objective.title} on {plan.fid_samples:,} samples"
        if results.objective.column in ("bpd", "nll"):
            judged = f"{results.objective.title} of test data"
        yield (
            f"confirmation {plan.number} of {model}: {len(shortest)} configurations x "
            f"{plan.seeds} fresh seeds{each}, {judged}: "
            f"{'; '.join(str(own.at(1)) for own in shortest)}"
        )
        if len(lengths) > 1:
            yield _cost(model, of_each, plan.seeds, config)
        if plan.controls:
            yield (
                f"{model}: constant noise, peak=floor, is a control: what gains as much as a "
                "schedule beside it does not need annealing"
            )
        if plan.number > 1:
            yield (
                f"{model}: what was dropped before stays out; the seeds before count, too, where "
                f"they have all these schedules; verdicts of this one hold with "
                f"{100 * plan.level:.4g} %, those of all confirmations with 95 %"
            )
        yield power_sentence(results, model, len(shortest) - 1, plan.seeds, plan.level)


def _cost(model: str, of_each: Mapping[float, int], seeds: int, config: SearchConfig) -> str:
    """Say what the budgets cost if no arm is dropped."""
    parts = {scale: config.length_of(model, seeds * n * scale) for scale, n in of_each.items()}
    told = ", ".join(
        f"{seeds * of_each[scale]} runs of {config.length_of(model, scale)} are {part}"
        for scale, part in parts.items()
    )
    total = config.length_of(model, seeds * sum(scale * n for scale, n in of_each.items()))
    return f"{model}: at most {total} in all; {told}"


def _job(context: Context, plan: Description, metadata: dict[str, Any]) -> Job:
    def tell(store: Store, status: str, seconds: float) -> None:
        status = "finished" if status == "failed" else status  # nothing is left to go on with
        told = plan.model_copy(update={"status": status, "elapsed_seconds": seconds})
        store.write_file(confirmation_name(plan.number), told.model_dump_json(indent=2).encode())

    return Job(
        context=context,
        proposer=Confirmation(
            {model: [arm.candidate() for arm in arms] for model, arms in plan.arms.items()},
            plan.seeds,
            plan.first_seed,
            plan.first_trial,
            partial(clearly_out, level=plan.level, anytime=plan.anytime),
        ),
        work=plan.work,
        shortest=min(plan.budgets),
        record=f"{CONFIRMATIONS}/{plan.number}",
        params=known_parameters(metadata),
        describe=tell,
        go_on=f"mollitune confirm {context.folder}",
    )
