"""Titles in, vectors out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from elmo_helpers.checks import choice, whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM, BiLMOutput
from elmo_helpers.model.scalar_mix import ScalarMix
from elmo_helpers.text.titles import normalize_title
from elmo_helpers.text.tokenization import Tokenizer
from elmo_helpers.training.batching import Batch

POOLINGS = ("states", "mean", "max")


@dataclass(frozen=True)
class TokenVectors:
    """One title's tokens, and every layer's vector of each.

    Attributes:
        tokens: The n words, without boundaries.
        layers: (L + 1, n, 2P) float32.
    """

    tokens: list[str]
    layers: np.ndarray


class Encoder:
    """Vectors of titles and of their words from a trained biLM.

    A title's vector depends on that title alone: titles are computed together only with others of the same number of
    tokens, so no padding is ever read, and dropout is off.
    """

    def __init__(self, model: BiLM | str | os.PathLike, mix: ScalarMix | None = None, batch_size: int = 64) -> None:
        """An encoder.

        Args:
            model: A model, or the directory of a saved one. Encoding puts it into evaluation mode.
            mix: How `encode` weighs the layers, over as many as the pooling has (see `encode_layers`); None: all
                alike, γ = 1.
            batch_size: Titles computed together.

        Raises:
            ElmoHelpersError: The directory holds no model, or an argument is of the wrong kind.
        """
        if mix is not None and not isinstance(mix, ScalarMix):
            raise ElmoHelpersError(f"mix={mix!r:.60}: expected a ScalarMix, or None.")
        self.model = model if isinstance(model, BiLM) else BiLM.load(model)
        self.mix, self.batch_size = mix, whole_number("batch_size", batch_size, 1)

    def encode(
        self, titles: Sequence[str] | Sequence[Sequence[str]], pooling: str = "states", *, progress: bool = False
    ) -> np.ndarray:
        """One vector a title: γ Σ_l s_l h^l over the layers of `encode_layers`.

        Args:
            titles: Raw titles, or titles that are lists of tokens already.
            pooling: "states", "mean" or "max"; see `encode_layers`.
            progress: Show a progress bar.

        Returns:
            (N, 2P + 2H) float32 for "states", which is (N, 4·64) at the original's sizes; (N, 2P) for the others.
        """
        layers = self.encode_layers(titles, pooling, progress=progress)
        mix = self.mix or ScalarMix(layers.shape[1])
        with torch.no_grad():
            return mix(torch.from_numpy(layers).transpose(0, 1)).numpy()

    def encode_layers(
        self, titles: Sequence[str] | Sequence[Sequence[str]], pooling: str = "states", *, progress: bool = False
    ) -> np.ndarray:
        """One vector a title and layer, before any mixing.

        Args:
            titles: Raw titles, or titles that are lists of tokens already.
            pooling: "states": h^l = [h_n^l ; c_n^l], hidden and cell state of both directions of LSTM layer l at
                their end of reading, the original's definition; "mean", "max": over the words of the title, without
                boundaries; a title without a word is a vector of zeros.
            progress: Show a progress bar.

        Returns:
            "states": (N, L, 2P + 2H) float32. "mean", "max": (N, L + 1, 2P) float32, layer 0 first.

        Raises:
            ElmoHelpersError: The pooling is unknown.
        """
        choice("pooling", pooling, POOLINGS)
        config = self.model.config
        if pooling == "states":
            shape = (config.n_layers, 2 * config.output_dim + 2 * config.hidden_dim)
        else:
            shape = (config.n_layers + 1, 2 * config.output_dim)
        tokens = self.tokenize(titles)
        vectors = np.zeros((len(tokens), *shape), dtype=np.float32)
        for rows, output in self._batches(tokens, pooling == "states", progress):
            if pooling == "states":
                pooled = torch.cat([output.hidden_states, output.cell_states], -1)  # (L, B, 2P + 2H)
            elif output.layers.shape[2] == 2:  # nothing but boundaries
                continue
            else:
                words = output.layers[:, :, 1:-1]
                pooled = words.mean(2) if pooling == "mean" else words.amax(2)
            vectors[rows] = pooled.transpose(0, 1).float().cpu().numpy()
        return vectors

    def encode_tokens(
        self, titles: Sequence[str] | Sequence[Sequence[str]], *, progress: bool = False
    ) -> list[TokenVectors]:
        """Every layer's vector of every word of each title."""
        tokens = self.tokenize(titles)
        vectors: list[TokenVectors | None] = [None] * len(tokens)
        for rows, output in self._batches(tokens, False, progress):
            layers = output.layers[:, :, 1:-1].transpose(0, 1).float().cpu().numpy()
            for row, title in zip(rows, layers, strict=True):
                vectors[row] = TokenVectors(tokens[row], title.copy())
        return vectors

    def tokenize(self, titles: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
        """The tokens of each title, made as those of the model's training text were; lists of tokens stay as given.

        Raises:
            ElmoHelpersError: `titles` is one string, or holds something that is neither text nor a list of it.
        """
        if isinstance(titles, str):
            raise ElmoHelpersError(f"titles: expected a list of titles, and got one string; pass [{titles[:40]!r}].")
        if hasattr(titles, "columns"):
            raise ElmoHelpersError("titles: expected a list of titles, and got a table; pass its column of titles.")
        titles = list(titles)
        raw = bool(titles) and isinstance(titles[0], str)
        for i, title in enumerate(titles):
            if not (isinstance(title, str) if raw else _is_tokens(title)):
                expected = "a string, as number 0 is" if raw else "a string or a list of tokens, and all of one kind"
                raise ElmoHelpersError(f"titles: number {i} is {title!r:.60}: expected {expected}.")
        if not raw:
            return [list(title) for title in titles]
        text = self.model.text
        return list(Tokenizer(text.tokenizer)(normalize_title(title, lowercase=text.lowercase) for title in titles))

    def _batches(
        self, tokens: list[list[str]], return_states: bool, progress: bool
    ) -> Iterator[tuple[np.ndarray, BiLMOutput]]:
        """Batches of titles of one length: their row numbers, and the model's output."""
        lengths = np.array([len(title) for title in tokens], dtype=np.int64)
        with tqdm(total=len(tokens), desc="encoding", unit="title", disable=not progress) as bar:
            for n in np.unique(lengths):
                group = np.flatnonzero(lengths == n)
                for start in range(0, len(group), self.batch_size):
                    rows = group[start : start + self.batch_size]
                    yield rows, self._forward([tokens[row] for row in rows], return_states)
                    bar.update(len(rows))

    @torch.no_grad()
    def _forward(self, titles: list[list[str]], return_states: bool) -> BiLMOutput:
        model = self.model.eval()  # here, since it may have been trained further since the last call
        batch = Batch.of_words(titles, model.character_vocabulary, model.vocabulary, errors="skip", device=model.device)
        return model(batch.characters, batch.tokens, batch.lengths, return_states=return_states)


def _is_tokens(title: object) -> bool:
    return (
        isinstance(title, Sequence | np.ndarray)
        and not isinstance(title, str)
        and all(isinstance(t, str) for t in title)
    )
