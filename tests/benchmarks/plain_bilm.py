"""A biLM as users of PyTorch would write it: `nn.Conv1d`, `nn.LSTM`, and a sampled softmax of a few lines.

What training speed is measured against: the sizes, the batches, the negatives and the optimiser are those of the other
side, and each token is spelled out, as the published TensorFlow trainer does it. `nn.LSTM` has no clipping.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elmo_helpers import BiLMConfig
from elmo_helpers.training.streams import StreamBatch


class PlainBiLM(nn.Module):
    """Streams of characters in, the sampled loss of both directions out."""

    def __init__(self, config: BiLMConfig, n_characters: int, n_words: int) -> None:
        super().__init__()
        cnn = config.char_cnn
        width, dim = cnn.n_filters, cnn.projection_dim or cnn.n_filters
        self.activation = torch.relu if cnn.activation == "relu" else torch.tanh
        self.embedding = nn.Embedding(n_characters, cnn.embedding_dim, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(cnn.embedding_dim, count, size) for size, count in cnn.filters)
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(cnn.n_highway))
        self.transforms = nn.ModuleList(nn.Linear(width, width) for _ in range(cnn.n_highway))
        self.projection = nn.Linear(width, dim) if cnn.projection_dim else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.directions = nn.ModuleList(
            nn.LSTM(
                dim, config.hidden_dim, config.n_layers, batch_first=True, proj_size=config.projection_dim or 0,
                dropout=config.dropout,
            )
            for _ in range(2)
        )  # fmt: skip
        self.words = nn.Embedding(n_words, config.output_dim)
        self.bias = nn.Embedding(n_words, 1)
        ranks = torch.arange(1, n_words, dtype=torch.float64)
        self.register_buffer("p", torch.log1p(1 / ranks) / math.log(n_words))  # log-uniform, of ids 1 …
        self.n_negatives = config.n_negatives

    def forward(self, batch: StreamBatch, states: list | None) -> tuple[Tensor, list]:
        """The mean loss, and what the LSTMs remember."""
        negatives = self.p.multinomial(self.n_negatives) + 1
        log_expected = (self.n_negatives * self.p).log()
        loss, after = torch.zeros(()), []
        for direction, lstm in enumerate(self.directions):
            ids = batch.characters[batch.tokens[direction]]  # (B, T, C)
            x = self.embedding(ids).flatten(0, 1).transpose(1, 2)
            x = torch.cat([self.activation(convolution(x).amax(-1)) for convolution in self.convolutions], 1)
            for gate, transform in zip(self.gates, self.transforms, strict=True):
                g = torch.sigmoid(gate(x))
                x = g * torch.relu(transform(x)) + (1 - g) * x
            x = self.dropout(self.projection(x)).unflatten(0, ids.shape[:2])
            x, state = lstm(x, None if states is None else states[direction])
            after.append(tuple(s.detach() for s in state))
            x, targets = self.dropout(x).flatten(0, 1), batch.targets[direction].flatten()
            scores = x @ self.words(negatives).t() + self.bias(negatives)[:, 0] - log_expected[negatives - 1]
            scores = scores.float().masked_fill(negatives == targets[:, None], -torch.inf)
            own = (x * self.words(targets)).sum(1) + self.bias(targets)[:, 0] - log_expected[targets - 1]
            scores = torch.cat([own[:, None], scores], 1).float()
            loss = loss + F.cross_entropy(scores, torch.zeros_like(targets)) / 2
        return loss, after
