"""Ray Tune's schedulers and searchers fed by events: live and on resume they are in one state."""

from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from ray import tune
from ray.tune.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from mollitune._errors import MollituneError
from mollitune.schedules import Linear, Vanilla
from mollitune.search.config import SearchConfig
from mollitune.search.policy.comparability import Comparability
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.decision import UNLIKE, Decision
from mollitune.search.store.journal import END, REPORT, START, Event
from mollitune.search.tune.foreign import Fed, RandomSearcher
from mollitune.search.tune.plugged import Plugged, Space, plugged
from mollitune.search.tune.runs import OpenRun
from mollitune.search.tune.scheduler import PolicyScheduler
from mollitune.search.tune.session import stopping_of

SPACE = {"x": tune.uniform(0, 1), "kind": tune.choice(["a", "b"]), "n": tune.randint(1, 9)}
STEPS = 4
Log = list[tuple[str, Any]]


def asha() -> TrialScheduler:
    return ASHAScheduler(time_attr="step", max_t=STEPS, grace_period=1, reduction_factor=2)


def median() -> TrialScheduler:
    return MedianStoppingRule(time_attr="step", grace_period=1, min_samples_required=2)


def of_optuna(sampler: optuna.samplers.BaseSampler) -> Searcher:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearch(sampler=sampler)


SEARCHERS: dict[str, Callable[[], Searcher]] = {
    "random": lambda: RandomSearcher(SPACE),
    "tpe": lambda: of_optuna(optuna.samplers.TPESampler(seed=0, n_startup_trials=4)),
    "cma-es": lambda: of_optuna(
        optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=2, warn_independent_sampling=False)
    ),
    "nsga-ii": lambda: of_optuna(optuna.samplers.NSGAIISampler(seed=0, population_size=4)),
}


def fed(searcher: str, scheduler: Callable[[], TrialScheduler] = asha) -> Fed:
    return Fed(SEARCHERS[searcher](), scheduler(), "loss", "min", SPACE)


def loss(config: dict[str, Any], step: int) -> float:
    return float(config["x"] + 0.1 * config["n"] + (config["kind"] == "a") + 1 / step)


def trials(own: Fed, first: int, last: int) -> Iterator[tuple[str, Any]]:
    """Run trials one after the other; yield what happens."""
    for number in range(first, last):
        config = own.suggest(number)
        assert config is not None
        own.started(number, config)
        yield "start", (number, config)
        how, result = "completed", dict[str, Any]()
        for step in range(1, STEPS + 1):
            result = {"loss": loss(config, step), "step": step, "training_iteration": step}
            stopped = own.reported(number, result)
            yield "report", (number, result, stopped)
            if stopped:
                how = "stopped"
                break
        own.ended(number, result, how)
        yield "end", (number, result, how)


def replayed(own: Fed, log: Log) -> None:
    for kind, told in log:
        if kind == "start":
            assert own.suggest(told[0]) == told[1]
            own.started(*told)
        elif kind == "report":
            assert own.reported(*told[:2]) == told[2]
        else:
            own.ended(*told)


@pytest.mark.parametrize("scheduler", [asha, median])
@pytest.mark.parametrize("searcher", SEARCHERS)
def test_what_is_replayed_goes_on_as_what_was_not(
    searcher: str, scheduler: Callable[[], TrialScheduler]
) -> None:
    whole = list(trials(fed(searcher, scheduler), 0, 14))
    assert {told[2] for kind, told in whole if kind == "report"} == {True, False}
    before = [entry for entry in whole if entry[1][0] < 9]
    resumed = fed(searcher, scheduler)
    replayed(resumed, before)
    assert before + list(trials(resumed, 9, 14)) == whole


@pytest.mark.parametrize(
    "scheduler",
    [
        HyperBandScheduler(time_attr="training_iteration", max_t=3),
        PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=1,
            hyperparam_mutations={"x": [0.0, 1.0]},
        ),
    ],
)
def test_a_scheduler_that_pauses_is_refused(scheduler: TrialScheduler) -> None:
    own = Fed(RandomSearcher(SPACE), scheduler, "loss", "min")

    def together() -> None:
        for number in range(4):
            own.started(number, own.suggest(number) or {})
        for step in range(1, 4):
            own.reported(0, {"loss": 1.0, "training_iteration": step})

    with pytest.raises(MollituneError, match=r"pauses trials|fails: "):
        together()


def test_another_metric_of_the_scheduler_is_refused() -> None:
    scheduler = ASHAScheduler(metric="accuracy", mode="max")
    with pytest.raises(MollituneError, match="metric accuracy and mode max, not loss and min"):
        Fed(RandomSearcher(SPACE), scheduler, "loss", "min")


def test_what_somebody_elses_code_meets_is_one_line() -> None:
    class Broken(RandomSearcher):
        def suggest(self, trial_id: str) -> dict[str, Any]:
            raise KeyError("lr")

    with pytest.raises(MollituneError, match=r"^Broken fails: KeyError: 'lr'$"):
        Fed(Broken({}), None, "loss", "min").suggest(0)


def config(**keys: Any) -> SearchConfig:
    families = ["linear", {"blur": {"curve": "linear"}}]
    model = {"name": "vae", "lr": [1e-4, 1e-2], "hparams": {"latent": {"choices": [4, 8]}}}
    return SearchConfig.model_validate(
        {"name": "x", "model": model, "families": families, "steps": 100, **keys}
    )


def test_the_space_is_flat_and_every_point_of_it_a_configuration() -> None:
    space = Space(config(), 8)
    assert set(space.domains) == {
        *("family", "linear.until", "blur.sigma_max", "blur.until", "lr", "hparams.latent"),
    }
    searcher, families = RandomSearcher(space.domains), set()
    for number in range(40):
        model, found = space.read(searcher.suggest(f"{number}"))
        families.add(found.schedule.family)
        assert model == "vae"
        assert dict(found.settings).keys() == {"lr", "hparams.latent"}
    assert families == {"vanilla", "linear", "blur"}


def judged(own: Plugged, *runs: tuple[Configuration, list[float]]) -> list[Decision]:
    """Feed runs one after the other; return all decisions."""
    search = config()
    scheduler = own.beside(
        PolicyScheduler(stopping_of(search), {"vae": Comparability("vae", 0.0)})
    )
    found: list[Decision] = []

    def happen(kind: str, number: int, run: OpenRun, **values: Any) -> None:
        event: Event = {"event": kind, "trial": number, "time": "", **values}
        found.extend(scheduler.apply(event, run))

    for number, (configuration, fids) in enumerate(runs):
        base = {"trial": number, "configuration": number, "model": "vae", "repeat": 0, "seed": 0}
        run = OpenRun({**base, **configuration.to_dict()})
        happen(START, number, run, config=run.config)
        for i, fid in enumerate(fids, 1):
            progress = i / len(fids)
            level = configuration.schedule.level(progress)
            run.last = {
                **{"step": 25 * i, "progress": progress, "level": level, "fid": fid},
                **{"phase": "mollified" if level else "clean", "probe_fid": None},
            }
            happen(REPORT, number, run, result=run.last)
            if number in scheduler.stopped:
                break
        stopped = number in scheduler.stopped
        happen(END, number, run, outcome="stopped" if stopped else "completed", value=fids[-1])
    return found


def test_a_ranking_of_unlike_noise_is_named() -> None:
    own = plugged(config(scheduler="asha", stopping={"policy": "none"}), 8, [])
    assert own is not None
    assert own.proposer is None  # schedules are chosen as ever
    mollified = Configuration(Linear(until=0.9))
    decisions = judged(
        own,
        (Configuration(Vanilla()), [40.0, 30, 25, 20]),
        (mollified, [90.0, 60, 30, 10]),
        (Configuration(Vanilla()), [41.0, 31, 26, 21]),
    )
    first = {d.trial: d for d in reversed(decisions)}
    assert (first[1].action, first[1].policy) == ("stop", "ray:asha")
    assert first[1].reason.startswith(f"{UNLIKE}: this value is of noise level 0.")
    assert first[0].reason == "of 0 other values at this step all are of as much noise"
    assert first[2].reason.startswith(f"{UNLIKE}: this value is of noise level 0, 1 of the 2")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"scheduler": "asha", "stopping": {"within": "late_cut"}}, "so does stopping"),
        ({"scheduler": "asha", "stopping": {"policy": "none"}, "budgets": [1, 2]}, "budgets"),
        ({"search_alg": "optuna", "prior": ["other"]}, "learns from no prior"),
        ({"search_alg": "tpe"}, "write optuna, optuna:TPESampler or"),
        ({"scheduler": "hyperband"}, "write asha, or module:function"),
    ],
)
def test_what_cannot_go_together_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(**keys)


def test_the_stock_baseline_is_both() -> None:
    stock = config(baseline="ray-asha")
    assert (stock.scheduler, stock.search_alg, stock.stopping.rule) == ("asha", "optuna", "none")
    with pytest.raises(MollituneError, match=r"search_alg optuna:NoSampler: AttributeError"):
        plugged(config(search_alg="optuna:NoSampler"), 8, [])
    with pytest.raises(MollituneError, match=r"^scheduler .*: Space is no TrialScheduler"):
        plugged(config(scheduler=f"{__name__}:no_scheduler", stopping={"policy": "none"}), 8, [])


def no_scheduler() -> Space:
    return Space(config(), 8)


def test_nothing_is_plugged_in_unasked() -> None:
    assert plugged(config(), 8, []) is None
