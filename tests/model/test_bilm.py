"""The biLM: it may not see what it predicts, its loss is the formula, and its size is the published one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import assert_same_numbers, corpus_of, vocabulary_of
from elmo_helpers import BiLM, BiLMConfig, CharCNNConfig, evaluate, train
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.training.batching import Batch

CONFIGS = {
    "plain": BiLMConfig.preset("tiny"),
    "three layers, skip": replace(BiLMConfig.preset("tiny"), n_layers=3, skip_connections=True),
    "projection, clipping, skip": BiLMConfig(
        char_cnn=CharCNNConfig(max_characters=12, embedding_dim=4, filters=((2, 6),), projection_dim=4),
        hidden_dim=8,
        projection_dim=4,
        cell_clip=3.0,
        projection_clip=3.0,
        skip_connections=True,
    ),
}


def make_model(config: BiLMConfig, corpus) -> BiLM:
    torch.manual_seed(0)
    model = BiLM(config, corpus.vocabulary).eval()
    for layer in [*model.forward_layers, *model.backward_layers]:  # strong weights: a leak must show
        torch.nn.init.normal_(layer.weight_ih)
        torch.nn.init.normal_(layer.weight_hh)
    return model


def batch_of(corpus, indices) -> Batch:
    return Batch.of(corpus, np.array(indices))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_no_direction_sees_what_it_predicts_at_any_layer(config, toy_corpus):
    model = make_model(config, toy_corpus)
    batch = batch_of(toy_corpus, [6])
    n, p = int(batch.lengths[0]), config.output_dim
    before = model(batch.characters, batch.tokens, batch.lengths).layers[1:, 0].detach()  # (L, T, 2P)
    for changed in range(n):
        tokens = batch.tokens.clone()
        tokens[0, changed] = (tokens[0, changed] + 1) % len(batch.characters)
        after = model(batch.characters, tokens, batch.lengths).layers[1:, 0].detach()
        moved = (after - before).abs()
        assert moved[:, :changed, :p].sum() == 0, "a forward output moved when a later word changed"
        assert moved[:, changed + 1 :, p:].sum() == 0, "a backward output moved when an earlier word changed"
        assert (moved[:, changed:, :p].amax((1, 2)) > 1e-6).all(), "the forward direction reads its words"
        assert (moved[:, : changed + 1, p:].amax((1, 2)) > 1e-6).all(), "the backward direction reads its words"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_loss_equals_log_probabilities_written_out(config, toy_corpus):
    model = make_model(config, toy_corpus)
    batch = batch_of(toy_corpus, range(len(toy_corpus)))
    loss = model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets)
    forward = backward = 0.0
    n_predictions = 0
    for i in range(len(toy_corpus)):  # each title alone, one prediction at a time
        one = batch_of(toy_corpus, [i])
        output = model(one.characters, one.tokens, one.lengths)
        top = output.layers[-1, 0].detach()
        log_p_forward = model.softmax.log_probabilities(top[:, : config.output_dim])
        log_p_backward = model.softmax.log_probabilities(top[:, config.output_dim :])
        ids = toy_corpus.vocabulary.ids(["<S>", *toy_corpus.words(i), "</S>"])
        for k in range(len(ids) - 1):
            forward -= log_p_forward[k, ids[k + 1]].item()
            backward -= log_p_backward[k + 1, ids[k]].item()
            n_predictions += 1
    assert loss.n_predictions == n_predictions == toy_corpus.n_tokens + len(toy_corpus)
    assert loss.forward.item() == pytest.approx(forward, rel=1e-5)
    assert loss.backward.item() == pytest.approx(backward, rel=1e-5)
    assert loss.mean.item() == pytest.approx((forward + backward) / 2 / n_predictions, rel=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("return_states", [False, True])
def test_vectors_do_not_depend_on_the_batch(config, toy_corpus, return_states):
    model = make_model(config, toy_corpus)
    order = [3, 10, 0, 6, 11]
    batch = batch_of(toy_corpus, order)
    together = model(batch.characters, batch.tokens, batch.lengths, return_states=return_states)
    for row, i in enumerate(order):
        one = batch_of(toy_corpus, [i])
        alone = model(one.characters, one.tokens, one.lengths, return_states=return_states)
        n = int(one.lengths[0])
        assert together.mask[row].tolist() == [True] * n + [False] * (batch.tokens.shape[1] - n)
        assert_same_numbers(together.layers[:, row, :n].detach(), alone.layers[:, 0].detach())
        assert together.layers[:, row, n:].abs().sum() == 0
        if return_states:
            assert_same_numbers(together.hidden_states[:, row].detach(), alone.hidden_states[:, 0].detach())
            assert_same_numbers(together.cell_states[:, row].detach(), alone.cell_states[:, 0].detach())


def test_final_states_stand_where_each_direction_ends(toy_corpus):
    model = make_model(CONFIGS["plain"], toy_corpus)
    batch = batch_of(toy_corpus, [0, 10])
    output = model(batch.characters, batch.tokens, batch.lengths, return_states=True)
    for row, n in enumerate(batch.lengths):
        torch.testing.assert_close(output.hidden_states[:, row, :8], output.layers[1:, row, n - 1, :8])
        torch.testing.assert_close(output.hidden_states[:, row, 8:], output.layers[1:, row, 0, 8:])


def test_layer_0_is_the_token_vector(toy_corpus):
    for config in CONFIGS.values():
        model = make_model(config, toy_corpus)
        batch = batch_of(toy_corpus, [0])
        words = model.char_cnn(batch.characters)[batch.tokens[0]]
        expected = torch.cat([words, words], -1) if words.shape[-1] == config.output_dim else words
        torch.testing.assert_close(model(batch.characters, batch.tokens, batch.lengths).layers[0, 0], expected)


def test_skip_connection_adds_the_input_above_the_first_layer(toy_corpus):
    plain = make_model(CONFIGS["plain"], toy_corpus)
    skipping = make_model(replace(CONFIGS["plain"], skip_connections=True), toy_corpus)
    skipping.load_state_dict(plain.state_dict())
    batch = batch_of(toy_corpus, [1])
    a = plain(batch.characters, batch.tokens, batch.lengths).layers
    b = skipping(batch.characters, batch.tokens, batch.lengths).layers
    torch.testing.assert_close(b[:2], a[:2])
    torch.testing.assert_close(b[2], a[2] + a[1])


def test_initial_loss_is_log_v(rng):
    titles = [" ".join(f"w{k}" for k in rng.integers(0, 500, 9)) for _ in range(60)]
    corpus = corpus_of(titles)
    for preset in ("tutorial", "small"):
        config = BiLMConfig.preset(preset)
        config = replace(config, char_cnn=replace(config.char_cnn, scheme="tutorial", max_characters=12))
        torch.manual_seed(0)
        model = BiLM(config, corpus.vocabulary).eval()
        batch = batch_of(corpus, range(len(corpus)))
        with torch.no_grad():
            loss = model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets).mean.item()
        assert loss == pytest.approx(math.log(len(corpus.vocabulary) - 1), rel=0.02)


@pytest.mark.parametrize(("preset", "millions"), [("small", "13.59"), ("medium", "28.03"), ("original", "93.60")])
def test_published_parameter_counts(preset, millions):
    model = BiLM(BiLMConfig.preset(preset), vocabulary_of(10))
    n = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("softmax."))
    assert f"{n / 1e6:.2f}" == millions


def test_dropout_acts_in_training_alone(toy_corpus):
    model = make_model(replace(CONFIGS["plain"], dropout=0.5), toy_corpus)
    batch = batch_of(toy_corpus, [0, 1])

    def loss() -> float:
        return model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets).mean.item()

    assert loss() == loss()
    model.train()
    assert loss() != loss()


def test_padding_gets_no_loss_and_no_gradient(toy_corpus):
    model = make_model(CONFIGS["plain"], toy_corpus)
    batch = batch_of(toy_corpus, [0, 10])
    losses = [
        model.loss(batch.characters, tokens, batch.lengths, targets).mean
        for tokens, targets in (
            (batch.tokens, batch.targets),
            (
                batch.tokens.masked_fill(batch.targets == 0, 3),  # any word where there is padding
                batch.targets.masked_fill(batch.targets == 0, 5),
            ),
        )
    ]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)
    losses[0].backward()
    assert model.softmax.weight.grad[0].abs().sum() == 0


def test_shapes_that_do_not_fit_are_refused(toy_corpus, toy_model):
    batch = batch_of(toy_corpus, [0, 1])
    with pytest.raises(ElmoHelpersError, match=r"\(B, T\) and \(B,\).*\(2, 8\).*\(1,\)"):
        toy_model(batch.characters, batch.tokens, batch.lengths[:1])
    with pytest.raises(ElmoHelpersError, match=r"from 1 to the 8 positions.*0 to 8"):
        toy_model(batch.characters, batch.tokens, torch.tensor([8, 0]))


def test_reading_goes_on_from_a_state(toy_model, toy_corpus):
    """A title read in two pieces, forward; and backward, where the second piece is read first."""
    batch = Batch.of(toy_corpus, np.array([0, 3]))
    with torch.no_grad():
        whole = toy_model(batch.characters, batch.tokens, batch.lengths).layers
    n, half = batch.tokens.shape[1], toy_model.config.output_dim
    assert batch.lengths.tolist() == [n, n]
    cut = 3

    def read(tokens: torch.Tensor, state: LSTMState | None) -> tuple[torch.Tensor, LSTMState]:
        lengths = torch.full((2,), tokens.shape[1])
        with torch.no_grad():
            output = toy_model(batch.characters, tokens, lengths, state=state, return_states=True)
        h, c = (torch.stack(x.chunk(2, -1)) for x in (output.hidden_states, output.cell_states))
        return output.layers, LSTMState(h, c)

    _, after_first = read(batch.tokens[:, :cut], None)
    second, _ = read(batch.tokens[:, cut:], after_first)
    torch.testing.assert_close(second[1:, ..., :half], whole[1:, :, cut:, :half])
    _, after_second = read(batch.tokens[:, cut:], None)
    first, _ = read(batch.tokens[:, :cut], after_second)
    torch.testing.assert_close(first[1:, ..., half:], whole[1:, :, :cut, half:])


def test_a_model_without_a_softmax_encodes_and_does_no_more(toy_model, toy_corpus):
    model = BiLM(replace(toy_model.config, softmax="none"), toy_corpus.vocabulary, toy_corpus.text).eval()
    model.load_state_dict({name: w for name, w in toy_model.state_dict().items() if not name.startswith("softmax.")})
    batch = Batch.of(toy_corpus, np.arange(3))
    arguments = (batch.characters, batch.tokens, batch.lengths)
    assert torch.equal(model(*arguments).layers, toy_model(*arguments).layers)
    with pytest.raises(ElmoHelpersError, match="no softmax"):
        model.loss(*arguments, batch.targets)
    with pytest.raises(ElmoHelpersError, match="be neither trained"):
        train(toy_corpus, model.config, progress=False)


def test_one_vector_a_word(toy_corpus, tmp_path):
    """Without characters: a word's vector is its row, and all words outside the vocabulary have that of <UNK>."""
    vocabulary = toy_corpus.vocabulary
    config = replace(BiLMConfig.preset("tiny"), char_cnn=WordEmbeddingConfig(len(vocabulary), 8))
    model = BiLM(config, vocabulary).eval()
    titles = [["the", "cat"], ["unheard", "of", "cat"]]
    batch = Batch.of_words(titles, model.character_vocabulary, vocabulary)
    with torch.no_grad():
        layers = model(batch.characters, batch.tokens, batch.lengths).layers
    table = model.char_cnn.weight.detach()
    for row, words in enumerate(titles):
        expected = table[[1, *vocabulary.ids(words), 2]]
        torch.testing.assert_close(layers[0, row, : len(words) + 2], torch.cat([expected, expected], -1))
    model.save(tmp_path / "model")
    loaded = BiLM.load(tmp_path / "model")
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(batch.characters, batch.tokens, batch.lengths).layers, layers)
    with pytest.raises(ElmoHelpersError, match="CharacterVocabulary"):
        evaluate(model, toy_corpus)
    with pytest.raises(ElmoHelpersError, match="word ids from 0"):
        model.char_cnn(torch.tensor([[len(vocabulary)]]))
    with pytest.raises(ElmoHelpersError, match="vectors of 5 words"):
        BiLM(replace(config, char_cnn=WordEmbeddingConfig(5, 8)), vocabulary)
