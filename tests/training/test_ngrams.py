"""The counting baselines against counts made by hand."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import ElmoHelpersError, InterpolatedBigramModel, KneserNeyModel, UnigramModel
from elmo_helpers.training.kneser_ney import KneserNey
from kneser_ney_by_counters import KneserNeyByCounters


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
    for use in (KneserNeyModel, UnigramModel, KneserNeyModel(corpus).evaluate, UnigramModel(corpus).evaluate):
        with pytest.raises(ElmoHelpersError, match="without a title"):
            use(corpus.select(np.empty(0, int)))
    with pytest.raises(ElmoHelpersError, match="order=101: expected at most 100"):
        KneserNeyModel(corpus, 101)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_kneser_ney_is_the_formula(rng, order):
    text = rng.zipf(1.3, 600) % 9
    runs = np.lib.stride_tricks.sliding_window_view(text, order)
    asked = rng.integers(0, 10, (200, order))  # 9 was never seen
    model, slow = KneserNey(runs, 10, 10), KneserNeyByCounters([tuple(run) for run in runs.tolist()], 10)
    assert model.probabilities(asked) == pytest.approx([slow.p(tuple(run)) for run in asked.tolist()])
    for history in asked[:20, :-1]:
        every = np.column_stack([np.tile(history, (10, 1)), np.arange(10)])
        assert model.probabilities(every).sum() == pytest.approx(1)


def runs_of(titles, vocabulary, order, reverse):
    """Each word behind those before it, and each end."""
    first, last = ("</S>", "<S>") if reverse else ("<S>", "</S>")
    for title in titles:
        words = [w if w in vocabulary else "<UNK>" for w in title.split()]
        padded = [first] * (order - 1) + (words[::-1] if reverse else words) + [last]
        for end in range(order, len(padded) + 1):
            yield tuple(padded[end - order : end])


@pytest.mark.parametrize("order", [1, 2, 5])
def test_perplexity_of_kneser_ney_by_hand(order):
    corpus = corpus_of(TOY_TITLES, min_count=2, valid=0.3)
    train, valid = corpus.split("train"), corpus.split("valid")
    result = KneserNeyModel(train, order).evaluate(valid)
    for reverse, perplexity in ((False, result.forward), (True, result.backward)):
        counted, asked = (list(runs_of(part.titles, corpus.vocabulary, order, reverse)) for part in (train, valid))
        slow = KneserNeyByCounters(counted, len(corpus.vocabulary) - 2)
        nats = [-math.log(slow.p(run)) for run in asked]
        assert perplexity == pytest.approx(math.exp(np.mean(nats)))
    assert result.n_predictions == valid.n_tokens + len(valid)


def test_kneser_ney_of_one_word():
    """Counts of counts that are missing take nothing away from what was seen, and leave something to the rest."""
    corpus = corpus_of(["home"])
    assert 1 < KneserNeyModel(corpus).evaluate(corpus).perplexity < len(corpus.vocabulary)


def test_kneser_ney_is_better_than_the_bigram_on_text_with_longer_order():
    corpus = corpus_of(["a b c a d e a f g"] * 20)
    bigram = InterpolatedBigramModel(corpus, corpus).evaluate(corpus).perplexity
    assert KneserNeyModel(corpus, 3).evaluate(corpus).perplexity < 1.2 < bigram


def test_other_words_are_refused_and_can_be_made_the_same():
    counted, other = corpus_of(["a b c", "a b", "c a"]), corpus_of(["c b a", "d b"])
    for model in (UnigramModel(counted), InterpolatedBigramModel(counted, counted), KneserNeyModel(counted)):
        with pytest.raises(ElmoHelpersError, match="has counted 7 words and the corpus has another vocabulary of 8"):
            model.evaluate(other)
        assert model.evaluate(other.with_vocabulary(counted.vocabulary)).oov_rate == pytest.approx(0.2)
    with pytest.raises(ElmoHelpersError, match="another vocabulary"):
        InterpolatedBigramModel(counted, other)
