"""The original tutorial's network and training loop, with all its faults: what this project is measured against.

    python tests/benchmarks/original_tutorial.py [CSV] [--titles 128] [--min-count 1]

The faults are the point, so none is mended here, and nothing here is an example of how to do it:

- `view` in the place of a transposition scrambles the characters of a title, and its word vectors once more.
- Word ids begin with `<SOS>` and characters do not, so the forward direction is asked for the word just read.
- One bidirectional LSTM of two layers shows each output the word that it is to predict.
- Without `batch_first` the LSTM runs across the titles of a batch.
- A ReLU stands before the softmax, and padding counts in the loss.
- Dropout hangs on a flag of `forward`, and is applied twice to the LSTM's input.
- All titles are kept as padded arrays of 40 tokens by 30 characters, and one-hot vectors of all of them are computed.

Only what the tutorial did after each epoch, pickling the modules, is left out. A 2-d convolution is what its
`Conv1d(kernel_size=(1, k))` was in the PyTorch of its day; today's refuses that.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from elmo_helpers import Corpus, ElmoHelpersError, prepare_corpus
from elmo_helpers.text.characters import CHARACTERS
from elmo_helpers.text.vocabulary import EOS, PAD

N_TOKENS, N_CHARACTERS = 40, 30  # of the tutorial's arrays
N_IDS = len(CHARACTERS) + 1  # with padding, 0; the tutorial has no ids for the boundaries


def padded(corpus: Corpus, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The tutorial's two arrays for the first `n` titles of a corpus of the scheme `tutorial`.

    Returns:
        characters: (n, 40, 30) int64, the words' alone: row t is of the word whose id is at t + 1.
        tokens: (n, 40) int64 vocabulary ids: `<SOS>`, words, `<EOS>`, then 0. A longer title is cut.
    """
    if corpus.character_vocabulary.scheme != "tutorial":
        raise ElmoHelpersError(f"The tutorial reads no {corpus.character_vocabulary}: give a corpus of its own scheme.")
    ids, _ = corpus.token_batch(slice(n))  # (n, T) lexicon ids with boundaries
    words = np.where(ids[:, 1:] == EOS, PAD, ids[:, 1:])  # the lexicon's row of padding is all 0
    spelled = corpus.characters[words[:, :N_TOKENS]][:, :, :N_CHARACTERS]
    characters = np.zeros((len(ids), N_TOKENS, N_CHARACTERS), dtype=np.int64)
    characters[:, : spelled.shape[1], : spelled.shape[2]] = spelled
    tokens = np.zeros((len(ids), N_TOKENS), dtype=np.int64)
    tokens[:, : ids.shape[1]] = corpus.lexicon_to_vocabulary[ids[:, :N_TOKENS]]
    return characters, tokens


def real_tokens(tokens: np.ndarray) -> int:
    """How many of `tokens`, (n, T), are words or boundaries and no padding."""
    return int((tokens != PAD).sum())


class CharacterEmbedding(nn.Module):
    """Character ids (b, w, c) to word vectors (b, w, 128): one-hot, four widths of filters, maximum, highway."""

    def __init__(self, dropout: nn.Dropout) -> None:
        super().__init__()
        one_hot = torch.eye(N_IDS)
        one_hot[0, 0] = 0
        self.embedding = nn.Embedding(N_IDS, N_IDS, _weight=one_hot)  # trained, as there
        self.convolutions = nn.ModuleList(nn.Conv2d(N_IDS, 32, (1, width)) for width in (2, 3, 4, 5))
        self.output_size = 32 * len(self.convolutions)
        self.highway = nn.Linear(self.output_size, self.output_size)
        self.gate = nn.Linear(self.output_size, self.output_size)
        self.dropout = dropout

    def forward(self, x: Tensor, train: bool = False) -> Tensor:
        x = self.embedding(x)
        b, w, c, e = x.shape
        scrambled = x.view(b, e, w, c)
        maxima = [convolution(scrambled).max(dim=-1)[0].view(b, w, -1) for convolution in self.convolutions]
        x = torch.cat(maxima, dim=-1)  # (b, w, 128)
        gate = torch.sigmoid(self.gate(x))
        x = functional.relu(self.highway(x)) * gate + x * (1 - gate)
        return self.dropout(x) if train else x


class BiLanguageModel(nn.Module):
    """Word vectors (b, w, 128) to log-probabilities (b, w, V); the LSTM takes b for time and w for the batch."""

    def __init__(self, input_size: int, hidden_size: int, n_layers: int, n_words: int, dropout: nn.Dropout) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, n_layers, bidirectional=True)
        self.output = nn.Linear(2 * hidden_size, n_words)
        self.dropout = dropout

    def forward(self, x: Tensor, train: bool = False) -> Tensor:
        x, _ = self.lstm(self.dropout(x) if train else x)
        return functional.log_softmax(functional.relu(self.output(x)), dim=-1)


class OriginalElmo:
    """The tutorial's model and its training loop.

    Args:
        n_words: V.
        hidden_size: H.
        n_layers: LSTM layers.
        learning_rate: Adam's.
        dropout: Share of the word vectors that is dropped, twice.
        seed: Of weights, dropout and shuffling; it sets PyTorch's own.
        device: Where to compute.
    """

    def __init__(
        self,
        n_words: int,
        *,
        hidden_size: int = 64,
        n_layers: int = 2,
        learning_rate: float = 1e-3,
        dropout: float = 0.2,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        self.generator = np.random.default_rng(seed)
        self.device = torch.device(device)
        shared = nn.Dropout(dropout)
        self.embedding = CharacterEmbedding(shared).to(device)
        self.bilm = BiLanguageModel(self.embedding.output_size, hidden_size, n_layers, n_words, shared).to(device)
        self.optimizer = torch.optim.Adam([*self.embedding.parameters(), *self.bilm.parameters()], lr=learning_rate)
        self.criterion = nn.NLLLoss()

    def train(
        self, characters: np.ndarray, tokens: np.ndarray, batch_size: int = 64, epochs: int = 2
    ) -> tuple[list[float], list[float]]:
        """Train on the arrays that `padded` makes.

        Returns:
            The loss (nats per position, padding included) and the seconds of every batch.
        """
        losses, seconds = [], []
        for _ in range(epochs):
            begun = time.perf_counter()
            order = self.generator.permutation(len(characters))
            shuffled_characters, shuffled_tokens = characters[order], tokens[order]  # whole copies, as there
            for start in range(0, len(order), batch_size):
                batch = slice(start, start + batch_size)
                losses.append(self._step(shuffled_characters[batch], shuffled_tokens[batch]))
                now = time.perf_counter()
                seconds.append(now - begun)
                begun = now
        return losses, seconds

    def _step(self, characters: np.ndarray, tokens: np.ndarray) -> float:
        longest = (tokens > 0).sum(axis=1).max()
        x = torch.tensor(characters[:, :longest], device=self.device)
        y = torch.tensor(tokens[:, :longest], device=self.device)
        self.optimizer.zero_grad()
        scores = self.bilm(self.embedding(x, train=True), train=True)
        forward = self.criterion(scores[:, :-1].transpose(1, -1), y[:, 1:])
        backward = self.criterion(scores[:, 1:].transpose(1, -1), y[:, :-1])
        loss = (forward + backward) / 2
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main() -> None:
    """Train as the tutorial did, and print what it printed, less log V, and the speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="?", help="a file of titles; default: the default corpus")
    parser.add_argument("--titles", type=int, default=128, help="how many are trained on")
    parser.add_argument("--min-count", type=int, default=1, help="the tutorial's vocabulary holds every word")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        titles = arguments.csv or Path(directory) / "title_text.csv"
        corpus = prepare_corpus(titles, Path(directory) / "corpus", min_count=arguments.min_count)
        characters, tokens = padded(corpus.split("train"), arguments.titles)
        n_words = len(corpus.vocabulary)
    model = OriginalElmo(n_words)
    losses, seconds = model.train(characters, tokens)
    print(f"{len(tokens):,} titles, V {n_words:,}, log V {math.log(n_words):.4f}, {torch.get_num_threads()} threads")
    shown = losses if len(losses) <= 8 else [*losses[:4], *losses[-4:]]
    print("loss less log V, of each batch" + ("" if shown is losses else ", the first four and the last four"))
    print("  " + " ".join(f"{loss - math.log(n_words):+.4f}" for loss in shown))
    half = len(seconds) // 2  # the first epoch warms up
    print(f"{real_tokens(tokens) / sum(seconds[half:]):,.0f} tokens/s (words and boundaries, no padding)")


if __name__ == "__main__":
    main()
