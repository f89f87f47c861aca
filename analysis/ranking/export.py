"""What an exported schedule holds beside itself: its origin, its verdict, how to rescale it."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune.analysis.tables.results import Results
from mollitune.search.policy import Configuration, settings_of, with_settings

from .best import best
from .trends import trends

if TYPE_CHECKING:
    from .best import Best

_UNCONFIRMED = "lowest expected {} of one search, not yet confirmed on fresh seeds"
_CONFIRMED = (
    "chosen by a confirmation on fresh seeds, see verdict; the figures here are the search's"
)
_RULE = (
    "the schedule lives on progress = step / total_steps, so its curve applies to any number of "
    "steps: of N steps the first until * N are mollified, and the rest see clean data; which "
    "schedule is best may differ with the number of steps"
)
_NOT_HOW_TRAINED = ("name", "steps")


def extras_of(results: Results, found: "Best") -> dict[str, Any]:
    """Return ``provenance``, ``rescale`` and ``verdict`` in plain values."""
    note = _UNCONFIRMED.format(found.metric) if found.confirmed is None else _CONFIRMED
    return {
        "provenance": _provenance(results, found, note),
        "rescale": _rescale(found),
        "verdict": None if found.verdict is None else found.verdict.to_dict(),
    }


def _provenance(results: Results, found: "Best", note: str) -> dict[str, Any]:
    """Everything of the recommendation but the schedule itself, and how the search trained."""
    kept = {
        field.name: getattr(found, field.name)
        for field in fields(found)
        if field.name
        not in ("schedule", "text", "verdict", "equal", "settings", "budgets", "target")
    }
    dataset = _mapping(results.metadata.get("dataset"))
    extractor = _mapping(results.metadata.get("extractor"))
    return {
        **kept,
        "seeds": list(found.seeds),
        "steps": _steps(found),
        **_over_budgets(results, found),
        "equal": None if found.equal is None else found.equal._asdict(),
        "at_an_end": list(found.at_an_end),
        "searched": dict(found.production_settings),
        "dataset_sha256": dataset.get("sha256"),
        "extractor_sha256": extractor.get("sha256"),
        "extractor_resize": extractor.get("resize"),
        "keep": _keep(_mapping(results.metadata.get("config"))),
        "training": _training(_mapping(results.metadata.get("config")), found),
        "note": note,
        "versions": results.metadata.get("versions", {}),
    }


def _keep(config: Mapping[str, Any]) -> str:
    """Return which weights a search judged its runs by, as ``mollitune train`` names them."""
    final = _mapping(_mapping(config.get("fid")).get("final"))
    return "best" if final.get("best") else "last"


def _over_budgets(results: Results, found: "Best") -> dict[str, Any]:
    """The budgets in steps of what goes into production, its trend, and the target if named."""
    (known,) = trends(results, found.model)
    # of batch sizes that differ budgets are told in images: the longest one has these steps
    each = 1.0 if known.unit == "steps" else _steps(found) / known.budgets[-1]
    chosen = str(Configuration(found.production, settings_of(found.production_settings)))
    own = next((arm.sentence for arm in known.arms if arm.arm == chosen), None)
    return {
        "budgets": [round(budget * each) for budget in known.budgets],
        "trend": own,
        "target": None if known.target is None else round(known.target * each),
    }


def _training(config: Mapping[str, Any], found: "Best") -> dict[str, Any]:
    """How the search trained what goes into production, as far as its config tells."""
    entries = (_mapping(entry) for entry in config.get("model", ()))
    entry = next((entry for entry in entries if entry.get("name") == found.model), {})
    entry = with_settings(entry, found.production_settings)
    known = {name: value for name, value in entry.items() if name not in _NOT_HOW_TRAINED}
    # a search of before the average was a setting of the model says it once for all
    of_all = {name: value for name, value in _mapping(config.get("fid")).items() if name == "ema"}
    return {**of_all, **known}


def _steps(found: "Best") -> int:
    """Training steps of what goes into production: a confirmation may choose another batch."""
    own, chosen = (s.get("batch_size") for s in (found.settings, found.production_settings))
    if own is None or chosen is None:
        return found.steps
    return round(found.steps * int(own) / int(chosen))


def _rescale(found: "Best") -> dict[str, Any]:
    until = found.production.until
    return {
        "rule": _RULE,
        "until": until,
        "search_steps": _steps(found),
        "search_mollified_steps": round(until * _steps(found)),
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def export_best(
    results: Results,
    path: str | os.PathLike[str],
    model: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the best schedule to a file that ``mollitune.schedules.load`` reads.

    That is the verdict's choice once a confirmation is complete, which may be vanilla or the
    paper's default; before that what `best` recommends. Beside the schedule it holds

    - ``provenance``: search, trial, model and how it was trained, data, extractor, runs, expected
      and measured FID, versions; ``budgets`` that were measured and the ``target`` (steps; null if
      none is named), and the ``trend`` of the schedule over them in words (null without one);
    - ``rescale``: how the schedule applies to another number of steps;
    - ``verdict``: what the latest confirmation says of this model, null before one.

    Args:
        results: Results of a search.
        path: The file to write.
        model: As for `best`.
        overwrite: Whether a file that exists may be replaced.

    Returns:
        The path.

    Raises:
        MollituneError: As for `best`, or if the file exists or cannot be written.
    """
    target = Path(path)
    found = best(results, model)
    if target.exists() and not overwrite:
        raise MollituneError(
            f"{target} exists already; choose another path, or replace it with --force"
        )
    try:
        found.production.save(target, **extras_of(results, found))
    except OSError as error:
        raise MollituneError(f"cannot write {target}: {first_line(error)}") from error
    return target
