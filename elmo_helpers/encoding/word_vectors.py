"""Token vectors of distinct words, each computed once for a whole run while there is room for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from elmo_helpers.model.bilm import BiLM

MAX_WORDS = 100_000  # 205 MB of vectors at the published width of 512, 51 MB at the tutorial's 128
_CHUNK = 4096  # words spelled out together
_RESERVED = 3  # rows of padding and of both boundaries


class WordVectors:
    """What the character CNN gives for each word, kept in one table.

    Where a table would come to more than `max_words`, it is emptied and begun anew with the words at hand: the
    frequent words are back in it at once, and its memory does not grow with the text.
    """

    def __init__(self, model: BiLM, max_words: int = MAX_WORDS, precision: str = "fp32") -> None:
        """An empty table.

        Args:
            model: The model, which must not be trained while the table is used.
            max_words: Words that are kept at most; those of one call of `rows` are kept in any case.
            precision: "fp32", or "bf16" for matrix products in bfloat16.
        """
        self.model, self.max_words, self.precision = model, max_words, precision
        self.n_computed = 0  # words spelled out so far; one that was dropped counts again
        self._row_of: dict[Hashable, int] = {}
        self._table = torch.empty(0, device=model.device)
        self._begin()

    @property
    def vectors(self) -> Tensor:
        """(U, D) float: padding, `<S>`, `</S>`, and then the words in the order in which they came."""
        return self._table[: self._n]

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """The row of `vectors` of each of n words, (n,) int64; they hold until the next call."""
        return self._rows(words, lambda some: self.model.character_vocabulary.encode(some, errors="skip"))

    def rows_of_spellings(self, spellings: np.ndarray) -> np.ndarray:
        """`rows` of words that are spelled out already, (n, C) int character ids."""
        keys = [spelling.tobytes() for spelling in np.ascontiguousarray(spellings)]
        return self._rows(keys, lambda some: np.stack([np.frombuffer(key, spellings.dtype) for key in some]))

    def _rows(self, words: Sequence[Hashable], spell: Callable[[Sequence[Hashable]], np.ndarray]) -> np.ndarray:
        new = [word for word in dict.fromkeys(words) if word not in self._row_of]
        if new and self._row_of and len(self._row_of) + len(new) > self.max_words:
            self._begin()
            new = list(dict.fromkeys(words))
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            self._append(spell(chunk))
            self._row_of.update(zip(chunk, range(self._n - len(chunk), self._n), strict=True))
            self.n_computed += len(chunk)
        return np.fromiter(map(self._row_of.__getitem__, words), dtype=np.int64, count=len(words))

    def _begin(self) -> None:
        self._row_of, self._n = {}, 0
        self._table = self._table[:0]
        self._append(self.model.character_vocabulary.boundary_rows)

    # Not in inference mode, whose tensors could not be written to outside of it.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _append(self, spellings: np.ndarray) -> None:
        """Spell out rows of character ids (n, C) into the table."""
        device = self.model.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            vectors = self.model.char_cnn(torch.from_numpy(spellings.astype(np.int64)).to(device))
        n = self._n + len(vectors)
        if n > len(self._table):
            # Twice the room each time, so that all words together are copied about once.
            room = max(n, min(2 * self._n, self.max_words + _RESERVED))
            dtype = self.model.forward_layers[0].weight_ih.dtype
            table = torch.empty(room, vectors.shape[1], dtype=dtype, device=device)
            if self._n:
                table[: self._n] = self.vectors
            self._table = table
        self._table[self._n : n] = vectors
        self._n = n
