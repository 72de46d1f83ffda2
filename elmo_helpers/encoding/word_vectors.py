"""Token vectors of distinct words, each computed once for a whole run while there is room for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.forking import ForkSafeLock
from elmo_helpers.model.precision import check_precision, products_in

MAX_WORDS = 100_000  # 205 MB of vectors at the published width of 512, 51 MB at the tutorial's 128
_CHUNK = 4096  # words spelled out together
_RESERVED = 3  # rows of padding and of both boundaries


class KnownWords(NamedTuple):
    """Token vectors of some words; they stay as they are, whatever is looked up afterwards.

    Attributes:
        vectors: (U, D) float: padding, `<S>`, `</S>`, and then words in the order in which they came.
        rows: (n,) int64, the row of each word that was asked for.
    """

    vectors: Tensor
    rows: NDArray[np.int64]


@dataclass
class _Table:
    """Vectors and where those of each word are; rows that are used are never written again."""

    room: Tensor  # (rows there is room for, D)
    n: int = 0  # rows that are used
    row_of: dict[Hashable, int] = field(default_factory=dict)


class WordVectors:
    """What the character CNN gives for each word, kept in one table.

    Where a table would come to more than `max_words`, another one is begun with the words at hand: the frequent words
    are in it at once, and its memory does not grow with the text. Threads may share it.
    """

    model: BiLM
    max_words: int
    precision: str
    n_computed: int

    def __init__(self, model: BiLM, max_words: int = MAX_WORDS, precision: str = "fp32") -> None:
        """An empty table.

        Args:
            model: The model, which must not be trained while the table is used.
            max_words: Words that are kept at most; those of one lookup are kept in any case.
            precision: "fp32", or "bf16" for matrix products in bfloat16.

        Raises:
            ElmoHelpersError: The precision is unknown, or the model's device has no instructions for it.
        """
        self.model, self.max_words = model, max_words
        self.precision = check_precision(precision, model.device)
        self.n_computed = 0  # words spelled out so far; one that was dropped counts again
        self._lock = ForkSafeLock()
        self._table = self._new_table()

    def lookup(self, words: Sequence[str]) -> KnownWords:
        """The vectors of n words; those that are not there yet are spelled out."""
        return self._lookup(words, lambda some: self.model.character_vocabulary.encode(some, errors="skip"))

    def lookup_spellings(self, spellings: NDArray[np.integer]) -> KnownWords:
        """`lookup` of words that are spelled out already, (n, C) int character ids."""
        keys = [spelling.tobytes() for spelling in np.ascontiguousarray(spellings)]
        return self._lookup(keys, lambda some: np.stack([np.frombuffer(key, spellings.dtype) for key in some]))

    def _lookup(self, words: Sequence[Hashable], spell: Callable[[Sequence[Any]], NDArray[np.integer]]) -> KnownWords:
        with self._lock:
            table = self._table
            new = [word for word in dict.fromkeys(words) if word not in table.row_of]
            if new and table.row_of and len(table.row_of) + len(new) > self.max_words:
                # Whole before it takes the old one's place, should Ctrl-C come in between.
                table = self._table = self._new_table()
                new = list(dict.fromkeys(words))
            for start in range(0, len(new), _CHUNK):
                chunk = new[start : start + _CHUNK]
                first = table.n
                self._append(table, spell(chunk))
                table.row_of.update(zip(chunk, range(first, table.n), strict=True))
                self.n_computed += len(chunk)
            rows = np.fromiter(map(table.row_of.__getitem__, words), dtype=np.int64, count=len(words))
            return KnownWords(table.room[: table.n], rows)

    def _new_table(self) -> _Table:
        """A table of padding and boundaries alone."""
        table = _Table(torch.empty(0, device=self.model.device))
        self._append(table, self.model.character_vocabulary.boundary_rows)
        return table

    # Not in inference mode, whose tensors could not be written to outside of it.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _append(self, table: _Table, spellings: NDArray[np.integer]) -> None:
        """Spell out rows of character ids (n, C) into a table."""
        device = self.model.device
        with products_in(self.precision, device):
            vectors = self.model.char_cnn(torch.from_numpy(spellings.astype(np.int64)).to(device))
        n = table.n + len(vectors)
        if n > len(table.room):
            # Twice the room each time, so that all words together are copied about once.
            rows = max(n, min(2 * table.n, self.max_words + _RESERVED))
            dtype = self.model.layer(0, 0).weight_ih.dtype
            room = torch.empty(rows, vectors.shape[1], dtype=dtype, device=device)
            if table.n:
                room[: table.n] = table.room[: table.n]
            table.room = room
        table.room[table.n : n] = vectors
        table.n = n
