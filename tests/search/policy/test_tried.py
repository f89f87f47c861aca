from tests.search.policy.test_source import SEARCHED, space_source

from mollitune.schedules import SAME_CURVE, Linear, Vanilla, curve_distance
from mollitune.search.policy.tried import TriedCurves


def test_it_is_the_curve_distance_to_each_that_was_tried() -> None:
    source = space_source([*SEARCHED])
    known = [Vanilla(), *source.candidates()[:150]]
    asked = [*source.candidates(), *known[:3], Linear(until=0.001), Vanilla()]
    tried = TriedCurves(SAME_CURVE)
    assert tried.new(asked) == asked
    for schedule in known:
        tried.add(schedule)
    wanted = [s for s in asked if all(curve_distance(s, t) > SAME_CURVE for t in known)]
    assert tried.new(asked) == wanted
    assert 0 < len(wanted) < len(asked) - 5
