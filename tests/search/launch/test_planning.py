from rich.console import Console

from mollitune.search.config import SearchConfig
from mollitune.search.data.images import Splits
from mollitune.search.launch.planning import choose_plans, plan_evaluations
from mollitune.search.metrics.reference import Reference
from mollitune.search.tune.budget import Costs
from mollitune.search.tune.context import Context


def _context(digits: Splits, reference: Reference, steps: int, **fid: object) -> Context:
    config = SearchConfig.model_validate(
        {
            "name": "planned",
            "model": [
                {"name": "vae", "hparams": {"hidden": 8, "latent": 2}},
                {"name": "maf", "hparams": {"hidden": 8, "blocks": 1}, "steps": 10_000_000},
            ],
            "families": ["linear"],
            "steps": steps,
            "fid": fid,
        }
    )
    return Context(config, digits, reference, "nowhere", {})


def _plan(
    context: Context, costs: dict[str, Costs] | None = None
) -> tuple[dict[str, tuple[int, int]], str]:
    console = Console(width=200)
    with console.capture() as captured:
        if costs is None:
            plans = plan_evaluations(context, {"cpu": 1}, console)
        else:
            plans = choose_plans(context, costs, console)
    return {name: (p.evaluations, p.samples) for name, p in plans.items()}, captured.get()


def test_each_model_gets_what_its_costs_afford(digits: Splits, reference: Reference) -> None:
    costs = dict.fromkeys(("vae", "maf"), Costs(step=0.01, evaluation=0.05, sample=0.001))
    context = _context(digits, reference, steps=20, samples=1000)
    assert _plan(context, costs) == (
        {"vae": (3, 500), "maf": (6, 1000)},
        "evaluation of vae: 3 times on 500 samples, about 89% of the time (asked: every 0.167 on "
        "1,000); more than fid.budget=0.2, but never less than this\n"
        "evaluation of maf: 6 times on 1,000 samples, about 0% of the time\n",
    )
    context = _context(digits, reference, steps=1000, samples=1000)
    plans, text = _plan(context, costs)  # a quarter of 10 s are three times .05 s + 783 samples
    assert plans["vae"] == (3, 700)
    assert text.startswith(
        "evaluation of vae: 3 times on 700 samples, about 18% of the time (asked: every 0.167 on "
        "1,000)\n"
    )


def test_costs_are_measured(digits: Splits, reference: Reference) -> None:
    """Twenty steps afford nothing, ten million everything, on whatever machine.

    On a busy one more samples may seem to cost nothing, and then they are kept.
    """
    plans, text = _plan(_context(digits, reference, steps=20, samples=1000))
    assert plans["maf"] == (6, 1000)
    evaluations, samples = plans["vae"]
    assert evaluations == 3
    assert 500 <= samples <= 1000
    first, second = text.splitlines()
    assert first.startswith(f"evaluation of vae: 3 times on {samples:,} samples, about ")
    assert "(asked: every 0.167 on 1,000)" in first
    assert first.endswith("more than fid.budget=0.2, but never less than this")
    assert second.startswith("evaluation of maf: 6 times on 1,000 samples, about 0% of the time")


def test_nothing_is_measured_where_nothing_would_change(
    digits: Splits, reference: Reference
) -> None:
    cases: list[dict[str, object]] = [
        {"budget": None},
        {"samples": 400, "every": 0.5},
        {"samples": 500, "every": 0.3334},
    ]
    for fid in cases:
        context = _context(digits, reference, steps=20, **fid)
        plans, text = _plan(context)
        asked = (round(1 / context.config.fid.every), context.config.fid.samples)
        assert plans == {"vae": asked, "maf": asked}
        assert "of the time" not in text
