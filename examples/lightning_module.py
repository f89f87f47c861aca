"""Train under an exported schedule in Lightning.

    python lightning_module.py best.json [CHECKPOINT]

Progress counts optimiser steps, so the level stays right across epochs, gradient accumulation,
several GPUs and a resume. Keep ``max_epochs`` or ``max_steps`` the same when you resume.
"""

import sys

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from mollitune.models import GenerativeModel, build, dequantise
from mollitune.schedules import Schedule, load


class Mollified(pl.LightningModule):
    """Trains a model of images on data that its schedule mollifies.

    Args:
        model: has ``loss(x)`` and ``bits_per_dim(x)``, for x in [-1, 1].
        schedule: the exported schedule.
        lr: learning rate of Adam.
    """

    def __init__(self, model: GenerativeModel, schedule: Schedule, lr: float = 1e-3) -> None:
        super().__init__()
        self.model, self.schedule, self.lr = model, schedule, lr

    def on_fit_start(self) -> None:
        """Make the noise's own generator, another one on each GPU."""
        self.noise = torch.Generator(self.device).manual_seed(self.global_rank)
        self.total_steps = self.trainer.estimated_stepping_batches

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Mollify, in training only."""
        progress = self.global_step / self.total_steps
        x = self.schedule(dequantise(batch[0]), progress, generator=self.noise)  # the one line
        loss = self.model.loss(x)
        self.log_dict({"loss": loss, "level": self.schedule.level(progress)})
        return loss

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """Judge on clean data, whatever the training sees."""
        self.log("bits_per_dim", self.model.bits_per_dim(dequantise(batch[0])).mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


if __name__ == "__main__":
    pl.seed_everything(0)
    digits = load_digits().images * (255 / 16)  # counts 0 to 16, as bytes
    images = TensorDataset(torch.tensor(digits, dtype=torch.uint8)[:, None])
    train, validation = torch.utils.data.random_split(images, [0.8, 0.2])
    trainer = pl.Trainer(
        max_epochs=4,
        accumulate_grad_batches=2,
        logger=CSVLogger("logs", name=None),
        log_every_n_steps=1,
        callbacks=[ModelCheckpoint("checkpoints", every_n_train_steps=5, save_top_k=-1)],
        enable_progress_bar=False,
    )
    trainer.fit(
        Mollified(build("vae", shape=(1, 8, 8)), load(sys.argv[1])),
        DataLoader(train, batch_size=128, shuffle=True),
        DataLoader(validation, batch_size=256),
        ckpt_path=sys.argv[2] if len(sys.argv) > 2 else None,
    )
    print(f"{trainer.callback_metrics['bits_per_dim']:.3f} bits per dim on clean held-out digits")
