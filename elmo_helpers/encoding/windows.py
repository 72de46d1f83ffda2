"""Titles as a stream, window by window: sorted by length, computed in batches, given back in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.encoding.selection import Selection
from elmo_helpers.encoding.word_vectors import WordVectors
from elmo_helpers.model.precision import products_in
from elmo_helpers.text.vocabulary import BOS, EOS

WINDOW = 10_000  # titles that are sorted by length together
_MAX_NUMBERS = 2**26  # results of a window, in numbers: 256 MB


@dataclass(frozen=True)
class EncodedTitle:
    """One title's tokens and its vectors.

    Attributes:
        tokens: The n words, without boundaries.
        vectors: Float32. Of level "titles": (dim,), or (layers, dim) where all layers are asked for; of level
            "tokens": (n, 2P), or (L + 1, n, 2P).
    """

    tokens: list[str]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class BatchSize:
    """How much is computed together: a number of titles or, where `tokens` is set, of tokens with boundaries.

    One title is a batch in any case, however long it is.
    """

    titles: int = 64
    tokens: int | None = None

    def titles_of(self, length: int) -> int:
        """Titles of a batch whose titles have `length` tokens, boundaries included."""
        return self.titles if self.tokens is None else max(1, self.tokens // length)


def encode_windows(
    titles: Iterable[list[str]],
    words: WordVectors,
    selection: Selection,
    batch_size: BatchSize,
    window: int = WINDOW,
) -> Iterator[EncodedTitle]:
    """The vectors of each title, in order; titles are taken from `titles` a window at a time.

    Titles are computed together only with others of the same number of tokens, so no padding is ever read.

    Args:
        titles: Tokens of each title.
        words: Token vectors, with the model that made them.
        selection: Which vectors.
        batch_size: How much is computed together.
        window: Titles of a window at most. It has fewer where their vectors would take more than 256 MB.
    """
    numbers = int(np.prod(selection.vector_shape(words.model.config)))
    for some in _windows(titles, window, numbers, per_token=selection.level == "tokens"):
        yield from _encode_window(some, words, selection, batch_size)


def _windows(titles: Iterable[list[str]], max_titles: int, numbers: int, per_token: bool) -> Iterator[list[list[str]]]:
    window: list[list[str]] = []
    size = 0
    for title in titles:
        own = numbers * len(title) if per_token else numbers
        if window and (len(window) == max_titles or size + own > _MAX_NUMBERS):
            yield window
            window, size = [], 0
        window.append(title)
        size += own
    if window:
        yield window


def _encode_window(
    titles: list[list[str]], words: WordVectors, selection: Selection, batch_size: BatchSize
) -> Iterator[EncodedTitle]:
    on_cpu = words.model.device.type == "cpu"
    words.model.eval()  # here, since it may have been trained further since the encoder was made
    known = words.lookup([word for title in titles for word in title])
    lengths = np.array([len(title) for title in titles], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    vectors: dict[int, NDArray[np.float32]] = {}
    for n in np.unique(lengths).tolist():
        group = np.flatnonzero(lengths == n)
        size = batch_size.titles_of(n + 2)
        for first in range(0, len(group), size):
            rows = group[first : first + size]
            n_run = min(_rounded(len(rows)), size) if on_cpu else len(rows)
            tokens = np.empty((n_run, n + 2), dtype=np.int64)
            tokens[:, 0], tokens[:, -1] = BOS, EOS
            # The first titles fill up a batch once more; rows are independent, so nobody sees them.
            tokens[:, 1:-1] = known.rows[starts[np.resize(rows, n_run)][:, None] + np.arange(n)]
            batch = _vectors(words, known.vectors, tokens, selection)[: len(rows)]
            for row, title in zip(rows.tolist(), batch, strict=True):
                vectors[row] = title
    for row, title in enumerate(titles):
        # A copy, since a caller who keeps one title would otherwise keep its whole batch.
        yield EncodedTitle(title, vectors.pop(row).copy())


def _rounded(n: int) -> int:
    """The next of 1, 2, … 8, 10, 12, 14, 16, 20, …: four sizes to each doubling, so at most a quarter more than `n`.

    oneDNN keeps what it has prepared for each shape of an LSTM, up to 1,024 of them, which came to hundreds of
    megabytes where each window brought new sizes of batches.
    """
    step = 1 << max(0, (n - 1).bit_length() - 3)
    return -(-n // step) * step


@torch.no_grad()
def _vectors(
    words: WordVectors, vectors: Tensor, tokens: NDArray[np.int64], selection: Selection
) -> NDArray[np.float32]:
    """The vectors of titles that are (B, T) rows of the token vectors (U, D), all of T tokens; see `Selection.of`."""
    model = words.model
    lengths = torch.full((len(tokens),), tokens.shape[1], device="cpu")
    with products_in(words.precision, model.device):
        output = model.contextualize(
            vectors, torch.from_numpy(tokens).to(model.device), lengths, return_states=selection.of_states
        )
    with products_in("fp32", model.device):
        return selection.of(output).cpu().numpy()
