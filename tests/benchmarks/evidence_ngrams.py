"""The rival of a biLM that counts: runs of up to five words in both directions, with Kneser-Ney smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.training.kneser_ney import KneserNey, runs_of

Title = Sequence[str]

ORDER = 5
BEGIN, END, UNSEEN, FIRST_WORD = 0, 1, 2, 3  # numbers of a title's ends, of words never seen, and of the others


class NgramModel:
    """Two models that count, one that reads forward and one that reads backward."""

    def __init__(self, titles: Sequence[Title]) -> None:
        """Count the titles' runs of one to five words."""
        self.number = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(titles)), FIRST_WORD)}
        n_words = len(self.number) + FIRST_WORD
        self.directions = [KneserNey(self._runs(titles, step)[0], n_words, n_words - 1) for step in (1, -1)]

    def log_probabilities(self, titles: Sequence[Title]) -> NDArray[np.float64]:
        """log p of each title and its end, in nats, the sum of both directions, (titles,)."""
        total = np.zeros(len(titles))
        for model, step in zip(self.directions, (1, -1), strict=True):
            runs, title = self._runs(titles, step)
            total += np.bincount(title, np.log(model.probabilities(runs)), minlength=len(titles))
        return total

    def _runs(self, titles: Sequence[Title], step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each word and end behind the four before it, (N, 5), and the numbers of their titles, (N,)."""
        numbers = ([self.number.get(word, UNSEEN) for word in title[::step]] for title in titles)
        title = np.repeat(np.arange(len(titles)), [len(title) + 1 for title in titles])
        return runs_of(numbers, ORDER, BEGIN, END), title
