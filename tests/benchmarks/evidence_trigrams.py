"""The rival of a language model that counts: trigrams with Witten-Bell smoothing (Chen & Goodman 1999, section 2.6)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Title = Sequence[str]

ORDER = 3
BEGIN, END = "<S>", "</S>"


class Trigrams:
    """p(w | h) = (c(h, w) + t(h) · p(w | h')) / (c(h) + t(h)).

    c counts, t(h) is the number of distinct words behind h, and h' is h without its first word. Behind nothing at all
    every word is equally likely.
    """

    def __init__(self, titles: Sequence[Title]) -> None:
        """Count the titles' runs of one to three words."""
        self.counts: Counter[tuple[str, ...]] = Counter()  # c(h, w)
        for title in titles:
            words = padded(title)
            for end in range(ORDER, len(words) + 1):
                self.counts.update(tuple(words[end - n : end]) for n in range(1, ORDER + 1))
        self.behind: Counter[tuple[str, ...]] = Counter()  # c(h)
        self.distinct: Counter[tuple[str, ...]] = Counter()  # t(h)
        for run, count in self.counts.items():
            self.behind[run[:-1]] += count
            self.distinct[run[:-1]] += 1
        self.n_words = self.distinct[()] + 1  # and one for all that were never seen

    def probability(self, run: tuple[str, ...]) -> float:
        """p of the last word behind the others."""
        lower, held = self.probability(run[1:]) if len(run) > 1 else 1 / self.n_words, self.distinct[run[:-1]]
        if not held:
            return lower
        return (self.counts[run] + held * lower) / (self.behind[run[:-1]] + held)

    def log_probabilities(self, titles: Sequence[Title]) -> NDArray[np.float64]:
        """log p of each title and its end, in nats, (titles,)."""
        return np.array([self._log_p(padded(title)) for title in titles])

    def _log_p(self, words: list[str]) -> float:
        return sum(
            math.log(self.probability(tuple(words[k - ORDER + 1 : k + 1]))) for k in range(ORDER - 1, len(words))
        )


def padded(title: Title) -> list[str]:
    """The words with the beginning and the end of the title."""
    return [*[BEGIN] * (ORDER - 1), *title, END]
