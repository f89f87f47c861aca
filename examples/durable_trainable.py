"""A search of Ray Tune that may be killed at any moment: run the same line again, and it goes on.

    python examples/durable_trainable.py [FOLDER] [SAMPLES]

Nothing of it is Mollitune's but the record: a plain function trainable, stock ASHA, and any
searcher of Ray Tune. With more samples it goes on with a search that has ended.
"""

import sys
import time
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from mollitune.search.tune import durable

SPACE = {"lr": tune.loguniform(1e-4, 1e-1), "width": tune.choice([16, 32, 64])}


def train(config: dict[str, Any]) -> None:
    """Stand for a training: the loss falls towards what the configuration can reach."""
    for epoch in range(1, 10):
        time.sleep(0.05)
        reach = abs(config["lr"] - 0.01) * 10 + 8 / config["width"]
        tune.report({"loss": reach + 1 / epoch})


def main(folder: str = "results/durable", samples: str = "16") -> None:
    """Run the search, or go on with it."""
    with ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False):
        durable.run(
            train,
            folder,
            metric="loss",
            mode="min",
            samples=int(samples),
            space=SPACE,
            scheduler=ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
            workers=1,
        )
    print(durable.table(folder).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
