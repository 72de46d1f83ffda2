"""Titles as independent rows: the tensors of one batch, and in which order the batches come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import BiLMLoss, LSTMState
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.vocabulary import BOS, EOS, PAD, WordVocabulary
from elmo_helpers.text.word_ids import WordIds

# Titles are sorted by length within a pool of this many batches: long enough that a batch holds nearly equal lengths,
# short enough that the batches of every epoch are new ones.
_POOL_BATCHES = 50


@dataclass(frozen=True, eq=False)  # `==` of tensors is no truth value
class Batch:
    """Titles as a model reads them; see `BiLM.forward`.

    Attributes:
        characters: (U, C) int64, a row for each distinct word of the batch, padding and boundaries among them.
        tokens: (B, T) int64 rows of `characters`.
        lengths: (B,) int64 tokens with both boundaries, on the CPU.
        targets: (B, T) int64 vocabulary ids of the same tokens.
    """

    characters: Tensor
    tokens: Tensor
    lengths: Tensor
    targets: Tensor

    @classmethod
    def of(cls, corpus: Corpus, indices: NDArray[np.integer], device: torch.device | str = "cpu") -> Batch:
        """The titles of `corpus` at `indices`, (B,) int."""
        ids, lengths = corpus.token_batch(indices)
        distinct, tokens = np.unique(ids, return_inverse=True)
        return cls(
            torch.from_numpy(corpus.characters[distinct].astype(np.int64)).to(device),
            torch.from_numpy(tokens.reshape(ids.shape)).to(device),
            torch.from_numpy(lengths),
            torch.from_numpy(corpus.lexicon_to_vocabulary[ids]).to(device),
        )

    @classmethod
    def of_words(
        cls,
        titles: Sequence[Sequence[str]],
        characters: CharacterVocabulary | WordIds,
        vocabulary: WordVocabulary,
        *,
        errors: str = "strict",
        device: torch.device | str = "cpu",
    ) -> Batch:
        """Titles that are of no corpus, each a list of words, as a model with these vocabularies reads them.

        Raises:
            ElmoHelpersError: A word holds a character outside the table; `errors="skip"` leaves such characters out.
        """
        row_of = {word: row for row, word in enumerate(dict.fromkeys(w for words in titles for w in words), start=3)}
        rows = np.concatenate([characters.boundary_rows, characters.encode(list(row_of), errors)])
        ids = np.concatenate([[PAD, BOS, EOS], vocabulary.ids(list(row_of))])
        lengths = torch.tensor([len(words) + 2 for words in titles], dtype=torch.int64, device="cpu")
        tokens = torch.full((len(titles), max(lengths.tolist(), default=0)), PAD, device="cpu")
        for i, words in enumerate(titles):
            tokens[i, : len(words) + 2] = torch.tensor([BOS, *(row_of[word] for word in words), EOS], device="cpu")
        return cls(
            torch.from_numpy(rows.astype(np.int64)).to(device),
            tokens.to(device),
            lengths,
            torch.from_numpy(ids)[tokens].to(device),
        )

    def loss(self, model: BiLM, state: LSTMState | None = None) -> tuple[BiLMLoss, None]:
        """The model's loss; titles are independent, so there is no state before or after."""
        return model.loss(self.characters, self.tokens, self.lengths, self.targets), None


class TitleBatches:
    """The batches of a corpus of titles, in the order in which they are trained on: a sequence without a copy."""

    corpus: Corpus
    lengths: NDArray[np.int64]
    rows: list[NDArray[np.int64]]

    def __init__(
        self,
        corpus: Corpus,
        batch_size: int,
        generator: np.random.Generator | None = None,
        *,
        by_length: bool = True,
    ) -> None:
        """Batches of `batch_size` titles.

        Args:
            corpus: The titles.
            batch_size: Titles of a batch.
            generator: Shuffles; None: a fixed order.
            by_length: Put titles of similar length together; False, without generator: the corpus's own order.
        """
        self.corpus, self.lengths = corpus, corpus.lengths
        if generator is None and not by_length:
            self.rows = _cut(np.arange(len(corpus)), batch_size)
        else:
            self.rows = length_buckets(self.lengths, batch_size, generator)

    def __len__(self) -> int:
        return len(self.rows)

    def n_tokens(self, k: int) -> int:
        """Tokens that batch `k` reads, with both boundaries of each title."""
        return int(self.lengths[self.rows[k]].sum()) + 2 * len(self.rows[k])

    def n_predictions(self, k: int) -> int:
        """Predictions of one direction in batch `k`."""
        return self.n_tokens(k) - len(self.rows[k])

    def batch(self, k: int, part: slice = slice(None), device: torch.device | str = "cpu") -> Batch | None:
        """The titles of batch `k` at the places `part`, or None where there are none."""
        rows = self.rows[k][part]
        return Batch.of(self.corpus, rows, device) if len(rows) else None

    def describe(self, k: int) -> str:
        """Which titles batch `k` holds, for a message."""
        rows = ", ".join(map(str, self.corpus.rows[self.rows[k]][:5]))
        return f"titles {rows}{', …' if len(self.rows[k]) > 5 else ''}"


class MixedBatches:
    """The batches of several shards as one sequence, in an order drawn over all of them."""

    def __init__(self, shards: Sequence[TitleBatches], generator: np.random.Generator) -> None:
        self.shards = shards
        places = [(i, k) for i, batches in enumerate(shards) for k in range(len(batches))]
        # Of each batch, the number of its shard, and its own there.
        self.places: list[tuple[int, int]] = [places[i] for i in generator.permutation(len(places))]

    def __len__(self) -> int:
        return len(self.places)

    def n_tokens(self, k: int) -> int:
        """As of `TitleBatches`."""
        i, own = self.places[k]
        return self.shards[i].n_tokens(own)

    def n_predictions(self, k: int) -> int:
        """As of `TitleBatches`."""
        i, own = self.places[k]
        return self.shards[i].n_predictions(own)

    def batch(self, k: int, part: slice = slice(None), device: torch.device | str = "cpu") -> Batch | None:
        """As of `TitleBatches`."""
        i, own = self.places[k]
        return self.shards[i].batch(own, part, device)

    def describe(self, k: int) -> str:
        """As of `TitleBatches`."""
        i, own = self.places[k]
        return self.shards[i].describe(own)


def n_title_batches(n_titles: int, batch_size: int) -> int:
    """How many batches `TitleBatches` makes of so many titles."""
    return -(-n_titles // batch_size)


def length_buckets(
    lengths: NDArray[np.integer], batch_size: int, generator: np.random.Generator | None = None
) -> list[NDArray[np.int64]]:
    """Group titles of similar length into batches, so that little padding is computed.

    Args:
        lengths: (N,) int, each title's tokens.
        batch_size: Titles in a batch; the last of a pool may have fewer.
        generator: Shuffles the titles and then the batches; None keeps a fixed order, by length over all titles.

    Returns:
        Arrays of title numbers; every title is in exactly one.
    """
    if generator is None:
        return _cut(np.argsort(lengths, kind="stable"), batch_size)
    order = generator.permutation(len(lengths))
    batches = []
    for pool in _cut(order, batch_size * _POOL_BATCHES):
        batches += _cut(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
    return [batches[i] for i in generator.permutation(len(batches))]


def _cut(items: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
