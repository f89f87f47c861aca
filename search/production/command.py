"""The command ``mollitune train``: its options, and what it prints."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from mollitune._console import TextConsole

from .options import AS_SEARCHED, with_settings

if TYPE_CHECKING:
    from .settings import ScheduleSource, TrainSettings
    from .train import Trained


@with_settings
def train(
    schedule: Annotated[
        str, typer.Option(help="File of mollitune best --export, or a family, e.g. vanilla.")
    ],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="More of --hparams.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"Model, or module:Class; {AS_SEARCHED}.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help=f"Images, as in a config; {AS_SEARCHED}.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help=f"Training steps; {AS_SEARCHED}.")] = None,
    hparams: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE...", help="Arguments of the model, over the preset's."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights, batches and noise; default: 0.")
    ] = None,
    extractor: Annotated[
        str | None, typer.Option(help=f"Network behind the FID; {AS_SEARCHED}, or lenet.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights file of the extractor inception-v3-compat.")
    ] = None,
    fid_samples: Annotated[
        int | None, typer.Option(help=f"Images per FID; {AS_SEARCHED}, or 10000.")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="Evaluations on the way; default: 10.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(help=f"Weights to keep, last or best by validation data; {AS_SEARCHED}."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Folder or URI of the training; default: runs/MODEL-DATASET-FAMILY."),
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Least time between two checkpoints.", min=0)
    ] = 60.0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile the training step: takes a minute, then steps are faster."
        ),
    ] = False,
    **settings: Any,
) -> None:
    """Train a model at production budget; the same command again resumes.

    The schedule lives on progress, so one that was found on a short budget applies to any. What
    is not given is as in the search that the schedule comes from.
    """
    from .settings import parse_hparams, read_schedule, settle
    from .train import train as run

    source = read_schedule(schedule)
    asked: dict[str, Any] = {
        **{"model": model, "dataset": dataset, "steps": steps, **settings},
        **{"hparams": parse_hparams([*(hparams or []), *(more or [])]) or None, "seed": seed},
        **{"extractor": extractor, "fid_samples": fid_samples, "evaluations": evaluations},
        "keep": keep,
    }
    settled = settle(source, asked)
    folder = output or settled.folder(source.schedule)
    console = TextConsole()
    _introduce(source, settled, folder, steps is None, console)
    ended = run(
        source,
        settled,
        folder,
        console,
        weights=weights,
        checkpoint_seconds=checkpoint_seconds,
        device=device,
        compiled=compiled,
    )
    _conclude(ended, console)


def _introduce(
    source: ScheduleSource, settings: TrainSettings, folder: str, searched: bool, console: Console
) -> None:
    verdict = source.document.get("verdict")
    if isinstance(verdict, dict) and "sentence" in verdict:
        _say(console, f"verdict: {verdict['sentence']}")
    elif source.provenance:
        _say(console, f"schedule of {source.name}: {source.provenance.get('note', 'of a search')}")
    from .settings import beyond

    if warning := beyond(source, settings):
        _say(console, f"warning: {warning}")
    if searched:
        _say(console, f"{settings.steps:,} steps as in the search; use --steps to train longer")
    _say(console, f"folder: {folder}")


def _conclude(ended: Trained, console: Console) -> None:
    if ended.status == "interrupted":
        _say(console, f"interrupted at step {ended.step:,}; a checkpoint is in {ended.folder}")
        _say(console, f"resume with: {shlex.join(['mollitune', *sys.argv[1:]])}")
        raise typer.Exit(130)
    if ended.before:
        _say(console, f"{ended.folder} is finished already; nothing was changed")
    result = ended.result or {}
    _say(
        console,
        f"FID {_fid(result.get('fid'))} against {result.get('fid_reference_size'):,} "
        f"{result.get('fid_reference')} images ({result.get('fid_samples'):,} samples), "
        f"{_number(result.get('bpd'))} bits per dim, after {ended.step:,} steps",
    )
    _say(console, f"model:  {ended.folder}/model.pt, with its settings in train.json")
    _say(console, f"load:   mollitune.search.load_model({ended.folder!r})")


def _fid(value: float | None) -> str:
    from mollitune.analysis.words import fid_text

    return "not finite" if value is None else fid_text(value)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
