"""One declaration of each training setting serves config, training and command line."""

import inspect

from mollitune.search.config import ModelConfig
from mollitune.search.production.command import train
from mollitune.search.production.settings import TrainSettings
from mollitune.search.training.settings import Training


def test_every_setting_is_a_key_an_option_and_a_field_of_the_spec() -> None:
    for name, setting in Training.model_fields.items():
        for place in (ModelConfig, TrainSettings):
            found = place.model_fields[name]
            assert (found.default, found.metadata) == (setting.default, setting.metadata)
            assert found.description == setting.description
        assert name in inspect.signature(train).parameters


def test_a_configuration_has_settings_of_its_own() -> None:
    entry = ModelConfig(name="vae", lr=0.5, ema=0.25, hparams={"hidden": 8}, steps=7)
    assert Training.of(entry) == Training(lr=0.5, ema=0.25, hparams={"hidden": 8})
    own = Training.of(entry, {"lr": 0.1, "ema": 0, "hparams.latent": 2})
    assert own == Training(lr=0.1, hparams={"hidden": 8, "latent": 2})
    assert own.ema is None
