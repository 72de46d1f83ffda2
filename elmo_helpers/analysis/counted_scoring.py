"""How likely counted runs of words find a title: the rival of a biLM that is asked outright."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import items, word_list
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.training.kneser_ney import KneserNey, checked_order, runs_of

_BEGIN, _END, _UNSEEN, _FIRST_WORD = 0, 1, 2, 3  # numbers of a title's ends, of words never seen, and of the others


class CountedScorer:
    """Two models that count, one that reads forward and one that reads backward, smoothed as `KneserNey` says.

    Every word of the titles that were counted is in their vocabulary. All other words are one, which was never seen.
    """

    def __init__(self, titles: Sequence[Sequence[str]], order: int = 5) -> None:
        """Count the runs of `order` words and fewer of titles that are lists of tokens.

        Raises:
            ElmoHelpersError: There is no title, one is no list of tokens, or `order` is not from 1 to 100.
        """
        self._order = checked_order(order)
        titles = _token_lists(titles)
        if not titles:
            raise ElmoHelpersError("titles: there is none to count; pass at least one.")
        self._numbers = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(titles)), _FIRST_WORD)}
        n_words = len(self._numbers) + _FIRST_WORD
        self._directions = [KneserNey(self._runs(titles, step), n_words, n_words - 1) for step in (1, -1)]

    def log_probabilities(self, titles: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """log p of each title, its end or beginning included, in nats: the mean of the two directions, (n,).

        It means what `WordScores.log_probability` means: of two titles, the one with the larger log p is likelier.

        Raises:
            ElmoHelpersError: A title is no list of tokens.
        """
        titles = _token_lists(titles)
        total = np.zeros(len(titles))
        if titles:
            of_run = np.repeat(np.arange(len(titles)), [len(title) + 1 for title in titles])
            for model, step in zip(self._directions, (1, -1), strict=True):
                nats = np.log(model.probabilities(self._runs(titles, step)))
                total += np.bincount(of_run, nats, minlength=len(titles))
        return total / 2

    def _runs(self, titles: list[list[str]], step: int) -> NDArray[np.int64]:
        """Each word and end behind those before it in reading order, (N, order)."""
        numbers = ([self._numbers.get(word, _UNSEEN) for word in title[::step]] for title in titles)
        return runs_of(numbers, self._order, _BEGIN, _END)


def _token_lists(titles: Sequence[Sequence[str]]) -> list[list[str]]:
    named = enumerate(items("titles", titles, "a list of titles"))
    return [word_list(f"titles[{number}]", title) for number, title in named]
