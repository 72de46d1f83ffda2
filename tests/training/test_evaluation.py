"""Exact perplexity, down to one title of one word."""

import math

import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, evaluate


@pytest.mark.parametrize("indices", [[10], [0], list(range(12))])  # [10]: one title of one word
def test_by_log_probabilities_of_single_words(toy_model, toy_corpus, indices):
    corpus = toy_corpus.select(indices)
    result = evaluate(toy_model, corpus, batch_size=5)
    nats = [0.0, 0.0]
    for i in range(len(corpus)):
        words = ["<S>", *corpus.words(i), "</S>"]
        rows = torch.cat(
            [
                torch.from_numpy(corpus.character_vocabulary.boundary_rows[[1]]),
                torch.from_numpy(corpus.character_vocabulary.encode(words[1:-1])),
                torch.from_numpy(corpus.character_vocabulary.boundary_rows[[2]]),
            ]
        )
        with torch.no_grad():
            output = toy_model(rows, torch.arange(len(words))[None], torch.tensor([len(words)]))
        forward, backward = output.layers[-1, 0].chunk(2, dim=-1)
        ids = corpus.vocabulary.ids(words)
        log_p = [toy_model.softmax.log_probabilities(x) for x in (forward, backward)]
        nats[0] -= sum(log_p[0][k, ids[k + 1]].item() for k in range(len(words) - 1))
        nats[1] -= sum(log_p[1][k, ids[k - 1]].item() for k in range(1, len(words)))
    n = corpus.n_tokens + len(corpus)
    assert result.n_predictions == n
    assert result.forward == pytest.approx(math.exp(nats[0] / n), rel=1e-5)
    assert result.backward == pytest.approx(math.exp(nats[1] / n), rel=1e-5)
    assert result.perplexity == pytest.approx((result.forward + result.backward) / 2)


def test_does_not_depend_on_the_batch_size_and_leaves_the_mode(toy_model, toy_corpus):
    toy_model.train()
    results = [evaluate(toy_model, toy_corpus, batch_size=n) for n in (1, 3, 64)]
    assert toy_model.training
    for result in results[1:]:
        assert result.forward == pytest.approx(results[0].forward, rel=1e-6)
        assert result.backward == pytest.approx(results[0].backward, rel=1e-6)


def test_out_of_vocabulary_rate_by_hand():
    corpus = corpus_of(["a a b", "a c", "c"], min_count=2)
    model = BiLM(BiLMConfig.preset("tiny"), corpus.vocabulary)
    assert evaluate(model, corpus).oov_rate == pytest.approx(1 / 6)


def test_batch_size_that_makes_no_sense(toy_model, toy_corpus):
    with pytest.raises(ElmoHelpersError, match="batch_size=-1"):
        evaluate(toy_model, toy_corpus, batch_size=-1)


def test_nothing_to_measure(toy_model, toy_corpus):
    with pytest.raises(ElmoHelpersError, match="no title"):
        evaluate(toy_model, toy_corpus.select([]))


def test_another_vocabulary_or_other_characters_are_refused(toy_model):
    with pytest.raises(ElmoHelpersError, match="another vocabulary"):
        evaluate(toy_model, corpus_of(["other words"]))
    with pytest.raises(ElmoHelpersError, match="reads"):
        evaluate(toy_model, corpus_of(TOY_TITLES, scheme="utf8"))
