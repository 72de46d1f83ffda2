"""Counted runs of words, smoothed after Kneser and Ney: the strongest of the language models that only count."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elmo_helpers.checks import whole_number
from elmo_helpers.errors import ElmoHelpersError

Ints = NDArray[np.int64]

_LONGEST = 100  # words of a run


def checked_order(order: int) -> int:
    """How many words a run has, from 1 to 100: each word of a text is held that often.

    Raises:
        ElmoHelpersError: It is no such number.
    """
    checked = whole_number("order", order, 1)
    if checked > _LONGEST:
        raise ElmoHelpersError(f"order={order}: expected at most {_LONGEST} words; 5 is usual.")
    return checked


def runs_of(titles: Iterable[ArrayLike], order: int, first: int, last: int) -> Ints:
    """Each word of the titles, and `last` behind them, with the `order` - 1 words before it: (N, order) int64.

    Before a title stands `first`, repeated, which is no word of any. At least one title.
    """
    # Runs of one word need a border, too, which is dropped like all others.
    padded = ([[first] * max(1, order - 1), title, [last]] for title in titles)
    text = np.concatenate([[first] * (order - 1), *chain.from_iterable(padded)]).astype(np.int64)
    every = np.lib.stride_tricks.sliding_window_view(text, order)
    runs: Ints = every[every[:, -1] != first]
    return runs


class _Runs(NamedTuple):
    """All distinct runs of one length. A run's number is the place of its key, (that of its end) · n_words + word."""

    keys: Ints  # (R,) sorted; its end is the run without its first word
    counts: Ints  # (R,) c
    discounts: NDArray[np.float64]  # (4,) D of a count of 0, 1, 2, and 3 or more
    histories: Ints  # (H,) the keys of all but the last words of the runs, sorted likewise
    totals: Ints  # (H,) Σ c over the words behind each history
    held: NDArray[np.float64]  # (H,) Σ D over them, divided by the total: what the shorter runs share out


class KneserNey:
    """p(w | h) = max(0, c(h w) − D(c(h w))) / Σ_v c(h v) + γ(h) · p(w | h'), modified Kneser-Ney smoothing.

    (Chen & Goodman 1999, section 3.) h are the words before w, h' is h without its first one, and γ shares out what
    the discounts D hold back. For the longest runs c counts how often they occur, for the shorter ones in how many
    words before them they differ. There are three D a length, for counts of 1, 2 and more, of the counts of such
    counts. Behind no word at all every word is equally likely.
    """

    def __init__(self, runs: Ints, n_words: int, n_predicted: int) -> None:
        """Count.

        Args:
            runs: (N, order) int64 from 0 to n_words - 1, N at least 1: each word of a text behind the words before it.
            n_words: Of how many words there are numbers.
            n_predicted: How many of them may come as a run's last word.
        """
        self._n_words, self._n_predicted = n_words, n_predicted
        order = runs.shape[1]
        ends, histories = (np.zeros(len(runs), np.int64) for _ in range(2))  # of each row: the numbers of these runs
        keys_of_histories = np.zeros(1, np.int64)
        found = []
        for n in range(1, order + 1):
            keys, first, ends = np.unique(self._keys(ends, runs[:, -n]), return_index=True, return_inverse=True)
            found.append((keys, histories[first], keys_of_histories))
            if n < order:
                keys_of_histories, histories = np.unique(self._keys(histories, runs[:, -n - 1]), return_inverse=True)
        longer = [keys // n_words for keys, _, _ in found[1:]]  # their ends, each as often as a word stands before it
        counts = [np.bincount(of) for of in [*longer, ends]]
        self._levels = [_counted(keys, c, *of) for (keys, *of), c in zip(found, counts, strict=True)]

    def probabilities(self, runs: Ints) -> NDArray[np.float64]:
        """p of the last word of each run behind the others: (N, order) int64 to (N,)."""
        p = np.full(len(runs), 1 / self._n_predicted)
        ends, histories = (np.zeros(len(runs), np.int64) for _ in range(2))
        for n, level in enumerate(self._levels, start=1):
            histories = _find(level.histories, self._keys(histories, runs[:, -n]) if n > 1 else histories)
            ends = _find(level.keys, self._keys(ends, runs[:, -n]))
            count = np.where(ends >= 0, level.counts[ends], 0)
            rest = np.maximum(0, count - level.discounts[np.minimum(count, 3)]) / level.totals[histories]
            p = np.where(histories >= 0, rest + level.held[histories] * p, p)
        return p

    def _keys(self, numbers: Ints, words: Ints) -> Ints:
        return numbers * self._n_words + words  # below 0, which no key is, where there is no such run


def _counted(keys: Ints, counts: Ints, history: Ints, keys_of_histories: Ints) -> _Runs:
    discounts = _discounts(counts)
    totals = np.bincount(history, counts).astype(np.int64)
    held = np.bincount(history, discounts[np.minimum(counts, 3)]) / totals
    return _Runs(keys, counts, discounts, keys_of_histories, totals, held)


def _discounts(counts: Ints) -> NDArray[np.float64]:
    """D_k = k − (k + 1) · Y · n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2), and n_k runs of count k; D of 0 is 0.

    Where there are too few words for that, so that all of a count would be held back, or nothing, it is half of it.
    """
    n = np.bincount(counts, minlength=5)[1:5].astype(float)
    k = np.arange(1, 4)
    with np.errstate(all="ignore"):
        discounts = k - (k + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:3]
    return np.concatenate([[0.0], np.where((discounts > 0) & (discounts < k), discounts, k / 2)])


def _find(keys: Ints, wanted: Ints) -> Ints:
    """The place of each key, -1 where it is not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)
