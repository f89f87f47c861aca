"""The card that says where the numbers of a page come from."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pandas as pd
from markupsafe import Markup

from mollitune.analysis.ranking.prior import prior_lines
from mollitune.analysis.report.html import card, details, pairs
from mollitune.analysis.tables.results import Results, confirmation_files

_MANY_SEEDS = 12


def provenance(results: Results) -> Markup:
    """Versions, machine, seeds, data and extractor with hashes, confirmations, and the config."""
    metadata = results.metadata
    if not metadata:
        return card("Provenance", "There is no search.json beside the tables.")
    shown: dict[str, str] = {}
    for key in ("created", "elapsed_seconds", "machine"):
        if key in metadata:
            shown[key.removesuffix("_seconds")] = _value(key, metadata[key])
    shown |= {
        "devices": ", ".join(sorted(map(str, results.reports["device"].unique()))),
        "seeds": _seeds(results, metadata),
    }
    for key in ("dataset", "extractor", "evaluation", "versions"):
        if key in metadata:
            shown[key] = _value(key, metadata[key])
    shown["prior"] = "; ".join(line.removeprefix("prior: ") for line in prior_lines(results))
    shown |= _measured(results.reports)
    shown |= _confirmations(results)
    config = json.dumps(metadata.get("config", {}), indent=2)
    folded = details("Configuration", Markup("<pre>{}</pre>").format(config))
    return card("Provenance", "", pairs({k: v for k, v in shown.items() if v}), folded)


def _seeds(results: Results, metadata: Mapping[str, Any]) -> str:
    """The seed that everything is derived from, and those of the runs."""
    config = _flat(metadata.get("config", {}))
    own = f"{config['seed']} of the search" if "seed" in config else ""
    parts = [own]
    trials = results.trials
    for stage, name in (("search", "runs"), ("confirm", "confirmation")):
        seeds = sorted(set(map(int, trials.loc[trials["stage"] == stage, "seed"])))
        if seeds:
            parts.append(f"{_listed(seeds)} of the {name}")
    return "; ".join(filter(None, parts))


def _listed(numbers: list[int]) -> str:
    if len(numbers) > _MANY_SEEDS:
        return f"{len(numbers)} from {numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _measured(reports: pd.DataFrame) -> dict[str, str]:
    """How the FIDs were measured, as the tables say."""
    columns = ["extractor", "fid_samples", "fid_reference", "fid_reference_size", "fid_final"]
    kinds = reports[columns].drop_duplicates().itertuples(index=False, name=None)
    texts = [
        f"{n:,} samples against {m:,} of the {split} data in {e}, {final}"
        for e, n, split, m, final in kinds
    ]
    last = "" if reports.empty else f"{reports['time'].max():%Y-%m-%d %H:%M:%S} UTC"
    return {"FID": "; ".join(texts), "last evaluation": last}


def _confirmations(results: Results) -> dict[str, str]:
    """Seeds, samples, split, machine and time of each confirmation."""
    return {f"confirmation {f['number']}": _plan(f) for f in confirmation_files(results)}


def _plan(file: Mapping[str, Any]) -> str:
    if "status" not in file:
        return "its file is damaged"
    parts = [file["status"], f"begun {file.get('created')}"]
    first, seeds = file.get("first_seed"), file.get("seeds")
    if isinstance(first, int) and isinstance(seeds, int):
        parts.append(f"seeds {first} to {first + seeds - 1}")
    budgets = file.get("budgets")
    if isinstance(budgets, list) and len(budgets) > 1:
        parts.append(f"{', '.join(map(_shown, budgets))} times the search's length")
    parts.append(
        f"{file.get('fid_samples')} samples against {file.get('reference_size')} "
        f"of the {file.get('reference')} data"
    )
    parts += [str(file.get("machine")), _versions(file.get("versions"))]
    return "; ".join(map(str, filter(None, parts)))


def _versions(found: object) -> str:
    return _value("", found) if isinstance(found, Mapping) else ""


def _value(key: str, value: object) -> str:
    if key == "elapsed_seconds" and isinstance(value, int | float):
        return str(timedelta(seconds=round(value)))
    return ", ".join(f"{name} {_shown(item)}".strip() for name, item in _flat(value).items())


def _shown(item: object) -> str:
    if isinstance(item, Mapping):
        return f"({', '.join(f'{k} {_shown(v)}' for k, v in item.items())})"
    if isinstance(item, list):
        return " x ".join(map(_shown, item))  # the shape of an image
    return f"{item:.4g}" if isinstance(item, float) else str(item)


def _flat(value: object) -> Mapping[str, Any]:
    """The entries of a mapping; anything else is one entry without a name."""
    return value if isinstance(value, Mapping) else {"": value}
