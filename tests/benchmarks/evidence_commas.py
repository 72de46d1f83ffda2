"""A tagger that puts the commas back, over the number of labelled titles: F1 on titles of the newest fifth.

Each tagger's threshold is the one with the best F1 on the titles that it learned from. The rival that counts knows
those by heart, so its threshold is set on scores of titles that it has not counted (cross-validation, three parts).
A tagger reads the layers of the word, or those of the gap behind it (`gap_layers`). A model that has a softmax can be
asked without a tagger how much likelier it finds the title with a comma there: with no label at all, commas go where
it is likelier than without; with labels, a threshold is learned. A model that counts, in all titles that may be
learned from, is asked without labels, too; a threshold on titles that it knows by heart would be none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from evidence_measures import COUNTED, Record, f1
from evidence_vectors import AROUND, LIKELIER, LIKELIER_COUNTED, Model, counted_around, of_gaps, with_neighbours
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from elmo_helpers.analysis.counted_scoring import CountedScorer
from elmo_helpers.analysis.free_labels import CommaExample, commas
from elmo_helpers.analysis.tagger import LinearTagger, best_threshold

N_TITLES = (50, 200, 1000, 5000)
N_TEST = 2000
MOST_SCORED = 1000  # labelled titles from which the threshold of the likelier title is learned: each word is a title
C_OF_COUNTS = 3.0
SEED = 0

Titles = Sequence[Sequence[str]]


def commas_restored(models: Sequence[Model], parts: dict[bool, tuple[Titles, Titles]]) -> Iterator[Record]:
    """F1 of every layer of every model, of the fixed mean, the learned mix, and of the rivals.

    Args:
        models: To be tried.
        parts: The titles to learn from and those to test on, in lower case (True) and as they are (False).
    """
    ngrams = {lower: CountedScorer(train) for lower, (train, _) in parts.items()}
    for model in models:
        train, test = parts[model.lowercase]
        some = commas(train, most=max(N_TITLES), seed=SEED), commas(test, most=N_TEST, seed=SEED)
        yield from of_model(model, ngrams[model.lowercase], *some)


def of_model(
    model: Model, ngrams: CountedScorer, learned: Sequence[CommaExample], asked: Sequence[CommaExample]
) -> Iterator[Record]:
    """F1 of one model's layers, and of the rivals on the same titles."""
    owner = np.repeat(np.arange(len(asked)), [len(example.tokens) for example in asked])
    y, y_test = labels_of(learned), labels_of(asked)

    def record(features: str, n: int, found: NDArray[np.bool_], **details: object) -> Record:
        counts = (np.bincount(owner, weights=x) for x in (found & (y_test == 1), found, y_test))
        return Record("commas", "commas", model.name, features, n, f1(*counts), details)

    layers, layers_test = (model.words([example.tokens for example in part]) for part in (learned, asked))
    near, near_test = (
        with_neighbours(x[:, 0], [len(example.tokens) for example in part])[:, None]
        for x, part in ((layers, learned), (layers_test, asked))
    )
    tried = {AROUND: (near, near_test)}
    tried |= {f"layer {layer}": (layers[:, [layer]], layers_test[:, [layer]]) for layer in range(model.n_layers)}
    tried["fixed mean"] = layers.mean(1, keepdims=True), layers_test.mean(1, keepdims=True)
    tried["learned mix"] = layers, layers_test
    gaps, gaps_test = (
        of_gaps(x, [len(example.tokens) for example in part]) for x, part in ((layers, learned), (layers_test, asked))
    )
    tried |= {f"gap, layer {layer}": (gaps[:, [layer]], gaps_test[:, [layer]]) for layer in range(model.n_layers)}
    tried["gap, learned mix"] = gaps, gaps_test
    yield record(LIKELIER_COUNTED, 0, log_odds(ngrams, asked) > 0)
    if model.scorer is not None:
        likelier, likelier_test = (log_odds(model, part) for part in (learned[:MOST_SCORED], asked))
        yield record(LIKELIER, 0, likelier_test > 0)
    for n in N_TITLES:
        if n > len(learned):
            break
        some = slice(0, sum(len(example.tokens) for example in learned[:n]))
        yield record(COUNTED, n, counted(learned[:n], y[some], asked), tagged=float(y_test.mean()))
        for features, (x, x_test) in tried.items():
            tagger = LinearTagger.fit(x[some], y[some], seed=SEED)
            details = {"shares": tagger.shares} if x.shape[1] > 1 else {}
            yield record(features, n, tagger.predict(x_test), **details)
        if model.scorer is not None and n <= MOST_SCORED:
            threshold = best_threshold(likelier[some], y[some])
            yield record(LIKELIER, n, likelier_test > threshold, threshold=threshold)


def log_odds(model: Model | CountedScorer, examples: Sequence[CommaExample]) -> NDArray[np.float64]:
    """log p of the title with a comma behind a word, less log p of it without, for each word, (words,)."""
    titles = [example.tokens for example in examples]
    with_comma = [[*title[:k], ",", *title[k:]] for title in titles for k in range(1, len(title) + 1)]
    return model.log_probabilities(with_comma) - np.repeat(model.log_probabilities(titles), [*map(len, titles)])


def labels_of(examples: Sequence[CommaExample]) -> NDArray[np.int64]:
    """The labels of all words, (words,)."""
    return np.array([label for example in examples for label in example.labels], dtype=np.int64)


def counted(learned: Sequence[CommaExample], y: NDArray[np.int64], asked: Sequence[CommaExample]) -> NDArray[np.bool_]:
    """What a rival finds that counts the words up to two places away."""
    rival = make_pipeline(DictVectorizer(), LogisticRegression(C=C_OF_COUNTS, max_iter=300))
    x = list(words_around(learned))
    threshold = best_threshold(cross_val_predict(rival, x, y, cv=3, method="decision_function"), y)
    return rival.fit(x, y).decision_function(list(words_around(asked))) > threshold


def words_around(examples: Sequence[CommaExample]) -> Iterator[dict[str, int]]:
    """Those of each word of each title."""
    for example in examples:
        for place in range(len(example.tokens)):
            yield counted_around(example.tokens, place, everywhere=False)
