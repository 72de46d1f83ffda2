"""Configurations: presets, plain data and back, and values that make no sense."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elmo_helpers import BiLMConfig, CharCNNConfig, ElmoHelpersError, TextConfig, TrainingConfig
from elmo_helpers.config import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_round_trip_through_json(name):
    config = BiLMConfig.preset(name)
    assert BiLMConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(BiLMConfig.preset(name))


def test_tutorial_has_the_sizes_of_the_original():
    config = BiLMConfig.preset("tutorial")
    assert config.char_cnn.filters == ((2, 32), (3, 32), (4, 32), (5, 32))
    assert (config.char_cnn.n_filters, config.hidden_dim, config.n_layers, config.dropout) == (128, 64, 2, 0.2)
    assert config.char_cnn.embedding_dim is None
    assert TrainingConfig() == TrainingConfig(epochs=2, batch_size=64, learning_rate=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BiLMConfig.preset("huge"), "preset='huge': expected one of tutorial, small"),
        (lambda: BiLMConfig(n_layers=0), "n_layers=0: expected a whole number of at least 1"),
        (lambda: BiLMConfig(hidden_dim=64.0), r"hidden_dim=64.0"),
        (lambda: BiLMConfig(hidden_dim=100), r"128 wide and one LSTM direction 100.*projection_dim=100"),
        (lambda: BiLMConfig(dropout=1.0), "dropout=1.0"),
        (lambda: BiLMConfig(cell_clip=0.0), "cell_clip=0.0"),
        (lambda: CharCNNConfig(filters=()), "filters="),
        (lambda: CharCNNConfig(scheme="ascii"), "scheme='ascii': expected one of tutorial, utf8"),
        (lambda: CharCNNConfig(activation="gelu"), "activation='gelu'"),
        (lambda: TrainingConfig(batch_size=0), "batch_size=0"),
        (lambda: TrainingConfig(learning_rate=-1.0), "learning_rate=-1.0"),
        (lambda: TrainingConfig(final_learning_rate=1.0), "final_learning_rate=1.0"),
        (lambda: TrainingConfig(gradient_clip=0.0), "gradient_clip=0.0"),
        (lambda: TrainingConfig(learning_rate="1e-3"), "learning_rate='1e-3': expected a number above 0"),
        (lambda: BiLMConfig(cell_clip=1e39), r"cell_clip=1e\+39: .* that float32 holds, or None"),
        (lambda: TrainingConfig(learning_rate=float("inf")), "learning_rate=inf"),
        (lambda: TrainingConfig(learning_rate=True), "learning_rate=True"),
        (lambda: TrainingConfig(seed=-1), "seed=-1"),
        (lambda: TrainingConfig(seed=2**64), "seed=18446744073709551616: expected a whole number from 0 to 2"),
        (lambda: TrainingConfig(unigram_bias="no"), "unigram_bias='no': expected True or False"),
        (lambda: BiLMConfig(dropout=None), "dropout=None"),
        (lambda: BiLMConfig(skip_connections="false"), "skip_connections='false'"),
        (lambda: BiLMConfig(char_cnn="tutorial"), "char_cnn='tutorial': expected a CharCNNConfig"),
        (lambda: CharCNNConfig(filters=((1.9, 4),)), "1.9: expected a whole number"),
        (lambda: TextConfig(tokenizer=None), "tokenizer=None"),
        (lambda: TextConfig(lowercase="no"), "lowercase='no'"),
        (lambda: TextConfig.from_dict({"tokeniser": "en"}), "tokeniser"),
        (lambda: BiLMConfig.from_dict([]), "unknown settings list"),
        (lambda: BiLMConfig.from_dict({"char_cnn": {"filters": 5}}), "filters"),
    ],
)
def test_values_that_make_no_sense(make, message):
    with pytest.raises(ElmoHelpersError, match=message):
        make()


def test_numpy_numbers_are_numbers():
    config = BiLMConfig(n_layers=np.int64(3), cell_clip=np.float32(3), skip_connections=np.bool_(True))
    assert config == BiLMConfig(n_layers=3, cell_clip=3.0, skip_connections=True)
    assert json.loads(json.dumps(config.to_dict()))["cell_clip"] == 3
    assert TrainingConfig(epochs=np.int32(3), seed=np.int64(1)) == TrainingConfig(epochs=3, seed=1)


def test_a_changed_setting_is_another_configuration():
    config = BiLMConfig.preset("tutorial")
    assert replace(config, n_layers=3) != config
