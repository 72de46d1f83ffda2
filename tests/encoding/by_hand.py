"""The second way to compute: one title alone, by `model(...)` itself."""

from __future__ import annotations

import numpy as np
import torch

from elmo_helpers import BiLM


def token_layers(model: BiLM, words: list[str]) -> np.ndarray:
    """(L + 1, n, 2P) of the words of one title."""
    return _output(model, words).layers[:, 0, 1:-1].numpy()


def state_layers(model: BiLM, words: list[str]) -> np.ndarray:
    """(L, 2P + 2H), the final states of one title."""
    output = _output(model, words)
    return torch.cat([output.hidden_states[:, 0], output.cell_states[:, 0]], -1).numpy()


def vectors(
    model: BiLM,
    words: list[str],
    level: str,
    layers: str,
    pooling: str = "states",
    weights: list[float] | None = None,
    gamma: float = 1.0,
) -> np.ndarray:
    """What `Encoder.encode_iter` is to give for one title, by the definitions."""
    if level == "titles" and pooling == "states":
        every = state_layers(model, words)
    else:
        every = token_layers(model, words)
        if level == "titles":
            reduce = {"mean": np.mean, "max": np.max}[pooling]
            every = reduce(every, axis=1) if words else np.zeros((len(every), every.shape[2]), np.float32)
    if layers == "all":
        return every
    if layers == "top":
        return every[-1]
    w = np.exp(np.zeros(len(every)) if weights is None else np.array(weights))
    factor = gamma if layers == "mix" else 1.0
    return factor * np.tensordot(w / w.sum() if layers == "mix" else np.full(len(every), 1 / len(every)), every, 1)


@torch.no_grad()
def _output(model: BiLM, words: list[str]):
    characters = model.character_vocabulary
    begin, end = characters.boundary_rows[1:2], characters.boundary_rows[2:3]
    rows = np.concatenate([begin, characters.encode(words, errors="skip"), end]).astype(np.int64)
    n = len(words) + 2
    return model(torch.from_numpy(rows), torch.arange(n)[None], torch.tensor([n]), return_states=True)
