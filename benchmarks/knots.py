"""Does a free-form curve do as well as the best formula? Two searches, then fresh paired seeds.

One search has only `knots`, the other all named families, with as many runs each. What both
recommend is trained again, beside vanilla, on seeds that neither has seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from paired import FID_SAMPLES, Run, described, mean_and_error, run_all
from rich.console import Console

from mollitune.analysis import load_results
from mollitune.analysis.ranking import best
from mollitune.schedules import Schedule, Vanilla, families
from mollitune.search.config import SearchConfig
from mollitune.search.training.trial import TrialSpec

STEPS = {"realnvp": 240, "vae": 1000}
FIRST_FRESH = 1000


def found(model: str, name: str, names: list[str], options: argparse.Namespace) -> Schedule:
    """What a search over some families recommends; a finished search is not run again."""
    from mollitune.search.launch.search import run_search

    folder = options.out / name
    if not (folder / "best.json").exists():
        config = SearchConfig.model_validate(
            {
                "name": name,
                "model": model,
                "families": names,
                "steps": STEPS[model],
                "trials": options.trials,
                "fid": {"samples": FID_SAMPLES, "every": 1 / 3},
                "results": str(options.out),
            }
        )
        run_search(config, Console())
        results = load_results(str(folder))
        best(results, model).schedule.save(folder / "best.json")
    return best(load_results(str(folder)), model).schedule


def compare(model: str, arms: dict[str, Schedule], options: argparse.Namespace) -> list[str]:
    """Train every arm on fresh seeds and return rows of Markdown."""
    seeds = range(FIRST_FRESH, FIRST_FRESH + options.seeds)
    runs = [
        Run(
            f"{json.dumps(s.to_dict())}/{seed}",
            "digits",
            TrialSpec(model, s, seed, STEPS[model], 1.0),
        )
        for seed in seeds
        for s in arms.values()
    ]
    results = run_all(runs, options.workers, options.out / f"{model}.jsonl")
    fids = {
        name: [results[f"{json.dumps(s.to_dict())}/{seed}"]["fid"] for seed in seeds]
        for name, s in arms.items()
    }
    rows = []
    for name, schedule in arms.items():
        gaps = [a - b for a, b in zip(fids[name], fids["named"], strict=True)]
        cells = [model, name, str(schedule), mean_and_error(fids[name])]
        cells += [mean_and_error(gaps), f"{statistics.stdev(fids[name]):.2g}"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--trials", type=int, default=30, help="runs of each search")
    parser.add_argument("--seeds", type=int, default=8, help="fresh seeds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/knots"))
    options = parser.parse_args()
    named = [name for name in families() if name not in ("vanilla", "knots")]
    rows = []
    for model in options.models:
        arms: dict[str, Schedule] = {
            "knots": found(model, f"{model}-knots", ["knots"], options),
            "named": found(model, f"{model}-named", named, options),
            "vanilla": Vanilla(),
        }
        rows += compare(model, arms, options)
    print(f"\n{described('digits')}; {options.trials} runs per search, {options.seeds} seeds\n")
    print("| model | searched | recommended | FID, fresh seeds | difference from named | sd |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
