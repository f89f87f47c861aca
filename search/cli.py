"""The command line: ``mollitune space | search | confirm | report | best | train ...``."""

from __future__ import annotations

import math
import random
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command

from mollitune._console import TextConsole
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
    pretty_exceptions_enable=False,
)

Config = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG", help="YAML file, see examples/; or images: folder:PATH, parquet:FILE ..."
    ),
]
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
    """Print the search space, sample configurations and the cost; time a few steps only."""
    from .data.images import side_of
    from .launch.proposals import arms
    from .policy.configuration import Configuration
    from .policy.dimensions import in_words

    search_config, shape = _checked(config, overrides or [])
    if shape is None:
        from .config import check_models
        from .data.sources import load_images

        shape = load_images(search_config.dataset).shape
        check_models(search_config, shape)
    side = side_of(shape)
    table = Table("of", "parameter", "searched", title=f"space of {search_config.name}")
    for entry in search_config.model:
        for name, found in entry.hyperspace.dimensions.items():
            table.add_row(entry.name, name, in_words(found))
    for family in search_config.families:
        for name, dimension in family.dimensions(side).items():
            table.add_row(family.family, name, in_words(dimension))
        for name, value in family.fixed().items():
            table.add_row(family.family, name, f"fixed at {value}")
    console = TextConsole()
    console.print(table)
    first = "; ".join(f"{model} {own}" for model, own in arms(search_config, side))
    console.print(f"tried first: {first}", markup=False)
    rng = random.Random(search_config.seed)
    for family in search_config.families:
        point = {name: d.sample(rng) for name, d in family.dimensions(side).items()}
        settings = search_config.model[0].hyperspace.draw(rng)
        example = Configuration(family.schedule(point), settings)
        console.print(f"for example: {example}", highlight=False, markup=False)
    _print_cost(search_config, side, console)


@app.command()
def search(
    config: Config,
    overrides: Overrides = None,
    address: Address = None,
    or_resume: Annotated[
        bool, typer.Option("--or-resume", help="If it was begun, go on with it; may be repeated.")
    ] = False,
) -> None:
    """Run a search with live progress, then print the winner, its report and its export."""
    extra = [] if address is None else [f"address={address}"]
    with TextConsole().status("checking the config"):  # torch is loaded for that
        search_config, _ = _checked(config, [*(overrides or []), *extra])

    console = TextConsole()
    with console.status("loading Ray"):  # nothing of ours can be shown for seconds
        from .launch.search import run_search, search_or_resume

    run = search_or_resume if or_resume else run_search
    outcome = run(search_config, console)
    if outcome is None:
        from mollitune.analysis import load_results

        folder = f"{search_config.root.rstrip('/')}/{search_config.name}"
        console.print(f"{folder} has ended already", soft_wrap=True, highlight=False)
        _conclude(folder, failed=load_results(folder).metadata["status"] == "failed")
        return
    _finish(outcome)


@app.command()
def resume(name: Name, results: Root = "results", address: Address = None) -> None:
    """Resume a search that was killed or interrupted, as if nothing had happened."""
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
    again: Annotated[
        bool, typer.Option(help="Confirm once more, on further fresh seeds; those before count.")
    ] = False,
    anytime: Annotated[
        bool, typer.Option(help="Let the verdict hold whenever you look; takes more seeds.")
    ] = False,
    controls: Annotated[
        bool,
        typer.Option(help="Train constant noise of the same mean level beside each schedule."),
    ] = False,
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER...",
            help="Lengths to train, such as 1 4 16: multiples of the search's, or in what it "
            "counts in; default: config.",
        ),
    ] = None,
    others: Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)] = None,
    results: Root = "results",
    address: Address = None,
) -> None:
    """Re-train the recommended schedules and vanilla on fresh paired seeds, and give a verdict.

    With several budgets, each has a verdict. After an interruption the same command goes on.
    """
    name, lengths = _name_and_budgets([name, *(others or [])], budgets)
    folder = _driving(name, results, 0, address)

    from .launch.confirm import Request, confirm_search

    request = Request(top, seeds, samples, model, again, lengths, anytime, controls)
    outcome = confirm_search(folder, TextConsole(), request, address)
    if outcome is not None:
        _print_end(outcome, "confirm")
        if outcome.status == "failed":
            raise typer.Exit(1)

    from .terminal import asked_to_stop

    with asked_to_stop():  # all runs have ended: the verdict is told before anything else
        _print_verdict(folder)


@app.command()
def query(
    name: Name,
    sql: Annotated[str, typer.Argument(metavar="SQL")],
    results: Root = "results",
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list of the rows.")] = False,
) -> None:
    """Run SQL over the tables reports, trials and decisions, also while the search runs."""
    from mollitune.analysis import load_results

    if csv and json:
        raise MollituneError("--csv and --json exclude each other; give one of them")
    frame = load_results(name, results).sql(sql)
    if csv:
        typer.echo(frame.to_csv(index=False), nl=False)
    elif json:
        frame.columns = _distinct(frame.columns)
        typer.echo(frame.to_json(orient="records", date_format="iso", double_precision=15))
    else:
        # a pipe has no width; rows must not be cut to 80 columns there
        console = TextConsole(width=None if sys.stdout.isatty() else 10_000)
        for part in _side_by_side(frame, console.width):
            _print_frame(part, console)


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
    every: Annotated[
        float, typer.Option(help="Seconds between two reports with --watch.", min=1)
    ] = 10,
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
    from mollitune.analysis.ranking import prior_lines

    loaded = load_results(name, results)
    found = find_best(loaded, model)
    typer.echo(found.sentence)
    for line in prior_lines(loaded, found.model):
        typer.echo(line)
    _print_trends(loaded, found.model, with_winners=found.budgets > 1)
    if export is not None:
        typer.echo(export_best(loaded, export, model, overwrite=force))


@app.command()
def replay(
    name: Name,
    results: Root = "results",
    model: Annotated[str | None, typer.Option(help="Model; default: the first one.")] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Budget in complete runs; default: 3/8 of the number of configurations.", min=1
        ),
    ] = None,
    orders: Annotated[int, typer.Option(help="Random orders per policy.", min=2)] = 50,
    rule: Annotated[
        list[str] | None, typer.Option(help="Replay this stopping rule too, e.g. module:Class.")
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(help="Replay the default with this earlier search as its prior, too."),
    ] = None,
) -> None:
    """Replay every search policy on the recorded curves of a search, and print its regret."""
    from mollitune.analysis import find_search, load_results

    from .policy.rules import spelled
    from .replay.comparison import compare
    from .replay.recording import prior_of, record
    from .store.description import read_metadata

    try:
        also = [spelled(each) for each in rule or ()]
    except ValueError as error:
        raise MollituneError(f"--rule: {error}") from None
    loaded = load_results(name, results)
    recording = record(loaded, model or str(loaded.reports["model"].iloc[0]))
    data = loaded.metadata.get("dataset")
    if not isinstance(data, dict) or not isinstance(data.get("shape"), list):
        data = read_metadata(find_search(name, results))["dataset"]  # which says what is damaged
    side = max(data["shape"][1:])
    runs = budget or max(8.0, 3 / 8 * len(recording.schedules))
    console = TextConsole()
    table = Table("policy", "regret", "±", "cost", "configurations", "runs", "stopped")
    with console.status(
        f"replaying {len(recording.schedules)} configurations of {recording.model}"
    ):
        earlier = prior_of(
            [load_results(each, results) for each in prior or ()], loaded, recording
        )
        rows = compare(recording, runs, orders, side, also, earlier)
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


def _checked(path: str, overrides: list[str]) -> tuple[SearchConfig, tuple[int, ...] | None]:
    """Return a config and the shape of its images, or None if they must be read for that.

    What can be checked without reading them is, before Ray is imported, which takes seconds.
    """
    from .config import check_models, check_names, load_config
    from .data.sources import known_shape

    config = load_config(path, overrides)
    check_names(config, path)
    shape = known_shape(config.dataset)
    check_models(config, shape)
    return config, shape


def _name_and_budgets(words: list[str], first: str | None) -> tuple[str, list[float] | None]:
    """Return NAME and the numbers of ``--budgets``, of which only the first one came with it.

    Raises:
        MollituneError: If there is anything else.
    """
    name, *others = words
    if first is None:
        if others:
            raise MollituneError(f"too many words: {' '.join(others)}; one NAME is confirmed")
        return name, None
    if _number(name) is not None and _number(others[-1] if others else first) is None:
        *others, name = [name, *others]  # it stands behind them
    told = [first, *others]
    numbers = [number for word in told if (number := _number(word)) is not None]
    if len(numbers) < len(told):
        raise MollituneError(f"--budgets {' '.join(told)}: give numbers, such as --budgets 1 4 16")
    return name, numbers


def _number(word: str) -> float | None:
    try:
        found = float(word)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _go_on(name: str, results: str, more: int, address: str | None) -> None:
    folder = _driving(name, results, more, address)

    from .launch.search import resume_search

    _finish(resume_search(folder, TextConsole(), more, address))


def _driving(name: str, results: str, more: int, address: str | None) -> str:
    """Return the folder of a search that is there, and whose config is one of this version."""
    from mollitune.analysis import find_search

    from .launch.resumed import config_of
    from .store.description import read_metadata

    folder = find_search(name, results)
    config_of(read_metadata(folder), more, address)
    return folder


def _finish(outcome: Outcome) -> None:
    """Print how a search ended, its recommendation, and write report and export."""
    from .terminal import asked_to_stop

    _print_end(outcome, "resume")
    with asked_to_stop():  # all trials have ended: what came out is told before anything else
        _conclude(outcome.folder, failed=outcome.status == "failed")


def _conclude(folder: str, *, failed: bool) -> None:
    from mollitune.analysis import load_results
    from mollitune.analysis.ranking import best as find_best
    from mollitune.analysis.ranking import summary

    console = TextConsole()
    results = load_results(folder)
    if failed:
        _write_own_report(results, folder, console)
        raise typer.Exit(1)
    _print_frame(summary(results), console)
    for entry in results.metadata["config"]["model"]:
        try:
            sentence = find_best(results, entry["name"]).sentence
        except MollituneError as error:
            sentence = str(error)
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    _write_own_files(results, folder, console)
    _print_next(console, f"mollitune confirm {_typed(folder)}")


def _typed(folder: str) -> str:
    """Return what to type for a search: its name, where names are looked for."""
    parent, _, name = folder.rpartition("/")
    return shlex.quote(name if parent == "results" else folder)


def _print_next(console: Console, command: str) -> None:
    console.print(f"next:     {command}", soft_wrap=True, highlight=False, markup=False)


def _print_end(outcome: Outcome, go_on: str) -> None:
    """Print how the trials ended; of an interrupted session also how to go on.

    Raises:
        typer.Exit: If it was interrupted.
    """
    from .terminal import duration

    console = TextConsole()
    counts = ", ".join(f"{count} {status}" for status, count in outcome.trials.items())
    console.print(f"{counts} in {duration(outcome.seconds)}", highlight=False)
    if outcome.interrupted:
        console.print(
            f"Interrupted. Everything reported so far is in {outcome.folder}", soft_wrap=True
        )
        _print_next(console, f"mollitune {go_on} {_typed(outcome.folder)}")
        raise typer.Exit(130)


def _print_verdict(folder: str) -> None:
    """Print the verdict of a confirmation, and write it, the report and the export."""
    from mollitune.analysis import load_results, write_verdict

    console = TextConsole()
    results = load_results(folder)
    found = write_verdict(results)
    for verdict in found:
        if verdict.ladder:
            console.print(f"{verdict.where}:", soft_wrap=True, highlight=False, markup=False)
        _print_frame(verdict.table(), console)
        for text in filter(None, (verdict.sentence, verdict.also)):
            console.print(text, soft_wrap=True, highlight=False, markup=False)
    _print_trends(results)
    _write_own_files(results, folder, console)
    for model in dict.fromkeys(verdict.model for verdict in found):
        file = _file_name(model)
        which = f"--model {shlex.quote(model)} --export {file}"
        _print_next(console, f"mollitune best {_typed(folder)} {which}")
        _print_next(console, f"mollitune train --schedule {file}")


def _print_trends(results: Results, model: str | None = None, with_winners: bool = False) -> None:
    """Print what is known of other budgets, where several were measured or a target is named."""
    from mollitune.analysis import trends
    from mollitune.analysis.ranking import per_budget

    for known in trends(results, model):
        lines = [*(per_budget(results, known.model) if with_winners else ()), *known.sentences]
        if known.extrapolation is not None:
            lines.append(f"warning: {known.extrapolation}")
        for line in lines:
            typer.echo(line)


def _write_own_files(results: Results, folder: str, console: Console) -> None:
    """Write report and export beside the tables of a local search."""
    from mollitune.analysis import export_best
    from mollitune.analysis.ranking import leaderboard

    if "://" in folder:
        return
    _write_own_report(results, folder, console)
    models = [entry["name"] for entry in results.metadata["config"]["model"]]
    # of the search itself: an export that somebody made lies where they wanted it
    files = {f"best-{_file_name(name)}": name for name in models if len(models) > 1}
    for file, name in {"best.json": None, **files}.items():
        try:
            exported = str(export_best(results, Path(folder) / file, name, overwrite=True))
        except MollituneError as error:
            if leaderboard(results).empty:
                raise
            exported = f"{file} not written: {error}"
        console.print(f"schedule: {exported}", soft_wrap=True, highlight=False, markup=False)


def _file_name(model: str) -> str:
    return f"{model.rpartition(':')[2]}.json"


_NARROW = 20  # characters to which a long cell may be folded
_LEAST_TEXT = 16  # ... and what it keeps where a table has no room


def _least_width(name: object, cells: list[str]) -> int:
    """The width to which a column of a table may shrink."""
    return max(len(str(name)), min(max(map(len, cells), default=0), _NARROW))


def _side_by_side(frame: pd.DataFrame, width: int) -> Iterator[pd.DataFrame]:
    """The columns that fit beside each other, then the next ones: below, as nothing is cropped."""
    first, used = 0, 0
    for i, name in enumerate(frame.columns):
        own = _least_width(name, list(map(_cell, frame.iloc[:, i]))) + 2  # two between columns
        if i > first and used + own > width + 2:
            yield frame.iloc[:, first:i]
            first, used = i, 0
        used += own
    yield frame.iloc[:, first:]


def _distinct(names: Iterable[object]) -> list[str]:
    """Names of which none stands twice, which JSON cannot have."""
    found: list[str] = []
    for name in map(str, names):
        number = found.count(name)
        found.append(f"{name}_{number}" if number else name)
    return found


def _write_own_report(results: Results, folder: str, console: Console) -> None:
    from mollitune.analysis import write_report

    if "://" not in folder:
        page = write_report(results, Path(folder) / "report.html")
        console.print(f"report:   {page}", soft_wrap=True, highlight=False)


def _print_frame(frame: pd.DataFrame, console: Console) -> None:
    # as text: what stands in a table is data, and brackets in it are no markup
    table = Table(box=None, pad_edge=False)
    columns = [list(map(_cell, frame.iloc[:, i])) for i in range(len(frame.columns))]
    for name, cells in zip(frame.columns, columns, strict=True):
        short = max(map(len, cells), default=0) <= _least_width(name, cells)
        # else many short columns would leave a schedule no room at all
        least = 0 if short else min(_LEAST_TEXT, max(map(len, cells)))
        table.add_column(Text(str(name)), overflow="fold", no_wrap=short, min_width=least)
    for row in zip(*columns, strict=True):
        table.add_row(*map(Text, row))
    if not console.is_terminal:  # in a pipe or a file a row stays one line
        width = console.measure(table, options=console.options.update(max_width=10_000)).maximum
        console = Console(file=console.file, width=max(width, console.width))
    console.print(table)


def _print_cost(config: SearchConfig, side: int, console: Console) -> None:
    from .data.torchvision_sets import TORCHVISION
    from .launch.cost import plan_cost
    from .launch.planning import measure_cost

    if config.dataset.partition(":")[0] not in TORCHVISION:
        measure_cost(config, console)
        return
    if config.epochs is not None:
        console.print("cost: told once the images are here, and with them the steps of an epoch")
        return
    cost = plan_cost(config, side)
    text = f"cost: {cost.low:,} to {cost.high:,} training steps"
    console.print(f"{text}; once the images are here, minutes are told, too", highlight=False)


def _cell(value: object) -> str:
    if not isinstance(value, str) and str(value) in ("None", "nan", "NaT", "<NA>"):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
