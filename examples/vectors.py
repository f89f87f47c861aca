"""Mollification for vectors: a masked autoregressive flow on scikit-learn's breast-cancer table.

    python examples/vectors.py [STEPS]

Prints the mean log-likelihood of held-out rows, in nats, of both arms on the same three seeds.
"""

import sys

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor

from mollitune.models import build
from mollitune.schedules import Schedule, Sigmoid, Vanilla

ARMS = {"vanilla": Vanilla(), "mollified": Sigmoid(start=0, end=3, tau=0.7, until=0.6)}


def standardised_table() -> tuple[Tensor, Tensor]:
    """Return 455 rows to train on and 114 to judge by, scaled by the former's mean and std."""
    table = torch.tensor(load_breast_cancer().data, dtype=torch.float32)
    table = table[torch.randperm(len(table), generator=torch.Generator().manual_seed(0))]
    train, test = table[:455], table[455:]
    return (train - train.mean(0)) / train.std(0), (test - train.mean(0)) / train.std(0)


def held_out_log_likelihood(mollify: Schedule, seed: int, steps: int) -> float:
    """Train a flow under a schedule and return its mean log-likelihood of the test rows."""
    train, test = standardised_table()
    torch.manual_seed(seed)
    model = build("maf", shape=(30,), hidden=64, blocks=3)
    model.initialise(train, mollify(train, 0.0))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = torch.Generator().manual_seed(seed)
    for step in range(steps):
        x = train[torch.randint(len(train), (100,), generator=batches)]
        loss = model.loss(mollify(x, step / steps))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    nll = model.bits_per_dim(test).mean() * 30 * torch.log(torch.tensor(2.0))
    return -float(nll)


if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for name, schedule in ARMS.items():
        values = [held_out_log_likelihood(schedule, seed, steps) for seed in range(3)]
        print(f"{name}: {', '.join(f'{value:.1f}' for value in values)} nats")
