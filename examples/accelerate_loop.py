"""Train under an exported schedule with Hugging Face Accelerate.

    accelerate launch accelerate_loop.py best.json [CHECKPOINT]

Progress counts optimiser steps, so the level stays right across epochs, gradient accumulation,
several GPUs and a resume. Keep ``EPOCHS`` the same when you resume.
"""

import math
import sys

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mollitune.models import GenerativeModel, build, dequantise
from mollitune.schedules import load

EPOCHS, ACCUMULATE = 4, 2


class Loss(nn.Module):
    """Calls a model's loss by ``forward``, as several GPUs need it to share their gradients."""

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return self.model.loss(x)


class Position:
    """Where the training is; Accelerate saves it with everything else."""

    def __init__(self) -> None:
        self.epoch = self.step = 0

    def state_dict(self) -> dict[str, int]:
        """Return what is saved."""
        return vars(self)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take what was saved."""
        vars(self).update(state)


set_seed(0)
schedule, at = load(sys.argv[1]), Position()
digits = load_digits().images * (255 / 16)  # counts 0 to 16, as bytes
images = TensorDataset(torch.tensor(digits, dtype=torch.uint8)[:, None])
train, validation = torch.utils.data.random_split(images, [0.8, 0.2])
model = Loss(build("vae", shape=(1, 8, 8)))

accelerator = Accelerator(gradient_accumulation_steps=ACCUMULATE)
noise = torch.Generator(accelerator.device).manual_seed(accelerator.process_index)
model, optimiser, loader = accelerator.prepare(
    model,
    torch.optim.Adam(model.parameters(), lr=1e-3),
    DataLoader(train, batch_size=128, shuffle=True),
)
total_steps = EPOCHS * math.ceil(len(loader) / ACCUMULATE)
accelerator.register_for_checkpointing(at)
if len(sys.argv) > 2:
    accelerator.load_state(sys.argv[2])

while at.epoch < EPOCHS:
    for (batch,) in loader:
        with accelerator.accumulate(model):
            progress = at.step / total_steps
            x = schedule(dequantise(batch), progress, generator=noise)  # the one line
            loss = model(x)
            accelerator.backward(loss)
            optimiser.step()
            optimiser.zero_grad()
        if accelerator.sync_gradients:  # the optimiser has made a step
            at.step += 1
            level = schedule.level(progress)
            accelerator.print(f"step {at.step} level {level:.6f} loss {loss.item():.3f}")
    at.epoch += 1
    accelerator.save_state(f"checkpoints/{at.epoch}")

# judged on clean data, whatever the training saw
(held_out,) = next(iter(DataLoader(validation, batch_size=len(validation))))
clean = dequantise(held_out.to(accelerator.device))
bits = accelerator.unwrap_model(model).model.bits_per_dim(clean).mean()
accelerator.print(f"{bits:.3f} bits per dim on clean held-out digits")
