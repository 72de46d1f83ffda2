"""Models on both sides: the library's beside the reference, and what a refusal must look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import Reference

from elmo_helpers import BiLM, ElmoHelpersError
from elmo_helpers.training.batching import Batch

TOLERANCE = 1e-5

# Every way in which a published file can differ from another.
VARIANTS: dict[str, dict] = {
    "plain": {},
    "no skip connections": {"skip": False},
    "no highway": {"n_highway": 0},
    "three highways": {"n_highway": 3},
    "no projection of characters": {"char_proj": False, "filters": [(1, 3), (2, 3)], "P": 6},
    "no projection in the LSTMs": {"lstm_proj": False, "P": 7, "C": 7, "proj_clip": 3},
    "no projection at all": {
        "char_proj": False,
        "lstm_proj": False,
        "filters": [(2, 5), (1, 2)],
        "P": 7,
        "C": 7,
        "proj_clip": 3,
    },
    "projections between equal sizes": {"filters": [(1, 4), (3, 4)], "P": 8, "C": 8},
    "n_characters as trained": {"n_characters": 261},
    "tanh": {"activation": "tanh"},
    "tanh, three layers, no skip": {"activation": "tanh", "n_layers": 3, "skip": False},
    "12 characters": {"max_characters": 12},
    "as few characters as the widest filter": {"max_characters": 7, "filters": [(1, 4), (7, 4), (2, 3)]},
    "17 characters": {"max_characters": 17, "filters": [(5, 6), (1, 2)]},
    "one layer": {"n_layers": 1},
    "three layers": {"n_layers": 3},
    "wide clips": {"cell_clip": 3, "proj_clip": 3},
    "clips that differ": {"cell_clip": 0.2, "proj_clip": 0.7},
    "the published filters": {
        "ce": 16,
        "filters": [(1, 32), (2, 32), (3, 64), (4, 128), (5, 16), (6, 16), (7, 16)],
        "n_highway": 2,
        "P": 16,
        "C": 32,
    },
    "words": {"word_level": 12},
    "words, no projection, softmax": {"word_level": 12, "softmax": 12, "lstm_proj": False, "C": 6, "proj_clip": 3},
    "softmax": {"softmax": 12},
}


def sentences_for(max_characters: int) -> list[list[str]]:
    """Sentences of many lengths, with everything in them that a spelling can hold."""
    words = ["the", "cat", "sat", "on", "a", "mat", ".", "naïve", "ran", "home", "w3", "unheard-of"]
    long = [words[(i * i + i // 7) % len(words)] for i in range(400)]
    cut_inside = "x" * (max_characters - 3) + "é"  # its second byte is cut off
    return [
        ["the", "cat", "sat", "on", "the", "mat", "."],
        ["home"],
        long,
        ["🦜", "a😀b", "naïve", "日本語", "the"],
        [cut_inside, "日" * max_characters, "y" * 3 * max_characters, "z" * (max_characters - 2)],
        ["<S>", "cat", "</S>", "<UNK>", "<s>"],
        ["", "a\ud800b", " ", "\x00"],
    ]


def layers_of(model: BiLM, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """What the library gives for a batch: (L + 1, n + 2, 2P) of each sentence, after a look at mask and padding."""
    batch = Batch.of_words(sentences, model.character_vocabulary, model.vocabulary, errors="skip")
    with torch.inference_mode():
        output = model(batch.characters, batch.tokens, batch.lengths)
    layers = output.layers.numpy()
    assert output.mask.sum(1).tolist() == [len(words) + 2 for words in sentences]
    assert (layers[:, ~output.mask.numpy()] == 0).all()
    return [layers[:, i, : len(words) + 2] for i, words in enumerate(sentences)]


def assert_close(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = TOLERANCE) -> None:
    """Every array is of the shape of its counterpart, and no number is further from its own."""
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, f"sentence {i}"
        assert np.abs(a - b).max() <= tolerance, f"sentence {i}"


def assert_agrees(model: BiLM, reference: Reference, sentences: Sequence[Sequence[str]]) -> None:
    """The library gives the reference's layers for this batch."""
    assert_close(layers_of(model, sentences), [reference.layers(words) for words in sentences])


@contextmanager
def refused(*parts: object) -> Iterator[None]:
    """The block ends in one sentence of ours that holds all `parts`."""
    with pytest.raises(ElmoHelpersError) as caught:
        yield
    message = str(caught.value)
    for part in parts:
        assert str(part) in message, f"{part!s} is not in: {message}"
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 600


def copy_files(directory: Path, to: Path) -> Path:
    """Copy the files of a model into a new directory."""
    to.mkdir(parents=True)
    for path in directory.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to
