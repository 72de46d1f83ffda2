"""Which softmax a model has."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import vocabulary_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, WordVocabulary
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.sampled_softmax import SampledSoftmax

TINY = BiLMConfig.preset("tiny")


@pytest.mark.parametrize(
    ("name", "n_words", "kind", "resolved"),
    [
        ("full", 30, FullSoftmax, "full"),
        ("adaptive", 30, AdaptiveSoftmax, "adaptive"),
        ("sampled", 30, SampledSoftmax, "sampled"),
        ("auto", 30, FullSoftmax, "full"),
        ("auto", 30_000, SampledSoftmax, "sampled"),
    ],
)
def test_choice(name, n_words, kind, resolved):
    model = BiLM(replace(TINY, softmax=name, n_negatives=20), vocabulary_of(n_words))
    assert type(model.softmax) is kind
    assert model.config.softmax == resolved


def test_auto_is_full_where_a_sample_would_be_most_of_the_words():
    model = BiLM(replace(TINY, softmax="auto", n_negatives=20_000), vocabulary_of(30_000))
    assert model.config.softmax == "full"


@pytest.mark.parametrize("name", ["sampled", "adaptive"])
def test_an_unsorted_vocabulary_is_refused(name):
    vocabulary = WordVocabulary(["rare", "frequent"], [1, 2])
    with pytest.raises(ElmoHelpersError, match=f"softmax='{name}' needs a vocabulary by falling count"):
        BiLM(replace(TINY, softmax=name, n_negatives=2), vocabulary)
    assert BiLM(replace(TINY, softmax="auto"), vocabulary).config.softmax == "full"


def test_auto_is_full_where_many_words_are_not_sorted():
    vocabulary = WordVocabulary([f"w{i}" for i in range(30_000)], np.arange(30_000))
    assert BiLM(replace(TINY, softmax="auto", n_negatives=20), vocabulary).config.softmax == "full"


@pytest.mark.parametrize("name", ["full", "sampled", "adaptive"])
def test_a_saved_model_comes_back_with_its_softmax(tmp_path, toy_corpus, name):
    model = BiLM(replace(TINY, softmax=name, n_negatives=5), toy_corpus.vocabulary)
    model.save(tmp_path / "m")
    again = BiLM.load(tmp_path / "m")
    assert type(again.softmax) is type(model.softmax)
    assert all((a == b).all() for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
