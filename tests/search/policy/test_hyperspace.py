"""The notation of what is searched, and the space of hyperparameters."""

import random
from typing import Any

import pytest

from mollitune.schedules import Choice, Dimension, Float, Int
from mollitune.search.policy import Hyperspace, dimension, settings_of
from mollitune.search.policy.configuration import settings_text
from mollitune.search.policy.dimensions import at, contains, coordinates, ends, spelled_out

ALL: dict[str, Dimension] = {
    "lr": Float(1e-4, 1e-2, log=True),
    "warmup": Float(0.0, 0.2),
    "batch_size": Int(16, 256, log=True),
    "hparams.depth": Int(1, 4),
    "hparams.width": Choice((32, 64, 256)),
    "hparams.skip": Choice((True, False)),
    "optimiser": Choice(("adam", "adamw", "sgd")),
}
SPACE = Hyperspace(dict(sorted(ALL.items())))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0.5, None),
        ("adam", None),
        (True, None),
        ([1e-4, 1e-2], Float(1e-4, 1e-2, log=True)),
        ({"low": 1e-4, "high": 1e-2, "log": False}, Float(1e-4, 1e-2)),
        ({"low": 1, "high": 8, "int": True}, Int(1, 8, log=True)),
        ({"choices": [32, 64]}, Choice((32, 64))),
        ({"choices": [True, False]}, Choice((True, False))),
        (["adam", "sgd"], Choice(("adam", "sgd"))),
        (Int(2, 3), Int(2, 3)),
    ],
)
def test_one_notation_says_what_is_searched(value: Any, found: Dimension | None) -> None:
    assert dimension(value, log=True) == found
    if found is not None:
        assert dimension(spelled_out(found)) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"alternatives are written \{choices: \[...\]\}"),
        ([1, 2, 3], "no range"),
        ([2, 1], "high must be above low"),
        ([0, 1], "low must be > 0 on a logarithmic scale"),
        ({"low": 1}, "neither"),
        ({"low": 1, "high": 2, "log": "yes"}, "log must be true or false"),
        ({"low": 1.5, "high": 2, "int": True}, "low must be a whole number"),
        ({"choices": []}, "at least one"),
        ({"choices": [1, "a"]}, "all texts, all numbers, or true and false"),
        ({"choices": [1, True]}, "distinct"),
        ({"choices": [1, None]}, "all texts, all numbers, or true and false"),
    ],
)
def test_what_is_no_range_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dimension(value, log=True)


def test_every_point_lies_in_the_space_and_is_read_back_from_a_table() -> None:
    rng = random.Random(0)
    for _ in range(300):
        point = SPACE.draw(rng)
        for _ in range(3):
            point = SPACE.near(point, rng)
        own = dict(point)
        assert all(contains(found, own[name]) for name, found in ALL.items())
        assert all(0 <= place <= 1 for place in SPACE.coordinates(point))
        # tables have whole numbers as floats where other rows have none
        loose = {n: float(v) if type(v) is int else v for n, v in point}
        found = SPACE.read(loose)
        assert found == point
        assert [type(v) for _, v in found] == [type(v) for _, v in point]
    with pytest.raises(ValueError, match=r"lr = 1 lies outside"):
        SPACE.read({**own, "lr": 1})
    with pytest.raises(ValueError, match=r"optimiser = None lies outside"):
        SPACE.read({name: value for name, value in own.items() if name != "optimiser"})


def test_places_follow_the_scale_and_categories_stand_apart() -> None:
    lr, width = ALL["lr"], ALL["hparams.width"]
    assert isinstance(lr, Float)
    assert coordinates(lr, 1e-3) == pytest.approx((0.5,))
    assert at(lr, 0.5) == pytest.approx(1e-3)
    assert (at(lr, -1), at(lr, 2)) == pytest.approx(ends(lr))
    assert [coordinates(width, w) for w in (32, 64, 256)] == [(0.0,), (0.5,), (1.0,)]
    places = [coordinates(ALL["optimiser"], name) for name in ("adam", "adamw", "sgd")]
    assert places == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_a_point_at_the_end_of_a_range_is_told() -> None:
    middle = dict(SPACE.draw(random.Random(0))) | {"lr": 1e-3, "warmup": 0.1, "batch_size": 64}
    assert SPACE.at_an_end(settings_of(middle)) == []
    ends_of = middle | {"lr": 9.9e-3, "hparams.depth": 1, "batch_size": 16}
    assert SPACE.at_an_end(settings_of(ends_of)) == ["batch_size", "lr"]


def test_an_int_is_drawn_as_often_as_its_share_of_the_scale() -> None:
    rng, drawn = random.Random(1), Int(1, 4, log=True)
    counts = [0] * 5
    for _ in range(4000):
        counts[drawn.sample(rng)] += 1
    # from .5 to 1.5 lies half of the logarithm of .5 to 4.5
    assert counts[1] / 4000 == pytest.approx(0.5, abs=0.03)
    assert min(counts[1:]) > 200


def test_a_configuration_reads_well() -> None:
    settings = settings_of({"lr": 0.00123456, "hparams.width": 64, "optimiser": "adamw"})
    assert settings_text(settings) == " with width=64 lr=0.00123 optimiser=adamw"
