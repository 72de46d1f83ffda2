"""Continuous text in parallel streams, a few tokens of each at a time: the published way to feed a biLM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import BiLMLoss, LSTMState
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.vocabulary import PAD

_BLOCK = 4096  # titles laid out at a time, so that one long title does not make all others as long


@dataclass(frozen=True, eq=False)  # `==` of tensors is no truth value
class StreamBatch:
    """A piece of B streams; see `BiLM.stream_loss`.

    Attributes:
        characters: (U, C) int64, a row for each distinct word of the piece.
        tokens: (2, B, T) int64 rows of `characters`: read forward, and read backward.
        targets: (2, B, T) int64 vocabulary ids of what follows in each reading order; 0 where a stream has ended.
    """

    characters: Tensor
    tokens: Tensor
    targets: Tensor

    def loss(self, model: BiLM, state: LSTMState | None = None) -> tuple[BiLMLoss, LSTMState]:
        """The model's loss from `state` on, and the state at the end."""
        return model.stream_loss(self.characters, self.tokens, self.targets, state)


class StreamBatches:
    """A corpus as `batch_size` streams of running text, in pieces of `unroll_steps` tokens: a sequence of batches.

        title 1: <S> a b </S>    title 2: <S> c </S>    title 3: <S> d e f </S>    …

        forward    reads  <S>  a    b   <S>  c  | <S>  d    e    f   …      each stream is one line of running text:
                 predicts  a   b  </S>   c </S> |  d   e    f  </S>  …      | marks where the second one begins
        backward   reads </S>  b    a  </S>  c  | </S> f    e    d   …      the same titles, each read from its end
                 predicts  b   a   <S>   c  <S> |  f   e    d   <S>  …

    The text is cut in `batch_size` parts of equal length, one a stream, so that every token stands in exactly one
    piece; the last stream may end earlier. As in the published recipe the forward direction never reads `</S>`, and
    the backward one never reads `<S>`.
    """

    corpus: Corpus
    unroll_steps: int
    length: int

    def __init__(
        self, corpus: Corpus, batch_size: int, unroll_steps: int, generator: np.random.Generator | None = None
    ) -> None:
        """Lay out the titles of `corpus`, in an order drawn by `generator`, or in their own."""
        self.corpus, self.unroll_steps = corpus, unroll_steps
        order = np.arange(len(corpus)) if generator is None else generator.permutation(len(corpus))
        flat = [_lines(corpus, order[start : start + _BLOCK]) for start in range(0, len(order), _BLOCK)]
        read, follow = (np.concatenate(parts, axis=1) for parts in zip(*flat, strict=True))  # (2, n_predictions)
        self.length = stream_length(read.shape[1], batch_size)
        ends = ((0, 0), (0, self.length * batch_size - read.shape[1]))
        self._read, self._follow = (
            np.pad(lines, ends, constant_values=PAD).reshape(2, batch_size, self.length) for lines in (read, follow)
        )

    def __len__(self) -> int:
        return -(-self.length // self.unroll_steps)

    def n_tokens(self, k: int) -> int:
        """Tokens that piece `k` reads in one direction; each is one prediction."""
        return int((self._piece(self._follow, k)[0] != PAD).sum())

    n_predictions = n_tokens

    def batch(self, k: int, part: slice = slice(None), device: torch.device | str = "cpu") -> StreamBatch | None:
        """Piece `k` of the streams at the places `part`, or None where there are none."""
        read, follow = (self._piece(lines, k)[:, part] for lines in (self._read, self._follow))
        if read.shape[1] == 0:
            return None
        distinct, tokens = np.unique(read, return_inverse=True)
        ids = self.corpus.lexicon_to_vocabulary[follow]
        return StreamBatch(
            torch.from_numpy(self.corpus.characters[distinct].astype(np.int64)).to(device),
            torch.from_numpy(tokens.reshape(read.shape)).to(device),
            torch.from_numpy(ids).to(device),
        )

    def describe(self, k: int) -> str:
        """Where piece `k` stands, for a message."""
        start = k * self.unroll_steps
        return f"tokens {start} to {min(start + self.unroll_steps, self.length) - 1} of each stream"

    def _piece(self, lines: NDArray[np.int32], k: int) -> NDArray[np.int32]:
        return lines[:, :, k * self.unroll_steps : (k + 1) * self.unroll_steps]


def stream_length(n_predictions: int, batch_size: int) -> int:
    """Tokens of each of `batch_size` streams over a text of so many predictions."""
    return -(-n_predictions // batch_size)


def n_stream_batches(n_predictions: int, batch_size: int, unroll_steps: int) -> int:
    """How many batches `StreamBatches` makes of so many predictions."""
    return -(-stream_length(n_predictions, batch_size) // unroll_steps)


def _lines(corpus: Corpus, titles: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """What both directions read of these titles, one after another, and what follows: lexicon ids, (2, n) each."""
    ids, lengths = corpus.token_batch(titles)  # (B, T) with boundaries
    position = np.arange(ids.shape[1])
    backward = np.take_along_axis(ids, np.maximum(lengths[:, None] - 1 - position, 0), axis=1)
    has_next = position[:-1] < lengths[:, None] - 1
    read = np.stack([ids[:, :-1][has_next], backward[:, :-1][has_next]])
    follow = np.stack([ids[:, 1:][has_next], backward[:, 1:][has_next]])
    return read, follow
