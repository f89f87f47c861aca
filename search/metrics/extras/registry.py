"""The metrics of ``fid.extra`` by their names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from torch import Tensor

from mollitune._errors import MollituneError
from mollitune._files import first_line
from mollitune._own import imported
from mollitune.search.store.evaluation import EXTRA_PREFIX, extra_metric

from .base import AtEnd, Extra, Named, Sides, Trained
from .fid_infinity import FidInfinity
from .kid import Kid
from .mind import Mind
from .prc import PrecisionRecall
from .prior import Prior

REGISTRY: dict[str, type[Named]] = {
    "kid": Kid,
    "prior": Prior,
    "prc": PrecisionRecall,
    "fid_infinity": FidInfinity,
    "mind": Mind,
}

_FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class OwnFunction(Extra):
    """A metric of a user's own that is a function of generated and real features.

    Arguments:
        function: From features (N, F) and (M, F) to a number.
    """

    needs_real = True

    def __init__(self, function: Callable[[Tensor, Tensor], float]) -> None:
        name = function.__name__
        told = (inspect.getdoc(function) or name).splitlines()[0].rstrip(".")
        self.columns = (extra_metric(name, told),)
        self._function = function

    def measure(self, sides: Sides) -> dict[str, float]:
        """Return its value."""
        return {self.columns[0].name: self._function(*sides.both)}


def check_extra_name(name: str) -> str:
    """Return a name that has the form of a registered metric or of ``module:Class``.

    Raises:
        ValueError: If it has neither.
    """
    if name not in REGISTRY and not _FORM.fullmatch(name):
        *first, last = map(repr, REGISTRY)
        raise ValueError(
            f"Input should be {', '.join(first)} or {last}, or module:Class for one of your own"
        )
    return name


def extra(name: str) -> Named:
    """Return the metric of a name, built once per process.

    Args:
        name: A name of `REGISTRY`, or ``module:Class`` (a subclass of `Extra` or `AtEnd`) or
            ``module:function`` (as for `OwnFunction`).

    Raises:
        ValueError: If there is no such metric, or a user's own cannot be used.
    """
    if ":" not in name:
        if name not in REGISTRY:
            allowed = ", ".join(REGISTRY)
            raise ValueError(f"extra metric {name!r} is unknown; allowed: {allowed}, module:Class")
        return _known(name)
    return _own(name, imported(name))


@cache
def _known(name: str) -> Named:
    return REGISTRY[name]()


@cache
def _own(name: str, said: object) -> Named:
    found = _built(name, said)
    for column in found.columns:
        if not column.name.startswith(EXTRA_PREFIX) or not column.nullable:
            raise ValueError(f"{name}: make its columns with mollitune's extra_metric")
    return found


def check_extras(names: Iterable[str], images: int, has_real_features: bool) -> None:
    """Check that metrics can be computed.

    Args:
        names: Names of metrics, as for `extra`.
        images: Real or generated images, whichever are fewer.
        has_real_features: Whether the features of the real images were kept.

    Raises:
        ValueError: If a name is unknown, a column is filled twice, or images or features are
            missing.
    """
    chosen = sorted(set(names))
    for name in chosen:
        if images < extra(name).least:
            raise ValueError(f"{name} needs at least {extra(name).least} images, got {images}")
    if need_real_features(chosen) and not has_real_features:
        needy = " and ".join(name for name in chosen if extra(name).needs_real)
        raise ValueError(f"{needy}: the reference must be measured with keep_features=True")
    filled = [column.name for name in chosen for column in extra(name).columns]
    twice = sorted({column for column in filled if filled.count(column) > 1})
    if twice:
        raise ValueError(f"two metrics fill the column {twice[0]}; ask for one of them")


def need_real_features(names: Iterable[str]) -> bool:
    """Return whether one of the metrics needs the features of the real images."""
    return any(extra(name).needs_real for name in names)


def measure_extras(names: Iterable[str], sides: Sides) -> dict[str, float]:
    """Return the values of metrics by their columns.

    Raises:
        MollituneError: If a metric fails, or does not return a number for each of its columns.
    """
    shapes = " and ".join(
        str(tuple(side.shape)) for side in (sides.generated, sides.real) if side is not None
    )
    found: dict[str, float] = {}
    for name in names:
        own = extra(name)
        if isinstance(own, Extra):
            found |= _values(name, partial(own.measure, sides), f"features {shapes}")
    return found


def look_at_end(names: Iterable[str], trained: Trained) -> dict[str, float]:
    """Return the values of the metrics that look at a trained model, by their columns.

    Raises:
        MollituneError: As for `measure_extras`.
    """
    found: dict[str, float] = {}
    for name in names:
        own = extra(name)
        if isinstance(own, AtEnd):
            found |= _values(name, partial(own.look, trained), type(trained.model).__name__)
    return found


def _values(name: str, measure: Callable[[], Mapping[str, float]], whose: str) -> dict[str, float]:
    columns = [column.name for column in extra(name).columns]
    try:
        values = {column: float(value) for column, value in measure().items()}
    except Exception as error:  # the user's code may raise anything
        raise MollituneError(
            f"fid.extra: {name} fails on {whose}: {type(error).__name__}: {first_line(error)}"
        ) from error
    if values.keys() != set(columns) and (values or isinstance(extra(name), Extra)):
        raise MollituneError(
            f"fid.extra: {name} measures {', '.join(values)}, not {', '.join(columns)}"
        )
    return values


def _built(name: str, found: object) -> Named:
    if inspect.isclass(found) and issubclass(found, Named):
        try:
            return found()
        except Exception as error:  # the user's code may raise anything
            raise ValueError(
                f"{name}() fails: {type(error).__name__}: {first_line(error)}; the class must be "
                "built without arguments"
            ) from error
    if inspect.isfunction(found):
        return OwnFunction(found)
    raise ValueError(f"{name} is neither a function nor a class derived from Extra")
