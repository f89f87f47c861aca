"""A production training on object storage."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.storage.conftest import BUCKET, S3

from mollitune.schedules import Sigmoid
from mollitune.search.production.settings import ScheduleSource, TrainSettings
from mollitune.search.production.train import Trained, train
from mollitune.search.production.trained import load_model

SETTINGS = TrainSettings(
    model="vae",
    dataset="digits",
    steps=12,
    hparams={"latent": 4, "hidden": 16},
    batch_size=32,
    fid_samples=60,
    evaluations=2,
)


def go(location: str) -> Trained:
    source = ScheduleSource("sigmoid", Sigmoid(until=0.6))
    console = Console(file=io.StringIO())
    return train(source, SETTINGS, location, console, checkpoint_seconds=0, device="cpu")


@pytest.mark.slow
def test_a_training_in_a_bucket_is_the_one_on_a_disk(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLLITUNE_CACHE", str(tmp_path / "cache"))
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    location = f"s3://{BUCKET}/runs/vae?region=us-east-1&scheme=http&endpoint_override="
    location += s3.endpoint.replace(":", "%3A")
    local, remote = go(str(tmp_path / "vae")), go(location)
    assert remote.result == local.result
    assert go(location).before
    assert set(s3.objects("runs/vae")) == {
        *("train.json", "metrics.parquet", "model.pt"),
        *("samples/06.png", "samples/12.png", "samples/real.png"),
        *("checkpoints/0000-0.pt", "checkpoints/0000-1.pt"),
    }
    one, two = load_model(location).state_dict(), load_model(tmp_path / "vae").state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    # as if it had been killed before its last words
    path = f"{BUCKET}/runs/vae/train.json"
    described = json.loads(s3.objects("runs/vae")["train.json"])
    with s3.filesystem.open_output_stream(path) as stream:
        stream.write(json.dumps({**described, "status": "running", "result": None}).encode())
    assert go(location).result == local.result
