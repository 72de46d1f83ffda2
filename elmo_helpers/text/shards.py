"""A corpus in pieces, each read when it is asked for: for corpora that are larger than memory."""

from __future__ import annotations

import dataclasses
import hashlib
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import choice, instance
from elmo_helpers.config import TextConfig
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.corpus_storage import CorpusData, CorpusTables, read_tables
from elmo_helpers.text.shard_files import Shard, check_shard, read_shard
from elmo_helpers.text.splitting import SPLITS
from elmo_helpers.text.vocabulary import WordVocabulary


class CorpusShards(Sequence[Corpus]):
    """A corpus in pieces, each read when it is asked for.

    `shards[i]` is a `Corpus` of the titles of one shard. It is read anew each time and not kept here, so its memory is
    free again when you drop it. A slice of `shards`, and `shards.split(name)`, are views: they read nothing.

    All shards share one lexicon, vocabulary and table of characters: an id means the same in each. Shards without a
    title in the view are left out. Make it by `CorpusShards.load`, or by `prepare_corpus` with `shards=True`.
    """

    def __init__(self, directory: Path, tables: CorpusTables, shards: list[Shard], split: str | None = None) -> None:
        self._directory = directory
        self._tables = tables
        self._part = split or "total"
        self._shards = [shard for shard in shards if shard.titles[self._part]]

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> CorpusShards:
        """Open a corpus that `prepare_corpus` or `Corpus.save` wrote, without reading its titles.

        Raises:
            ElmoHelpersError: A file is missing, or one that is read now is damaged or not of the same corpus as the
                others. A damaged shard is refused when it is read.
        """
        tables, shards = read_tables(directory)
        directory = Path(directory).resolve()
        for shard in shards:
            check_shard(directory / shard.file)
        return cls(directory, tables, shards)

    def __len__(self) -> int:
        return len(self._shards)

    @overload
    def __getitem__(self, i: int) -> Corpus: ...

    @overload
    def __getitem__(self, i: slice) -> CorpusShards: ...

    def __getitem__(self, i: int | slice) -> Corpus | CorpusShards:
        """The titles of shard `i` in this view, read from disk; or the view of a slice of the shards.

        Raises:
            ElmoHelpersError: The shard has changed since it was written.
            IndexError: There is no shard `i`.
        """
        if isinstance(i, slice):
            return CorpusShards(self._directory, self._tables, self._shards[i], self._split)
        batch = read_shard(self._directory, self._shards[operator.index(i)], len(self._tables.lexicon))
        corpus = Corpus(CorpusData(batch, self._tables))
        return corpus if self._split is None else corpus.split(self._split)

    def __repr__(self) -> str:
        return f"CorpusShards({len(self)} shards, {self.n_titles:,} titles, {self.n_tokens:,} tokens)"

    def split(self, name: str) -> CorpusShards:
        """The view of the titles that are in the split "train", "valid" or "test".

        Raises:
            ElmoHelpersError: There is no split of that name.
        """
        choice("split", name, SPLITS)
        shards = self._shards if self._split in (None, name) else []
        return CorpusShards(self._directory, self._tables, shards, name)

    def with_vocabulary(self, vocabulary: WordVocabulary) -> CorpusShards:
        """The same titles for a model that predicts the words of `vocabulary`: all others are `<UNK>` to it.

        Raises:
            ElmoHelpersError: It is no vocabulary.
        """
        instance("vocabulary", vocabulary, WordVocabulary, "a WordVocabulary")
        tables = dataclasses.replace(self._tables, vocabulary=vocabulary)
        return CorpusShards(self._directory, tables, self._shards, self._split)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Titles of this view, and their tokens without boundaries, of each shard; known without reading any."""
        return [(shard.titles[self._part], shard.tokens[self._part]) for shard in self._shards]

    @property
    def n_titles(self) -> int:
        """Titles of this view."""
        return sum(titles for titles, _ in self.sizes)

    @property
    def n_tokens(self) -> int:
        """Words of all titles of this view together, without boundaries."""
        return sum(tokens for _, tokens in self.sizes)

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that differ where the titles of the view, their order or their ids do."""
        parts = [(shard.file, shard.crc32, self._part) for shard in self._shards]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def lexicon(self) -> list[str]:
        """Every distinct word of the whole corpus by its lexicon id: `<pad>`, `<S>`, `</S>`, then by falling count."""
        return self._tables.lexicon

    @property
    def lexicon_counts(self) -> NDArray[np.int64]:
        """How often each word of the lexicon occurs in the whole corpus, (n_lexicon,), int64."""
        return self._tables.lexicon_counts

    @property
    def characters(self) -> NDArray[np.integer]:
        """The character ids of each word of the lexicon, (n_lexicon, C), memory-mapped."""
        return self._tables.characters

    @property
    def lexicon_to_vocabulary(self) -> NDArray[np.int64]:
        """The vocabulary id of each word of the lexicon, (n_lexicon,), int64."""
        return self._tables.lexicon_to_vocabulary

    @property
    def vocabulary(self) -> WordVocabulary:
        """The words that a softmax can say, counted on the training rows of the whole corpus."""
        return self._tables.vocabulary

    @property
    def character_vocabulary(self) -> CharacterVocabulary:
        """How words are spelled in character ids."""
        return self._tables.character_vocabulary

    @property
    def text(self) -> TextConfig:
        """How the titles were cleaned and tokenised."""
        return self._tables.text

    @property
    def made_from(self) -> dict[str, Any]:
        """The settings that the corpus was made with, and the names of the files of titles where they are known."""
        return self._tables.made_from

    @property
    def _split(self) -> str | None:
        return None if self._part == "total" else self._part
