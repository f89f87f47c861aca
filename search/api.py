"""Searching from Python: what the command line does, with objects in place of names and files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from mollitune._console import TextConsole
from mollitune._errors import MollituneError
from mollitune._files import below
from mollitune._folder import Folder
from mollitune._own import name_of
from mollitune.analysis import (
    Best,
    Results,
    Verdict,
    best,
    export_best,
    figures,
    load_results,
    verdicts,
    write_report,
    write_verdict,
)
from mollitune.schedules import families

from .config import check_models, check_names, checked_config, raw_config
from .data.given import give
from .data.sources import known_shape

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .launch.told import Asked, Asking
    from .tune.session import Outcome

_TEXT = (str, Path)


@dataclass(frozen=True, eq=False, repr=False)
class Result(Results):
    """The tables of a search, and how the session went that made them.

    Attributes:
        status: ``finished``, ``interrupted`` or ``failed``.
        result_grid: Ray Tune's own `ResultGrid`; None where Ray had nothing to run.
    """

    status: str = "finished"
    result_grid: Any = None


class Search:
    """A search: begun here, gone on with here, or read here.

    Whatever a YAML file may say is a keyword argument; objects may stand where it has names.

    Arguments:
        config: A YAML file, images as ``mollitune search`` takes them, or the keys as a mapping;
            may be left out.
        space: What is searched: families of schedules with their ranges, and settings of the model
            with theirs, such as ``{"sigmoid": {"until": [0.3, 0.7]}, "lr": [1e-4, 1e-2]}``.
        console: Where progress goes; by default to standard output. ``Console(quiet=True)`` shows
            none.
        **keys: Keys of the config, which come before those of ``config``. ``dataset`` may be an
            array or a tensor of images, a pair of that and labels, or a data set of torch's kind;
            ``model`` a class or a function that returns an ``nn.Module`` for ``shape=``, as
            `mollitune.models.build` describes; a metric of ``fid.extra`` a function of features;
            ``scheduler`` and ``search_alg`` those of Ray Tune, if they do not pause trials.
            Without a ``name``, one is made of model and data that is still free.

    Raises:
        MollituneError: If anything is not allowed, in a line that says what is.

    Example:
        >>> Search(model="vae", dataset="digits", trials=0)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        mollitune._errors.MollituneError: Search: key 'trials' is 0: Input should be...
    """

    def __init__(
        self,
        config: str | Path | Mapping[str, Any] | None = None,
        *,
        space: Mapping[str, Any] | None = None,
        console: Console | None = None,
        **keys: Any,
    ) -> None:
        source = str(config) if isinstance(config, _TEXT) else "Search"
        raw = {**_read(config), **keys}
        if not isinstance(raw.get("dataset", ""), _TEXT):
            raw["dataset"] = give(raw["dataset"])
        for key in ("scheduler", "search_alg"):
            if not (raw.get(key) is None or isinstance(raw[key], str) or callable(raw[key])):
                from .tune.plugged import kept

                raw[key] = kept(raw[key])
        raw = _plain(raw)
        if space is not None:
            raw = _with_space(raw, _plain(space))
        raw.setdefault("name", _free_name(raw))
        self.config = checked_config(raw, source)
        check_names(self.config, source)
        check_models(self.config, known_shape(self.config.dataset))
        self._console = TextConsole() if console is None else console
        self._asking: Asking | None = None

    @property
    def name(self) -> str:
        """Name of the search."""
        return self.config.name

    @property
    def folder(self) -> str:
        """Its folder, a path or URI."""
        return below(self.config.root, self.name)

    @property
    def results(self) -> Results:
        """What it has found so far, also while it runs elsewhere.

        Raises:
            MollituneError: If it was not begun.
        """
        return load_results(self.folder)

    def run(self) -> Result:
        """Run the search, or go on with it if it was begun; one that has ended is only read.

        An interrupt (Ctrl-C, or the notebook's stop button) ends it in order; `run` goes on.

        Raises:
            MollituneError: If it was begun with another config, another process works on it, or
                data, model, extractor or Ray cannot be used.
        """
        from .launch.search import search_or_resume

        return self._result(search_or_resume(self.config, self._console))

    def resume(self) -> Result:
        """Go on with a search that was cut off.

        Raises:
            MollituneError: If it was not begun, or as for `run`.
        """
        return self.extend(0)

    def extend(self, trials: int) -> Result:
        """Add trials to a search, finished or not.

        Args:
            trials: How many.

        Raises:
            MollituneError: As for `resume`.
        """
        from .launch.search import resume_search

        outcome = resume_search(self.folder, self._console, trials, self.config.address)
        return self._result(outcome)

    def confirm(
        self,
        top: int | None = None,
        seeds: int | None = None,
        samples: int | None = None,
        model: str | None = None,
        *,
        budgets: Sequence[float] | None = None,
        again: bool = False,
        anytime: bool = False,
        controls: bool = False,
    ) -> Result:
        """Train the finalists and vanilla on fresh paired seeds, or go on with that.

        Args:
            top: Recommended schedules of each model; by default as the config says.
            seeds: Fresh seeds of each.
            samples: Generated images behind each FID.
            model: The model; by default all of them.
            budgets: Lengths to train: in what the search counts, or if they begin with 1 in
                multiples of its length.
            again: Whether to add fresh seeds to a confirmation that has ended.
            anytime: Whether the verdict is to hold whenever one looks.
            controls: Whether each schedule has constant noise of its mean level beside it.

        Returns:
            The results; `Search.verdicts` are those that came out.

        Raises:
            MollituneError: As for `resume`.
        """
        from .launch.confirm import Request, confirm_search

        request = Request(top, seeds, samples, model, again, budgets, anytime, controls)
        outcome = confirm_search(self.folder, self._console, request, self.config.address)
        found = self._result(outcome)
        for verdict in write_verdict(found):
            for text in filter(None, (verdict.sentence, verdict.also)):
                self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        return found

    @property
    def verdicts(self) -> list[Verdict]:
        """What the confirmations say so far, for each model and budget."""
        return verdicts(self.results)

    def ask(self) -> Asked | None:
        """Return what to train next, for who trains elsewhere; None if there is nothing.

        ``x = asked.schedule(x, step / asked.steps)`` is the one line in a training loop. From the
        first call on, this process holds the search, up to `close`. Nothing is measured here: all
        values of a search must come from one kind of measurement.

        Raises:
            MollituneError: As for `run`, if the search cannot be begun or gone on with.
        """
        return self._told().ask()

    def tell(
        self,
        asked: Asked,
        value: float | None = None,
        *,
        error: str | None = None,
        **metrics: float,
    ) -> None:
        """Tell what came of a run that was asked for; it is written down before this returns.

        Args:
            asked: The run.
            value: Its objective at the end of its training, on clean data: the FID, unless the
                config says otherwise. None if the run failed.
            error: Why it failed.
            **metrics: Other columns, such as ``bpd=3.2``.

        Raises:
            MollituneError: If the run is not open, or a metric has no column.
        """
        self._told().tell(asked, value, metrics, error)

    def close(self) -> None:
        """Let others work on a search that was asked here."""
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def _told(self) -> Asking:
        if self._asking is None:
            from .data.sources import load_images
            from .launch.told import Asking

            dataset = self.config.dataset
            shape = known_shape(dataset) or load_images(dataset).shape
            self._asking = Asking(self.config, shape, self._console)
        return self._asking

    def best(self, model: str | None = None) -> Best:
        """Return which schedule to use, and how sure that is.

        Args:
            model: The model; by default the one with the lowest expected value.

        Raises:
            MollituneError: If nothing has finished.
        """
        return best(self.results, model)

    def export(
        self, path: str | Path, model: str | None = None, *, overwrite: bool = False
    ) -> Path:
        """Write the best schedule to a file that `mollitune.schedules.load` reads.

        Raises:
            MollituneError: If nothing has finished, or the file exists.
        """
        return Path(export_best(self.results, Path(path), model, overwrite=overwrite))

    def figures(self, model: str | None = None) -> dict[str, go.Figure]:
        """Return the plots of the report as Plotly figures, see `mollitune.analysis.figures`."""
        return figures(self.results, model)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the page that shows the search; return where it lies.

        Args:
            path: The file; by default ``report.html`` in the search's folder.
        """
        return write_report(self.results, path)

    def __repr__(self) -> str:
        return f"Search({self.folder!r})"

    def _result(self, outcome: Outcome | None) -> Result:
        found = load_results(self.folder)
        kept = {field.name: getattr(found, field.name) for field in fields(Results)}
        if outcome is None:
            return Result(**kept, status=str(found.metadata.get("status")))
        return Result(**kept, status=outcome.status, result_grid=outcome.result_grid)


def run(config: str | Path | Mapping[str, Any] | None = None, **keys: Any) -> Result:
    """Run a search, or go on with it if it was begun.

    Args:
        config: As for `Search`.
        **keys: As for `Search`.

    Returns:
        Its tables; a notebook shows the leaderboard and the verdict.

    Raises:
        MollituneError: As for `Search` and `Search.run`.
    """
    return Search(config, **keys).run()


def _read(config: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    if config is None or isinstance(config, Mapping):
        return dict(config or {})
    return raw_config(config)


def _plain(value: Any) -> Any:
    """Return a value of a config with the names of objects in their place."""
    if isinstance(value, Mapping):
        return {key: _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, Path):
        return str(value)
    if not callable(value):
        return value
    try:
        return name_of(value)
    except ValueError as error:
        raise MollituneError(str(error)) from None


def _with_space(raw: dict[str, Any], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config that searches a space: families of schedules, and settings of each model."""
    known = families()
    schedules = {name: ranges for name, ranges in space.items() if name in known}
    settings = {name: found for name, found in space.items() if name not in known}
    if schedules:
        named = [{name: ranges} if ranges else name for name, ranges in schedules.items()]
        raw = {**raw, "families": named}
    return {**raw, "model": [_with_settings(entry, settings) for entry in _listed(raw)]}


def _with_settings(entry: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(entry)
    for name, found in settings.items():
        head, _, tail = name.partition(".")
        own[head] = {**own.get(head, {}), tail: found} if tail else found
    return own


def _listed(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = raw.get("model", [])
    entries = found if isinstance(found, list) else [found]
    return [{"name": own} if isinstance(own, str) else dict(own) for own in entries]


def _free_name(raw: Mapping[str, Any]) -> str:
    """Return a name made of model and data that no search has yet."""
    models = "-".join(str(own.get("name", "")).rpartition(":")[2] for own in _listed(raw))
    data = str(raw.get("dataset", "digits")).partition("@")[0].rstrip("/").rpartition("/")[2]
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{models}-{data.partition(':')[0]}").strip("-")[:80]
    root = str(raw.get("storage") or raw.get("results", "results"))
    name, number = base, 1
    while Folder(below(root, name)).list():
        number += 1
        name = f"{base}-{number}"
    return name
