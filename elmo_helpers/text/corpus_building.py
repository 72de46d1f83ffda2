"""From titles and tokens, block by block, to the ids and tables of a corpus."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from elmo_helpers.checks import instance, items, shown, whole_number, word_list
from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary, is_text
from elmo_helpers.text.corpus_storage import LEXICON_SPECIALS, CorpusTables
from elmo_helpers.text.shard_files import SCHEMA
from elmo_helpers.text.splitting import SPLITS, check_split
from elmo_helpers.text.vocabulary import BOS, EOS, WordVocabulary


def checked_settings(
    min_count: int, max_size: int | None, split: str, valid: float, test: float, seed: int
) -> dict[str, Any]:
    """The settings of a corpus as plain data for its header, after a check of all that can be checked without titles.

    Raises:
        ElmoHelpersError: One of them is out of its range.
    """
    check_split(split, valid, test)
    return {
        "min_count": whole_number("min_count", min_count, 1),
        "max_size": None if max_size is None else whole_number("max_size", max_size, 0),
        "split": split,
        "valid": float(valid),
        "test": float(test),
        "seed": whole_number("seed", seed, 0),
    }


def frame_columns(titles: pd.DataFrame) -> tuple[pa.Array, pa.Array]:
    """The date and title columns as Arrow arrays, after a check."""
    instance("titles", titles, pd.DataFrame, "a table with the columns title and date")
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
        if not is_text(value):
            raise ElmoHelpersError(f"The title in row {row} is {shown(value)}: expected text; drop or mend the row.")
    date = pa.array(titles["date"].to_numpy("datetime64[D]"), type=pa.date32())
    return date, pa.array(values, type=pa.large_string())


class CorpusBuilder:
    """Turns blocks of titles into blocks of ids, and keeps only what grows with the number of distinct words.

    A word's id is known when all words have been counted. So each block goes through twice: `add` gives every word the
    next free number where it is first met, and `finish`, after `sort_lexicon`, exchanges the numbers for ids.
    """

    def __init__(self) -> None:
        # <pad> has a key that no token equals: a token that reads so is a word.
        self._numbers: defaultdict[Any, int] = defaultdict(None, {object(): 0, "<S>": BOS, "</S>": EOS})
        self._numbers.default_factory = self._numbers.__len__
        self._words = list(LEXICON_SPECIALS)  # by number, or, once sorted, by id
        self._counts = np.zeros(len(self._words), dtype=np.int64)  # of each of these words
        self._training_counts = np.zeros_like(self._counts)
        self._id_of = np.arange(len(self._words), dtype=np.int32)  # by number

    def add(self, date: pa.Array, title: pa.Array, tokens: Iterable[list[str]]) -> pa.RecordBatch:
        """The next n titles as a batch of SCHEMA, with numbers for words and every row in train.

        Args:
            date, title: What `frame_columns` made of a frame, (n,).
            tokens: The words of each title; read once, so a generator will do.

        Raises:
            ElmoHelpersError: There are not n lists of tokens, or a word is not text or is empty.
        """
        number_of, met, lengths = self._numbers.__getitem__, array("i"), array("q")
        for row, words in enumerate(tokens):
            if isinstance(words, str):
                raise ElmoHelpersError(f"The tokens of row {row} are one string, {words!r}: expected a list of words.")
            if not isinstance(words, list):
                words = items(f"tokens: row {row}", words, "a list of words")
            try:
                met.extend(map(number_of, words))
            except TypeError:  # a list, or something else that cannot be counted
                word_list(f"tokens: row {row}", words)
                raise
            lengths.append(len(words))
        if len(lengths) != len(title):
            raise ElmoHelpersError(
                f"There are {len(title)} titles and {len(lengths)} lists of tokens: give one list a title."
            )
        numbers, offsets = np.asarray(met), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        known = len(self._words)
        self._words.extend(islice(self._numbers, known, None))
        for number, word in enumerate(self._words[known:], start=known):
            if not is_text(word) or not word:
                at = np.searchsorted(offsets[1:], np.argmax(numbers == number), side="right")
                raise ElmoHelpersError(f"A token of row {at} is {word!r}: expected a word; leave it out.")

        counts = np.bincount(numbers, minlength=len(self._words))
        counts[:known] += self._counts
        counts[[BOS, EOS]] += len(title)  # every title has one of each
        self._counts = counts
        return _batch(date, title, np.zeros(len(title), dtype=np.int8), offsets, numbers)

    def sort_lexicon(self) -> None:
        """Put the words by falling count, equal counts in code-point order; no block may be added after this."""
        n_specials, counts = len(LEXICON_SPECIALS), self._counts.tolist()
        numbers = sorted(range(n_specials, len(counts)), key=lambda number: (-counts[number], self._words[number]))
        order = np.array([*range(n_specials), *numbers])  # (n_lexicon,), the number of each id
        self._id_of = np.empty(len(order), dtype=np.int32)
        self._id_of[order] = np.arange(len(order))
        self._words = [self._words[number] for number in order]
        self._counts = self._counts[order]
        self._training_counts = np.zeros_like(self._counts)
        self._numbers.clear()

    def finish(self, batch: pa.RecordBatch, splits: NDArray[np.int8]) -> pa.RecordBatch:
        """A batch that `add` returned, with lexicon ids in place of numbers, and in `splits` (n,)."""
        offsets = batch.column("tokens").offsets.to_numpy()
        ids = self._id_of[batch.column("tokens").flatten().to_numpy()]
        training = splits == SPLITS.index("train")
        self._training_counts += np.bincount(ids[np.repeat(training, np.diff(offsets))], minlength=len(self._words))
        self._training_counts[[BOS, EOS]] += training.sum()
        return _batch(batch.column("date"), batch.column("title"), splits, offsets, ids)

    def tables(self, characters: CharacterVocabulary, text: TextConfig, made_from: dict[str, Any]) -> CorpusTables:
        """The tables, when all blocks are finished; the vocabulary is counted on the training rows.

        Raises:
            ElmoHelpersError: A word cannot be spelled in `characters`.
        """
        spellings = characters.encode(self._words[len(LEXICON_SPECIALS) :])
        return CorpusTables(
            lexicon=self._words,
            lexicon_counts=self._counts,
            characters=np.concatenate([characters.boundary_rows, spellings]),
            vocabulary=WordVocabulary.from_counts(
                dict(zip(self._words, self._training_counts.tolist(), strict=True)),
                made_from["min_count"],
                made_from["max_size"],
            ),
            character_vocabulary=characters,
            text=text,
            made_from=made_from,
        )


def _batch(
    date: pa.Array, title: pa.Array, splits: NDArray[np.int8], offsets: NDArray[np.int64], ids: NDArray[np.int32]
) -> pa.RecordBatch:
    tokens = pa.LargeListArray.from_arrays(offsets, pa.array(ids), type=SCHEMA.field("tokens").type)
    return pa.RecordBatch.from_arrays([date, title, pa.array(splits), tokens], schema=SCHEMA)
