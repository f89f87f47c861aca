"""Schedules by name: from a family and its parameters, or from a file."""

import dataclasses
import os

from ._base import Schedule
from ._errors import ScheduleFileError
from ._file import read
from ._registry import lookup


def build(family: str, /, **params: float | str) -> Schedule:
    """Construct a schedule from the name of its family; parameters left out take their defaults.

    Args:
        family: One of `families`.
        **params: Parameters of that family.

    Raises:
        ValueError: If the family is unknown, or a parameter is unknown, missing or illegal.

    Example:
        >>> build("linear", until=0.5)
        Linear(until=0.5, peak=1.0, floor=0.0)
    """
    cls = lookup(family)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(params.keys() - fields.keys())
    if unknown:
        raise ValueError(
            f"parameters of {family} must be among {', '.join(fields) or 'none'}, "
            f"got {', '.join(unknown)}"
        )
    for name, field in fields.items():
        if name not in params and field.default is dataclasses.MISSING:
            raise ValueError(f"{name} must be given: {family} has no default for it")
    schedule: Schedule = cls(**params)
    return schedule


def load(path: str | os.PathLike[str]) -> Schedule:
    """Read a schedule from a file made with `Schedule.save`.

    Args:
        path: The file.

    Returns:
        A schedule equal to the one that was saved.

    Raises:
        ScheduleFileError: If the file is missing, is no schedule file, or holds an illegal
            schedule. The message is one line that says how to mend it.
    """
    document = read(path)
    try:
        return Schedule.from_dict(document)
    except ValueError as error:
        raise ScheduleFileError(
            f"{path}: {error}; mend the file or save the schedule again"
        ) from error
