"""From a corpus to the tensors of one batch, and in which order the batches come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.vocabulary import BOS, EOS, PAD, WordVocabulary

# Titles are sorted by length within a pool of this many batches: long enough that a batch holds nearly equal lengths,
# short enough that the batches of every epoch are new ones.
_POOL_BATCHES = 50


@dataclass(frozen=True)
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
    def of(cls, corpus: Corpus, indices: np.ndarray, device: torch.device | str = "cpu") -> Batch:
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
        characters: CharacterVocabulary,
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
        lengths = torch.tensor([len(words) + 2 for words in titles], dtype=torch.int64)
        tokens = torch.full((len(titles), max(lengths.tolist(), default=0)), PAD)
        for i, words in enumerate(titles):
            tokens[i, : len(words) + 2] = torch.tensor([BOS, *(row_of[word] for word in words), EOS])
        return cls(
            torch.from_numpy(rows.astype(np.int64)).to(device),
            tokens.to(device),
            lengths,
            torch.from_numpy(ids)[tokens].to(device),
        )


def length_buckets(
    lengths: np.ndarray, batch_size: int, generator: np.random.Generator | None = None
) -> list[np.ndarray]:
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


def _cut(items: np.ndarray, size: int) -> list[np.ndarray]:
    return [items[start : start + size] for start in range(0, len(items), size)]
