import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from tests.search.policy.worlds import plain

from mollitune.schedules import Blur, Float, Linear, Vanilla, build, families, shape_features
from mollitune.search.policy.belief import Belief
from mollitune.search.policy.configuration import Configuration
from mollitune.search.policy.earlier import Earlier
from mollitune.search.policy.hyperspace import NOTHING, Hyperspace
from mollitune.search.policy.scales import DRAWS, Array, Draws, Hyperparameters
from mollitune.search.policy.shape import coordinates
from mollitune.search.policy.surrogate import (
    MODELLED,
    MOST,
    ShapeSurrogate,
    expected_fid,
    fitted,
)

LENGTH = (0.4, 0.5, 0.6, 0.7, 0.8)
LR = Hyperspace({"lr": Float(1e-4, 1e-1, log=True)}, (("lr", 1e-3),))


def scales_of(
    space: Hyperspace, budgets: Sequence[float] = (0.0, 0.0, 0.0), apart: Sequence[float] = ()
) -> Hyperparameters:
    """One draw: with hyperparameters a length for each, and what they do by themselves."""
    length = [*LENGTH, *[0.3] * len(space.dimensions)]
    rest = (0.9, 0.3, 0.2, 0.25, 0.35, 0.6 if space else 0.0, *budgets)
    return Hyperparameters(
        *(np.array([length]), *(np.array([s]) for s in rest), np.array([apart]))
    )


Runs = tuple[list[Configuration], list[list[float]], list[list[int]]]


def pool(count: int, rng: np.random.Generator) -> list[Configuration]:
    """Schedules of five families, none of them twice."""
    kinds = (
        lambda: build("linear", until=rng.uniform(0.1, 0.9)),
        lambda: build("cosine", until=rng.uniform(0.1, 0.9)),
        lambda: build("polynomial", power=rng.uniform(0.3, 4), until=rng.uniform(0.1, 0.9)),
        lambda: build("blur", sigma_max=rng.uniform(0.5, 8), until=rng.uniform(0.1, 0.9)),
        lambda: build("linear", until=rng.uniform(0.1, 0.9), peak=rng.uniform(0.2, 0.9)),
    )
    return plain(*(kinds[i % len(kinds)]() for i in range(count)))


def some_runs() -> Runs:
    rng = np.random.default_rng(3)
    schedules = [*plain(Vanilla()), *pool(8, rng)]
    seeds = [list(range(n)) for n in (2, 1, 1, 3, 1, 1, 2, 1, 1)]
    values = [np.exp(rng.normal(3.5, 0.1, len(own))).tolist() for own in seeds]
    return schedules, values, seeds


def simulated(seed: int, count: int = 12, unit: float = 0.1) -> tuple[Runs, Array]:
    """Runs of a search whose FIDs follow the assumed law, and the expected FIDs."""
    rng = np.random.default_rng(seed)
    schedules = pool(count, rng)
    x = np.array([coordinates(own.schedule) for own in schedules])
    root = np.linalg.cholesky(Matern(0.5, nu=2.5)(x) + 1e-8 * np.eye(count))
    expected = 0.9 * root @ rng.normal(size=count) + 0.3 * rng.normal(size=count)
    of_seed = [0.3 * rng.normal() + 0.3 * root @ rng.normal(size=count) for _ in range(4)]
    seeds = [list(range(n)) for n in rng.choice([1, 1, 2, 4], size=count)]
    values = [
        [float(np.exp(4 + unit * (e + of_seed[s][i] + 0.4 * rng.normal()))) for s in own]
        for i, (e, own) in enumerate(zip(expected, seeds, strict=True))
    ]
    return (schedules, values, seeds), np.exp(4 + unit * expected)


def sklearn_belief(
    runs: Runs, asked: list[Configuration], owners: list[int], space: Hyperspace
) -> tuple[Array, Array]:
    """Location and standard deviation of the same belief by scikit-learn.

    Schedule and seed are two more coordinates, on which all that differs is far apart.
    """
    schedules, values, seeds = runs
    wide, narrow = 1e7, 1e-3
    scales = scales_of(space)
    shape, own, seed, seed_shape, run, settings = (float(getattr(scales, n)[0]) for n in (
        "shape", "own", "seed", "seed_shape", "run", "settings"))  # fmt: skip
    length = scales.length[0].tolist()
    apart = [wide] * len(length)
    kernel = (
        ConstantKernel(1e4)  # nothing is known of the level
        + ConstantKernel(shape**2) * Matern([*length, wide, wide], nu=2.5)
        + ConstantKernel(own**2) * Matern([*apart, narrow, wide], nu=2.5)
        + ConstantKernel(seed**2) * Matern([*apart, wide, narrow], nu=2.5)
        + ConstantKernel(seed_shape**2) * Matern([*length, wide, narrow], nu=2.5)
    )
    if space:
        alone = [wide] * len(LENGTH) + length[len(LENGTH) :]
        kernel += ConstantKernel(settings**2) * Matern([*alone, wide, wide], nu=2.5)

    def place(tried: Configuration) -> tuple[float, ...]:
        return (*coordinates(tried.schedule), *space.coordinates(tried.settings))

    points = [
        [*place(tried), i, s]
        for i, (tried, own_seeds) in enumerate(zip(schedules, seeds, strict=True))
        for s in own_seeds
    ]
    logs = np.log([fid for each in values for fid in each])
    y = (logs - logs.mean()) / logs.std()
    process = GaussianProcessRegressor(kernel, alpha=run**2, optimizer=None).fit(points, y)
    fresh_seed = -1
    new = [[*place(c), i, fresh_seed] for c, i in zip(asked, owners, strict=True)]
    mean, deviation = process.predict(new, return_std=True)
    spread = np.sqrt(deviation**2 - seed**2 - seed_shape**2)
    return logs.mean() + logs.std() * mean, logs.std() * spread


@pytest.mark.parametrize("space", [NOTHING, LR], ids=["schedules", "hyperparameters too"])
def test_belief_is_that_of_scikit_learn(space: Hyperspace) -> None:
    rng = random.Random(1)

    def drawn(schedules: list[Configuration]) -> list[Configuration]:
        return [Configuration(c.schedule, space.draw(rng)) for c in schedules]

    tried, values, seeds = some_runs()
    runs = (drawn(tried), values, seeds)
    surrogate = ShapeSurrogate(*runs, space, scales=Draws(scales_of(space), np.zeros(1)))
    others = drawn(pool(5, np.random.default_rng(9)))
    for belief, asked, owners in (
        (surrogate.tried(), runs[0], list(range(len(runs[0])))),
        (surrogate.at(others), others, [100 + i for i in range(len(others))]),
    ):
        location, deviation = sklearn_belief(runs, asked, owners, space)
        assert belief.location == pytest.approx(location, abs=1e-5)
        assert np.hypot(belief.scale, belief.level_scale) == pytest.approx(deviation, rel=1e-3)


def test_a_lucky_run_is_believed_less_than_many() -> None:
    """One low FID among equal neighbours is pulled back; with many seeds it is believed."""
    schedules = plain(*(Linear(until=u) for u in np.linspace(0.2, 0.8, 9)))

    def believed(runs: int) -> float:
        noise = np.random.default_rng(0)
        values = [np.exp(noise.normal(np.log(50), 0.05, 3)).tolist() for _ in schedules]
        values[4] = np.exp(noise.normal(np.log(40), 0.05, runs)).tolist()
        values[4] = [v * 40 / np.exp(np.log(values[4]).mean()) for v in values[4]]
        return float(ShapeSurrogate(schedules, values).tried().fid[4])

    once, often = believed(1), believed(40)
    assert 41.5 < once < 50
    assert often == pytest.approx(40, rel=0.015)


def test_values_that_are_not_positive_are_modelled_as_they_are() -> None:
    """What is believed of -log FID is what is believed of FID, turned round."""
    schedules, values, seeds = some_runs()
    logs = [(np.log(own) - 9).tolist() for own in values]
    fids, shifted = (ShapeSurrogate(schedules, v, seeds) for v in (values, logs))
    for one, other in (
        (fids.tried(), shifted.tried()),
        (fids.at(schedules), shifted.at(schedules)),
    ):
        np.testing.assert_allclose(np.log(one.fid), other.fid + 9, rtol=1e-6)
        for end, linear in zip(one.interval(), other.interval(), strict=True):
            np.testing.assert_allclose(np.log(end), linear + 9, rtol=1e-6)
        np.testing.assert_allclose(
            one.improvement(40.0), other.improvement(float(np.log(40.0)) - 9), atol=1e-9
        )


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
def test_repeated_runs_tell_the_noise_between_seeds(noise: float) -> None:
    rng = np.random.default_rng(1)
    schedules = pool(20, rng)
    means = rng.normal(3.5, 0.2, len(schedules))
    values = [np.exp(rng.normal(m, noise, 4)).tolist() for m in means]
    assert ShapeSurrogate(schedules, values).seed_scale == pytest.approx(noise, rel=0.35)


def test_what_one_seed_likes_is_not_taken_for_good() -> None:
    """Mollified schedules look good with seed 0 alone; two more seeds of some show otherwise."""
    schedules = plain(*(Linear(until=u) for u in np.linspace(0.1, 0.9, 9)))
    rng = np.random.default_rng(5)
    seeds = [[0, 1, 2] if i in (1, 4, 7) else [0] for i in range(9)]
    values = [
        [float(np.exp(4 - (0.4 * i / 9 if s == 0 else 0) + rng.normal(0, 0.01))) for s in own]
        for i, own in enumerate(seeds)
    ]
    told = ShapeSurrogate(schedules, values, seeds).tried().location
    untold = ShapeSurrogate(schedules, values).tried().location
    assert abs(told[8] - told[0]) < 0.7 * abs(untold[8] - untold[0])


def test_intervals_hold_what_they_promise() -> None:
    """Over 200 searches, 90 % intervals of 12 schedules each hold the truth in 85 to 95 %."""
    held = []
    for number in range(200):
        runs, truth = simulated(number)
        low, high = ShapeSurrogate(*runs).tried().interval(0.9)
        held.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.85 < np.mean(held) < 0.95


def test_recommendation_beats_the_lowest_single_value() -> None:
    """What the belief chooses is better in truth than the luckiest of all runs."""
    chosen, lucky = [], []
    for number in range(100):
        (schedules, values, seeds), truth = simulated(number)
        worth = expected_fid(schedules, values, seeds)
        chosen.append(np.log(truth[int(np.argmin(worth))] / truth.min()))
        lucky.append(np.log(truth[int(np.argmin([min(v) for v in values]))] / truth.min()))
    assert np.mean(chosen) < 0.8 * np.mean(lucky)


def test_order_of_schedules_changes_nothing() -> None:
    schedules, values, seeds = some_runs()
    straight = ShapeSurrogate(schedules, values, seeds).tried()
    turned = ShapeSurrogate(schedules[::-1], values[::-1], seeds[::-1]).tried()
    assert turned.location[::-1] == pytest.approx(straight.location, abs=1e-9)
    assert turned.scale[::-1] == pytest.approx(straight.scale, rel=1e-6)


def test_the_draws_that_are_kept_say_what_all_would(monkeypatch: pytest.MonkeyPatch) -> None:
    (schedules, values, seeds), _ = simulated(1, 40)  # 67 runs
    others = pool(30, np.random.default_rng(6))
    part = ShapeSurrogate(schedules, values, seeds)
    monkeypatch.setattr("mollitune.search.policy.surrogate._TAIL", 0.0)
    monkeypatch.setattr("mollitune.search.policy.surrogate._KEPT", DRAWS)
    whole = ShapeSurrogate(schedules, values, seeds)
    assert len(part.scales.run) < len(whole.scales.run) / 2
    for some, every in ((part.tried(), whole.tried()), (part.at(others), whole.at(others))):
        assert (np.abs(some.location - every.location) < 0.1 * every.scale).all()
        assert some.scale == pytest.approx(every.scale, rel=0.1)


@pytest.mark.parametrize("count", [10, 120])
def test_many_draws_count_however_many_runs_there_are(count: int) -> None:
    found = ShapeSurrogate(*simulated(2, count)[0])  # up to 200 runs
    assert 30 <= found.effective <= len(found.scales.run)


def test_the_last_process_is_kept_for_whoever_asks_for_it_again() -> None:
    schedules, values, seeds = some_runs()
    one = fitted(schedules, values, seeds)
    assert fitted(list(schedules), [list(v) for v in values], seeds) is one
    values[0][0] *= 1.1
    other = fitted(schedules, values, seeds)
    assert other.tried().fid[0] > one.tried().fid[0]
    unpaired = fitted(schedules, values).tried().location
    assert unpaired.tolist() == ShapeSurrogate(schedules, values).tried().location.tolist()


def test_few_schedules_are_worth_their_mean() -> None:
    schedules, values, _ = some_runs()
    few = MODELLED - 1
    assert expected_fid(schedules[:few], values[:few]) == [np.mean(v) for v in values[:few]]
    modelled = expected_fid(schedules[:MODELLED], values[:MODELLED])
    assert modelled == list(ShapeSurrogate(schedules[:MODELLED], values[:MODELLED]).tried().fid)


@pytest.mark.parametrize("best", [28.0, 30.0, 33.0])
def test_improvement_is_its_monte_carlo_mean(best: float) -> None:
    belief = Belief(np.log([30.0, 33.0]), np.array([0.05, 0.2]), np.array([0.1, 0.1]))
    draws = np.random.default_rng(0).standard_normal((400_000, 1))
    gains = np.maximum(np.log(best) - (belief.location + belief.scale * draws), 0)
    errors = gains.std(0) / np.sqrt(len(draws))
    assert (np.abs(belief.improvement(best) - gains.mean(0)) < 4 * errors).all()
    sure = Belief(np.log([27.0, 40.0]), np.zeros(2), np.zeros(2))
    assert sure.improvement(best) == pytest.approx([np.log(best / 27), 0.0])


def test_equal_curves_share_their_place_and_blur_lies_apart() -> None:
    line = Linear(until=0.5)
    assert coordinates(build("polynomial", power=1.0, until=0.5)) == pytest.approx(
        coordinates(line), abs=1e-6
    )
    blur = Blur(sigma_max=4.0, until=0.5, curve="linear")
    assert coordinates(blur) == pytest.approx((*coordinates(line)[:3], 1.0, 0.4), abs=1e-6)
    weak = Linear(until=0.5, peak=0.3)
    assert coordinates(weak) == pytest.approx((*coordinates(line)[:4], 0.3), abs=1e-6)


def test_coordinates_are_those_of_the_shape_in_the_unit_cube() -> None:
    for family, until in itertools.product(families(), (0.02, 0.6, 1.0)):
        own = {"vanilla": {}, "blur": {"sigma_max": 30.0, "until": until}}
        schedule = build(family, **own.get(family, {"until": until}))
        shape = shape_features(schedule)
        found = coordinates(schedule)
        assert all(0 <= c <= 1 for c in found)
        if family != "vanilla":
            expected = (until, shape["area"], shape["half_life"])
            assert found[:3] == pytest.approx(expected, abs=0.008), family
    # vanilla is the limit of ever shorter mollification
    assert coordinates(Linear(until=1e-6)) == pytest.approx(coordinates(Vanilla()), abs=1e-5)
    # a level that never falls to half has its half-life at the end
    assert coordinates(Linear(until=0.6, floor=0.9))[2] == pytest.approx(0.6, abs=0.008)
    assert coordinates(Linear(until=1.0, floor=0.9))[2] == 1.0


@pytest.mark.parametrize(
    ("schedules", "values", "seeds", "message"),
    [
        ([], [], None, "at least one FID each"),
        (plain(Vanilla()), [[]], None, "at least one FID each"),
        (plain(Vanilla()), [[20.0, float("nan")]], None, "must be finite"),
        (plain(Vanilla()), [[20.0]], [[1, 2]], "one seed"),
        (plain(Vanilla()), [[20.0]], [], "one seed"),
    ],
)
def test_arguments_that_make_no_sense(
    schedules: list[Configuration],
    values: list[list[float]],
    seeds: list[list[int]] | None,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        ShapeSurrogate(schedules, values, seeds)
    with pytest.raises(ValueError, match=message):
        expected_fid(schedules, values, seeds)


def test_one_schedule_with_one_run_is_believed_to_be_what_it_was() -> None:
    belief = ShapeSurrogate(plain(Vanilla()), [[30.0]]).tried()
    assert belief.fid == pytest.approx([30.0])
    assert belief.interval()[0] < 30 < belief.interval()[1]


def test_of_very_many_runs_the_best_and_a_spread_are_modelled() -> None:
    rng = np.random.default_rng(4)
    schedules = pool(MOST + 60, rng)
    values = [[float(v)] for v in np.exp(rng.normal(4, 0.2, len(schedules)))]
    last = len(schedules) - 1
    values[last] = [max(values)[0] + 1]
    surrogate = ShapeSurrogate(schedules, values, always=[last])
    belief = surrogate.tried()
    raw = np.isclose(belief.fid, [own[0] for own in values], rtol=1e-9)
    assert raw.sum() == 60
    best = np.argsort([own[0] for own in values])[: MOST // 2]
    assert not raw[best].any()
    assert not raw[last]
    assert (belief.scale > 0).all()
    assert np.isfinite(surrogate.at(schedules[:4]).fid).all()


def dense(
    runs: Runs,
    asked: list[Configuration],
    s: Hyperparameters,
    unit: float,
    before: Runs = ([], [], []),
) -> tuple[Array, Array]:
    """Mean and covariance of log FID, seeds averaged out, of what is asked at its budget."""
    told = [
        (*run, i) for i, those in enumerate((runs, before)) for run in zip(*those, strict=True)
    ]
    owners = [c for c, _, seeds, _ in told for _ in seeds]
    of_seed = [(i, seed) for _, _, seeds, i in told for seed in seeds]
    search = np.array([i for i, _ in of_seed] + [0] * len(asked))
    logs = np.log([fid for _, values, _, _ in told for fid in values])
    centre, y = logs[search[: len(logs)] == 0].mean(), np.empty(len(logs))
    for i in set(search.tolist()):
        which = search[: len(logs)] == i
        y[which] = (logs[which] - logs[which].mean()) / (logs[which].std() if i else unit)
    everything = [*owners, *asked]
    length, shape, own, seed, seed_shape, run, slope, bend, trend = (
        getattr(s, name)[0]
        for name in (
            *("length", "shape", "own", "seed", "seed_shape", "run"),
            *("slope", "bend", "trend"),
        )
    )
    x = np.array([coordinates(c.schedule) for c in everything])
    alike = Matern(length, nu=2.5)(x)
    b = np.log10([c.scale for c in everything])
    same = np.array([[float(c.at(1) == o.at(1)) for o in everything] for c in everything])
    line = np.outer(b, b)
    # of what is integrated twice, by quadrature
    bends = [[quad(lambda u, p=p, q=q: (p - u) * (q - u), 0, min(p, q))[0] for q in b] for p in b]
    change = line + bend**2 * np.array(bends)
    by_until = Matern(length[0], nu=2.5)(x[:, :1])
    moves = ((slope * shape) ** 2 * by_until + trend**2) * change
    apart = search[:, None] != search
    prior = shape**2 * alike + own**2 * same + moves
    prior *= np.where(apart, 1 / (1 + s.apart.sum() ** 2), 1)
    prior += 10 * (~apart & (search > 0)) + 1e6
    n = len(owners)
    together = np.array([[
        float((s_, c.scale) == (t, o.scale)) for t, o in zip(of_seed, owners, strict=True)
    ] for s_, c in zip(of_seed, owners, strict=True)])  # fmt: skip
    noisy = prior[:n, :n] + together * (seed**2 + seed_shape**2 * alike[:n, :n])
    noisy += run**2 * np.eye(n)
    gain = np.linalg.solve(noisy, prior[:n, n:]).T
    mean = centre + unit * gain @ y
    return mean, unit**2 * (prior[n:, n:] - gain @ prior[:n, n:])


def some_budgets() -> Runs:
    """Some configurations, each at one or two of three budgets."""
    tried, values, seeds = some_runs()
    scales = [1.0, 2.0, 6.0]
    longer = [c.at(scales[i % 3]) for i, c in enumerate(tried)]
    again = [c.at(4.0) for c in tried[:3]]
    return [*longer, *again], [*values, [20.0], [22.0], [19.0]], [*seeds, [0], [0], [1]]


def test_budgets_are_believed_together_as_the_formula_says() -> None:
    runs = some_budgets()
    scales = scales_of(NOTHING, (1.5, 0.8, 2.0))
    surrogate = ShapeSurrogate(*runs, scales=Draws(scales, np.zeros(1)), budgets=(8.0,))
    asked = [c.at(8.0) for c in (*runs[0][:4], *pool(3, np.random.default_rng(5)))]
    unit = surrogate.seed_scale / math.sqrt(0.2**2 + 0.25**2 + 0.35**2)
    mean, covariance = dense(runs, asked, scales, unit)
    belief = surrogate.at(asked)
    assert belief.location == pytest.approx(mean, abs=1e-3)
    spread = np.hypot(belief.scale, belief.level_scale)
    assert spread == pytest.approx(np.sqrt(np.diagonal(covariance)), rel=1e-3)
    farther = surrogate.at([c.at(80.0) for c in asked])
    assert (farther.scale > belief.scale).all(), "the farther the less is known"


def earlier(runs: Runs) -> Earlier:
    tried, values, seeds = runs
    measured = tuple(map(tuple, values)), tuple(map(tuple, seeds))
    return Earlier("name", "vae", "digits", tuple(tried), *measured)


def test_an_earlier_search_is_believed_as_the_formula_says() -> None:
    runs, (schedules, values, seeds) = some_runs(), simulated(3)[0]
    shared = [*runs[0][:3], *schedules[3:]]  # some were tried in both
    before = earlier((shared, values, seeds))
    for apart in (0.3, 2.0):
        scales = scales_of(NOTHING, apart=[apart])
        surrogate = ShapeSurrogate(*runs, scales=Draws(scales, np.zeros(1)), earlier=[before])
        asked = [*schedules[3:], *pool(3, np.random.default_rng(5))]
        unit = surrogate.seed_scale / math.sqrt(0.2**2 + 0.25**2 + 0.35**2)
        for belief, those in ((surrogate.tried(), runs[0]), (surrogate.at(asked), asked)):
            mean, covariance = dense(runs, those, scales, unit, (shared, values, seeds))
            assert belief.location == pytest.approx(mean, abs=1e-3)
            spread = np.hypot(belief.scale, belief.level_scale)
            assert spread == pytest.approx(np.sqrt(np.diagonal(covariance)), rel=1e-3)
        assert surrogate.agreement == pytest.approx([1 / (1 + apart**2)])


def test_an_earlier_search_is_believed_as_far_as_it_agrees() -> None:
    """Of eight earlier searches half had the same law, half had it turned round."""
    agreement, moved = [], []
    for number in range(8):
        (schedules, values, seeds), truth = simulated(number, 24)
        sign = 1 if number < 4 else -1
        own = (schedules[:8], values[:8], seeds[:8])
        before = earlier((schedules, [[float(t**sign)] for t in truth], [[0]] * 24))
        with_it, without = ShapeSurrogate(*own, earlier=[before]), ShapeSurrogate(*own)
        agreement.append(with_it.agreement[0])
        errors = [
            np.abs(each.at(schedules[8:]).location - np.log(truth[8:])).mean()
            for each in (with_it, without)
        ]
        moved.append(errors[0] / errors[1])
    assert min(agreement[:4]) > max(agreement[4:])
    assert np.mean(moved[:4]) < 0.8
    assert np.mean(moved[4:]) < 1.2


def test_what_a_run_would_move_is_its_covariance_by_its_own_spread() -> None:
    runs = some_budgets()
    scales = scales_of(NOTHING, (1.5, 0.8, 2.0))
    surrogate = ShapeSurrogate(*runs, scales=Draws(scales, np.zeros(1)), budgets=(8.0,))
    base = [*runs[0][:4], *pool(3, np.random.default_rng(5))]
    at, targets = [c.at(2.0) for c in base], [c.at(8.0) for c in base]
    unit = surrogate.seed_scale / math.sqrt(0.2**2 + 0.25**2 + 0.35**2)
    _, covariance = dense(runs, [*at, *targets], scales, unit)
    n = len(at)
    spread = np.sqrt(np.diagonal(covariance)[:n] + surrogate.seed_scale**2)
    expected = covariance[:n, n:] / spread[:, None]
    assert surrogate.moved(at, targets) == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_a_difference_is_believed_as_the_formula_says() -> None:
    runs = some_budgets()
    scales = scales_of(NOTHING, (1.5, 0.8, 2.0))
    surrogate = ShapeSurrogate(*runs, scales=Draws(scales, np.zeros(1)), budgets=(8.0,))
    asked = [c.at(8.0) for c in (*runs[0][1:4], *pool(3, np.random.default_rng(5)), runs[0][0])]
    unit = surrogate.seed_scale / math.sqrt(0.2**2 + 0.25**2 + 0.35**2)
    mean, covariance = dense(runs, asked, scales, unit)
    variance = np.diagonal(covariance)
    spread = np.sqrt(variance[:-1] + variance[-1] - 2 * covariance[-1, :-1])
    gap, sure = surrogate.differences(asked[:-1], asked[-1])
    assert gap == pytest.approx(mean[:-1] - mean[-1], abs=1e-3)
    assert sure == pytest.approx(spread, rel=1e-2)


def test_runs_that_have_begun_leave_as_much_to_be_found_out_as_if_they_had_ended() -> None:
    runs = some_runs()
    scales = scales_of(NOTHING)
    surrogate = ShapeSurrogate(*runs, scales=Draws(scales, np.zeros(1)))
    asked = pool(6, np.random.default_rng(5))
    several, before = surrogate.several(asked), surrogate.at(asked)
    assert several.belief.location == pytest.approx(before.location)
    assert several.belief.scale == pytest.approx(before.scale)
    begun = [1, 4]
    for number in begun:
        several.begin(number)
    unit = surrogate.seed_scale / math.sqrt(0.2**2 + 0.25**2 + 0.35**2)
    _, covariance = dense(runs, asked, scales, unit)
    of_runs = covariance[np.ix_(begun, begun)] + surrogate.seed_scale**2 * np.eye(2)
    told = covariance[:, begun] @ np.linalg.solve(of_runs, covariance[begun])
    assert several.belief.location == pytest.approx(before.location)
    # the formula does not know the level either, which moves all alike
    left = np.sqrt(np.diagonal(covariance - told))
    assert several.belief.scale == pytest.approx(left, rel=5e-2)
    assert (several.belief.scale[begun] < 0.9 * before.scale[begun]).all()
