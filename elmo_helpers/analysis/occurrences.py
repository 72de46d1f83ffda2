"""The occurrences of one word, each with its title and the vector of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import instance, items, shown, whole_number
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.errors import ElmoHelpersError

_WINDOW = 256  # titles after which progress is told


@dataclass(frozen=True, eq=False)  # `==` of arrays is no truth value
class Occurrences:
    """Occurrences of a word, in the order of the titles.

    Attributes:
        word: The word.
        n_found: How many there are in all titles; of more than were asked for, some were drawn.
        titles: The tokens of the title of each of the n occurrences.
        rows: Which title that is, (n,) int64.
        places: Which of its tokens the word is, (n,) int64.
        layers: (L + 1, n, 2P) float32.
    """

    word: str
    n_found: int
    titles: list[list[str]]
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    layers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.titles)

    @property
    def before(self) -> list[str]:
        """The word before each occurrence; `<S>` at the beginning of a title."""
        return [title[at - 1] if at else "<S>" for title, at in zip(self.titles, self.places, strict=True)]

    @property
    def after(self) -> list[str]:
        """The word after each occurrence; `</S>` at the end of a title."""
        return [[*title, "</S>"][at + 1] for title, at in zip(self.titles, self.places, strict=True)]

    def line(self, i: int) -> tuple[str, str, str]:
        """What stands before the word in its title, the word, and what stands after it."""
        title, at = self.titles[i], self.places[i]
        return " ".join(title[:at]), title[at], " ".join(title[at + 1 :])


def find_occurrences(
    encoder: Encoder,
    titles: Iterable[Sequence[str]],
    word: str,
    *,
    limit: int = 2000,
    seed: int = 0,
    told: Callable[[int, int], None] | None = None,
) -> Occurrences:
    """Find a word in titles, and encode the titles that hold it, each once.

    Args:
        encoder: Of the model that makes the vectors.
        titles: The tokens of each title.
        word: A token, as it stands in the titles.
        limit: The most occurrences to take; of more, as many are drawn at random.
        seed: Of that draw.
        told: Called with the number of titles encoded so far and of all to be encoded.

    Raises:
        ElmoHelpersError: `encoder` is no Encoder, `word` no string, `limit` or `seed` no such number, or a title is no
            list of tokens.
    """
    instance("encoder", encoder, Encoder, "an Encoder")
    instance("word", word, str, "a string, a token as it stands in the titles")
    limit, seed = whole_number("limit", limit, 1), whole_number("seed", seed, 0)
    titles = items("titles", titles, "a list of titles")
    for number, title in enumerate(titles):
        if isinstance(title, np.ndarray) and title.ndim == 1:
            titles[number] = title.tolist()
        elif isinstance(title, str | bytes) or not isinstance(title, Sequence):
            raise ElmoHelpersError(f"titles: number {number} is {shown(title)}: expected a list of tokens.")
    holding = ((row, title) for row, title in enumerate(titles) if word in title)
    found = [(row, at) for row, title in holding for at, token in enumerate(title) if token == word]
    n_found = len(found)
    if n_found > limit:
        drawn = np.random.default_rng(seed).choice(n_found, limit, replace=False)
        found = [found[i] for i in np.sort(drawn)]
    rows, places = np.array(found, dtype=np.int64).reshape(-1, 2).T
    own_rows, owner = np.unique(rows, return_inverse=True)
    config = encoder.model.config
    layers = np.empty((config.n_layers + 1, len(rows), 2 * config.output_dim), dtype=np.float32)
    bounds = np.searchsorted(owner, np.arange(len(own_rows) + 1))
    # By length, so that even a small window holds many titles that are computed together.
    order = sorted(range(len(own_rows)), key=lambda i: len(titles[own_rows[i]]))
    encoded = encoder.encode_iter((titles[own_rows[i]] for i in order), "tokens", "all", window=_WINDOW)
    for done, (i, of_title) in enumerate(zip(order, encoded, strict=True), start=1):
        here = slice(bounds[i], bounds[i + 1])  # the word may stand in a title more than once
        layers[:, here] = of_title.vectors[:, places[here]]
        if told is not None:
            told(done, len(own_rows))
    return Occurrences(word, n_found, [titles[row] for row in rows], rows, places, layers)
