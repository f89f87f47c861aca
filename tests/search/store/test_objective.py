import math

import pytest

from mollitune.search.policy.bound import Bound
from mollitune.search.store.evaluation import OPTIONAL, extra_metric
from mollitune.search.store.objective import (
    FID,
    Constraint,
    Objective,
    constraint_of,
    objective_of,
)

OWN = extra_metric("spread", "spread of the features", better="higher")
ASIDE = extra_metric("gap", "neither")


@pytest.mark.parametrize(
    ("name", "found", "title", "prefix"),
    [
        ("fid", FID, "FID", "fid"),
        ("bpd", Objective("bpd"), "bits per dim", "bpd"),
        ("kid", Objective("kid"), "KID", "kid"),
        ("spread", Objective("extra.spread", True), "-spread", "negative_spread"),
        ("extra.spread", Objective("extra.spread", True), "-spread", "negative_spread"),
    ],
)
def test_any_metric_that_has_a_direction(
    name: str, found: Objective, title: str, prefix: str
) -> None:
    objective = objective_of(name, [OPTIONAL["kid"], OWN])
    assert objective == found
    assert (objective.title, objective.prefix) == (title, prefix)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kid", "kid is not measured in this search; add it to fid.extra"),
        ("gap", "extra.gap says not whether lower or higher values are better"),
        ("step", "must be one of fid, bpd, nll, extra.spread, or another metric of fid.extra"),
    ],
)
def test_other_metrics_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective_of(name, [OWN, ASIDE])


def test_lower_is_better_whatever_the_metric() -> None:
    row = {"fid": 3.5, "bpd": math.nan, "extra.spread": 2.0, "kid": None}
    values = [Objective(name).of(row) for name in ("fid", "bpd", "kid")]
    assert [*values, objective_of("spread", [OWN]).of(row)] == [3.5, None, None, -2.0]


def test_a_bound_is_absolute_or_from_vanilla() -> None:
    bpd, spread = Objective("bpd"), objective_of("spread", [OWN])
    for metric, text, bound, said in (
        (bpd, "<= 3.5", Bound(3.5), "bits per dim <= 3.5"),
        (bpd, "<=vanilla", Bound(0.0, True), "bits per dim <= vanilla + 0"),
        (bpd, " <= vanilla + .02", Bound(0.02, True), "bits per dim <= vanilla + 0.02"),
        (bpd, "<= vanilla - 1e-3", Bound(-0.001, True), "bits per dim <= vanilla - 0.001"),
        (spread, ">= vanilla - 0.5", Bound(0.5, True), "-spread <= vanilla + 0.5"),
        (spread, ">= 2", Bound(-2.0), "-spread <= -2"),
    ):
        found = constraint_of(metric, text)
        assert (found.bound, str(found)) == (bound, said)
        assert Constraint.from_dict(found.to_dict()) == found
    for metric, text, message in (
        (bpd, ">= 3", "of bpd lower values are better: bound it with <="),
        (spread, "<= 3", "of extra.spread higher values are better: bound it with >="),
        (bpd, "< 3", "'< 3' is no bound; write"),
        (bpd, "<= vanilla 3", "is no bound"),
    ):
        with pytest.raises(ValueError, match=message):
            constraint_of(metric, text)


def test_what_is_not_known_is_allowed() -> None:
    near, far = Bound(0.1, True), Bound(3.0)
    assert near.allows(3.05, 3.0)
    assert not near.allows(3.2, 3.0)
    assert near.allows(3.2, None)
    assert near.allows(None, 3.0)
    assert far.allows(3.0, 1.0)
    assert not far.allows(3.1, 9.0)
