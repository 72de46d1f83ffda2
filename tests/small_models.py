"""Small models of every kind, on disk, and what many tests ask of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, CharCNNConfig, Elmo, batch_to_ids, save_official

TINY = BiLMConfig.preset("tiny")
CLIPPED = replace(TINY, projection_dim=8, cell_clip=3.0, projection_clip=3.0, skip_connections=True)
CONFIGS = {
    "plain": TINY,
    "projected, sampled": replace(CLIPPED, softmax="sampled", n_negatives=16),
    "one-hot, adaptive": replace(
        TINY, softmax="adaptive", char_cnn=replace(TINY.char_cnn, embedding_dim=None, activation="tanh", n_highway=2)
    ),
}
PUBLISHED = replace(
    CLIPPED,
    char_cnn=CharCNNConfig("utf8", 50, embedding_dim=4, filters=((1, 4), (2, 8)), projection_dim=8),
    softmax="full",
)
WORDS = [title.split() for title in TOY_TITLES]


def write_models(directory: Path) -> Path:
    """A corpus, a model of each configuration, published files, and titles in a file, in `directory`."""
    corpus = corpus_of(TOY_TITLES)
    corpus.save(directory / "corpus")
    for name, config in {**CONFIGS, "published": PUBLISHED}.items():
        torch.manual_seed(0)
        model = BiLM(config, corpus.vocabulary, corpus.text)
        model.save(directory / name)
    save_official(model, directory / "official")
    (directory / "titles.txt").write_text("\n".join(TOY_TITLES))
    return directory


def elmo_of(directory: Path, **settings: Any) -> Elmo:
    """A layer of the published files in `directory`."""
    torch.manual_seed(0)
    return Elmo(directory / "official", None, 1, **{"dropout": 0.0, **settings})


def vectors_of(elmo: nn.Module, sentences: list[list[str]]) -> torch.Tensor:
    """What a layer gives for sentences."""
    return elmo(batch_to_ids(sentences))["elmo_representations"][0]


def numbers_of(module: nn.Module) -> list[np.ndarray]:
    """The parameters of a module."""
    return [parameter.detach().numpy() for parameter in module.parameters()]
