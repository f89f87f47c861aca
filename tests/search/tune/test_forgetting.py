from collections.abc import Callable
from typing import Any

import pytest
from ray.tune.experiment import Trial

from mollitune.search.tune.carrier import Forgetting


@pytest.mark.parametrize("moment", [Forgetting.on_trial_complete, Forgetting.on_trial_error])
def test_statistics_go_and_the_last_result_stays(moment: Callable[..., None]) -> None:
    trial: Any = Trial("trainable", stub=True, _setup_default_resource=False)
    for step in (1, 2):
        trial.update_last_result({"step": step, "fid": 40.0, "training_iteration": step})
    assert trial.metric_analysis["fid"]["avg"] == 40.0
    assert trial.metric_n_steps
    moment(Forgetting(), iteration=1, trials=[trial], trial=trial)
    assert trial.metric_analysis == trial.metric_n_steps == {}
    assert trial.last_result["step"] == 2
    trial.update_last_result({"step": 3, "fid": 30.0, "training_iteration": 3})
    assert trial.metric_analysis["fid"]["last"] == 30.0
