"""The layers of a gap are the states from which the biLM predicts the words on its two sides."""

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES
from elmo_helpers import ElmoHelpersError, Encoder
from elmo_helpers.analysis.gaps import gap_layers
from elmo_helpers.analysis.scoring import Scorer


def test_the_words_on_both_sides_are_predicted_from_a_gap(toy_model):
    title = next(title for title in TOY_TITLES if len(title.split()) > 3)
    scores = Scorer(toy_model).score([title])[0]
    top = torch.from_numpy(gap_layers(Encoder(toy_model).encode_tokens([title])[0].layers)[-1])
    half = toy_model.config.output_dim
    ids = toy_model.vocabulary.ids(scores.tokens)
    with torch.no_grad():
        for k in range(len(ids) - 1):
            behind = toy_model.softmax.log_probabilities(top[k, :half])[ids[k + 1]]
            before = toy_model.softmax.log_probabilities(top[k, half:])[ids[k]]
            assert float(behind) == pytest.approx(scores.forward[k + 1], abs=1e-4)
            assert float(before) == pytest.approx(scores.backward[k], abs=1e-4)


def test_each_gap_by_hand(rng):
    layers = rng.normal(size=(3, 4, 6)).astype(np.float32)
    gaps = gap_layers(layers)
    assert gaps.dtype == np.float32
    for layer in range(3):
        for k in range(4):
            behind = layers[layer, k + 1, 3:] if k < 3 else np.zeros(3)
            assert (gaps[layer, k] == [*layers[layer, k, :3], *behind]).all()


@pytest.mark.parametrize("n", [0, 1])
def test_a_title_without_a_second_word(n):
    gaps = gap_layers(np.ones((3, n, 4)))
    assert gaps.shape == (3, n, 4)
    assert gaps[..., :2].all()
    assert not gaps[..., 2:].any()


def test_what_was_handed_over_is_left_as_it_was(rng):
    layers = rng.normal(size=(3, 4, 6))
    before = layers.copy()
    gap_layers(layers)
    assert (layers == before).all()


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), np.ones((2, 3, 5)), np.ones((2, 3, 4), dtype=int), None, "layers"])
def test_other_shapes(wrong):
    with pytest.raises(ElmoHelpersError, match=r"^layers: expected"):
        gap_layers(wrong)
