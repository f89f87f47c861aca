"""FID and bits per dimension of a model's configurations, as plain data."""

import math
from typing import NamedTuple

from mollitune._errors import MollituneError
from mollitune.analysis.ranking.pareto import pareto
from mollitune.analysis.tables.results import Results

from .view import View


class FrontPoint(NamedTuple):
    """Means of one configuration, and what dominates it.

    Attributes:
        configuration: Number of the configuration.
        family: Its schedule family.
        text: Schedule and searched hyperparameters as short text.
        runs: Number of its complete runs.
        trial: Its run with the median FID, which a click shows; None where that is not known yet.
        fid: Mean FID.
        fid_error: Its standard error; NaN for one run.
        bpd: Mean bits per dimension.
        bpd_error: Its standard error.
        dominated_by: Number of a configuration that is at least as good in both and better in
            one; None on the front.
    """

    configuration: int
    family: str
    text: str
    runs: int
    trial: int | None
    fid: float
    fid_error: float
    bpd: float
    bpd_error: float
    dominated_by: int | None


def front_points(results: Results, view: View) -> list[FrontPoint]:
    """The configurations of a model that have both values, by FID.

    Empty when nothing has finished, nothing has bits per dimension, or FIDs were not measured
    alike.

    Args:
        results: Results of the search.
        view: Result for the model.
    """
    try:
        rows = pareto(results, view.model).to_dict("records")
    except MollituneError:
        return []
    trials = {point.configuration: point.median_trial for point in view.points}
    return [
        FrontPoint(
            int(row["configuration"]),
            str(row["family"]),
            str(row["schedule"]),
            int(row["runs"]),
            trials.get(int(row["configuration"])),
            float(row["fid_mean"]),
            float(row["fid_error"]),
            float(row["bpd_mean"]),
            float(row["bpd_error"]),
            None if row["front"] else int(row["dominated_by"]),
        )
        for row in rows
        if not math.isnan(row["bpd_mean"])
    ]
