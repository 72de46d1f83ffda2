"""The counting baselines against counts made by hand."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import ElmoHelpersError, InterpolatedBigramModel, UnigramModel


def predictions(titles, vocabulary, reverse):
    for title in titles:
        words = ["<S>", *(w if w in vocabulary else "<UNK>" for w in title.split()), "</S>"]
        if reverse:
            words.reverse()
        yield from pairwise(words)


def test_unigram_by_hand():
    corpus = corpus_of(TOY_TITLES, min_count=2)
    result = UnigramModel(corpus).evaluate(corpus)
    for reverse, perplexity in ((False, result.forward), (True, result.backward)):
        pairs = list(predictions(TOY_TITLES, corpus.vocabulary, reverse))
        counts = Counter(w for _, w in pairs)
        total = len(pairs) + 0.5 * (len(corpus.vocabulary) - 1)  # every word but padding gets the half
        nats = -sum(math.log((counts[w] + 0.5) / total) for _, w in pairs) / len(pairs)
        assert perplexity == pytest.approx(math.exp(nats))
    assert result.n_predictions == len(pairs)


def test_probabilities_of_the_bigram_sum_to_one():
    corpus = corpus_of(TOY_TITLES)
    bigram = InterpolatedBigramModel(corpus, corpus)._directions[0]
    n = len(corpus.vocabulary)
    assert bigram.unigram.sum() == pytest.approx(1)
    for context in np.unique(bigram.keys // n):
        following = bigram.counts[bigram.keys // n == context].sum()
        assert following == bigram.context_counts[context]


def test_bigram_beats_unigram_on_text_with_order_and_ties_on_text_without(rng):
    ordered = corpus_of(["a b c d e f"] * 20)
    held_out = ordered.select(np.arange(5))
    assert InterpolatedBigramModel(ordered, held_out).evaluate(held_out).perplexity < 1.01
    words = np.array(list("abcdefgh"))
    titles = [" ".join(words[rng.integers(0, 8, 30)]) for _ in range(400)]
    corpus = corpus_of(titles, valid=0.25, test=0.25)
    train, valid, test = (corpus.split(name) for name in ("train", "valid", "test"))
    unigram = UnigramModel(train).evaluate(test).perplexity
    assert InterpolatedBigramModel(train, valid).evaluate(test).perplexity == pytest.approx(unigram, rel=0.02)


def test_weights_are_at_the_best_of_the_held_out_text():
    corpus = corpus_of(TOY_TITLES, valid=0.3)
    train, valid = corpus.split("train"), corpus.split("valid")
    bigram = InterpolatedBigramModel(train, valid, iterations=500)._directions[0]
    best = bigram.nats(valid)
    for size in range(1, 5):
        for change in (-0.02, 0.02):
            original = bigram.weights.copy()
            bigram.weights[size] = np.clip(bigram.weights[size] + change, 0, 0.999)
            assert bigram.nats(valid) >= best - 1e-6
            bigram.weights = original


def test_context_never_seen_falls_back_to_the_unigram():
    corpus = corpus_of(["a b", "c d"], valid=0.5)
    train, valid = corpus.split("train"), corpus.split("valid")
    assert math.isfinite(InterpolatedBigramModel(train, valid).evaluate(valid).perplexity)


def test_nothing_to_count():
    corpus = corpus_of(TOY_TITLES)
    with pytest.raises(ElmoHelpersError, match="needs titles"):
        InterpolatedBigramModel(corpus, corpus.select(np.empty(0, int)))
