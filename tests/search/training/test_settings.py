"""One declaration of each training setting serves config, training and command line."""

import inspect

from mollitune.search.config import FidConfig, ModelConfig
from mollitune.search.production.command import train
from mollitune.search.production.settings import TrainSettings
from mollitune.search.training.settings import ModelTraining, Training


def test_every_setting_is_a_key_an_option_and_a_field_of_the_spec() -> None:
    for name, setting in Training.model_fields.items():
        section = ModelConfig if name in ModelTraining.model_fields else FidConfig
        for place in (section, TrainSettings):
            found = place.model_fields[name]
            assert (found.default, found.metadata) == (setting.default, setting.metadata)
            assert found.description == setting.description
        assert name in inspect.signature(train).parameters


def test_a_search_averages_the_weights_of_every_model_alike() -> None:
    entry = ModelConfig(name="vae", lr=0.5, hparams={"hidden": 8}, steps=7)
    assert Training.of(entry, 0.25) == Training(lr=0.5, hparams={"hidden": 8}, ema=0.25)
    assert Training.of(ModelConfig(name="vae"), None) == Training()
