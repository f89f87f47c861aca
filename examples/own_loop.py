"""Train a model of your own under an exported schedule: ``python own_loop.py best.json``."""

import sys

import torch
from sklearn.datasets import load_digits

from mollitune.schedules import load

images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
noise = torch.Generator().manual_seed(0)  # the schedule's own: your batches stay as they were

# probabilistic PCA: the smallest model with an exact likelihood
mean, factor = torch.zeros(64, requires_grad=True), torch.randn(64, 8, requires_grad=True)
log_variance = torch.zeros(64, requires_grad=True)
optimiser = torch.optim.Adam([mean, factor, log_variance], lr=3e-2)

schedule, steps = load(sys.argv[1]), 100
for step in range(steps):
    x = images[torch.randint(len(images), (128,))]
    x = schedule(x, step / steps, generator=noise)  # the one line
    density = torch.distributions.LowRankMultivariateNormal(mean, factor, log_variance.exp())
    loss = -density.log_prob(x.flatten(1)).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"{schedule}: {loss.item():.2f} nats per image")
