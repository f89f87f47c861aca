import numpy as np
import pytest

from mollitune.analysis.confirmation import Choice, choice

NOISE = {0: -0.1, 1: 0.0, 2: 0.12}
Values = dict[int, dict[str, dict[int, float]]]


def around(**means: dict[int, float]) -> Values:
    """Three seeds of each arm that hardly differ, by budget."""
    budgets = sorted({budget for own in means.values() for budget in own})
    return {
        budget: {
            name: {seed: own[budget] + (i + 1) * off for seed, off in NOISE.items()}
            for i, (name, own) in enumerate(means.items())
            if budget in own
        }
        for budget in budgets
    }


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (
            around(vanilla={600: 5, 1200: 7, 2400: 9}, linear={600: 9, 1200: 7.05, 2400: 5}),
            "changes",
            "the choice changes between 600 and 2,400 steps",
        ),
        (
            around(vanilla={600: 9, 2400: 8}, linear={600: 5, 2400: 4}),
            "same",
            "the same schedule wins at all budgets measured: linear",
        ),
        (
            around(vanilla={600: 5, 2400: 4}, linear={600: 9, 2400: 8}),
            "same",
            "vanilla wins at all budgets measured",
        ),
        (
            around(vanilla={600: 5, 2400: 7}, linear={600: 9, 2400: 7.05}),
            "open",
            "it cannot be told whether the choice depends on the budget",
        ),
    ],
)
def test_what_is_said(values: Values, kind: str, said: str) -> None:
    found = choice(values)
    assert (found.kind, found.sentence) == (kind, said)


def test_the_closest_budgets_that_differ_are_told() -> None:
    tied = {300: {"a"}, 600: {"a", "b"}, 1200: {"b"}, 2400: {"b"}}
    found = Choice({budget: frozenset(own) for budget, own in tied.items()}, "images")
    assert found.sentence == "the choice changes between 300 and 1,200 images"


def test_of_what_is_not_measured_everywhere_nothing_is_said() -> None:
    values = around(vanilla={600: 9, 2400: 8}, linear={600: 5, 2400: 4}, late={2400: 1})
    assert choice(values).kind == "same"
    assert choice(values).sentence == (
        "the same schedule wins at all budgets measured (of the 2 arms that have all budgets): "
        "linear"
    )
    assert choice({600: values[600]}).kind == "open"
    assert choice({}).kind == "open"
    for arms in values.values():  # one seed shows no spread
        arms["linear"] = {0: 5.0}
    assert choice(values) == Choice({}, arms=1, left_out=2)


def test_claims_are_rarely_wrong() -> None:
    """Ladders of three arms; the best one differs by a little, by much, or not at all."""
    rng = np.random.default_rng(0)
    claims = errors = 0
    for number in range(300):
        gap = (0.5, 3.0, 8.0)[number % 3]
        budgets = (600, 1200, 2400)
        means = rng.normal(0, gap, (3, 3))
        means[:, 2] = means[:, 1] if number % 2 else means[:, 2]  # a tie of two
        noise = rng.normal(0, 1.5, (3, 3, 4)) + rng.normal(0, 3, (3, 1, 4))
        values = {
            b: {
                name: {s: float(means[i, k] + noise[i, k, s]) for s in range(4)}
                for k, name in enumerate("abc")
            }
            for i, b in enumerate(budgets)
        }
        best = {
            b: {n for k, n in enumerate("abc") if means[i, k] == means[i].min()}
            for i, b in enumerate(budgets)
        }
        found = choice(values)
        claims += found.kind != "open"
        if found.change is not None:
            errors += bool(best[found.change[0]] & best[found.change[1]])
        if found.kind == "same":
            errors += any(frozenset(best[b]) != found.tied[b] for b in budgets)
    assert claims > 30
    assert errors <= 0.05 * 300
