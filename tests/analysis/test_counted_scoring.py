"""Scores of titles by counted runs of words, against the formula with dictionaries."""

import math

import numpy as np
import pytest

from conftest import TOY_TITLES
from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.counted_scoring import CountedScorer
from kneser_ney_by_counters import KneserNeyByCounters

COUNTED = [title.split() for title in TOY_TITLES]


def runs(titles, order):
    """Each word behind those before it, and each end."""
    padded = ([*[0] * (order - 1), *title, 1] for title in titles)
    return [tuple(title[end - order : end]) for title in padded for end in range(order, len(title) + 1)]


@pytest.mark.parametrize("order", [1, 2, 5])
def test_log_p_by_hand(order):
    asked = [*COUNTED[:5], ["an", "unheard", "cat"], [], ["home"], ["the"] * 7]
    n_predicted = len({word for title in COUNTED for word in title}) + 2  # and an end, and a word never seen
    expected = np.zeros(len(asked))
    for step in (1, -1):
        slow = KneserNeyByCounters(runs([title[::step] for title in COUNTED], order), n_predicted)
        for i, title in enumerate(asked):
            expected[i] += sum(math.log(slow.p(run)) for run in runs([title[::step]], order)) / 2
    scorer = CountedScorer(COUNTED, order)
    assert scorer.log_probabilities(asked) == pytest.approx(expected)
    alone = [float(scorer.log_probabilities([title])[0]) for title in asked]
    assert alone == pytest.approx(expected.tolist())


def test_nothing_to_score():
    assert CountedScorer(COUNTED).log_probabilities([]).shape == (0,)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: CountedScorer([]), "titles: there is none to count"),
        (lambda: CountedScorer(COUNTED, 0), "order=0"),
        (lambda: CountedScorer(COUNTED, 10**9), "order=1000000000: expected at most 100"),
        (lambda: CountedScorer(["the cat"]), r"titles\[0\]"),
        (lambda: CountedScorer("the cat"), "titles"),
        (lambda: CountedScorer(COUNTED).log_probabilities(["the cat"]), r"titles\[0\]"),
        (lambda: CountedScorer(COUNTED).log_probabilities([["the", 3]]), r"titles\[0\]\[1\] is 3"),
    ],
)
def test_what_cannot_be_counted_or_scored(use, message):
    with pytest.raises(ElmoHelpersError, match=message):
        use()
