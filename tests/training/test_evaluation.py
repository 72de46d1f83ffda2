"""Exact perplexity, down to one title of one word."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, CorpusShards, ElmoHelpersError, evaluate
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.evaluation import evaluation_sums
from elmo_helpers.training.streams import StreamBatches


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


def test_streams_by_one_pass_over_the_whole_text(toy_model, toy_corpus):
    """As one stream, in pieces of any length: the numbers of the whole text read at once."""
    with torch.no_grad():
        loss, _ = StreamBatches(toy_corpus, 1, 10_000).batch(0).loss(toy_model)
    n = toy_corpus.n_tokens + len(toy_corpus)
    for unroll_steps in (1, 7, 500):
        result = evaluate(toy_model, toy_corpus, 1, streams=True, unroll_steps=unroll_steps)
        assert result.n_predictions == n
        assert result.forward == pytest.approx(math.exp(loss.forward / n), rel=1e-6)
        assert result.backward == pytest.approx(math.exp(loss.backward / n), rel=1e-6)
    assert result.forward != pytest.approx(evaluate(toy_model, toy_corpus).forward, rel=1e-4)


def test_streams_down_to_one_title(toy_model, toy_corpus):
    """Alone, a title has nothing before it, so both ways to read it are the same; so has each where streams abound."""
    one = toy_corpus.select([3])
    for batch_size in (1, 64):
        streams = evaluate(toy_model, one, batch_size, streams=True)
        assert streams.n_predictions == evaluate(toy_model, one).n_predictions
        assert streams.forward == pytest.approx(evaluate(toy_model, one).forward, rel=1e-6)


@pytest.mark.parametrize("softmax", ["sampled", "adaptive"])
def test_exact_with_every_softmax(toy_corpus, softmax):
    """The mean of log p over the words, whatever the model was trained with, and whatever mode it is in."""
    config = replace(BiLMConfig.preset("tiny"), softmax=softmax, n_negatives=5)
    model = BiLM(config, toy_corpus.vocabulary).train()
    result = evaluate(model, toy_corpus)
    model.eval()
    nats = 0.0
    for i in range(len(toy_corpus)):
        batch = Batch.of(toy_corpus, [i])
        with torch.no_grad():
            top = model(batch.characters, batch.tokens, batch.lengths).layers[-1, 0, :, : config.output_dim]
            log_p = model.softmax.log_probabilities(top)
        nats -= log_p[:-1].gather(1, batch.targets[0, 1:, None]).sum().item()
    assert result.forward == pytest.approx(math.exp(nats / result.n_predictions), rel=1e-5)


@pytest.mark.parametrize("streams", [False, True])
def test_shards_and_shares_add_up(toy_model, tmp_path, streams):
    """A corpus in shards is measured as their texts are; processes that share its batches add up to the whole."""
    corpus = corpus_of(TOY_TITLES)
    parts = [corpus.select(slice(0, 5)), corpus.select(slice(5, None))]
    unroll_steps = 4 if streams else None
    whole = evaluation_sums(toy_model, parts, 3, unroll_steps)
    shares = [evaluation_sums(toy_model, parts, 3, unroll_steps, slice(rank, None, 2)) for rank in range(2)]
    np.testing.assert_allclose(sum(shares), whole, rtol=1e-6)
    np.testing.assert_allclose(whole, sum(evaluation_sums(toy_model, [part], 3, unroll_steps) for part in parts))
    assert whole[2] == corpus.n_tokens + len(corpus)
    corpus.save(tmp_path / "c")
    shards = evaluate(toy_model, CorpusShards.load(tmp_path / "c"), 3, streams=streams)
    assert shards == evaluate(toy_model, corpus, 3, streams=streams)


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
