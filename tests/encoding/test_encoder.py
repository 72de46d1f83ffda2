"""Vectors of titles: the original's definition, and no dependence on what else is encoded."""

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import TOY_TITLES, needs_bf16
from elmo_helpers import ElmoHelpersError, Encoder, ScalarMix
from elmo_helpers.encoding.encoder import POOLINGS

EDGES = ["snow", "", "zebra \N{PILE OF POO} unheard-of", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "the " * 400]


@pytest.fixture
def encoder(toy_model) -> Encoder:
    return Encoder(toy_model, batch_size=3)


def by_hand(model, words: list[str]):
    """One title alone: the model's output, and the layers of the words."""
    characters = model.character_vocabulary
    rows = np.concatenate(
        [characters.boundary_rows[[1]], characters.encode(words, errors="skip"), characters.boundary_rows[[2]]]
    )
    n = len(words) + 2
    with torch.no_grad():
        output = model(torch.from_numpy(rows), torch.arange(n)[None], torch.tensor([n]), return_states=True)
    return output, output.layers[:, 0, 1:-1].numpy()


def test_states_by_the_definition(encoder, toy_model):
    """h^l = [h_n^l ; c_n^l] of both directions, averaged over the LSTM layers."""
    vectors = encoder.encode(TOY_TITLES)
    config = toy_model.config
    assert vectors.shape == (len(TOY_TITLES), 2 * config.output_dim + 2 * config.hidden_dim)
    assert vectors.dtype == np.float32
    for title, vector in zip(TOY_TITLES, vectors, strict=True):
        output, _ = by_hand(toy_model, title.split())
        layers = torch.cat([output.hidden_states[:, 0], output.cell_states[:, 0]], -1)
        np.testing.assert_allclose(vector, layers.mean(0).numpy(), atol=1e-6)


@pytest.mark.parametrize(("pooling", "reduce"), [("mean", np.mean), ("max", np.max)])
def test_pooling_over_the_words_alone(encoder, toy_model, pooling, reduce):
    layers = encoder.encode_layers(TOY_TITLES, pooling)
    for title, vector in zip(TOY_TITLES, layers, strict=True):
        np.testing.assert_allclose(vector, reduce(by_hand(toy_model, title.split())[1], axis=1), atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TOY_TITLES, pooling), layers.mean(1), atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_no_dependence_on_batch_order_or_neighbours(toy_model, pooling, rng):
    titles = TOY_TITLES + EDGES
    expected = np.concatenate([Encoder(toy_model).encode([title], pooling) for title in titles])
    order = rng.permutation(len(titles))
    for batch_size in (1, 4, 64):
        vectors = Encoder(toy_model, batch_size=batch_size).encode([titles[i] for i in order], pooling)
        np.testing.assert_allclose(vectors, expected[order], atol=1e-6)
        assert np.isfinite(vectors).all()


def test_a_title_without_a_word(encoder):
    assert (encoder.encode([""], "mean") == 0).all()
    assert (encoder.encode([""], "max") == 0).all()
    assert encoder.encode_tokens([""])[0].layers.shape == (3, 0, 16)


def test_no_title_at_all(encoder):
    assert encoder.encode([]).shape == (0, 32)
    assert encoder.encode_tokens([]) == []


def test_mix_weighs_the_layers(toy_model):
    mix = ScalarMix(2, [1.0, -1.0])
    with torch.no_grad():
        mix.gamma.fill_(3)
    layers = Encoder(toy_model).encode_layers(TOY_TITLES)
    shares = np.exp([1, -1]) / np.exp([1, -1]).sum()
    expected = 3 * (shares[0] * layers[:, 0] + shares[1] * layers[:, 1])
    np.testing.assert_allclose(Encoder(toy_model, mix).encode(TOY_TITLES), expected, atol=1e-6)


def test_mix_of_another_number_of_layers_is_refused(toy_model):
    with pytest.raises(ElmoHelpersError, match="expected 3 of them"):
        Encoder(toy_model, ScalarMix(3)).encode(TOY_TITLES, "states")


def test_token_vectors(encoder, toy_model):
    for title, result in zip(TOY_TITLES, encoder.encode_tokens(TOY_TITLES), strict=True):
        assert result.tokens == title.split()
        np.testing.assert_allclose(result.layers, by_hand(toy_model, title.split())[1], atol=1e-6)


def test_raw_titles_are_treated_as_the_training_text_was(encoder):
    vectors = encoder.encode(["  The OLD\N{RIGHT SINGLE QUOTATION MARK}s Dog ", "the old's dog"])
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_tokens_are_taken_as_they_are(encoder):
    np.testing.assert_allclose(encoder.encode([["the", "old", "dog"]]), encoder.encode(["the old dog"]), atol=1e-7)
    assert encoder.encode_tokens([["New York", "dog"]])[0].tokens == ["New York", "dog"]


def test_dropout_is_off_even_after_training(toy_model):
    toy_model.dropout.p = 0.5
    toy_model.train()
    encoder = Encoder(toy_model)
    np.testing.assert_array_equal(encoder.encode(TOY_TITLES), encoder.encode(TOY_TITLES))


def test_a_model_that_is_trained_again_is_encoded_without_dropout(encoder, toy_model):
    toy_model.dropout.p = 0.5
    before = encoder.encode(TOY_TITLES)
    toy_model.train()
    np.testing.assert_array_equal(encoder.encode(TOY_TITLES), before)


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series, iter])
def test_any_sequence_of_titles(encoder, kind):
    np.testing.assert_array_equal(encoder.encode(kind(TOY_TITLES)), encoder.encode(TOY_TITLES))


@pytest.mark.parametrize("dtype", [torch.float16, pytest.param(torch.bfloat16, marks=needs_bf16)])
def test_a_model_in_half_precision(toy_model, dtype):
    full = Encoder(toy_model).encode(TOY_TITLES)
    half = Encoder(toy_model.to(dtype)).encode(TOY_TITLES)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=0.05)


def test_bad_input(encoder, toy_model):
    with pytest.raises(ElmoHelpersError, match="batch_size=-1"):
        Encoder(toy_model, batch_size=-1)
    with pytest.raises(ElmoHelpersError, match=r"mix=\[0.5, 0.5\]: expected a ScalarMix"):
        Encoder(toy_model, mix=[0.5, 0.5])
    with pytest.raises(ElmoHelpersError, match="got a table"):
        encoder.encode(pd.DataFrame({"title": ["the cat"]}))
    with pytest.raises(ElmoHelpersError, match="got one string; pass"):
        encoder.encode("the old dog")
    with pytest.raises(ElmoHelpersError, match="number 1 is nan: expected a string"):
        encoder.encode(["a title", float("nan")])
    with pytest.raises(ElmoHelpersError, match="number 0 is 3: expected a string or a list of tokens"):
        encoder.encode([3])
    with pytest.raises(ElmoHelpersError, match="pooling='sum': expected one of states, mean, max"):
        encoder.encode(["a title"], pooling="sum")
