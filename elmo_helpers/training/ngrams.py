"""Counting models on the same words: what a biLM must beat before it can be said to have learned anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import instance
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.vocabulary import BOS, EOS
from elmo_helpers.training.evaluation import Evaluation, out_of_vocabulary_rate
from elmo_helpers.training.kneser_ney import KneserNey, checked_order, runs_of

_FLOOR = 0.5  # added to every word's count, so that a word never seen in its direction is not impossible


class UnigramModel:
    """p(w) = (c(w) + ½) / (N + ½ V): each word by its frequency, whatever stands beside it."""

    def __init__(self, train: Corpus) -> None:
        """Count the words of `train`, and its titles' ends."""
        instance("train", train, Corpus, "a Corpus")
        self._words = train.vocabulary.words
        self._p = [_unigram(train, reverse) for reverse in (False, True)]

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Perplexity of both directions: the same words, and one title's end each.

        Raises:
            ElmoHelpersError: There is no title, or the words are not those of the titles that were counted.
        """
        _check(corpus, self._words)
        nats = [
            -np.log(p[_pairs(corpus, reverse)[1]]).mean() for reverse, p in zip((False, True), self._p, strict=True)
        ]
        return _evaluation(corpus, nats)


class InterpolatedBigramModel:
    """p(w | v) = λ_b · c(v, w) / c(v) + (1 - λ_b) · p(w), with b the size class of c(v) (Jelinek & Mercer 1980).

    The λ of each class, powers of two of c(v), is set on held-out text by expectation maximisation: a context that
    has been seen often is trusted more. The backward model is the same on reversed titles.
    """

    def __init__(self, train: Corpus, held_out: Corpus, iterations: int = 50) -> None:
        """Count the pairs of `train`, and set the λ on `held_out`.

        Raises:
            ElmoHelpersError: One of them has no title, or their vocabularies differ.
        """
        for name, corpus in (("train", train), ("held_out", held_out)):
            instance(name, corpus, Corpus, "a Corpus")
        if not len(train) or not len(held_out):
            raise ElmoHelpersError("A bigram model needs titles to count and held-out titles to set its weights on.")
        self._words = train.vocabulary.words
        _check(held_out, self._words)
        self._directions = [_Bigram(train, held_out, reverse, iterations) for reverse in (False, True)]

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Perplexity of both directions.

        Raises:
            ElmoHelpersError: There is no title, or the words are not those of the titles that were counted.
        """
        _check(corpus, self._words)
        return _evaluation(corpus, [direction.nats(corpus) for direction in self._directions])


class _Bigram:
    @np.errstate(all="ignore")  # a weight may come to 0, whatever the caller has set
    def __init__(self, train: Corpus, held_out: Corpus, reverse: bool, iterations: int) -> None:
        self.reverse, self.n_words = reverse, len(train.vocabulary)
        self.unigram = _unigram(train, reverse)
        contexts, words = _pairs(train, reverse)
        self.context_counts = np.bincount(contexts, minlength=self.n_words)
        self.keys, self.counts = np.unique(contexts * self.n_words + words, return_counts=True)
        self.weights = np.full(65, 0.5)
        pair, word, size = self._parts(held_out)
        for _ in range(iterations):
            weight = self.weights[size]
            share = weight * pair / (weight * pair + (1 - weight) * word)  # how far the bigram explains each word
            seen = np.bincount(size, minlength=65)
            self.weights = np.where(
                seen > 0, np.bincount(size, share, minlength=65) / np.maximum(seen, 1), self.weights
            )

    def _parts(self, corpus: Corpus) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """For each prediction: c(v, w) / c(v), p(w), and the size class of v."""
        contexts, words = _pairs(corpus, self.reverse)
        keys = contexts * self.n_words + words
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        pair_counts = np.where(self.keys[place] == keys, self.counts[place], 0)
        context_counts = self.context_counts[contexts]
        size = np.ceil(np.log2(context_counts + 1)).astype(int)
        return pair_counts / np.maximum(context_counts, 1), self.unigram[words], size

    @np.errstate(all="ignore")
    def nats(self, corpus: Corpus) -> float:
        pair, word, size = self._parts(corpus)
        # A context never seen in training has no bigram, whatever its class's weight.
        weight = np.where(size > 0, self.weights[size], 0)
        return float(-np.log(weight * pair + (1 - weight) * word).mean())


class KneserNeyModel:
    """Runs of words with modified Kneser-Ney smoothing, see `KneserNey`: the strongest of the models that count.

    The backward model is the same on reversed titles.
    """

    def __init__(self, train: Corpus, order: int = 5) -> None:
        """Count the runs of `order` words and fewer of `train`; `order` counts the word that is predicted, too.

        Raises:
            ElmoHelpersError: `train` has no title, or `order` is not from 1 to 100.
        """
        instance("train", train, Corpus, "a Corpus")
        self._order = checked_order(order)
        self._words, n_words = train.vocabulary.words, len(train.vocabulary)
        # Neither padding nor the boundary that a title begins with is ever predicted.
        runs = [_runs(train, reverse, self._order) for reverse in (False, True)]
        self._directions = [KneserNey(of, n_words, n_words - 2) for of in runs]

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Perplexity of both directions.

        Raises:
            ElmoHelpersError: There is no title, or the words are not those of the titles that were counted.
        """
        _check(corpus, self._words)
        runs = [_runs(corpus, reverse, self._order) for reverse in (False, True)]
        p = [direction.probabilities(of) for direction, of in zip(self._directions, runs, strict=True)]
        return _evaluation(corpus, [float(-np.log(of).mean()) for of in p])


def _check(corpus: Corpus, words: list[str]) -> None:
    """Check that the ids of a corpus mean the words that were counted."""
    instance("corpus", corpus, Corpus, "a Corpus")
    if corpus.vocabulary.words != words:
        raise ElmoHelpersError(
            f"The model has counted {len(words)} words and the corpus has another vocabulary of "
            f"{len(corpus.vocabulary)}: pass corpus.with_vocabulary(train.vocabulary), or count anew."
        )


def _pairs(corpus: Corpus, reverse: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vocabulary ids of every token that is predicted from, and of the one that follows it in reading order."""
    contexts, words = _runs(corpus, reverse, 2).T
    return contexts, words


def _runs(corpus: Corpus, reverse: bool, order: int) -> NDArray[np.int64]:
    """Vocabulary ids of every token that is predicted, behind the `order` - 1 ones before it in reading order.

    Before a title's first word its boundary is repeated. (N, order) int64.

    Raises:
        ElmoHelpersError: There is no title.
    """
    if not len(corpus):
        raise ElmoHelpersError("A model that counts was given a corpus without a title; give one that has some.")
    first, last = (EOS, BOS) if reverse else (BOS, EOS)
    titles = (corpus.lexicon_to_vocabulary[corpus.tokens(i)] for i in range(len(corpus)))
    return runs_of((ids[::-1] if reverse else ids for ids in titles), order, first, last)


def _unigram(train: Corpus, reverse: bool) -> NDArray[np.float64]:
    counts = np.bincount(_pairs(train, reverse)[1], minlength=len(train.vocabulary)).astype(np.float64) + _FLOOR
    counts[0] = 0  # padding is never predicted
    p: NDArray[np.float64] = counts / counts.sum()
    return p


def _evaluation(corpus: Corpus, nats: list[float]) -> Evaluation:
    forward, backward = (float(np.exp(x)) for x in nats)
    return Evaluation(forward, backward, corpus.n_tokens + len(corpus), out_of_vocabulary_rate(corpus))
