"""What a corpus is built from: the columns of a frame of titles, and the words of all titles as numbers."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.corpus_storage import LEXICON_SPECIALS


def frame_columns(titles: pd.DataFrame) -> tuple[pa.Array, pa.Array]:
    """The date and title columns as Arrow arrays, after a check."""
    missing = {"title", "date"} - set(titles.columns)
    if missing:
        raise ElmoHelpersError(
            f"The frame of titles lacks the column {min(missing)}; it has {list(titles.columns)}: rename or add it."
        )
    if titles.empty:
        raise ElmoHelpersError("The frame of titles has no rows: a corpus needs at least one title.")
    if not pd.api.types.is_datetime64_dtype(titles["date"]):
        raise ElmoHelpersError(
            f"The column date is {titles['date'].dtype}: expected datetime64 without time zone; "
            "use read_titles or pandas.to_datetime."
        )
    values = list(titles["title"])
    for row, value in enumerate(values):
        if not _is_text(value):
            raise ElmoHelpersError(f"The title in row {row} is {value!r}: expected text; drop or mend the row.")
    date = pa.array(titles["date"].to_numpy("datetime64[D]"), type=pa.date32())
    return date, pa.array(values, type=pa.large_string())


def number_words(tokens: Iterable[list[str]]) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    """The lexicon of all tokens; their lexicon ids, one after another, (n_tokens,); words of each title, (n,).

    Tokens stream through: a word gets the next free number where it is first met, and the numbers are exchanged for
    ids by falling count afterwards, all at once.
    """
    numbers: defaultdict[str, int] = defaultdict(None, {word: i for i, word in enumerate(LEXICON_SPECIALS[1:])})
    numbers.default_factory = numbers.__len__
    met, lengths = array("i"), array("q")
    for row, words in enumerate(tokens):
        if isinstance(words, str):
            raise ElmoHelpersError(f"The tokens of row {row} are one string, {words!r}: expected a list of words.")
        met.extend(map(numbers.__getitem__, words))
        lengths.append(len(words))

    ids, words = np.asarray(met), list(numbers)
    for number, word in enumerate(words):
        if not _is_text(word) or not word:
            row = np.searchsorted(np.cumsum(lengths), np.argmax(ids == number), side="right")
            raise ElmoHelpersError(f"A token of row {row} is {word!r}: expected a word; leave it out.")
    counts = np.bincount(ids, minlength=len(words)).tolist()
    n_boundaries = len(LEXICON_SPECIALS) - 1
    order = sorted(range(n_boundaries, len(words)), key=lambda number: (-counts[number], words[number]))
    order = [*range(n_boundaries), *order]  # (n_lexicon - 1,), number of each id from <S> on
    id_of = np.empty(len(words), dtype=np.int32)
    id_of[order] = np.arange(1, len(words) + 1)
    return [LEXICON_SPECIALS[0], *(words[number] for number in order)], id_of[ids], np.asarray(lengths, dtype=np.int64)


def _is_text(value: object) -> bool:
    """Whether it is a string that can be written: one with half a character, a lone surrogate, cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
