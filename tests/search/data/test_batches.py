from itertools import chain

import pytest
import torch

from mollitune.search.data.batches import Batches


def draw(batches: Batches, count: int) -> list[list[int]]:
    return [batches.next().tolist() for _ in range(count)]


def test_an_epoch_shows_each_image_at_most_once() -> None:
    batches = Batches(count=10, size=3, seed=0)
    first, second = draw(batches, 3), draw(batches, 3)
    for epoch in (first, second):
        shown = list(chain.from_iterable(epoch))
        assert len(shown) == len(set(shown)) == 9
        assert set(shown) <= set(range(10))
    assert first != second


def test_batches_that_divide_the_images_show_all() -> None:
    shown = chain.from_iterable(draw(Batches(count=12, size=4, seed=1), 3))
    assert sorted(shown) == list(range(12))


def test_a_seed_gives_its_own_stream() -> None:
    assert draw(Batches(50, 8, seed=1), 9) == draw(Batches(50, 8, seed=1), 9)
    assert draw(Batches(50, 8, seed=1), 9) != draw(Batches(50, 8, seed=2), 9)


def test_no_batch_is_larger_than_the_data() -> None:
    assert sorted(Batches(count=5, size=8, seed=0).next().tolist()) == list(range(5))


@pytest.mark.parametrize("position", [0, 1, 3, 5])
def test_a_stream_goes_on_where_it_was_saved(position: int) -> None:
    batches = Batches(count=10, size=3, seed=0)
    draw(batches, position)
    state = batches.state_dict()
    rest = draw(batches, 7)
    other = Batches(count=10, size=3, seed=99)
    other.load_state_dict(state)
    assert draw(other, 7) == rest


def test_torchs_global_generator_is_not_used() -> None:
    state = torch.get_rng_state()
    draw(Batches(count=10, size=3, seed=0), 9)
    assert torch.equal(torch.get_rng_state(), state)
