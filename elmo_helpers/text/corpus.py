"""A corpus: every title as ids of words, and every distinct word once as ids of characters."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from tqdm.auto import tqdm

from elmo_helpers.checks import choice, in_order, instance, shown, whole_number
from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus_building import CorpusBuilder, checked_settings, frame_columns
from elmo_helpers.text.corpus_storage import CorpusData, corpus_directory, read_corpus, write_tables
from elmo_helpers.text.shard_files import write_shard
from elmo_helpers.text.splitting import SPLITS, split_rows
from elmo_helpers.text.vocabulary import BOS, EOS, WordVocabulary

Indices = Sequence[int] | NDArray[np.integer] | slice


class Corpus:
    """Titles as ragged lexicon ids, with a date, a split and the lexicon that the ids stand for.

    There are two kinds of word id. A *lexicon id* names any distinct word of the corpus and its row of characters:
    what a model reads. A *vocabulary id* names a word that the softmax can say: what it predicts.
    `lexicon_to_vocabulary` leads from the first to the second.

    `split` and `select` give views: corpora of some of the rows, which share all arrays with this one. Make a corpus
    by `Corpus.build` or `Corpus.load`.

    Shapes: n titles of this view, C characters of a word, B titles in a batch, T tokens of the longest title there
    with both boundaries. Wherever `indices` are asked for, they are positions in this view: a list, an array or a
    slice.
    """

    rows: NDArray[np.int64]

    def __init__(self, data: CorpusData, rows: NDArray[np.int64] | None = None) -> None:
        self._data = data
        self.rows = np.arange(data.batch.num_rows) if rows is None else rows  # (n,) row numbers in the whole corpus

    @classmethod
    def build(
        cls,
        titles: pd.DataFrame,
        tokens: Iterable[list[str]],
        characters: CharacterVocabulary,
        text: TextConfig | None = None,
        *,
        min_count: int = 1,
        max_size: int | None = None,
        split: str = "document",
        valid: float = 0.05,
        test: float = 0.05,
        seed: int = 0,
        progress: bool = False,
    ) -> Corpus:
        """Make a corpus of titles and their tokens.

        Args:
            titles: One row a title, with the columns title (text) and date (datetime64 without time zone, or NaT) and
                optionally document, see `split_rows`.
            tokens: The words of each title, in the same order; read once, so a generator will do. A word that reads
                `<S>` or `</S>` is that boundary.
            characters: How words are spelled in ids; all characters of all words must be in it.
            text: How the titles were cleaned and tokenised, kept for whoever encodes other titles; None: the defaults.
            min_count, max_size: Bounds of the vocabulary, which is counted on the training rows alone,
                see `WordVocabulary.from_counts`.
            split, valid, test, seed: How the rows are put in train, valid and test, see `split_rows`.
            progress: Show a progress bar.

        Raises:
            ElmoHelpersError: The frame lacks a column, a title or its type; there are not as many lists of tokens as
                titles; a word is not text, is empty or cannot be spelled; the rows cannot be split as asked.
        """
        made_from = checked_settings(min_count, max_size, split, valid, test, seed)
        instance("characters", characters, CharacterVocabulary, "a CharacterVocabulary")
        text = TextConfig() if text is None else instance("text", text, TextConfig, "a TextConfig, or None")
        date, title = frame_columns(titles)
        tokens = in_order("tokens", tokens, "a list of lists of words, one a title")
        splits = split_rows(titles, split, valid, test, seed)
        if progress:
            tokens = tqdm(tokens, total=len(titles), unit="title", desc="corpus")
        builder = CorpusBuilder()
        batch = builder.add(date, title, tokens)
        builder.sort_lexicon()
        batch = builder.finish(batch, splits)
        return cls(CorpusData(batch, builder.tables(characters, text, made_from)))

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, name: str) -> Corpus:
        """The view of the rows of this view that are in the split "train", "valid" or "test".

        Raises:
            ElmoHelpersError: There is no split of that name.
        """
        choice("split", name, SPLITS)
        splits = self._data.batch.column("split").to_numpy()[self.rows]
        return Corpus(self._data, self.rows[splits == SPLITS.index(name)])

    def select(self, indices: Indices) -> Corpus:
        """The view of some titles of this view, in the order given.

        Raises:
            ElmoHelpersError: `indices` are no titles of this view.
        """
        return Corpus(self._data, self._rows_at(indices))

    def with_vocabulary(self, vocabulary: WordVocabulary) -> Corpus:
        """The same titles for a model that predicts the words of `vocabulary`: all others are `<UNK>` to it.

        Raises:
            ElmoHelpersError: It is no vocabulary.
        """
        instance("vocabulary", vocabulary, WordVocabulary, "a WordVocabulary")
        tables = dataclasses.replace(self._data.tables, vocabulary=vocabulary)
        return Corpus(CorpusData(self._data.batch, tables), self.rows)

    @property
    def titles(self) -> list[str]:
        """The cleaned titles, n strings."""
        titles: list[str] = self._data.batch.column("title").take(pa.array(self.rows)).to_pylist()
        return titles

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """The days, (n,), datetime64[D]; NaT where a title has none."""
        column = self._data.batch.column("date").take(pa.array(self.rows))
        dates: NDArray[np.datetime64] = column.to_numpy(zero_copy_only=False)
        return dates

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of each title without boundaries, (n,), int64."""
        return self._lengths(self.rows)

    @property
    def n_tokens(self) -> int:
        """Words of all titles of this view together, without boundaries."""
        return int(self.lengths.sum())

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that differ where the titles of the view, their order or their ids do."""
        digest = hashlib.sha256(self.lengths.tobytes())
        for i in range(len(self)):
            digest.update(self.tokens(i).tobytes())
        return digest.hexdigest()

    @property
    def lexicon(self) -> list[str]:
        """Every distinct word of the whole corpus by its lexicon id: `<pad>`, `<S>`, `</S>`, then by falling count."""
        return self._data.tables.lexicon

    @property
    def lexicon_counts(self) -> NDArray[np.int64]:
        """How often each word of the lexicon occurs in the whole corpus, (n_lexicon,), int64."""
        return self._data.tables.lexicon_counts

    @property
    def characters(self) -> NDArray[np.integer]:
        """The character ids of each word of the lexicon, (n_lexicon, C), of the character vocabulary's dtype."""
        return self._data.tables.characters

    @property
    def lexicon_to_vocabulary(self) -> NDArray[np.int64]:
        """The vocabulary id of each word of the lexicon, (n_lexicon,), int64."""
        return self._data.tables.lexicon_to_vocabulary

    @property
    def vocabulary(self) -> WordVocabulary:
        """The words that a softmax can say, counted on the training rows of the whole corpus."""
        return self._data.tables.vocabulary

    @property
    def character_vocabulary(self) -> CharacterVocabulary:
        """How words are spelled in character ids."""
        return self._data.tables.character_vocabulary

    @property
    def text(self) -> TextConfig:
        """How the titles were cleaned and tokenised."""
        return self._data.tables.text

    @property
    def made_from(self) -> dict[str, Any]:
        """The settings of `build`, and, where `prepare_corpus` made the corpus, the names of the files of titles."""
        return self._data.tables.made_from

    def tokens(self, i: int) -> NDArray[np.int32]:
        """The lexicon ids of title `i` without boundaries, (number of words,), int32; shares the corpus's memory."""
        row = self.rows[i]
        return self._data.ids[self._data.offsets[row] : self._data.offsets[row + 1]]

    def words(self, i: int) -> list[str]:
        """The words of title `i`."""
        return [self.lexicon[word] for word in self.tokens(i)]

    def token_batch(self, indices: Indices) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Titles as one rectangle of lexicon ids.

        Returns:
            ids: (B, T), int32: `<S>`, the words, `</S>`, then 0 up to the longest title.
            lengths: (B,), int64: tokens of each title with both boundaries.
        """
        return self._padded(self._rows_at(indices), None)

    def padded_tokens(self, indices: Indices | None = None, length: int | None = None) -> NDArray[np.int64]:
        """The original's `corpus_tokens`: vocabulary ids with boundaries, padded with 0, (n, T), int64.

        Args:
            indices: Titles of this view; None: all.
            length: T; longer titles are cut and keep `</S>` as the last token. None: that of the longest title.

        Raises:
            ElmoHelpersError: `length` has no room for the boundaries.
        """
        return self.lexicon_to_vocabulary[self._padded(self._rows_at(indices), length)[0]]

    def padded_characters(self, indices: Indices | None = None, length: int | None = None) -> NDArray[np.integer]:
        """The original's `corpus_chars`, with rows for the boundaries, (n, T, C): character ids of `padded_tokens`.

        A padding token is a row of zeros. The whole of a large corpus may not fit in memory: ask for slices.

        Args:
            indices, length: As in `padded_tokens`, with which the result is aligned position by position.

        Raises:
            ElmoHelpersError: `length` has no room for the boundaries.
        """
        return self.characters[self._padded(self._rows_at(indices), length)[0]]

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write this view as a directory of one shard, whole or not at all; an earlier corpus there is replaced.

        Lexicon and vocabulary are written as they are, so that all ids keep their meaning.

        Raises:
            ElmoHelpersError: `directory` is a file, or holds other things than a corpus.
        """
        whole = np.array_equal(self.rows, np.arange(self._data.batch.num_rows))
        batch = self._data.batch if whole else self._data.batch.take(pa.array(self.rows))
        with corpus_directory(directory) as temporary:
            write_tables(self._data.tables, [write_shard(batch, temporary, 0)], temporary)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Corpus:
        """Read a corpus that `save` or `prepare_corpus` wrote.

        Characters stay on disk, memory-mapped, and so do the titles of one shard. Those of several shards are put
        together in memory: where they are too many, use `CorpusShards.load`.

        Raises:
            ElmoHelpersError: A file is missing, damaged or not of the same corpus as the others.
        """
        return cls(read_corpus(directory))

    def _rows_at(self, indices: Indices | None) -> NDArray[np.int64]:
        if indices is None:
            return self.rows
        if isinstance(indices, slice):
            return self.rows[indices]
        try:
            chosen = np.asarray(indices)
        except (TypeError, ValueError):  # lists of different lengths, a tensor of another device
            chosen = np.array(None)
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)  # NumPy takes an empty list for floats
        if chosen.ndim != 1 or chosen.dtype.kind not in "iub":
            raise ElmoHelpersError(
                f"indices: expected a slice, or a list of whole numbers or of truth values, and got {shown(indices)}."
            )
        rows: NDArray[np.int64] = self.rows[chosen]
        return rows

    def _lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._data.offsets[rows + 1] - self._data.offsets[rows]

    def _padded(self, rows: NDArray[np.int64], length: int | None) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Lexicon ids (B, T) with boundaries, and lengths (B,), for rows of the whole corpus."""
        if length is not None:
            length = whole_number("length", length, 2)  # the boundaries
        n_words = self._lengths(rows)
        if length is None:
            length = int(n_words.max(initial=0)) + 2
        n_words = np.minimum(n_words, length - 2)

        position = np.arange(length)
        last = n_words[:, None] + 1  # (B, 1), where </S> stands
        ids = np.zeros((len(rows), length), dtype=np.int32)  # (B, T)
        ids[:, 0] = BOS
        ids[position == last] = EOS
        # Row by row, the places for words are filled in the order of the flat ids.
        first_place = np.cumsum(n_words) - n_words
        source = np.repeat(self._data.offsets[rows] - first_place, n_words) + np.arange(n_words.sum())
        ids[(position > 0) & (position < last)] = self._data.ids[source]
        return ids, n_words + 2
