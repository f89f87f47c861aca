"""What a recorded ladder of budgets shows: where mollification pays, and what could be foreseen.

The runs of `evidence.py` at several budgets become the tables of a confirmation, so that
everything that reads a search reads them: `mollitune report NAME --results benchmarks/ladder` has
the figure. Printed are the trends in every measure, and for each arm the difference from vanilla
at the longest budget as it is foreseen from the shorter ones.
"""

from __future__ import annotations

import argparse
import math
import platform
import shutil
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence import Row, read, schedule_of, table, trends

from mollitune.schedules import families, shape_features
from mollitune.search.policy import ShapeSurrogate
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.space import parameter_types
from mollitune.search.store.evaluation import MEASURED, extra_metric
from mollitune.search.store.schema import CONFIRM_TRIALS
from mollitune.search.store.writer import Store
from mollitune.search.tune.recorder import clean_steps


def write_tables(folder: Path, rows: Sequence[Row]) -> None:
    """Write final rows of one model, batch and learning rate as a confirmation of a search."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    time = datetime.now(UTC).replace(microsecond=0)
    extras = [name for name in rows[0] if ":" in name]
    metrics = [extra_metric(_column(name), f"FID, {name}", better="lower") for name in extras]
    shortest = min(row["steps"] for row in rows)
    keys = sorted({(row["steps"], row["arm"] != "vanilla", row["arm"]) for row in rows})
    with Store.open(str(folder), parameter_types(families()), extras=metrics) as store:
        for number, row in enumerate(sorted(rows, key=lambda own: (own["steps"], own["seed"]))):
            schedule, steps = schedule_of(row["arm"]), row["steps"]
            place = keys.index((steps, row["arm"] != "vanilla", row["arm"]))
            start = {
                **{"search": folder.name, "trial": CONFIRM_TRIALS + number, "attempt": 1},
                **{"configuration": place, "seed": row["seed"], "stage": "confirm"},
                **{"model": row["model"], "dataset": row["data"], "family": schedule.family},
                **{"budget": steps * row["batch"], "scale": steps / shortest},
                **{f"params.{k}": v for k, v in schedule.to_dict()["params"].items()},
            }
            store.report({**start, **_report(row), "time": time})
            shape = {**shape_features(schedule), "clean_steps": clean_steps(schedule, steps)}
            store.trial(
                {
                    **{**start, "status": "completed", "start": time, "end": time},
                    **{"step": steps, "steps": steps, "error": None, "checkpoint": None},
                    **{"final_fid": row["fid"], "final_bpd": row["bpd"]},
                    **{f"shape.{name}": value for name, value in shape.items()},
                }
            )
        store.write_metadata(_metadata(folder.name, rows[0], shortest, time))


def _column(name: str) -> str:
    return name.replace(": ", "_").replace("-", "_").replace(" ", "_")


def _report(row: Row) -> dict[str, Any]:
    empty = dict.fromkeys(name for name, own in MEASURED.items() if own.nullable)
    return {
        **empty,
        **{"step": row["step"], "progress": 1.0, "level": 0.0, "phase": "clean"},
        **{"comparable": True, "fid": row["fid"], "kid": row["kid"], "bpd": row["bpd"]},
        **{"precision": None, "recall": None, "fid_infinity": None},
        **{"probe_fid": None, "probe_steps": 0, "train_loss": math.nan, "ema": 0.0},
        **{"non_finite_losses": row["lost"], "non_finite_samples": 0},
        **{"extractor": "lenet", "extractor_sha256": "", "extractor_resize": "none"},
        **{"fid_samples": row["fid_samples"], "fid_reference": "validation"},
        **{"fid_final": "last", "step_fid": row["fid"]},
        **{"fid_reference_size": 0, "device": row["device"]},
        **{"step_seconds": row["seconds"] / row["steps"], "eval_seconds": math.nan},
        **{f"extra.{_column(name)}": value for name, value in row.items() if ":" in name},
    }


def _metadata(name: str, row: Row, shortest: int, time: datetime) -> dict[str, Any]:
    model = {"name": row["model"], "batch_size": row["batch"], "lr": row["lr"]}
    config = {"name": name, "dataset": row["data"], "model": [model], "steps": shortest}
    return {
        **{"name": name, "created": time.isoformat(), "status": "finished"},
        **{"elapsed_seconds": 0.0, "config": config},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "machine": f"{platform.system()} {platform.machine()}",
        "dataset": {"name": row["data"]},
        "params": sorted(parameter_types(families())),
    }


def foreseen(rows: Sequence[Row], measure: str, level: float = 0.9) -> Iterator[str]:
    """Yield as Markdown what the shorter budgets say of the longest, and what came."""
    steps = sorted({row["steps"] for row in rows})
    first, last = steps[0], steps[-1]
    ran = [{row["arm"] for row in rows if row["steps"] == budget} for budget in steps]
    arms = set.intersection(*ran)
    rows = [row for row in rows if row["arm"] in arms]
    told: dict[Configuration, dict[int, float]] = {}
    for row in rows:
        if row["steps"] < last:
            own = Configuration(schedule_of(row["arm"]), scale=row["steps"] / first)
            told.setdefault(own, {})[row["seed"]] = row[measure]
    surrogate = ShapeSurrogate(
        list(told),
        [list(own.values()) for own in told.values()],
        [list(own) for own in told.values()],
        budgets=(last / first,),
    )
    vanilla = Configuration(schedule_of("vanilla"), scale=last / first)
    for arm in sorted(arms - {"vanilla"}):
        gap, error = surrogate.differences(
            [Configuration(schedule_of(arm), scale=last / first)], vanilla
        )
        half = statistics.NormalDist().inv_cdf((1 + level) / 2) * error[0]
        expected, low, high = (100 * np.expm1(gap[0] + side) for side in (0, -half, half))
        came = _came([row for row in rows if row["steps"] == last], arm, measure)
        yield (
            f"| {measure} | {arm} | {last:,} | {expected:+.0f} % ({low:+.0f} to {high:+.0f}) | "
            f"{100 * np.expm1(np.mean(came)):+.0f} % ({len(came)} seeds) | "
            f"{'yes' if gap[0] * np.mean(came) > 0 else 'no'} | "
            f"{'yes' if abs(np.mean(came) - gap[0]) < half else 'no'} |"
        )


def _came(rows: Sequence[Row], arm: str, measure: str) -> list[float]:
    values = {
        name: {row["seed"]: row[measure] for row in rows if row["arm"] == name}
        for name in ("vanilla", arm)
    }
    both = values[arm].keys() & values["vanilla"].keys()
    return [float(np.log(values[arm][seed] / values["vanilla"][seed])) for seed in sorted(both)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recorded", type=Path, help="what evidence.py has written")
    parser.add_argument("--write", type=Path, help="folder of the tables, replaced")
    parser.add_argument("--foresee", nargs="+", default=["fid", "kid"], help="measures")
    options = parser.parse_args()
    rows = [row for row in read(options.recorded) if row.get("final")]
    if options.write is not None:
        write_tables(options.write, rows)
    print("\n".join(table(rows)))
    print()
    print("\n".join(trends(rows)))
    print("\n| measure | arm | steps | foreseen, from vanilla | came | sign | within |")
    print("|---|---|---|---|---|---|---|")
    for measure in options.foresee:
        print("\n".join(foreseen(rows, measure)))


if __name__ == "__main__":
    main()
