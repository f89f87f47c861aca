"""The command line: ``mollitune space | search | confirm | report | best | train ...``."""

from __future__ import annotations

import random
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command

from mollitune._errors import MollituneError

if TYPE_CHECKING:
    import pandas as pd

    from mollitune.analysis import Results

    from .config import SearchConfig
    from .tune.session import Outcome

# Other packages' deprecations are for their developers, not for the person who searches.
warnings.filterwarnings("ignore", category=FutureWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning)


class _Commands(TyperGroup):
    """All commands; `train` is read when it is asked for, since its options are settings."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), "train"]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name != "train":
            return super().get_command(ctx, cmd_name)
        from .production.command import train

        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command("train")(train)
        return get_command(alone)


app = typer.Typer(
    cls=_Commands,
    help="Find the best data-mollification schedule for a likelihood-based generative model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file, see examples/.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Override keys, e.g. trials=50 fid.samples=500."
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name under the results, or a path.")]
Root = Annotated[str, typer.Option("--results", help="Folder or URI that holds the searches.")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to join, e.g. auto; default: this machine.")
]
Model = Annotated[
    str | None, typer.Option(help="Model; default: the one with the lowest expected FID.")
]


@app.command()
def space(config: Config, overrides: Overrides = None) -> None:
    """Print the search space, sample configurations and the planned cost; run nothing."""
    from .config import load_config
    from .launch.proposals import arms

    search_config = load_config(config, overrides)
    side = _side(search_config.dataset)
    table = Table("family", "parameter", "searched", title=f"space of {search_config.name}")
    for family in search_config.families:
        for name, dimension in family.dimensions(side).items():
            table.add_row(family.family, name, _dimension(dimension))
        for name, value in family.fixed().items():
            table.add_row(family.family, name, f"fixed at {value}")
    console = Console()
    console.print(table)
    console.print("tried first: " + "; ".join(f"{m} {s}" for m, s in arms(search_config, side)))
    rng = random.Random(search_config.seed)
    for family in search_config.families:
        point = {name: d.sample(rng) for name, d in family.dimensions(side).items()}
        console.print(f"for example: {family.schedule(point)}", highlight=False)
    _print_cost(search_config, side, console)


@app.command()
def search(
    config: Config,
    overrides: Overrides = None,
    address: Address = None,
) -> None:
    """Run a search with live progress, then print the winner, its report and its export."""
    from .config import load_config
    from .tune.environment import set_local_token

    extra = [] if address is None else [f"address={address}"]
    search_config = load_config(config, [*(overrides or []), *extra])
    if search_config.address is None:
        set_local_token()

    from .launch.search import run_search

    _finish(run_search(search_config, Console()))


@app.command()
def resume(name: Name, results: Root = "results", address: Address = None) -> None:
    """Go on with a search that was killed or interrupted, as if it had not been."""
    _go_on(name, results, 0, address)


@app.command()
def extend(
    name: Name,
    trials: Annotated[int, typer.Option(help="Trials to add.", min=1)],
    results: Root = "results",
    address: Address = None,
) -> None:
    """Add trials to a search, finished or not."""
    _go_on(name, results, trials, address)


@app.command()
def confirm(
    name: Name,
    top: Annotated[
        int | None,
        typer.Option(help="Recommended schedules of each model; default: config.", min=1),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Fresh seeds per schedule; default: config.", min=2)
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Images behind each FID; default: config.", min=2)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model; default: all of them.")] = None,
    again: Annotated[bool, typer.Option(help="Confirm once more, on other fresh seeds.")] = False,
    results: Root = "results",
    address: Address = None,
) -> None:
    """Re-train the recommended schedules and vanilla on fresh paired seeds, and give a verdict.

    After an interruption the same command goes on.
    """
    folder = _driving(name, results, 0, address)

    from .launch.confirm import Request, confirm_search

    request = Request(top, seeds, samples, model, again)
    outcome = confirm_search(folder, Console(), request, address)
    if outcome is not None:
        _print_end(outcome, "confirm")
    _print_verdict(folder)


@app.command()
def query(
    name: Name, sql: Annotated[str, typer.Argument(metavar="SQL")], results: Root = "results"
) -> None:
    """Run SQL over the tables reports, trials and decisions, also while the search runs."""
    from mollitune.analysis import load_results

    frame = load_results(name, results).sql(sql)
    # a pipe has no width; rows must not be cut to 80 columns there
    _print_frame(frame, Console(width=None if sys.stdout.isatty() else 10_000))


@app.command()
def report(
    name: Name,
    results: Root = "results",
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: report.html.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again until the search has ended.")
    ] = False,
    every: Annotated[float, typer.Option(help="Seconds between two with --watch.", min=1)] = 10,
) -> None:
    """Write one self-contained HTML page about a search."""
    from mollitune.analysis import load_results, watch_report, write_report

    if not watch:
        typer.echo(write_report(load_results(name, results), output))
        return
    try:
        for number, path in enumerate(watch_report(name, results, output, every)):
            if number == 0:
                typer.echo(f"{path}, written again every {every:g} s; stop with Ctrl-C")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    typer.echo(f"{name} has ended")


@app.command()
def best(
    name: Name,
    results: Root = "results",
    model: Model = None,
    export: Annotated[Path | None, typer.Option(help="File for the winning schedule.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the file if it exists.")] = False,
) -> None:
    """Print the best schedule; with --export write it to a file for production training."""
    from mollitune.analysis import export_best, load_results
    from mollitune.analysis.ranking import best as find_best

    loaded = load_results(name, results)
    typer.echo(find_best(loaded, model).sentence)
    if export is not None:
        typer.echo(export_best(loaded, export, model, overwrite=force))


@app.command()
def replay(
    name: Name,
    results: Root = "results",
    model: Annotated[str | None, typer.Option(help="Model; default: the first one.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="Complete runs; default: 3 of 8 of the schedules.", min=1)
    ] = None,
    orders: Annotated[int, typer.Option(help="Random orders per policy.", min=2)] = 50,
    rule: Annotated[
        list[str] | None, typer.Option(help="Also this stopping rule, e.g. module:Class.")
    ] = None,
) -> None:
    """Replay every search policy on the recorded curves of a search, and print its regret."""
    from mollitune.analysis import find_search, load_results

    from .policy.rules import spelled
    from .replay.comparison import compare
    from .replay.recording import record
    from .store.description import read_metadata

    try:
        also = [spelled(each) for each in rule or ()]
    except ValueError as error:
        raise MollituneError(f"--rule: {error}") from None
    loaded = load_results(name, results)
    recording = record(loaded, model or str(loaded.reports["model"].iloc[0]))
    side = max(read_metadata(find_search(name, results))["dataset"]["shape"][1:])
    runs = budget or max(8.0, 3 / 8 * len(recording.schedules))
    console = Console()
    table = Table("policy", "regret", "±", "cost", "schedules", "runs", "stopped")
    with console.status(f"replaying {len(recording.schedules)} schedules of {recording.model}"):
        rows = compare(recording, runs, orders, side, also)
    for row in rows:
        table.add_row(row.name, *[f"{value:.3g}" for value in row.numbers])
    console.print(table)
    console.print(recording.caveat, highlight=False, soft_wrap=True)


def main(args: list[str] | None = None) -> None:
    """Run the command line; a problem that the user can mend is one line and exit code 2."""
    # a model may be a class of the user's own, module:Class, beside where the command is typed
    sys.path.insert(0, str(Path.cwd()))
    try:
        app(args, prog_name="mollitune")
    except MollituneError as error:
        # one line whatever a path or a value holds
        text = "".join(c if c.isprintable() else " " for c in str(error))
        typer.echo(f"mollitune: {text}", err=True)
        raise SystemExit(2) from None


def _go_on(name: str, results: str, more: int, address: str | None) -> None:
    folder = _driving(name, results, more, address)

    from .launch.search import resume_search

    _finish(resume_search(folder, Console(), more, address))


def _driving(name: str, results: str, more: int, address: str | None) -> str:
    """Return the folder of a search that is there; Ray may be imported after this."""
    from mollitune.analysis import find_search

    from .launch.resumed import config_of
    from .store.description import read_metadata
    from .tune.environment import set_local_token

    folder = find_search(name, results)
    if config_of(read_metadata(folder), more, address).address is None:
        set_local_token()
    return folder


def _finish(outcome: Outcome) -> None:
    """Print how a search ended, its recommendation, and write report and export."""
    from mollitune.analysis import load_results
    from mollitune.analysis.ranking import best as find_best

    _print_end(outcome, "resume")
    console = Console()
    results = load_results(outcome.folder)
    for entry in results.metadata["config"]["model"]:
        try:
            sentence = find_best(results, entry["name"]).sentence
        except MollituneError as error:
            sentence = str(error)
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    _write_own_files(results, outcome.folder, console)


def _print_end(outcome: Outcome, go_on: str) -> None:
    """Print how the trials ended; of an interrupted session also how to go on.

    Raises:
        typer.Exit: If it was interrupted.
    """
    from .terminal import duration

    console = Console()
    counts = ", ".join(f"{count} {status}" for status, count in outcome.trials.items())
    console.print(f"{counts} in {duration(outcome.seconds)}", highlight=False)
    if outcome.interrupted:
        console.print(f"interrupted; what was reported is in {outcome.folder}", soft_wrap=True)
        console.print(f"go on with: mollitune {go_on} {outcome.folder}", soft_wrap=True)
        raise typer.Exit(130)


def _print_verdict(folder: str) -> None:
    """Print the verdict of a confirmation, and write it, the report and the export."""
    from mollitune.analysis import load_results, write_verdict

    console = Console()
    results = load_results(folder)
    for verdict in write_verdict(results):
        _print_frame(verdict.table(), console)
        console.print(verdict.sentence, soft_wrap=True, highlight=False, markup=False)
    _write_own_files(results, folder, console)


def _write_own_files(results: Results, folder: str, console: Console) -> None:
    """Write report and export beside the tables of a local search."""
    from mollitune.analysis import export_best, write_report
    from mollitune.analysis.ranking import leaderboard

    if "://" in folder:
        return
    page = write_report(results, Path(folder) / "report.html")
    console.print(f"report:   {page}", soft_wrap=True, highlight=False)
    # of the search itself: an export that somebody made lies where they wanted it
    try:
        exported = str(export_best(results, Path(folder) / "best.json", overwrite=True))
    except MollituneError as error:
        if leaderboard(results).empty:
            raise
        # each model has its ranking, only not both one: no reason to end with an error
        exported = f"not written: {error}"
    console.print(f"schedule: {exported}", soft_wrap=True, highlight=False, markup=False)


def _print_frame(frame: pd.DataFrame, console: Console) -> None:
    # as text: what stands in a table is data, and brackets in it are no markup
    table = Table(box=None, pad_edge=False)
    for column in frame.columns:
        table.add_column(Text(str(column)))
    for row in frame.itertuples(index=False):
        table.add_row(*[Text(_cell(value)) for value in row])
    console.print(table)


def _print_cost(config: SearchConfig, side: int, console: Console) -> None:
    from .launch.proposals import arms, source
    from .replay.cost import plan_cost

    cost = plan_cost(config, list(arms(config, side)), source(config, side))
    console.print(
        f"{config.trials} runs of about {cost.configurations} schedules, {config.workers} at "
        f"once: {cost.full:,} training steps if nothing is stopped, about {cost.expected:,} with "
        f"{config.stopping.policy} ({cost.low:,} to {cost.high:,})",
        highlight=False,
        soft_wrap=True,
    )


def _side(dataset: str) -> int:
    from .data.sources import load_images

    return max(load_images(dataset).shape[1:])


def _dimension(dimension: Any) -> str:
    from mollitune.schedules import Float

    if isinstance(dimension, Float):
        return f"{dimension.low:g} to {dimension.high:g}{', log' if dimension.log else ''}"
    return " | ".join(dimension.options)


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
