"""Words that are read whole: a word's row is its one vocabulary id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.text.vocabulary import BOS, EOS, PAD, UNK, WordVocabulary


class WordIds:
    """What `CharacterVocabulary` is to a character CNN, for a model with one vector a word: rows of one id, C = 1."""

    scheme = "words"
    max_characters = 1

    def __init__(self, vocabulary: WordVocabulary) -> None:
        self.vocabulary = vocabulary

    @property
    def size(self) -> int:
        """The number of ids, V."""
        return len(self.vocabulary)

    @property
    def boundary_rows(self) -> NDArray[np.int64]:
        """The rows of padding, `<S>` and `</S>`: (3, 1)."""
        return np.array([[PAD], [BOS], [EOS]])

    def encode(self, words: Sequence[str], errors: str = "strict") -> NDArray[np.int64]:
        """The vocabulary id of each of n words, (n, 1), and that of `<UNK>` for a word not known, whatever `errors`.

        A `<pad>` of the text is such a word, and no padding.

        Raises:
            ElmoHelpersError: Something is no word.
        """
        ids = self.vocabulary.ids(words)[:, None]
        return np.where(ids == PAD, UNK, ids)

    def __eq__(self, other: object) -> bool:  # and so without a hash, as the vocabulary is
        if not isinstance(other, WordIds):
            return NotImplemented
        return self.vocabulary.words == other.vocabulary.words

    def __repr__(self) -> str:
        return f"WordIds({self.vocabulary!r})"
