"""Was early stopping safe? What became of the runs that were due to be stopped and went on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mollitune.analysis.ranking.expectation import LEVEL
from mollitune.analysis.tables.comparable import comparable_reports, require_alike
from mollitune.analysis.tables.results import Results
from mollitune.analysis.words import count_of
from mollitune.search.policy import FOREIGN, UNLIKE
from mollitune.search.store import COMPARABLE_WITHIN

from .correlation import rank_correlation

_KEPT = ["continue", "audit"]


def unlike_stops(results: Results, model: str) -> str:
    """Say how often a scheduler of Ray Tune stopped a run by values of unlike noise.

    FID of a run whose data are still mollified measures the noise that is left, so such a ranking
    is one of schedules by their noise, not by what they lead to.

    Args:
        results: Results of a search.
        model: Name of the model.

    Returns:
        A sentence for each scheduler; nothing where none is plugged in.
    """
    trials = results.trials[results.trials["model"] == model]["trial"]
    own = results.decisions[results.decisions["trial"].isin(trials)]
    told = []
    for policy, rows in own.groupby("policy"):
        if not str(policy).startswith(FOREIGN):
            continue
        stops = rows[rows["action"] == "stop"]
        unlike = int(stops["reason"].str.startswith(UNLIKE).sum())
        told.append(
            f"{policy} is a scheduler of Ray Tune, which knows nothing of mollification: of its "
            f"{count_of(len(stops), 'stop')} {unlike} ranked a value among others of unlike noise."
        )
    return " ".join(told)


@dataclass(frozen=True)
class RungAudit:
    """How well the values on a rung predicted the final FIDs.

    Attributes:
        rung: Number of the rung.
        progress: Share of training at which it lies; the median over its decisions.
        runs: Number of runs that were judged there and trained to their end.
        correlation: Spearman's rank correlation between the value that was judged and the final
            FID; None for fewer than 4 runs or without any spread.
        low: Lower end of its 90 % interval by Fisher's transform with the variance of Bonett and
            Wright (2000), (1 + r^2 / 2) / (n - 3); None without a correlation, or for one of
            exactly 1 or -1, where the transform ends.
        high: Upper end.
    """

    rung: int
    progress: float
    runs: int
    correlation: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PolicyAudit:
    """How one rule of early stopping did on one model.

    A *false stop* is an audited run, one that was to be stopped and went on, whose final FID is
    within the best 1/eta of the first complete runs of all configurations of its model: the rule
    would have kept it, had it known. Further seeds do not count there, as only winners get them.

    Attributes:
        model: Name of the model.
        policy: Name of the rule.
        eta: Reduction factor of the search; None if its metadata do not tell.
        stopped: Number of runs that were stopped.
        audited: Number of runs that would have been stopped and went on.
        finished: Number of these that have a comparable final FID.
        false_stops: Number of these that are false stops; None without ``eta`` or without any.
        low: Lower end of the 90 % Wilson interval of the share of false stops; None without one.
        high: Upper end.
        steps_saved: Training steps that stopping saved.
        share_saved: Their share of the full budget of all runs of the model, in [0, 1].
        rungs: The rungs on which runs were judged.
    """

    model: str
    policy: str
    eta: float | None
    stopped: int
    audited: int
    finished: int
    false_stops: int | None
    low: float | None
    high: float | None
    steps_saved: int
    share_saved: float
    rungs: tuple[RungAudit, ...]

    @property
    def sentence(self) -> str:
        """The audit in words."""
        if not self.stopped and not self.audited:
            return f"On {self.model}, {self.policy} stopped no run."
        saved = f"saved {self.share_saved:.0%} of the training steps"
        stopped = f"{self.policy} stopped {count_of(self.stopped, 'run')} and {saved}"
        return f"On {self.model}, {stopped}. {self._verdict}"

    @property
    def _verdict(self) -> str:
        if not self.audited:
            return "No stopped run was audited, so what stopping cost in quality is unknown."
        went_on = f"{count_of(self.audited, 'run')} due to be stopped went on as a check"
        if not self.finished:
            return f"{went_on}; none has a final FID yet."
        if self.false_stops is None or self.low is None or self.high is None:
            return f"{went_on}; search.json does not hold the reduction factor to judge them by."
        return (
            f"{went_on}: {self.false_stops} of {self.finished} ended among the best "
            f"1/{self.eta:g} (90 % interval of the share: {self.low:.0%} to {self.high:.0%})."
        )


@dataclass(frozen=True)
class AuditSummary:
    """What early stopping cost and saved.

    Attributes:
        policies: One audit per model and rule, sorted by both; empty when nothing was judged.
    """

    policies: tuple[PolicyAudit, ...]

    @property
    def sentence(self) -> str:
        """All audits in words."""
        if not self.policies:
            return "No run was judged before its end, so there is nothing to audit."
        return " ".join(audit.sentence for audit in self.policies)


def audit(results: Results, model: str | None = None) -> AuditSummary:
    """Check early stopping against the runs that went on although they were to be stopped.

    The correlations are over the runs that were trained to their end, of which stopping has taken
    most of the bad ones: without that they would usually be higher.

    Args:
        results: Results of a search, finished or running.
        model: Only this model; all of them by default.

    Raises:
        MollituneError: If there is no such model, or the final FIDs of a model were not all
            measured alike.
    """
    finals = comparable_reports(results, model)
    trials = results.trials[results.trials["stage"] == "search"]
    decisions = results.decisions[results.decisions["policy"] != "race"]
    decisions = decisions.merge(trials[["trial", "model"]], on="trial")
    if model is not None:
        decisions = decisions[decisions["model"] == model]
    audits = []
    for (name, policy), own in decisions.groupby(["model", "policy"], sort=True):
        ended = finals[finals["model"] == name]
        if not ended.empty:
            require_alike(results, ended, COMPARABLE_WITHIN)
        of_model = trials[trials["model"] == name]
        audits.append(_audit(str(name), str(policy), own, ended, of_model, _eta(results)))
    return AuditSummary(tuple(audits))


def _audit(
    model: str,
    policy: str,
    decisions: pd.DataFrame,
    finals: pd.DataFrame,
    trials: pd.DataFrame,
    eta: float | None,
) -> PolicyAudit:
    fids = finals.set_index("trial")["fid"]
    stopped = set(decisions.loc[decisions["action"] == "stop", "trial"])
    audited = set(decisions.loc[decisions["action"] == "audit", "trial"])
    ended = fids[fids.index.isin(audited)]
    false_stops = low = high = None
    if eta is not None and len(ended):
        first = finals.sort_values("trial").groupby("configuration")["fid"].first()
        false_stops = int((ended <= np.quantile(first, 1 / eta)).sum())
        from scipy.stats import binomtest

        share = binomtest(false_stops, len(ended)).proportion_ci(LEVEL, method="wilson")
        low, high = float(share.low), float(share.high)
    spared = trials[trials["trial"].isin(stopped)]
    saved = int((spared["steps"] - spared["step"]).sum())
    budget = int(trials["steps"].sum())
    return PolicyAudit(
        model=model,
        policy=policy,
        eta=eta,
        stopped=len(stopped),
        audited=len(audited),
        finished=len(ended),
        false_stops=false_stops,
        low=low,
        high=high,
        steps_saved=saved,
        share_saved=saved / budget if budget else 0.0,
        rungs=tuple(_rungs(decisions, fids)),
    )


def _rungs(decisions: pd.DataFrame, fids: pd.Series) -> Iterator[RungAudit]:
    judged = decisions[decisions["action"].isin(_KEPT) & np.isfinite(decisions["value"])]
    for rung, own in judged.groupby("rung", sort=True):
        both = own.set_index("trial")["value"].to_frame().join(fids, how="inner")
        found = rank_correlation(both["value"].tolist(), both["fid"].tolist())
        yield RungAudit(int(rung), float(own["progress"].median()), len(both), *found)


def _eta(results: Results) -> float | None:
    """The reduction factor of the search; None if ``search.json`` does not hold one."""
    config = results.metadata.get("config", {})
    stopping = config.get("stopping", {}) if isinstance(config, dict) else {}
    eta = stopping.get("reduction_factor") if isinstance(stopping, dict) else None
    return float(eta) if isinstance(eta, int | float) and eta >= 1 else None
