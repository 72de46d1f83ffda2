"""Training: what can be learned is learned, what cannot is not, and the same seed gives the same model."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, TrainingConfig, evaluate, train
from elmo_helpers.training.batching import Batch

TINY = BiLMConfig.preset("tiny")
MORE_TITLES = [
    "once a cat met a bird in the rain",
    "the bird ran and the cat ran",
    "an old man sat in snow",
    "rain and snow fell on the tree",
    "the dog fed on old bread",
    "a man saw the cat on a tree",
    "bread and rain and home",
    "the cat sang to the old dog",
    "home ran the man in the snow",
    "a tree fell",
]


def weights(model: BiLM) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_toy_text_is_learned():
    corpus = corpus_of(TOY_TITLES + MORE_TITLES)
    assert 120 <= corpus.n_tokens <= 140
    config = replace(TINY, hidden_dim=32, char_cnn=replace(TINY.char_cnn, embedding_dim=8, filters=((1, 16), (2, 16))))
    settings = TrainingConfig(epochs=60, batch_size=2, learning_rate=0.02, final_learning_rate=0.0004)
    result = train(corpus, config, settings, progress=False)
    assert evaluate(result.model, corpus).perplexity < 2
    assert result.history.train_loss.iloc[-1] < 0.3 * result.history.train_loss.iloc[0]


def test_random_words_cannot_be_learned(rng):
    """On ever new random words no honest model falls below the entropy; the original's network did."""
    words = np.array([f"w{i}" for i in range(20)])

    def random_corpus(n: int):
        return corpus_of([" ".join(words), *(" ".join(words[rng.integers(0, 20, 9)]) for _ in range(n))])

    corpus = random_corpus(3000)
    corpus = corpus.select(np.arange(1, len(corpus)))  # the first title only puts every word into the vocabulary
    result = train(corpus, TINY, TrainingConfig(epochs=2, learning_rate=0.02), progress=False)
    # Nine words of log 20 nats each, and an end that the model may learn to count to.
    entropy = 9 / 10 * math.log(20)
    assert result.history.train_loss.iloc[-1] > 0.995 * entropy
    fresh = words[rng.integers(0, 20, (300, 9))].tolist()
    batch = Batch.of_words(fresh, result.model.character_vocabulary, result.model.vocabulary)
    with torch.no_grad():
        loss = result.model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets).mean.item()
    assert 0.99 * entropy < loss < 1.1 * entropy


def test_same_seed_same_model():
    corpus = corpus_of(TOY_TITLES, valid=0.2)
    config = replace(TINY, dropout=0.3)

    def run(seed: int):
        settings = TrainingConfig(epochs=3, batch_size=4, seed=seed)
        return train(corpus.split("train"), config, settings, validation=corpus.split("valid"), progress=False)

    torch.manual_seed(1)
    one = run(0)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    same, other = run(0), run(1)
    assert torch.equal(weights(one.model), weights(same.model))
    assert one.steps.equals(same.steps)
    assert not torch.equal(weights(one.model), weights(other.model))
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's random state is left as it was"


def test_history_and_best_model(tmp_path):
    corpus = corpus_of(TOY_TITLES, valid=0.25)
    # A rate this high overshoots: some later epoch is worse than the best, and the best must be the one kept.
    config = TrainingConfig(epochs=12, batch_size=3, learning_rate=0.3)
    result = train(
        corpus.split("train"), TINY, config, validation=corpus.split("valid"), directory=tmp_path / "m", progress=False
    )
    history = result.history
    assert history.epoch.tolist() == list(range(1, 13))
    assert history.step.iloc[-1] == len(result.steps) == 12 * 3
    assert (history.perplexity == (history.forward + history.backward) / 2).all()
    assert history.perplexity.iloc[-1] > history.perplexity.min()
    assert not result.model.training
    for model in (result.model, BiLM.load(tmp_path / "m")):
        kept = evaluate(model, corpus.split("valid")).perplexity
        assert kept == pytest.approx(history.perplexity.min(), rel=1e-6)


def test_training_further_starts_from_the_given_model(toy_corpus):
    first = train(toy_corpus, TINY, TrainingConfig(epochs=30, learning_rate=0.02), progress=False)
    before = evaluate(first.model, toy_corpus).perplexity
    second = train(toy_corpus, first.model, TrainingConfig(epochs=1, learning_rate=1e-5), progress=False)
    assert second.model is first.model
    assert evaluate(second.model, toy_corpus).perplexity == pytest.approx(before, rel=0.01)


def test_fresh_model_starts_from_the_words_frequencies(toy_corpus):
    result = train(toy_corpus, TINY, TrainingConfig(epochs=1, batch_size=12, learning_rate=1e-12), progress=False)
    result.model.softmax.weight.data.zero_()  # what is left is the bias
    words = [word for title in TOY_TITLES for word in title.split()]
    counts = Counter(words)
    counts["end"] = len(TOY_TITLES) / 2  # each end is predicted in one of two directions, and the softmax is shared
    total = len(words) + len(TOY_TITLES) + 1  # <UNK> never occurs and counts as once
    nats = -np.mean([math.log(counts[word] / total) for word in words + ["end"] * len(TOY_TITLES)])
    result = evaluate(result.model, toy_corpus)
    assert result.forward == pytest.approx(math.exp(nats), rel=1e-4)
    assert result.backward == pytest.approx(math.exp(nats), rel=1e-4)


def test_learning_rate_schedule(toy_corpus):
    config = TrainingConfig(
        epochs=5, batch_size=3, learning_rate=0.01, warmup_steps=4, final_learning_rate=0.001, seed=1
    )
    rates = train(toy_corpus, TINY, config, progress=False).steps.learning_rate.to_numpy()
    assert len(rates) == 20
    np.testing.assert_allclose(rates[:5], 0.01 * np.array([1, 2, 3, 4, 5]) / 5)
    half = 0.001 + 0.009 * (1 + np.cos(np.pi * np.arange(16) / 15)) / 2
    np.testing.assert_allclose(rates[4:], half)


def test_gradient_clip_bounds_the_step(toy_corpus, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(parameters, limit):
        parameters = list(parameters)
        clip(parameters, limit)
        norms.append(torch.cat([p.grad.flatten() for p in parameters]).norm().item())

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    train(toy_corpus, TINY, TrainingConfig(epochs=1, batch_size=4, gradient_clip=0.01), progress=False)
    assert norms
    assert max(norms) <= 0.01 * 1.001


def test_one_title_of_one_word():
    result = train(corpus_of(["home"]), TINY, TrainingConfig(epochs=2), progress=False)
    assert np.isfinite(result.history.train_loss).all()
    assert result.history.perplexity.isna().all()


def test_loss_that_is_not_finite_stops(toy_corpus, toy_model):
    with torch.no_grad():
        toy_model.softmax.bias[5] = math.nan
    with pytest.raises(ElmoHelpersError, match=r"loss is nan at step 1: lower learning_rate \(now 0.001\)"):
        train(toy_corpus, toy_model, progress=False)


def test_weights_that_are_not_finite_are_not_saved(toy_corpus, tmp_path):
    """A last step too large leaves weights that no loss has seen."""
    settings = TrainingConfig(epochs=1, learning_rate=1e30, gradient_clip=None)
    with pytest.raises(ElmoHelpersError, match="not finite after step 1: lower learning_rate"):
        train(toy_corpus, TINY, settings, validation=toy_corpus, directory=tmp_path / "m", progress=False)
    assert not (tmp_path / "m").exists()


def test_arguments_of_the_wrong_kind(toy_corpus):
    with pytest.raises(ElmoHelpersError, match="model=3: expected a BiLM"):
        train(toy_corpus, 3)
    with pytest.raises(ElmoHelpersError, match="another vocabulary"):
        train(toy_corpus, TINY, validation=corpus_of(["other words"]))
    with pytest.raises(ElmoHelpersError, match="device='nowhere'"):
        train(toy_corpus, TINY, device="nowhere")


def test_nothing_to_train_on(toy_corpus):
    with pytest.raises(ElmoHelpersError, match="no title"):
        train(toy_corpus.select([]), TINY)
