"""Figures of a title's probabilities: how surprising each word is, and which words would have been likely."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from elmo_helpers.analysis.scoring import DIRECTIONS, Fill, WordScores
from elmo_helpers.checks import choice
from elmo_helpers.display.search_plots import drawable
from elmo_helpers.display.style import BACKWARD, BLACK, FORWARD, GREEN, SEQUENTIAL, VERMILION, shortened, styled
from elmo_helpers.text.vocabulary import BOS, EOS, SPECIALS

_QUIET = "#5F5F5F"
_COLOUR = {"forward": FORWARD, "backward": BACKWARD, "both": GREEN}
_KNOWS = {"forward": "the words before it", "backward": "the words after it", "both": "all other words"}
_LONGEST = 14  # letters of a word on an axis


def surprise(scores: WordScores) -> tuple[list[str], NDArray[np.float64]]:
    """The surprise of each token of a title in bits: -log2 of the probability that a direction gave it.

    Returns:
        - The n words between both boundaries, n + 2 tokens.
        - (2, n + 2) float64: forward and backward; NaN where a direction starts, at the boundary that is given.
    """
    tokens = [SPECIALS[BOS], *scores.tokens, SPECIALS[EOS]]
    nats = np.array(
        [[np.nan, *scores.forward, scores.forward_end], [scores.backward_end, *scores.backward, np.nan]], np.float64
    )
    return tokens, np.maximum(-nats / math.log(2), 0) + 0.0  # never the -0.0 of what is certain


def plot_surprise(
    scores: WordScores, *, chosen: int | None = None, limit: float | None = None, ax: Axes | None = None
) -> Axes:
    """A title as a strip of two rows, forward and backward, each token coloured by its surprise in bits.

    One bit is the surprise of a coin's side, and each further bit halves the probability.

    Args:
        scores: What `Scorer.score` gives for the title.
        chosen: A word to frame, from 0; None: none.
        limit: Bits at which the colours end; None: the largest surprise of the title.
        ax: Where to draw; a new figure, as wide as the title needs, if None.
    """
    tokens, bits = surprise(scores)
    unknown = [False, *scores.unknown, False]
    labels = [_short(token) + ("*" if u else "") for token, u in zip(tokens, unknown, strict=True)]
    largest = float(np.nanmax(bits))
    most = limit or largest or 1.0
    norm = Normalize(0, most)
    with styled(ax, max(6.0, 2.2 + 0.72 * len(tokens)), 2.9) as ax:
        image = ax.imshow(bits, cmap=SEQUENTIAL, norm=norm, aspect="auto")
        for row, column in np.ndindex(bits.shape):
            number = bits[row, column]
            given = np.isnan(number)
            colour = _QUIET if given else BLACK if norm(number) > 0.55 else "white"
            text = "given" if given else f"{number:.1f}"
            ax.text(column, row, text, ha="center", va="center", color=colour, size=9)
        if chosen is not None:
            ax.add_patch(Rectangle((chosen + 0.5, -0.5), 1, 2, fill=False, edgecolor=VERMILION, linewidth=3, zorder=3))
        turned = 90 if len(tokens) > 16 or max(map(len, labels)) > 10 else 0
        ax.set_xticks(range(len(tokens)), labels, rotation=turned, parse_math=False)
        ax.set_yticks([0, 1], ["forward", "backward"])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        over = "max" if largest > most else "neither"
        ax.figure.colorbar(image, ax=ax, label="surprise (bits)", extend=over)
        star = "; *: not in the vocabulary, so the surprise of all such words together" if any(unknown) else ""
        total = np.nansum(bits, 1)
        ax.set_xlabel(f"token asked for{star}")
        ax.set_title(f"How surprising each token is: in all {total[0]:.1f} bits forward, {total[1]:.1f} backward")
    return ax


def plot_likely_words(
    fills: Sequence[Fill],
    *,
    direction: str = "both",
    word: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The likeliest words at one place of a title, the best on top.

    Args:
        fills: What `Scorer.fill` gives.
        direction: "forward", "backward" or "both", which decides the colour.
        word: The word that really stands there, which is set off where it is among them; None: none.
        title: What is to be seen; None: what this direction knows.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: There is no such direction.
    """
    choice("direction", direction, DIRECTIONS)
    with styled(ax, 4.0, 1.1 + 0.3 * max(len(fills), 1)) as ax:
        places, p = np.arange(len(fills)), np.exp([fill.log_probability for fill in fills])
        bars = ax.barh(places, p, color=_COLOUR[direction], edgecolor=BLACK, linewidth=0)
        ax.bar_label(bars, [share(value) for value in p], padding=3, fontsize=9)
        ax.set_yticks(places, [_short(fill.word) for fill in fills], parse_math=False)
        for fill, bar, label in zip(fills, bars, ax.get_yticklabels(), strict=True):
            if fill.word == word:
                bar.set(linewidth=2)
                label.set(weight="bold")
        ax.set(xlim=(0, 1.3 * max([*p, 1e-9])), ylim=(max(len(fills), 1) - 0.4, -0.6), xlabel="probability", ylabel="")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.3g}")
        ax.locator_params(axis="x", nbins=4)
        ax.set_title(drawable(title or f"{direction}, from {_KNOWS[direction]}"), parse_math=False)
    return ax


def share(p: float) -> str:
    """A probability to two digits, however small: 0.31, 0.0027, 1.4e-05."""
    return f"{p:.2g}"


def _short(word: str) -> str:
    if not any(c.isalnum() for c in word):  # a comma alone is hard to see, and to tell from a full stop
        word = f"“{word}”"
    return drawable(shortened(word, _LONGEST))
