"""The published model as the usual implementation computes it: what `Elmo` is measured against.

Written from the description of the files and of the forward pass, in plain PyTorch, with the work laid out as in
AllenNLP:

- All 50 character positions of every token of the padded batch are embedded and convolved, padding and repeated words
  as well.
- Each direction of each layer is a Python loop over time steps, with one product for the input and one for the state;
  the rows are sorted by length, and a step works on those that still run.
- Nothing is kept from one word, token or call to the next.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = 257, 258, 259, 260, 261


class TokenEncoder(nn.Module):
    """Character ids (n, 50) to token vectors (n, P)."""

    def __init__(self, options: dict, weights: dict[str, Tensor]) -> None:
        super().__init__()
        table = weights["char_embed"]
        self.register_buffer("table", torch.cat([table.new_zeros(1, table.shape[1]), table]))
        self.activation = torch.tanh if options["activation"] == "tanh" else functional.relu
        self.convolutions = nn.ModuleList()
        for i, (width, count) in enumerate(options["filters"]):
            convolution = nn.Conv1d(table.shape[1], count, width)
            set_weights(convolution, weights[f"CNN/W_cnn_{i}"][0].permute(2, 1, 0), weights[f"CNN/b_cnn_{i}"])
            self.convolutions.append(convolution)
        self.gates, self.transforms = nn.ModuleList(), nn.ModuleList()
        for k in range(options["n_highway"]):
            for modules, name in ((self.gates, "carry"), (self.transforms, "transform")):
                modules.append(linear(weights[f"CNN_high_{k}/W_{name}"], weights[f"CNN_high_{k}/b_{name}"]))
        self.projection = linear(weights["CNN_proj/W_proj"], weights["CNN_proj/b_proj"])

    def forward(self, ids: Tensor) -> Tensor:
        """Convolutions, maximum, activation, highways, projection."""
        characters = functional.embedding(ids, self.table).transpose(1, 2)
        x = torch.cat([self.activation(conv(characters).max(-1).values) for conv in self.convolutions], -1)
        for gate, transform in zip(self.gates, self.transforms, strict=True):
            g = torch.sigmoid(gate(x))
            x = g * functional.relu(transform(x)) + (1 - g) * x
        return self.projection(x)


class Cell(nn.Module):
    """One direction of one layer."""

    def __init__(self, options: dict, weights: dict[str, Tensor], name: str, *, backward: bool) -> None:
        super().__init__()
        self.cell_clip, self.proj_clip, self.backward = options["cell_clip"], options["proj_clip"], backward
        self.width, self.n_cells = options["projection_dim"], options["dim"]
        w = weights[f"{name}/W_0"]
        self.from_input = linear(w[: self.width])
        self.from_state = linear(w[self.width :], weights[f"{name}/B"])
        self.projection = linear(weights[f"{name}/W_P_0"])

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        """Outputs (B, T, P) of inputs (B, T, P), rows by falling length; zero behind a row's length."""
        n_rows, n_steps, _ = x.shape
        outputs = x.new_zeros(n_rows, n_steps, self.width)
        h, c = x.new_zeros(n_rows, self.width), x.new_zeros(n_rows, self.n_cells)
        for t in reversed(range(n_steps)) if self.backward else range(n_steps):
            running = sum(length > t for length in lengths)
            z = self.from_input(x[:running, t]) + self.from_state(h[:running].clone())
            i, j, f, o = z.chunk(4, -1)
            now = torch.sigmoid(i) * torch.tanh(j) + torch.sigmoid(f + 1) * c[:running].clone()
            now = now.clamp(-self.cell_clip, self.cell_clip)
            out = self.projection(torch.sigmoid(o) * torch.tanh(now)).clamp(-self.proj_clip, self.proj_clip)
            h[:running], c[:running], outputs[:running, t] = out, now, out
        return outputs


class PublishedCell(nn.Module):
    """A published model: padded character ids to all layers.

    Args:
        options_file: options.json of a model with both projections.
        weight_file: Its HDF5 file.
    """

    def __init__(self, options_file: Path, weight_file: Path) -> None:
        super().__init__()
        options = json.loads(Path(options_file).read_text(encoding="utf-8"))
        weights: dict[str, Tensor] = {}
        with h5py.File(weight_file, "r") as file:
            file.visititems(
                lambda name, node: (
                    weights.update({name: torch.from_numpy(node[()])}) if isinstance(node, h5py.Dataset) else None
                )
            )
        lstm = options["lstm"]
        self.skip = lstm["use_skip_connections"]
        self.n_characters = options["char_cnn"]["max_characters_per_token"]
        self.token_encoder = TokenEncoder(options["char_cnn"], weights)
        self.directions = nn.ModuleList(
            nn.ModuleList(
                Cell(lstm, weights, f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell", backward=d == 1)
                for k in range(lstm["n_layers"])
            )
            for d in (0, 1)
        )
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """All layers of a batch.

        Args:
            ids: (B, T, 50) int64 without boundaries; a row of zeros is padding.

        Returns:
            Layers (L + 1, B, T + 2, 2P), and the mask (B, T + 2) of words and boundaries.
        """
        ids, mask = self._with_boundaries(ids)
        n_rows, n_tokens = mask.shape
        words = self.token_encoder(ids.reshape(-1, self.n_characters)).reshape(n_rows, n_tokens, -1)
        lengths, order = mask.sum(1).sort(descending=True)
        lengths = lengths.tolist()
        both = []
        for direction in self.directions:
            x, outputs = words[order], []
            for k, cell in enumerate(direction):
                y = cell(x, lengths)
                x = y + x if k > 0 and self.skip else y
                outputs.append(x)
            both.append(outputs)
        layers = [torch.cat([words, words], -1)]
        layers += [torch.cat(pair, -1)[order.argsort()] for pair in zip(*both, strict=True)]
        return torch.stack([layer * mask[..., None] for layer in layers]), mask

    def _with_boundaries(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        n_rows, n_words, _ = ids.shape
        lengths = (ids > 0).any(-1).sum(1)
        out = ids.new_zeros(n_rows, n_words + 2, self.n_characters)
        out[:, 1:-1] = ids
        for place, mark in ((torch.zeros_like(lengths), BEGIN_SENTENCE), (lengths + 1, END_SENTENCE)):
            row = ids.new_full((self.n_characters,), PADDING)
            row[:3] = torch.tensor([BEGIN_WORD, mark, END_WORD])
            out[torch.arange(n_rows, device=ids.device), place] = row
        return out, (out > 0).any(-1)


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """The linear map with a stored matrix (input, output)."""
    module = nn.Linear(*weight.shape, bias=bias is not None)
    set_weights(module, weight.t(), bias)
    return module


def set_weights(module: nn.Linear | nn.Conv1d, weight: Tensor, bias: Tensor | None) -> None:
    """Put stored numbers into a module."""
    with torch.no_grad():
        module.weight.copy_(weight)
        if bias is not None:
            module.bias.copy_(bias)


def spell(words: list[str], n_characters: int = 50) -> np.ndarray:
    """The ids of each word, (n, 50) int64."""
    rows = np.full((len(words), n_characters), PADDING, dtype=np.int64)
    for row, word in zip(rows, words, strict=True):
        content = [byte + 1 for byte in word.encode("utf-8", errors="ignore")[: n_characters - 2]]
        row[: len(content) + 2] = [BEGIN_WORD, *content, END_WORD]
    return rows


def padded_ids(sentences: list[list[str]], n_characters: int = 50) -> Tensor:
    """The ids of a batch, (B, T, 50) int64."""
    ids = torch.zeros(len(sentences), max(map(len, sentences)), n_characters, dtype=torch.int64)
    for row, words in zip(ids, sentences, strict=True):
        row[: len(words)] = torch.from_numpy(spell(words, n_characters))
    return ids
