"""Sentences as padded ids: the published ones, as code written for AllenNLP makes them, and those of any model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from elmo_helpers.checks import items, shown, word_list
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.compiling import left_out_of_graphs
from elmo_helpers.model.devices import default_device
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.word_ids import WordIds

_PUBLISHED_CHARACTERS = 50
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def batch_to_ids(batch: Iterable[Iterable[str]]) -> Tensor:
    """The character ids of a batch of sentences: (B, T, 50) int64, zero where there is padding.

    They are those of the published models; `Elmo.batch_to_ids` makes those of any model. Sentences have no boundaries
    here; `Elmo` adds them.

    Args:
        batch: Sentences, each a list of words. Arrays, Series and iterators are read, too, each passed over once.

    Raises:
        ElmoHelpersError: Something is no sentence or no word; the message names it.
    """
    return ids_of(sentences_of("batch", batch), CharacterVocabulary("utf8", _PUBLISHED_CHARACTERS))


def sentences_of(name: str, batch: Iterable[Iterable[str]]) -> list[list[str]]:
    """The words of each sentence of what was handed over as the argument `name`.

    Raises:
        ElmoHelpersError: Something is no sentence or no word; the message names it.
    """
    sentences = items(name, batch, "a list of sentences, each a list of words")
    return [word_list(f"{name}[{i}]", sentence) for i, sentence in enumerate(sentences)]


@left_out_of_graphs
def ids_of(sentences: list[list[str]], vocabulary: CharacterVocabulary | WordIds) -> Tensor:
    """The rows of all words, (B, T, C) int64, zero where there is padding; they lie on PyTorch's default device.

    Raises:
        ElmoHelpersError: Nothing of a word can be spelled.
    """
    words = [word for sentence in sentences for word in sentence]
    rows = vocabulary.encode(words, errors="skip")
    if not (spelled := rows.any(1)).all():
        raise ElmoHelpersError(
            f"The word {words[int(spelled.argmin())]!r} has no character that the model can spell, and would be read "
            "as padding: leave it out, or write it in other characters."
        )
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    width = max(map(len, sentences), default=0)
    ids = np.zeros((len(sentences), width, vocabulary.max_characters), dtype=np.int64)
    ids[np.arange(width) < lengths[:, None]] = rows
    return torch.from_numpy(ids).to(default_device())


def check_ids(name: str, ids: Tensor, size: int, device: torch.device) -> None:
    """Check that what was handed over as the argument `name` are ids from 0 to size - 1, where the model is.

    Raises:
        ElmoHelpersError: They are something else, or elsewhere.
    """
    check_whole(name, ids, device)
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        raise ElmoHelpersError(
            f"{name}: expected whole numbers from 0 to {size - 1}, as batch_to_ids makes them, and got some from "
            f"{int(ids.min())} to {int(ids.max())}."
        )


def check_whole(name: str, numbers: Tensor, device: torch.device) -> None:
    """Check that what was handed over as the argument `name` are whole numbers, where the model is.

    Raises:
        ElmoHelpersError: They are something else, or elsewhere.
    """
    if numbers.dtype not in _WHOLE or numbers.layout is not torch.strided:
        raise ElmoHelpersError(f"{name}: expected whole numbers, as batch_to_ids makes them, and got {shown(numbers)}.")
    if numbers.device != device:
        raise ElmoHelpersError(f"{name}: they are on {numbers.device} and the model is on {device}: move them there.")
