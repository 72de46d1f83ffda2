"""Which of two words that were made one spelling it was, over the number of labels.

The oldest four fifths of the titles are for learning, the newest fifth is the test. Beside the layers of the word stand
counted words, those around by their place and all of the title, and layer 0 of the five words around, which knows the
words and not their context. Nothing is chosen: all classifiers have the settings that they were first tried with.
Without any label, a model that has a softmax says which of the two titles it finds likelier; with labels, how much
likelier the second has to be is learned. A model that counts, in all titles that may be learned from, is asked without
labels, too; what is learned on titles that it knows by heart would be of no use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from evidence_measures import ABOVE, COUNTED, Record, over_pairs
from evidence_vectors import AROUND, LIKELIER, LIKELIER_COUNTED, Model, counted_around, readings
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from elmo_helpers.analysis.counted_scoring import CountedScorer
from elmo_helpers.analysis.free_labels import CONFUSED, ONE_CLASS, TWO_CLASSES, WordExample, one_spelling

TASKS = {"words of two classes": TWO_CLASSES, "words of one class": ONE_CLASS, "confused words": CONFUSED}
N_LABELS = (50, 200, 1000)
N_TEST, LEAST_TRAIN, LEAST_TEST = 1500, 200, 40  # a pair with fewer examples is left out
SEARCHED, SEARCHED_TEST = 12_000, 3000  # titles with a word of the pair, before both are made equally frequent
C_OF_COUNTS, C_OF_LAYERS = 1.0, 0.01
SEED = 0

Titles = Sequence[Sequence[str]]


def free_labels(models: Sequence[Model], parts: dict[bool, tuple[Titles, Titles]]) -> Iterator[Record]:
    """Accuracy of every layer of every model and of the rivals, the mean over the pairs of a task.

    Args:
        models: To be tried.
        parts: The titles to learn from and those to test on, in lower case (True) and as they are (False).
    """
    ngrams = {lower: CountedScorer(train) for lower, (train, _) in parts.items()}
    for model in models:
        for task, pairs in TASKS.items():
            right: dict[tuple[str, int], dict[str, NDArray[np.int64]]] = defaultdict(dict)
            for pair in pairs:
                for key, of_pair in pair_results(model, ngrams[model.lowercase], pair, *parts[model.lowercase]).items():
                    right[key]["/".join(pair)] = of_pair
            for (features, n), of_pairs in right.items():
                details: dict[str, object] = {
                    "pairs": {pair: round(100 * float(of_pair.mean()), 2) for pair, of_pair in of_pairs.items()},
                    "tested": sum(map(len, of_pairs.values())),
                }
                if features != COUNTED and n:
                    counted = right[COUNTED, n]
                    details[ABOVE] = over_pairs([of_pairs[pair] - counted[pair] for pair in of_pairs])
                yield Record("free", task, model.name, features, n, over_pairs(list(of_pairs.values())), details)


def pair_results(
    model: Model, ngrams: CountedScorer, pair: tuple[str, str], train: Titles, test: Titles
) -> dict[tuple[str, int], NDArray[np.int64]]:
    """For each kind of features and number of labels: which test examples are right, (n,) 0 or 1."""
    learned = one_spelling(train, pair, most=SEARCHED, seed=SEED)[: max(N_LABELS)]
    asked = one_spelling(test, pair, most=SEARCHED_TEST, seed=SEED)[:N_TEST]
    if len(learned) < LEAST_TRAIN or len(asked) < LEAST_TEST:
        return {}
    y, y_test = (np.array([example.label for example in part]) for part in (learned, asked))
    (at, around), (at_test, around_test) = (layers_of(model, part) for part in (learned, asked))
    x = {AROUND: around} | readings(at)
    x_test = {AROUND: around_test} | readings(at_test)
    results = {(LIKELIER_COUNTED, 0): ((log_odds(ngrams, pair, asked) > 0) == y_test).astype(np.int64)}
    if model.scorer is not None:
        odds, odds_test = (log_odds(model, pair, part)[:, None] for part in (learned, asked))
        results[LIKELIER, 0] = ((odds_test[:, 0] > 0) == y_test).astype(np.int64)
    for n in N_LABELS:
        if n > len(learned):
            break
        counts = DictVectorizer()
        counted = counts.fit_transform(map(words_around, learned[:n]))
        said = LogisticRegression(C=C_OF_COUNTS, max_iter=500).fit(counted, y[:n])
        results[COUNTED, n] = (said.predict(counts.transform(map(words_around, asked))) == y_test).astype(np.int64)
        for features in x:
            results[features, n] = right_of(x[features][:n], y[:n], x_test[features], y_test)
        if model.scorer is not None:
            said = LogisticRegression().fit(odds[:n], y[:n])
            results[LIKELIER, n] = (said.predict(odds_test) == y_test).astype(np.int64)
    return results


def log_odds(
    model: Model | CountedScorer, pair: tuple[str, str], examples: Sequence[WordExample]
) -> NDArray[np.float64]:
    """log p of each title with the second word of the pair, less log p of it with the first, (n,)."""
    first, second = (
        model.log_probabilities([[*e.tokens[: e.place], word, *e.tokens[e.place + 1 :]] for e in examples])
        for word in pair
    )
    return second - first


def layers_of(model: Model, examples: Sequence[WordExample]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The layers of each example's word, and layer 0 around it."""
    return model.at_and_around([example.tokens for example in examples], [example.place for example in examples])


def words_around(example: WordExample) -> dict[str, int]:
    """What the rival counts."""
    return counted_around(example.tokens, example.place)


def right_of(x: NDArray, y: NDArray, x_test: NDArray, y_test: NDArray) -> NDArray[np.int64]:
    """Which test examples a logistic regression over standardised features gets right."""
    scaler = StandardScaler().fit(x)
    classifier = LogisticRegression(C=C_OF_LAYERS, max_iter=1000).fit(scaler.transform(x), y)
    return (classifier.predict(scaler.transform(x_test)) == y_test).astype(np.int64)
