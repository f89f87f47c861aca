import math
import re
from dataclasses import replace
from typing import Any

import pytest

from mollitune.search.policy.comparability import (
    Comparability,
    UnlikeValuesError,
    Value,
    ranked,
    require_alike,
)

LIKE = Comparability("vae", 0.65, False, "lenet 12ab", 2000, "360 validation images", 7680)
OTHERS: dict[str, Any] = {
    "model": "glow",
    "age": 0.7,
    "probe": True,
    "extractor": "lenet 34cd",
    "samples": 1000,
    "reference": "360 test images",
    "budget": 15360,
}


def test_all_fields_are_tried_here() -> None:
    assert set(OTHERS) == set(vars(LIKE))


def test_like_values_are_ranked_without_what_is_no_number() -> None:
    fids = [3.0, math.nan, 1.0, math.inf, 2.0, 1.0]
    assert ranked(Value(fid, "clean", LIKE) for fid in fids) == [1.0, 1.0, 2.0, 3.0]
    assert ranked([]) == []


@pytest.mark.parametrize("field", OTHERS)
def test_unlike_values_are_refused_and_the_difference_is_named(field: str) -> None:
    one = Value(1.0, "clean", LIKE)
    other = Value(2.0, "clean", replace(LIKE, **{field: OTHERS[field]}))
    words = re.escape(
        f"values with {field} {vars(LIKE)[field]!r} and {OTHERS[field]!r} cannot be ranked "
        "against each other"
    )
    with pytest.raises(UnlikeValuesError, match=f"^{words}$"):
        require_alike(one, other)
    with pytest.raises(UnlikeValuesError, match=words):
        ranked([one, other])


def test_a_mollified_value_cannot_even_be_made() -> None:
    with pytest.raises(UnlikeValuesError, match="training data still mollified"):
        Value(1.0, "mollified", LIKE)


def test_a_cooldown_branch_compares_whatever_the_phase() -> None:
    probe = replace(LIKE, probe=True)
    values = [Value(2.0, "mollified", probe), Value(1.0, "clean", probe)]
    assert ranked(values) == [1.0, 2.0]
