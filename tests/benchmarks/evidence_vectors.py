"""Models of any kind, and the layers that they give of words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elmo_helpers import Encoder, Scorer, load_official, normalize_title
from elmo_helpers.analysis.gaps import gap_layers

WINDOW = (-2, -1, 0, 1, 2)  # words around
AROUND = "layer 0 around"  # layer 0 of a word and of those around it, which knows words and not their context
# No classifier: of titles with one word or another, the one that the model, or one that counts, finds likelier.
LIKELIER, LIKELIER_COUNTED = "likelier title", "likelier title, counted"


class Model:
    """A model under a name, and the layers of words."""

    def __init__(self, source: str, name: str) -> None:
        """Load a directory, a model that ships, or a directory of official files; `name` is for the tables."""
        path = Path(source)
        official = path.is_dir() and any(path.glob("*options.json"))
        self.name = name
        self.encoder = Encoder(load_official(path, softmax=False) if official else source)
        config = self.encoder.model.config
        self.n_layers, self.width = config.n_layers + 1, 2 * config.output_dim
        self.lowercase = self.encoder.model.text.lowercase
        # A model of published files has no softmax here, and finds no title likelier than another.
        self.scorer = Scorer(self.encoder.model) if self.encoder.model.softmax is not None else None

    def as_read(self, words: Sequence[str]) -> list[str]:
        """Words of other hands as the model's own text has them: quotes and dashes in ASCII, its case."""
        return [normalize_title(word, self.lowercase) or word for word in words]

    def words(self, titles: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """All layers of all words, titles one behind the other: (words, L + 1, 2P) float32."""
        layers = np.empty((sum(map(len, titles)), self.n_layers, self.width), dtype=np.float32)
        first = 0
        for title in self.encoder.encode_iter(map(list, titles), "tokens", "all"):
            layers[first : first + len(title.tokens)] = title.vectors.transpose(1, 0, 2)
            first += len(title.tokens)
        return layers

    def log_probabilities(self, titles: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """log p of each title, the mean of both directions, in nats: (titles,); for a model with a softmax."""
        assert self.scorer is not None
        return np.array([scores.log_probability for scores in self.scorer.score(list(map(list, titles)))])

    def at_and_around(
        self, titles: Sequence[Sequence[str]], places: Sequence[int], offsets: Sequence[int] = WINDOW
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """All layers of one word of each title, and layer 0 of the words around it, one behind the other.

        Returns:
            - (titles, L + 1, 2P) float32.
            - (titles, offsets · 2P) float32; zeros beyond the title's ends.
        """
        at = np.empty((len(titles), self.n_layers, self.width), dtype=np.float32)
        near = np.zeros((len(titles), len(offsets), self.width), dtype=np.float32)
        encoded = self.encoder.encode_iter(map(list, titles), "tokens", "all")
        for row, (title, place) in enumerate(zip(encoded, places, strict=True)):
            at[row] = title.vectors[:, place]
            for column, offset in enumerate(offsets):
                if 0 <= place + offset < len(title.tokens):
                    near[row, column] = title.vectors[0, place + offset]
        return at, near.reshape(len(titles), -1)


def readings(layers: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """What a classifier may read of (N, L + 1, 2P): each layer alone, (N, 2P), and all of them side by side."""
    alone = {f"layer {layer}": layers[:, layer] for layer in range(layers.shape[1])}
    return alone | {"all layers": layers.reshape(len(layers), -1)}


def with_neighbours(vectors: NDArray[np.float32], lengths: Sequence[int]) -> NDArray[np.float32]:
    """The vector of each word beside those of the words before and behind it.

    Args:
        vectors: (words, width) of all titles, one behind the other.
        lengths: The words of each title.

    Returns:
        (words, 3 · width): before, itself, behind; zeros beyond a title's ends.
    """
    width, first = vectors.shape[1], 0
    near = np.zeros((len(vectors), 3 * width), dtype=np.float32)
    near[:, width : 2 * width] = vectors
    for n in lengths:
        near[first + 1 : first + n, :width] = vectors[first : first + n - 1]
        near[first : first + n - 1, 2 * width :] = vectors[first + 1 : first + n]
        first += n
    return near


def of_gaps(layers: NDArray[np.float32], lengths: Sequence[int]) -> NDArray[np.float32]:
    """The layers of the gap behind each word.

    Args:
        layers: (words, L + 1, 2P) of all titles, one behind the other.
        lengths: The words of each title.

    Returns:
        (words, L + 1, 2P).
    """
    titles = np.split(layers, np.cumsum(lengths)[:-1])
    return np.concatenate([gap_layers(title.swapaxes(0, 1)).swapaxes(0, 1) for title in titles])


def counted_around(tokens: Sequence[str], place: int, *, everywhere: bool = True) -> dict[str, int]:
    """What a rival counts: the words around a place, by how far they are, and all words of the title wherever."""
    near = {f"{offset}:{tokens[place + offset]}": 1 for offset in WINDOW if 0 <= place + offset < len(tokens)}
    return near | ({f"bag:{word}": 1 for word in tokens} if everywhere else {})
