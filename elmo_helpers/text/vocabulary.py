"""The words that the softmax can say, with their counts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import instance, items, shown, whole_number, word_list
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import read_json, whole_file, write_json

SPECIALS = ("<pad>", "<S>", "</S>", "<UNK>")
PAD, BOS, EOS, UNK = range(4)
_UNKNOWN = SPECIALS[UNK].lower()  # as texts spell it in which somebody has replaced rare words already


class WordVocabulary:
    """Words and their ids: the four specials first, then the words in the order given.

    `from_counts` puts the words by falling count, which a sampled softmax relies on.

    Args:
        words: Distinct words without the four specials; the first one has id 4.
        counts: How often each of `words` occurs; None: not known, all 0.
        special_counts: The same for `<pad>`, `<S>`, `</S>` and `<UNK>`.

    Raises:
        ElmoHelpersError: A word is not text, is a special or occurs twice; there is not one count a word; a count
            is negative or not a whole number.
    """

    def __init__(
        self,
        words: Sequence[str],
        counts: Sequence[int] | NDArray[np.integer] | None = None,
        special_counts: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        words = items("words", words, "a list of words")
        self.words: list[str] = [*SPECIALS, *words]  # all of them, specials included
        self._ids: dict[str, int] = {}
        for i, word in enumerate(self.words):
            if not isinstance(word, str):
                raise ElmoHelpersError(f"Word {i} of the vocabulary is {shown(word)}: expected text.")
            if word in self._ids:
                raise ElmoHelpersError(f"The word {word!r} of the vocabulary is there already: leave it out.")
            self._ids[word] = i
        of_words = [0] * len(words) if counts is None else items("counts", counts, "a list of counts, one a word")
        of_specials = items("special_counts", special_counts, "a list of four counts")
        self.counts: NDArray[np.int64] = _whole_numbers([*of_specials, *of_words], self.words)  # (len(self),)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], min_count: int = 1, max_size: int | None = None) -> WordVocabulary:
        """The vocabulary of counted words, by falling count; equal counts in code-point order.

        Args:
            counts: Word to count. Counts of `<S>` and `</S>` (the number of titles) are kept with these specials;
                `<UNK>`, in upper or lower case, and `<pad>` in a text are unknown words.
            min_count: Rarer words are left out and counted as `<UNK>`.
            max_size: At most so many words are kept, the specials not counted; None: all.

        Raises:
            ElmoHelpersError: `min_count` is below 1, `max_size` is below 0, a word is no text, or a count is negative
                or not a whole number.
        """
        min_count = whole_number("min_count", min_count, 1)
        max_size = None if max_size is None else whole_number("max_size", max_size, 0)
        counts = _counted(counts)
        all_counts = _whole_numbers(list(counts.values()), list(counts))
        frequent = [
            (-count, word)
            for word, count in zip(counts, all_counts.tolist(), strict=True)
            if count >= min_count and word not in SPECIALS and word.lower() != _UNKNOWN
        ]
        kept = sorted(frequent)[:max_size]
        kept_counts = [-negative for negative, _ in kept]
        begins, ends = counts.get(SPECIALS[BOS], 0), counts.get(SPECIALS[EOS], 0)
        left_out = int(all_counts.sum()) - sum(kept_counts) - begins - ends
        return cls([word for _, word in kept], kept_counts, (0, begins, ends, left_out))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> str:
        return self.words[i]

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and word in self._ids

    def __eq__(self, other: object) -> bool:  # and so without a hash: its arrays can change
        if not isinstance(other, WordVocabulary):
            return NotImplemented
        return self.words == other.words and np.array_equal(self.counts, other.counts)

    def __repr__(self) -> str:
        return f"WordVocabulary({len(self):,} words with the {len(SPECIALS)} specials)"

    def id(self, word: str) -> int:
        """The word's id; that of `<UNK>`, 3, where the word is not known.

        Raises:
            ElmoHelpersError: It is no text.
        """
        return self._ids.get(instance("word", word, str, "text"), UNK)

    def ids(self, words: Sequence[str]) -> NDArray[np.int64]:
        """The ids of n words, (n,) int64; 3 where a word is not known.

        Raises:
            ElmoHelpersError: Something is no word.
        """
        words = word_list("words", words)
        return np.fromiter((self._ids.get(word, UNK) for word in words), dtype=np.int64, count=len(words))

    @property
    def coverage(self) -> float:
        """Share of the counted running words that are in the vocabulary, boundaries not counted; NaN without counts."""
        known, unknown = int(self.counts[len(SPECIALS) :].sum()), int(self.counts[UNK])
        return known / (known + unknown) if known + unknown else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: all words and all counts, specials included."""
        return {"words": self.words, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, data: object) -> WordVocabulary:
        """The vocabulary that `to_dict` wrote.

        Raises:
            ElmoHelpersError: `data` is not what `to_dict` writes.
        """
        words, counts = (data.get("words"), data.get("counts")) if isinstance(data, dict) else (None, None)
        if not isinstance(words, list) or not isinstance(counts, list) or words[: len(SPECIALS)] != list(SPECIALS):
            raise ElmoHelpersError(
                f"Not a word vocabulary: expected lists named words and counts, and {', '.join(SPECIALS)} as the "
                "first words; make it again."
            )
        n = len(SPECIALS)
        return cls(words[n:], counts[n:], counts[:n])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary as JSON, whole or not at all."""
        with whole_file(path) as temporary:
            write_json(temporary, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WordVocabulary:
        """Read a vocabulary that `save` wrote.

        Raises:
            ElmoHelpersError: The file is missing or is not a vocabulary.
        """
        data = read_json(path)
        try:
            return cls.from_dict(data)
        except ElmoHelpersError as error:
            raise ElmoHelpersError(f"{path}: {error}") from None


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    """`counts` as a dictionary, after a look at its words."""
    try:
        counted = dict(counts)
    except (TypeError, ValueError):
        raise ElmoHelpersError(f"counts={shown(counts)}: expected a dictionary from words to their counts.") from None
    word_list("counts", list(counted))
    return counted


def _whole_numbers(counts: list[int], words: list[str]) -> NDArray[np.int64]:
    """`counts`, one of each word, as an int64 array, after a check."""
    if len(counts) != len(words):
        raise ElmoHelpersError(f"There are {len(words)} words with the specials and {len(counts)} counts: one each.")
    for word, count in zip(words, counts, strict=True):
        if not isinstance(count, int | np.integer) or not 0 <= count < 2**63:
            raise ElmoHelpersError(
                f"The word {word!r} has the count {shown(count)}: expected a whole number, at least 0."
            )
    return np.array(counts, dtype=np.int64)
