"""Senses of words in the examples of WordNet.

- Noun or verb: words that stand in the examples as both. A logistic regression learns on some words and is asked of
  others, so it cannot know a word; what is common to all of them is how nouns and verbs stand among other words. The
  rivals, with as many labels, count the words around, or read layer 0 of the five words.
- The sense: of all other examples of the same spelling, the one with the nearest vector. Is it of the same synset?
  Asked only where some of the others are of the same synset and some are not. Nothing is learned. The rivals take the
  one that shares the rarest words, or whose five words are nearest by layer 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from evidence_measures import COUNTED, Measured, Record, share
from evidence_vectors import AROUND, Model, counted_around, readings
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from elmo_helpers import Tokenizer
from elmo_helpers.analysis.nearest import unit_rows
from elmo_helpers.analysis.wordnet_examples import WordNetExample, read_wordnet_examples

N_FOLDS = 5
C_OF_COUNTS, C_OF_LAYERS = 1.0, 0.01  # as in the tasks with free labels; nothing is chosen here


def senses(models: Sequence[Model]) -> Iterator[Record]:
    """Both tasks for every layer of every model, and what chance, the commoner class and counting would reach."""
    examples = read_wordnet_examples(tokenize=Tokenizer("en", processes=1))
    both = noun_or_verb_examples(examples)
    verbs = np.array([example.part == "v" for example in both])
    spelled = spellings(both)
    _, owner = np.unique(spelled, return_inverse=True)
    commoner = verbs == (np.bincount(owner, weights=verbs) * 2 > np.bincount(owner))[owner]
    task, details = "noun or verb", {"examples": len(both), "spellings": len(set(spelled)), "verbs": verbs.mean()}
    yield Record("senses", task, "", "commoner class of the word", None, by_spelling(commoner, spelled), details)
    counts = DictVectorizer().fit_transform(counted_around(example.tokens, example.place) for example in both)
    counting = LogisticRegression(C=C_OF_COUNTS, max_iter=500)
    right = by_folds(counting, counts, verbs, spelled) == verbs
    yield Record("senses", task, "", COUNTED, None, by_spelling(right, spelled))
    asked, others = sense_questions(examples)
    task_of_sense, names = "sense by nearest example", spellings([examples[i] for i in asked])
    expected = np.array([np.mean(same) for _, same in others.values()])
    details = {"examples": len(asked), "spellings": len(set(names))}
    yield Record("senses", task_of_sense, "", "chance", None, by_spelling(expected, names), details)
    beside = [example.tokens[: example.place] + example.tokens[example.place + 1 :] for example in examples]
    shared = TfidfVectorizer(analyzer=list).fit_transform(beside)
    right = np.array([shares_words_with_same_sense(shared, i, *of_example) for i, of_example in others.items()])
    yield Record("senses", task_of_sense, "", COUNTED, None, by_spelling(right, names))
    for model in models:
        layers, around = layers_of(model, both)
        for features, x in ({AROUND: around} | readings(layers)).items():
            classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C_OF_LAYERS, max_iter=1000))
            right = by_folds(classifier, x, verbs, spelled) == verbs
            yield Record("senses", task, model.name, features, None, by_spelling(right, spelled))
        rows = sorted(set(asked) | {i for of_word, _ in others.values() for i in of_word.tolist()})
        layers, around = layers_of(model, [examples[i] for i in rows])
        place = {i: row for row, i in enumerate(rows)}
        for features, x in ({AROUND: around} | readings(unit_rows(layers))).items():
            right = nearest_has_same_sense(unit_rows(x), asked, others, place)
            yield Record("senses", task_of_sense, model.name, features, None, by_spelling(right, names))


def layers_of(model: Model, examples: Sequence[WordNetExample]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """All layers of the word of each example, and layer 0 around it."""
    titles = [model.as_read(example.tokens) for example in examples]
    return model.at_and_around(titles, [example.place for example in examples])


def spellings(examples: Sequence[WordNetExample]) -> list[str]:
    """The word of each example as it is spelled there, in lower case."""
    return [example.tokens[example.place].lower() for example in examples]


def noun_or_verb_examples(examples: Sequence[WordNetExample]) -> list[WordNetExample]:
    """The examples of the spellings that are a noun in one and a verb in another."""
    parts: dict[str, set[str]] = defaultdict(set)
    for example, spelling in zip(examples, spellings(examples), strict=True):
        parts[spelling].add(example.part)
    return [
        example
        for example, spelling in zip(examples, spellings(examples), strict=True)
        if example.part in "nv" and parts[spelling] >= {"n", "v"}
    ]


def by_folds(
    classifier: LogisticRegression | Pipeline,
    x: NDArray[np.float32] | csr_array,
    verbs: NDArray[np.bool_],
    spelled: Sequence[str],
) -> NDArray[np.bool_]:
    """What a classifier says of each example when it has not seen its word."""
    said: NDArray[np.bool_] = cross_val_predict(classifier, x, verbs, groups=spelled, cv=GroupKFold(N_FOLDS))
    return said


def sense_questions(
    examples: Sequence[WordNetExample],
) -> tuple[list[int], dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]]]:
    """The examples that are asked about; of each, the other ones of its spelling, and whether they have its sense."""
    by_word: dict[str, list[int]] = defaultdict(list)
    for i, spelling in enumerate(spellings(examples)):
        by_word[spelling].append(i)
    others = {}
    for i, spelling in enumerate(spellings(examples)):
        rows = np.array([j for j in by_word[spelling] if examples[j].tokens != examples[i].tokens], dtype=np.int64)
        same = np.array([examples[j].synset == examples[i].synset for j in rows], dtype=bool)
        if same.any() and not same.all():
            others[i] = rows, same
    return list(others), others


def nearest_has_same_sense(
    units: NDArray[np.float32],
    asked: Sequence[int],
    others: Mapping[int, tuple[NDArray[np.int64], NDArray[np.bool_]]],
    place: Mapping[int, int],
) -> NDArray[np.bool_]:
    """Of each example that is asked about, whether the nearest other one of its spelling has its sense."""
    right = np.empty(len(asked), dtype=bool)
    for n, i in enumerate(asked):
        rows, same = others[i]
        cosines = units[[place[j] for j in rows.tolist()]] @ units[place[i]]
        right[n] = same[cosines.argmax()]
    return right


def shares_words_with_same_sense(counts: csr_array, i: int, rows: NDArray[np.int64], same: NDArray[np.bool_]) -> float:
    """How likely the example that shares the rarest words with example i has its sense; of equal ones, any."""
    cosines = (counts[rows] @ counts[i : i + 1].T).toarray()[:, 0]
    return float(same[cosines > cosines.max() - 1e-9].mean())


def by_spelling(values: NDArray, spelled: Sequence[str]) -> Measured:
    """The mean of values, and its bounds where spellings are drawn anew with all their examples."""
    _, owner = np.unique(spelled, return_inverse=True)
    return share(np.bincount(owner, weights=values), np.bincount(owner))
