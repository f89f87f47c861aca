"""Several budgets: which run comes next, in a world where the ranking turns with the budget."""

import math
import random

import numpy as np
import pytest
from tests.search.policy.worlds import plain

from mollitune.schedules import Float, Linear, Vanilla, build
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.hyperspace import NOTHING, Hyperspace
from mollitune.search.policy.ladder import Ladder, scales_of
from mollitune.search.policy.ladder_sampler import LadderSampler, knowledge_gradient
from mollitune.search.policy.proposer import Proposal, Proposer
from mollitune.search.policy.source import SpaceSource
from mollitune.search.policy.space import FamilySpace
from mollitune.search.policy.surrogate import ShapeSurrogate

LADDER = Ladder((1.0, 2.0, 4.0), 8.0)
ARMS = plain(Vanilla(), build("linear", until=0.6), build("sigmoid", until=0.6))
LR = Hyperspace({"lr": Float(1e-4, 1e-1, log=True)}, (("lr", 1e-2),))


def turning(configuration: Configuration) -> float:
    """FID of a world in which data should be mollified the longer, the longer the training."""
    best = 0.2 * math.log2(configuration.scale)
    noise = random.Random(f"{configuration}").gauss(0, 0.01)
    fall = 0.5 * math.log(configuration.scale)
    return 50 * math.exp(1.5 * (configuration.schedule.until - best) ** 2 - fall + noise)


def searched(ladder: Ladder, space: Hyperspace, share: float | None = None) -> Proposer:
    source = SpaceSource({name: FamilySpace(name) for name in ("linear", "sigmoid")}, 8, space)
    first = [Configuration(c.schedule, space.first, ladder.scales[0]) for c in ARMS]
    return Proposer(
        arms=[("vae", arm) for arm in first],
        samplers={"vae": LadderSampler(source, 0, ladder, space)},
        seed=5,
        eta=None,
        share=None if share is None else {"vae": share},
        ladder=True,
    )


def run(proposer: Proposer, count: int) -> list[Proposal]:
    """Make runs one after the other."""
    made = []
    for trial in range(count):
        made.append(proposer.next())
        proposer.started(made[-1])
        proposer.ended(trial, "completed", turning(made[-1].configuration), 1)
    return made


@pytest.fixture(scope="module")
def made() -> list[Proposal]:
    return run(searched(LADDER, NOTHING), 22)


def test_the_best_at_the_target_is_expected_to_be_another_than_at_the_shortest(
    made: list[Proposal],
) -> None:
    tried = [p.configuration for p in made]
    believed = ShapeSurrogate(tried, [[turning(c)] for c in tried], budgets=(8.0,))

    def best(scale: float) -> Configuration:
        bases = list(dict.fromkeys(c.at(scale) for c in tried))
        return bases[int(believed.at(bases).location.argmin())]

    assert best(1.0).schedule.until < 0.2  # as it is there
    assert abs(best(8.0).schedule.until - 0.6) < 0.15  # which no run has shown


def test_all_begin_at_the_shortest_and_longer_runs_are_of_the_budgets_alone(
    made: list[Proposal],
) -> None:
    scales = [p.configuration.scale for p in made]
    assert set(scales[:6]) == {1.0}
    assert max(scales) == 4.0
    assert set(scales) <= set(LADDER.scales)


def test_what_was_tried_is_run_longer_or_on_a_further_seed(made: list[Proposal]) -> None:
    bases = [p.configuration.at(1.0) for p in made]
    assert len(set(bases)) < len(bases)
    for proposal in made:
        same = [p for p in made if p.configuration == proposal.configuration]
        assert len({p.run.configuration for p in same}) == 1, "one number for each budget"
        assert [p.seed for p in same] == [5 + i for i in range(len(same))]


def test_a_search_that_goes_on_proposes_as_one_that_never_stopped(made: list[Proposal]) -> None:
    again = searched(LADDER, NOTHING)
    for trial, proposal in enumerate(made[:15]):
        again.started(proposal)
        again.ended(trial, "completed", turning(proposal.configuration), 1)
    assert again.next().configuration == made[15].configuration


def test_a_run_that_is_open_is_not_asked_for_as_if_it_were_not() -> None:
    proposer = searched(LADDER, NOTHING)
    run(proposer, 9)
    several = []
    for _ in range(4):
        several.append(proposer.next())
        proposer.started(several[-1])
    assert len({(p.run.configuration, p.seed) for p in several}) == 4
    assert len({p.configuration for p in several}) > 1
    proposer.ended(several[0].run.trial, "failed", None, 0)
    proposer.next()  # of what failed the worst is believed


def test_each_side_gets_its_share_of_the_training_steps() -> None:
    made = run(searched(LADDER, LR, share=1 / 3), 24)
    work = {True: 0.0, False: 0.0}
    for proposal in made:
        work[proposal.configuration.is_vanilla] += proposal.configuration.scale
    assert work[True] / sum(work.values()) == pytest.approx(1 / 3, abs=0.1)


def test_the_gain_of_a_run_is_the_mean_fall_of_the_lowest_expectation() -> None:
    expected = np.array([0.0, 0.1, 0.4])
    moved = np.array([[0.3, 0.05, 0.0], [0.2, 0.2, 0.2], [0.0, 0.0, -0.6]])
    z = np.random.default_rng(0).normal(size=400_000)
    drawn = [(expected + np.outer(z, row)).min(1).mean() for row in moved]
    gain = knowledge_gradient(expected, moved)
    assert gain == pytest.approx(-np.array(drawn), abs=3e-3)
    assert gain[1] == pytest.approx(0, abs=1e-9), "what moves all alike tells nothing"


@pytest.mark.parametrize(
    ("budgets", "target", "found"),
    [
        (None, None, None),
        ([1], 600, None),
        (None, 4800, Ladder((1.0, 2.0, 4.0), 8.0)),
        (None, 900, Ladder((1.0,), 1.5)),
        ([1, 4, 16], None, Ladder((1.0, 4.0, 16.0), 16.0)),
        ([300, 600], 4800, Ladder((0.5, 1.0), 8.0)),
    ],
)
def test_a_ladder_is_what_budgets_and_target_say(
    budgets: list[float] | None, target: float | None, found: Ladder | None
) -> None:
    ladder = Ladder.of(600, budgets, target)
    assert ladder == found
    assert ladder is None or Ladder.from_dict(ladder.to_dict()) == ladder


@pytest.mark.parametrize("budgets", [[], [4, 1], [0, 1], [1, 1]])
def test_budgets_that_do_not_rise_are_refused(budgets: list[float]) -> None:
    with pytest.raises(ValueError, match="numbers above 0 that rise"):
        scales_of(600, budgets)


def test_a_schedule_is_the_same_at_every_budget() -> None:
    at_one = Configuration(Linear(until=0.5))
    assert at_one.at(4.0).at(1.0) == at_one
    assert Configuration.from_dict(at_one.at(4.0).to_dict()) == at_one.at(4.0)
