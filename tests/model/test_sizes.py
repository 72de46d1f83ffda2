"""What a configuration asks for is known without a model, and what does not fit into memory is refused beforehand."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from conftest import vocabulary_of
from elmo_helpers import BiLM, BiLMConfig, CharCNNConfig, ElmoHelpersError
from elmo_helpers.config import PRESETS, WordEmbeddingConfig
from elmo_helpers.model import sizes
from elmo_helpers.model.sizes import memory_of, parameters_of, within_memory
from elmo_helpers.text.vocabulary import WordVocabulary

TINY = PRESETS["tiny"]
CONFIGS = {
    **PRESETS,
    "one-hot": replace(TINY, char_cnn=replace(TINY.char_cnn, embedding_dim=None)),
    "no highway, three layers": replace(TINY, char_cnn=replace(TINY.char_cnn, n_highway=0), n_layers=3),
    "projected": replace(TINY, char_cnn=replace(TINY.char_cnn, projection_dim=6), projection_dim=6),
    "adaptive": replace(TINY, softmax="adaptive"),
    "sampled": replace(TINY, softmax="sampled", n_negatives=3),
    "no softmax": replace(TINY, softmax="none"),
}


@pytest.mark.parametrize("n_words", [5, 40, 2_002, 12_000])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_is_made_of_what_its_configuration_says(name, n_words):
    config = CONFIGS[name]
    with torch.device("meta"):  # no model has numbers here
        model = BiLM(config, WordVocabulary([f"w{i}" for i in range(n_words - 4)]))
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert dict(parameters_of(config, n_words)) == expected
    assert memory_of(parameters_of(config, n_words)) == 4 * sum(
        tensor.numel() for tensor in model.state_dict().values()
    )
    without = {name: shape for name, shape in expected.items() if not name.startswith("softmax.")}
    assert dict(parameters_of(config, None)) == without


def test_words_in_the_place_of_characters():
    config = BiLMConfig(char_cnn=WordEmbeddingConfig(9, 6), hidden_dim=6)
    model = BiLM(config, vocabulary_of(9))
    assert dict(parameters_of(config, 9)) == {name: tuple(t.shape) for name, t in model.state_dict().items()}


def test_the_first_ones_of_very_many():
    config = replace(TINY, n_layers=10**9)
    assert len(list(islice(parameters_of(config, 40), 30))) == 30
    assert memory_of(parameters_of(replace(config, hidden_dim=10**6, projection_dim=8), 40)) > sizes.memory()


@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, hidden_dim=10**9, projection_dim=8),
        replace(TINY, n_layers=10**9, hidden_dim=10**5, projection_dim=8),
        BiLMConfig(char_cnn=CharCNNConfig(filters=((1, 10**12),), projection_dim=8), hidden_dim=8),
        BiLMConfig(char_cnn=CharCNNConfig(n_highway=10**18, filters=((1, 10**5),)), hidden_dim=10**5),
        BiLMConfig(char_cnn=CharCNNConfig(embedding_dim=10**30, projection_dim=8), hidden_dim=8),
    ],
    ids=["hidden_dim", "n_layers", "filters", "n_highway", "embedding_dim"],
)
def test_a_model_larger_than_memory_is_refused_before_it_is_built(config):
    with pytest.raises(ElmoHelpersError, match="A model of these sizes needs more memory than there is"):
        BiLM(config, vocabulary_of(9))


def test_memory_that_is_not_there(monkeypatch):
    for allocate in (
        lambda: np.zeros(2**60, dtype=np.uint8),
        lambda: torch.zeros(2**60, dtype=torch.uint8),
    ):
        with (
            pytest.raises(ElmoHelpersError, match="The file needs more memory than there is"),
            within_memory("The file"),
        ):
            allocate()
    with pytest.raises(RuntimeError, match="another"), within_memory("The file"):
        raise RuntimeError("another fault")
    monkeypatch.setattr(sizes, "memory", lambda: 100)
    with within_memory("The file", 100):
        pass
    with pytest.raises(ElmoHelpersError, match="more memory"), within_memory("The file", 101):
        pytest.fail("nothing of the block is done")


@pytest.mark.parametrize("length", [10_001, 10**18])
def test_words_of_absurd_length(length):
    with pytest.raises(ElmoHelpersError, match=f"max_characters={length}: expected a whole number of at most 10000"):
        CharCNNConfig(max_characters=length)
