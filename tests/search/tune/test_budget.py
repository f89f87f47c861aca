import pytest

from mollitune.schedules import Vanilla
from mollitune.search.training.trial import TrialSpec
from mollitune.search.tune.budget import (
    EVALUATIONS_LEAST,
    SAMPLES_LEAST,
    TIMED_SAMPLES,
    Costs,
    Plan,
    affordable,
    measure_costs,
)

ASKED = Plan(every=1 / 6, samples=2000)


def _share(plan: Plan, steps: int, costs: Costs) -> float:
    marks = TrialSpec("vae", Vanilla(), 0, steps, plan.every).evaluation_steps()
    evaluating = len(marks) * (costs.evaluation + plan.samples * costs.sample)
    return evaluating / (evaluating + steps * costs.step)


@pytest.mark.parametrize("budget", [0.05, 0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("sample", [0.0, 1e-4, 3e-4, 1e-3, 3e-3])
@pytest.mark.parametrize("step", [0.003, 0.02, 0.5])
def test_the_plan_keeps_to_the_budget_or_is_the_least(
    budget: float, sample: float, step: float
) -> None:
    costs, steps = Costs(step, 0.05, sample), 1200
    plan = affordable(ASKED, steps, budget, costs)
    assert plan.share == pytest.approx(_share(plan, steps, costs))
    assert plan.samples <= ASKED.samples
    assert ASKED.evaluations % plan.evaluations == 0
    least = (plan.evaluations, plan.samples) == (EVALUATIONS_LEAST, SAMPLES_LEAST)
    assert _share(plan, steps, costs) <= budget + 1e-9 or least


def test_what_is_affordable_stays_as_asked() -> None:
    plan = affordable(ASKED, 1000, 0.2, Costs(1.0, 0.1, 1e-3))
    assert (plan.every, plan.samples) == (ASKED.every, ASKED.samples)


def test_evaluations_go_before_samples() -> None:
    # 1,000 steps of 10 ms leave 2.5 s: three evaluations of .8 s, but not six
    plan = affordable(ASKED, 1000, 0.2, Costs(0.01, 0.0, 4e-4))
    assert (plan.evaluations, plan.samples) == (3, 2000)
    dearer = affordable(ASKED, 1000, 0.2, Costs(0.01, 0.0, 8e-4))
    assert (dearer.evaluations, dearer.samples) == (3, 1000)


@pytest.mark.parametrize(("every", "samples"), [(0.5, 2000), (1.0, 2000), (1 / 6, 100)])
def test_little_is_never_made_more(every: float, samples: int) -> None:
    plan = affordable(Plan(every, samples), 10, 0.01, Costs(0.001, 1.0, 0.01))
    assert plan.evaluations == min(Plan(every, samples).evaluations, EVALUATIONS_LEAST)
    assert plan.samples == min(samples, SAMPLES_LEAST)


def test_costs_are_separated() -> None:
    def evaluate(steps: int, samples: int) -> tuple[float, float, float]:
        return 0.02, 0.3 + 0.001 * samples, 0.002 * samples

    costs = measure_costs(evaluate)
    assert costs.last == pytest.approx(0.002)
    more = costs.of_plan(Plan(1 / 3, 1000)) - 3 * costs.of_evaluation(1000)
    assert more == pytest.approx(2)
    assert costs.step == 0.02
    assert costs.evaluation == pytest.approx(0.3)
    assert costs.sample == pytest.approx(0.001)


def test_a_first_run_that_is_slow_to_warm_up_gives_no_negative_cost() -> None:
    times = iter([(9.0, 5.0, 1.0), (0.02, 0.4, -0.1)])
    costs = measure_costs(lambda *_: next(times))
    assert costs == Costs(0.02, 0.4, 0.0)
    assert TIMED_SAMPLES[0] < TIMED_SAMPLES[1]
