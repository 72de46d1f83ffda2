"""Figures of notebook 03: what a language model reads, what it is to predict, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from elmo_helpers.display.style import (
    BACKWARD,
    BLACK,
    BLUE,
    DIVERGING,
    FORWARD,
    GREEN,
    PURPLE,
    SEQUENTIAL,
    VERMILION,
    styled,
)
from elmo_helpers.text.vocabulary import BOS, EOS, PAD

_QUIET = "#5F5F5F"
_NOTHING = "#BBBBBB"  # what is not there: a missing target, padding
_MEASURE = r"$\|\partial h_t\,/\,\partial x_s\|$"
_LINES = ("-", "--", "-.", (0, (1, 1)))  # beside the colours, for print in black and white


def _short(word: str, longest: int = 14) -> str:
    """The word, cut so that it fits beside others."""
    return word if len(word) <= longest else f"{word[: longest - 1]}…"


def plot_targets(tokens: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Draw a title with what each direction is to predict at each position.

    Args:
        tokens: T tokens of one title, with both boundaries.
        ax: Where to draw; a new figure, as wide as the title needs, if None.
    """
    tokens = [_short(token) for token in tokens]
    n, longest = len(tokens), max(len(token) for token in tokens)
    step = max(1.15, 0.1 * longest + 0.35)  # inches from one token to the next
    with styled(ax, 1.3 + step * n, 2.9) as ax:
        for t, token in enumerate(tokens):
            _draw_token(ax, t, 0, token, BLACK, "white")
            for level, neighbour, colour in ((1, t + 1, FORWARD), (-1, t - 1, BACKWARD)):
                if 0 <= neighbour < n:
                    _draw_token(ax, t, level, tokens[neighbour], colour, f"{colour}22")
                    arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
                    ax.annotate("", (t, 0.7 * level), (t, 0.3 * level), arrowprops=arrow)
                else:
                    _draw_token(ax, t, level, "nothing", _NOTHING, "white", dashed=True)
        ax.set_xticks(range(n), [f"{t}" for t in range(n)])
        ax.set_yticks([1, 0, -1], ["forward predicts", "stands there", "backward predicts"])
        for label, colour in zip(ax.get_yticklabels(), (FORWARD, BLACK, BACKWARD), strict=True):
            label.set_color(colour if colour != BACKWARD else "#8A5F00")  # orange is too pale for letters
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(
            xlim=(-0.5, n - 0.5),
            ylim=(-1.35, 1.35),
            xlabel="position t",
            title="Each direction is asked for the neighbour that it has not read yet",
        )
    return ax


def _draw_token(ax: Axes, x: float, y: float, text: str, colour: str, fill: str, *, dashed: bool = False) -> None:
    box = FancyBboxPatch(
        (x - 0.43, y - 0.26),
        0.86,
        0.52,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=fill,
        edgecolor=colour,
        linestyle=":" if dashed else "-",
    )
    ax.add_patch(box)
    ax.text(x, y, text, ha="center", va="center", color=_QUIET if dashed else BLACK, size=9 if dashed else 10)


def plot_cell(values: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Show what is in one LSTM cell while it reads, as numbers on colours.

    Args:
        values: A row for each quantity (a gate, the cell, the output), a column for each token read, from -1 to 1 or
            beyond.
        ax: Where to draw; a new figure if None.
    """
    numbers = values.to_numpy(dtype=float)
    largest = max(1.0, float(np.abs(numbers).max(initial=0)))
    with styled(ax, 2.6 + 0.75 * numbers.shape[1], 0.9 + 0.38 * numbers.shape[0]) as ax:
        image = ax.imshow(numbers, cmap=DIVERGING, vmin=-largest, vmax=largest, aspect="auto")
        for row, column in np.ndindex(numbers.shape):
            number = numbers[row, column]
            colour = "white" if abs(number) > 0.6 * largest else BLACK
            ax.text(column, row, f"{number:.2f}", ha="center", va="center", color=colour, size=9)
        ax.set_xticks(range(numbers.shape[1]), [str(token) for token in values.columns])
        ax.set_yticks(range(numbers.shape[0]), [str(name) for name in values.index])
        ax.tick_params(length=0)
        ax.figure.colorbar(image, ax=ax, label="value")
        ax.set(xlabel="token read", title="Inside one cell: the gates decide what c keeps and what h shows")
    return ax


def plot_influence(
    matrix: ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    title: str = "How strongly each output depends on each input",
    xlabel: str = "input position s",
    ylabel: str = "output position t",
    measure: str = _MEASURE,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show a matrix of influences on a logarithmic colour scale; what is exactly zero is hatched.

    Args:
        matrix: (n outputs, n inputs) numbers of at least 0.
        labels: A name for each row and column; None: their numbers.
        title, xlabel, ylabel, measure: What is shown; `measure` names the number behind a colour.
        limits: The lowest and highest number of the colour scale; None: those of the matrix, zeros left out.
        ax: Where to draw; a new figure if None.
    """
    matrix = np.asarray(matrix, dtype=float)
    low, high = limits or influence_limits(matrix)
    with styled(ax, 5.2, 4.4) as ax:
        ax.patch.set(facecolor="white", hatch="////", edgecolor="#C8C8C8")
        shown = np.ma.masked_equal(matrix, 0)
        image = ax.imshow(
            shown, cmap=SEQUENTIAL, norm=LogNorm(low, high, clip=True), interpolation="nearest", aspect="auto"
        )
        names = [str(i) for i in range(max(matrix.shape))] if labels is None else [_short(label) for label in labels]
        turned = 90 if max(len(name) for name in names) > 2 else 0
        ax.set_xticks(range(matrix.shape[1]), names[: matrix.shape[1]], rotation=turned)
        ax.set_yticks(range(matrix.shape[0]), names[: matrix.shape[0]])
        hatched = " (hatched: exactly 0)" if (matrix == 0).any() else ""
        ax.figure.colorbar(image, ax=ax, label=measure + hatched)
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


def influence_limits(*matrices: ArrayLike) -> tuple[float, float]:
    """The lowest number above 0 and the highest one of some matrices, for a colour scale that they share."""
    numbers = np.concatenate([np.asarray(matrix, dtype=float).ravel() for matrix in matrices])
    numbers = numbers[numbers > 0]
    if not len(numbers):
        return 0.1, 1.0
    low, high = float(numbers.min()), float(numbers.max())
    return (low, high) if low < high else (low / 2, high * 2)


def plot_reads(
    tokens: Sequence[str], forward: ArrayLike, backward: ArrayLike, position: int, *, ax: Axes | None = None
) -> Axes:
    """Show at one position how much each direction's output depends on each token, and what it is to predict.

    Args:
        tokens: T tokens of one title, with both boundaries.
        forward, backward: (T,) numbers of at least 0: how much the output at `position` depends on each token.
        position: t, from 0 to T - 1.
        ax: Where to draw; a new figure if None.
    """
    n = len(tokens)
    heights = [np.asarray(values, dtype=float) for values in (forward, backward)]
    high = influence_limits(*heights)[1]
    with styled(ax, max(6.5, 1.5 + 0.75 * n), 3.4) as ax:
        ax.axvspan(position - 0.5, position + 0.5, color="#EEEEEE", zorder=0)
        for values, colour, side, name, target in (
            (heights[0], FORWARD, -0.19, "forward", position + 1),
            (heights[1], BACKWARD, 0.19, "backward", position - 1),
        ):
            ax.bar(np.arange(n) + side, values, 0.36, color=colour, label=f"{name} output at t")
            if 0 <= target < n:
                mark = f"{name}\npredicts this"
                ax.text(target, 0.98, mark, transform=ax.get_xaxis_transform(), ha="center", va="top", size=9)
        names = [_short(token) for token in tokens]
        ax.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 8 or n > 12 else 0)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        ax.set(
            xlim=(-0.5, n - 0.5),
            ylim=(0, 1.3 * high),
            xlabel=f"input token (shaded: position t = {position})",
            ylabel=_MEASURE,
            title="Neither direction reads the token that it is to predict",
        )
    return ax


def plot_loss_curves(
    curves: Mapping[str, ArrayLike],
    floor: float,
    floor_label: str = "entropy: the best without seeing the answer",
    *,
    smooth: int = 5,
    ax: Axes | None = None,
) -> Axes:
    """Show losses over training steps beside the lowest loss that an honest model can reach.

    Args:
        curves: A name and (steps,) losses in nats per prediction for each model.
        floor: Nats per prediction.
        floor_label: What the floor is.
        smooth: How many neighbouring steps are averaged; 1: none.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 7.5, 3.8) as ax:
        for (name, losses), colour, line in zip(curves.items(), (BLUE, VERMILION, PURPLE, GREEN), _LINES, strict=False):
            losses = np.asarray(losses, dtype=float)
            width = max(1, min(smooth, len(losses)))
            averaged = np.convolve(losses, np.full(width, 1 / width), mode="valid")
            ax.plot(np.arange(width, len(losses) + 1), averaged, line, color=colour, linewidth=1.8, label=name)
        ax.axhline(floor, color=BLACK, linewidth=1, linestyle=":")
        ax.annotate(
            floor_label, (1, floor), (-2, -4), ("axes fraction", "data"), "offset points", ha="right", va="top", size=9
        )
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        ax.set(
            xlabel="training step",
            ylabel="loss (nats per prediction)",
            title="On random words only a model that sees the answer falls below the line",
        )
    return ax


def plot_initial_loss(sizes: Sequence[int], losses: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Show the losses of fresh models beside log V.

    Args:
        sizes: V of each model, at least 2.
        losses: (models,) nats per prediction.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 6.5, 3.4) as ax:
        line = np.geomspace(min(sizes), max(sizes), 100)
        ax.plot(line, np.log(line), color=BLACK, linewidth=1, label="log V")
        ax.plot(sizes, np.asarray(losses, dtype=float), "o", color=BLUE, label="fresh model")
        ax.set_xscale("log")
        ax.legend(loc="upper left")
        ax.set(
            xlabel="words of the vocabulary, V",
            ylabel="loss (nats per prediction)",
            title="A model that knows nothing yet starts at log V",
        )
    return ax


def plot_word_probabilities(wanted: ArrayLike, fitted: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Show the probabilities that models give to words, beside the shares that the words really have.

    Args:
        wanted: (V,) shares of the words, by falling share.
        fitted: A name and (V,) probabilities of the same words for each model.
        ax: Where to draw; a new figure if None.
    """
    wanted = np.asarray(wanted, dtype=float)
    ranks = np.arange(1, len(wanted) + 1)
    with styled(ax, 7.5, 3.8) as ax:
        for (name, p), colour, marker in zip(fitted.items(), (BLUE, VERMILION, PURPLE), "o^s", strict=False):
            ax.plot(ranks, np.asarray(p, dtype=float), marker, color=colour, markersize=4, alpha=0.6, label=name)
        ax.plot(ranks, wanted, color=BLACK, linewidth=1.5, label="share in the text")
        ax.set(xscale="log", yscale="log")
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        ax.set(
            xlabel="rank of the word, by frequency",
            ylabel="probability",
            title="Behind a ReLU many words are stuck at one and the same probability",
        )
    return ax


def plot_padding(ids: ArrayLike, *, title: str = "Words and padding of a batch", ax: Axes | None = None) -> Axes:
    """Show which positions of a batch are words, boundaries and padding.

    Args:
        ids: (B, T) int vocabulary ids.
        title: What is to be seen.
        ax: Where to draw; a new figure if None.
    """
    ids = np.asarray(ids)
    kinds = np.select([ids == PAD, (ids == BOS) | (ids == EOS)], [0, 2], 1)
    colours = {"padding": "#DDDDDD", "word": BLUE, "boundary": BLACK}
    with styled(ax, 5.5, 4.0) as ax:
        norm = BoundaryNorm([-0.5, 0.5, 1.5, 2.5], 3)
        ax.imshow(kinds, cmap=ListedColormap(list(colours.values())), norm=norm, aspect="auto", interpolation="nearest")
        patches = [Patch(color=colour, label=name) for name, colour in colours.items()]
        ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="position t", ylabel="title in the batch", title=title)
    return ax
