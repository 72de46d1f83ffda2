"""Figures of one word as a character CNN sees it: its ids, and the words whose vectors lie nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from elmo_helpers.display.search_plots import drawable
from elmo_helpers.display.style import BLACK, BLUE, styled
from elmo_helpers.errors import ElmoHelpersError

_QUIET = "#5F5F5F"
_CELL = "#EEF4F9"
_INCHES = 0.42  # of a character
_LONGEST = 24  # letters of a word beside a bar


def plot_spelling(
    ids: Sequence[int] | NDArray[np.integer], labels: Sequence[str], *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """The characters of a word as a strip, and below each the id that stands for it.

    Args:
        ids: n character ids, without padding.
        labels: n characters, as `character_labels` gives them.
        title: What is to be seen; None: a general line.
        ax: Where to draw; a new figure, as wide as the word needs, if None.

    Raises:
        ElmoHelpersError: There is not one label an id.
    """
    if len(ids) != len(labels):
        raise ElmoHelpersError(f"labels: expected {len(ids)}, one an id, and got {len(labels)}.")
    n = len(ids)
    with styled(ax, max(4.0, 1.2 + _INCHES * n), 1.5) as ax:
        for place, (i, label) in enumerate(zip(ids, labels, strict=True)):
            ax.add_patch(Rectangle((place - 0.46, 0.5), 0.92, 0.92, facecolor=_CELL, edgecolor=BLUE, linewidth=0.8))
            style: dict[str, Any] = {"ha": "center", "va": "center", "parse_math": False}
            ax.text(place, 0.96, label, family="monospace", fontsize=11 if len(label) < 3 else 7, **style)
            ax.text(place, 0.16, str(int(i)), fontsize=9, **style)
        ax.set_yticks([0.96, 0.16], ["character", "id"])
        ax.set_xticks(np.arange(n))
        ax.tick_params(length=0)
        ax.tick_params(axis="x", labelsize=8, labelcolor=_QUIET)
        ax.spines[:].set_visible(False)
        ax.set(xlim=(-0.6, max(n, 1) - 0.4), ylim=(-0.2, 1.5), xlabel="place in the word")
        ax.set_title(drawable(title or "A word is a row of ids"), parse_math=False)
    return ax


def plot_neighbours(
    words: Sequence[str],
    cosines: Sequence[float] | NDArray[np.floating],
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The words whose vectors lie nearest to one, and the cosine of each, the nearest on top.

    Args:
        words: n words, the nearest first.
        cosines: (n,) float, from -1 to 1.
        title: What is to be seen; None: a general line.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: There is not one cosine a word.
    """
    if len(words) != len(cosines):
        raise ElmoHelpersError(f"cosines: expected {len(words)}, one a word, and got {len(cosines)}.")
    with styled(ax, 4.5, 1.1 + 0.3 * max(len(words), 1)) as ax:
        places = np.arange(len(words))
        bars = ax.barh(places, cosines, color=BLUE)
        ax.bar_label(bars, [f"{cosine:.2f}" for cosine in cosines], padding=3, fontsize=9)
        ax.axvline(0, color=BLACK, linewidth=0.8)
        ax.set_yticks(places, [_short(word) for word in words], parse_math=False)
        lowest = min([0.0, *map(float, cosines)])
        ax.set(xlim=(1.2 * lowest, 1.15), ylim=(max(len(words), 1) - 0.4, -0.6))
        ax.set(xlabel="cosine: 1 is the same direction", ylabel="word")
        ax.set_title(drawable(title or "The words whose vectors lie nearest"), parse_math=False)
    return ax


def _short(word: str) -> str:
    return drawable(word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…")
