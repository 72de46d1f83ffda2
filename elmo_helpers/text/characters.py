"""A word's spelling as a row of character ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import choice, shown, word_list
from elmo_helpers.config import word_length
from elmo_helpers.errors import ElmoHelpersError

# The original tutorial's characters in its order; the id of each is its place here, counted from 1.
CHARACTERS = " abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+=<>()[]{}"
SCHEMES = ("tutorial", "utf8")

# tutorial: 0 padding, 1..69 CHARACTERS, then the two boundaries, which the original forgot.
_TUTORIAL_BEGIN = len(CHARACTERS) + 1
_TUTORIAL_END = len(CHARACTERS) + 2
# utf8: the published inference ids. 0 masked position, byte b -> b + 1, then these five.
_BEGIN_SENTENCE, _END_SENTENCE, _BEGIN_WORD, _END_WORD, _PADDING = range(257, 262)

# Character id of every ASCII code point, 0 for those outside CHARACTERS; the last entry stands for all beyond ASCII.
_TUTORIAL_IDS = np.zeros(129, dtype=np.uint8)
_TUTORIAL_IDS[[ord(character) for character in CHARACTERS]] = np.arange(1, len(CHARACTERS) + 1)


class CharacterVocabulary:
    """The table from characters to ids: a word becomes a row of `max_characters` ids, C.

    - `tutorial`, 72 ids: 0 is padding, 1..69 are `CHARACTERS`, 70 and 71 spell the sentence boundaries. A word is
      the row [characters, 0, 0, ...].
    - `utf8`, 262 ids, those of the published models at inference: 0 is a masked position, byte b has the id b + 1,
      257 and 258 are the sentence boundaries, 259 and 260 begin and end a word, 261 fills the rest of its row. A word
      is the row [259, bytes, 260, 261, 261, ...].

    A padding *word* is a row of zeros in both.

    Raises:
        ElmoHelpersError: There is no such scheme, or `max_characters` is below 3 (room for a boundary's row) or
            above 10,000.
    """

    scheme: str
    max_characters: int

    def __init__(self, scheme: str = "tutorial", max_characters: int = 30) -> None:
        self.scheme = choice("scheme", scheme, SCHEMES)
        self.max_characters = word_length("max_characters", max_characters, 3)

    @property
    def size(self) -> int:
        """The number of ids: 72 or 262."""
        return _TUTORIAL_END + 1 if self.scheme == "tutorial" else _PADDING + 1

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """The smallest type that holds the ids: uint8 or int16."""
        return np.dtype(np.uint8 if self.scheme == "tutorial" else np.int16)

    @property
    def padding_id(self) -> int:
        """The id that fills the end of a word's row: 0 or 261."""
        return 0 if self.scheme == "tutorial" else _PADDING

    @property
    def boundary_rows(self) -> NDArray[np.integer]:
        """The rows of padding, `<S>` and `</S>`: (3, C), of `dtype`."""
        rows: NDArray[np.integer] = np.full((3, self.max_characters), self.padding_id, dtype=self.dtype)
        rows[0] = 0
        if self.scheme == "tutorial":
            rows[1:, 0] = _TUTORIAL_BEGIN, _TUTORIAL_END
        else:
            rows[1:, 0] = _BEGIN_WORD
            rows[1:, 1] = _BEGIN_SENTENCE, _END_SENTENCE
            rows[1:, 2] = _END_WORD
        return rows

    def encode(self, words: Sequence[str], errors: str = "strict") -> NDArray[np.integer]:
        """The spelling of each word.

        A word is cut to C characters (`utf8`: C - 2 bytes, possibly inside a character, as in the published models).
        In `utf8` the words `<S>` and `</S>` have the rows of the sentence boundaries, as published; in `tutorial`
        they are spelled like any other, and only `boundary_rows` has those rows.

        Args:
            words: n words.
            errors: What becomes of a character outside the table, of which `utf8` has none. "strict": an error;
                "skip": it is left out of the spelling (a word of which nothing is left has the row of padding).

        Returns:
            (n, C), of `dtype`.

        Raises:
            ElmoHelpersError: Something is no word, or a character is outside the table and `errors` is "strict".
        """
        choice("errors", errors, ("strict", "skip"))
        words = word_list("words", words)
        return self._encode_tutorial(words, errors) if self.scheme == "tutorial" else self._encode_utf8(words)

    def decode(self, row: Sequence[int] | NDArray[np.integer]) -> str:
        """The spelling that a row (C,) holds, as far as it was not cut; '' for padding, `<S>` or `</S>` for those.

        Raises:
            ElmoHelpersError: An id is no whole number from 0 to size - 1.
        """
        ids = _whole_numbers(row)
        if ids is None or ids.ndim != 1 or ((ids < 0) | (ids >= self.size)).any():
            raise ElmoHelpersError(f"row={shown(row)}: expected one row of character ids from 0 to {self.size - 1}.")
        for word, boundary in zip(("<S>", "</S>"), self.boundary_rows[1:], strict=True):
            if np.array_equal(ids, boundary):
                return word
        if self.scheme == "tutorial":
            return "".join(CHARACTERS[i - 1] for i in ids if 0 < i < _TUTORIAL_BEGIN)
        # A cut may have left half a character at the end.
        return bytes(int(i) - 1 for i in ids if 0 < i < _BEGIN_SENTENCE).decode("utf-8", errors="ignore")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a JSON file; the characters are there for people to read, and checked when read back."""
        data: dict[str, Any] = {"scheme": self.scheme, "max_characters": self.max_characters}
        if self.scheme == "tutorial":
            data["characters"] = CHARACTERS
        return data

    @classmethod
    def from_dict(cls, data: object) -> CharacterVocabulary:
        """The table that `to_dict` wrote.

        Raises:
            ElmoHelpersError: A key is missing, a value is wrong, or the characters are not this version's.
        """
        if not isinstance(data, dict) or not {"scheme", "max_characters"} <= set(data):
            raise ElmoHelpersError(
                f"Expected a character vocabulary with scheme and max_characters, got {shown(data)}."
            )
        vocabulary = cls(data["scheme"], data["max_characters"])
        if data.get("characters", CHARACTERS) != CHARACTERS:
            raise ElmoHelpersError(
                f"The character vocabulary was written for other characters, {shown(data['characters'])}: expected "
                f"{CHARACTERS!r}, so make the corpus again."
            )
        return vocabulary

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CharacterVocabulary):
            return NotImplemented
        return (self.scheme, self.max_characters) == (other.scheme, other.max_characters)

    def __hash__(self) -> int:
        return hash((self.scheme, self.max_characters))

    def __repr__(self) -> str:
        return f"CharacterVocabulary(scheme={self.scheme!r}, max_characters={self.max_characters})"

    def _encode_tutorial(self, words: list[str], errors: str) -> NDArray[np.integer]:
        # All words at once: one flat array of code points, and the number of the word that each belongs to.
        code_points = np.frombuffer("".join(words).encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)
        ids = _TUTORIAL_IDS[np.minimum(code_points, len(_TUTORIAL_IDS) - 1)]
        owners = np.repeat(np.arange(len(words)), [len(word) for word in words])
        known = ids > 0
        if errors == "strict" and not known.all():
            first = int(np.argmin(known))
            raise ElmoHelpersError(
                f"The word {words[owners[first]]!r} holds {chr(code_points[first])!r}, which is not one of the "
                f"{len(CHARACTERS)} tutorial characters: drop such titles with clean_titles, leave the character out "
                f"with errors='skip', or use the scheme utf8."
            )
        rows = np.zeros((len(words), self.max_characters), dtype=self.dtype)
        _fill(rows, owners[known], ids[known])
        return rows

    def _encode_utf8(self, words: list[str]) -> NDArray[np.integer]:
        limit = self.max_characters - 2
        spellings = [word.encode("utf-8", errors="ignore")[:limit] for word in words]
        lengths = np.array([len(spelling) for spelling in spellings], dtype=np.int64)
        rows = np.full((len(words), self.max_characters), self.padding_id, dtype=self.dtype)
        ids = np.frombuffer(b"".join(spellings), dtype=np.uint8).astype(self.dtype) + 1
        _fill(rows[:, 1:], np.repeat(np.arange(len(words)), lengths), ids)
        rows[:, 0] = _BEGIN_WORD
        rows[np.arange(len(words)), lengths + 1] = _END_WORD
        for boundary, row in zip(("<S>", "</S>"), self.boundary_rows[1:], strict=True):
            rows[[i for i, word in enumerate(words) if word == boundary]] = row
        return rows


def is_text(value: object) -> bool:
    """Whether it is a string that can be written: one with half a character, a lone surrogate, cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole_numbers(row: Any) -> NDArray[np.int64] | None:
    """`row` as an array of whole numbers; None where it holds something else."""
    try:
        ids = np.asarray(row)
    except (TypeError, ValueError):  # lists of different lengths, a tensor of another device
        return None
    return ids.astype(np.int64) if ids.dtype.kind in "iu" or not ids.size else None


def _fill(rows: NDArray[np.integer], owners: NDArray[np.int64], ids: NDArray[np.integer]) -> None:
    """Write `ids` (n,) from the left into the rows that `owners` (n,), rising, names; what does not fit is cut."""
    starts = np.searchsorted(owners, np.arange(len(rows)))
    columns = np.arange(len(ids)) - starts[owners]
    fits = columns < rows.shape[1]
    rows[owners[fits], columns[fits]] = ids[fits]
