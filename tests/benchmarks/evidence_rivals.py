"""The rivals with one vector a word, from gensim: word2vec (Mikolov et al. 2013) and fastText (Bojanowski et al. 2017).

Both are skip-gram models of words in lower case, with a window of 2. On dev that was as good as 5, which takes twice
the time, and better than natural case, in which more words are rare.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from elmo_helpers import ElmoHelpersError, normalize_title

SETTINGS = {"vector_size": 300, "window": 2, "min_count": 3, "sg": 1, "workers": 1, "seed": 0}
TIMED_WORDS = 100_000  # to find out how many words a minute are read


@dataclass
class Repeated:
    """Titles again and again, up to a number of words."""

    titles: Sequence[list[str]]
    n_words: int

    def __iter__(self) -> Iterator[list[str]]:
        left = self.n_words
        for title in cycle(self.titles):
            if left <= 0:
                return
            yield title
            left -= len(title)


class Rival:
    """A trained model: the vectors of words, zeros where it has none."""

    def __init__(self, kind: type, titles: Sequence[list[str]], n_words: int | None, minutes: float | None) -> None:
        """Train on so many words of the titles, repeated, or for about so many minutes, in one thread."""
        if n_words is None:
            assert minutes is not None
            sample = Repeated(titles, TIMED_WORDS)
            timed = kind(**SETTINGS)
            timed.build_vocab(sample)
            begun = time.perf_counter()
            timed.train(sample, total_words=TIMED_WORDS, epochs=1)
            n_words = int(60 * minutes * TIMED_WORDS / (time.perf_counter() - begun))
        model = kind(**SETTINGS)
        model.build_vocab(titles)
        begun = time.perf_counter()
        model.train(Repeated(titles, n_words), total_words=n_words, epochs=1)
        self.n_words, self.seconds = n_words, time.perf_counter() - begun
        self.vectors = model.wv

    def __call__(self, words: Sequence[str]) -> NDArray[np.float32]:
        """(words, 300) float32."""
        found = np.zeros((len(words), self.vectors.vector_size), dtype=np.float32)
        for row, word in enumerate(words):
            word = normalize_title(word)
            if word in self.vectors:  # of fastText every word is
                found[row] = self.vectors[word]
        return found


def train_rivals(titles: Sequence[list[str]], n_words: int | None, minutes: float | None) -> dict[str, Rival]:
    """Both rivals, trained on the tokens of titles in lower case.

    Raises:
        ElmoHelpersError: gensim is not installed.
    """
    try:
        from gensim.models import FastText, Word2Vec
    except ImportError:
        raise ElmoHelpersError(
            "word2vec and fastText come from gensim, which is not installed: run make, or `pip install gensim`."
        ) from None
    return {
        name: Rival(kind, titles, n_words, minutes) for name, kind in (("word2vec", Word2Vec), ("fastText", FastText))
    }
