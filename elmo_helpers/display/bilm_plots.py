"""Figures of notebook 03: what a language model reads, what it is to predict, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

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
    figure,
    styled,
)
from elmo_helpers.text.vocabulary import BOS, EOS, PAD, SPECIALS

_QUIET = "#5F5F5F"
_NOTHING = "#BBBBBB"  # what is not there: a missing target, padding
_GAP = 0.7  # places between two windows of a stream
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
    step = max(0.95, 0.1 * longest + 0.3)  # inches from one token to the next
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


def _draw_token(
    ax: Axes, x: float, y: float, text: str, colour: str, fill: str, *, dashed: bool = False, size: float = 10
) -> None:
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
    ax.text(x, y, text, ha="center", va="center", color=_QUIET if dashed else BLACK, size=9 if dashed else size)


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


def plot_triangles(
    pictures: Mapping[str, tuple[ArrayLike, int]], labels: Sequence[str], *, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Show several matrices of influences side by side on one colour scale; what is exactly zero is hatched.

    Args:
        pictures: For each title: (T outputs, T inputs) numbers of at least 0, and where the token that an output is
            asked for stands, counted from its own: 1 for the next one, -1 for the one before. A circle marks it.
        labels: T tokens.
        axes: Where to draw, an axes for each picture; new ones in one figure if None.
    """
    matrices = [np.asarray(matrix, dtype=float) for matrix, _ in pictures.values()]
    limits, names = influence_limits(*matrices), [_short(label) for label in labels]
    axes = figure(len(pictures), 1.4 + 2.9 * len(pictures), 4.1) if axes is None else list(axes)
    circle: dict[str, Any] = {
        "markersize": 6,
        "markerfacecolor": "white",
        "markeredgecolor": BLACK,
        "linestyle": "none",
    }
    with styled(axes[0]):
        for ax, (title, (_, asked)), matrix in zip(axes, pictures.items(), matrices, strict=True):
            image = _draw_influence(ax, matrix, names, limits)
            outputs = [t for t in range(len(matrix)) if 0 <= t + asked < len(matrix)]
            ax.plot([t + asked for t in outputs], outputs, "o", **circle)
            ax.set(xlabel="input position s", aspect="equal")
            ax.set_title(title, loc="left")
        for ax in axes[1:]:
            ax.set_yticklabels([])
        axes[0].set_ylabel("output position t")
        meaning = Line2D([], [], marker="o", label="the token that the output is asked for", **circle)
        axes[0].figure.legend(handles=[meaning], loc="outside lower left", handletextpad=0.2)
        _draw_scale(image, axes, hatched=any((matrix == 0).any() for matrix in matrices))
    return axes


def _draw_influence(
    ax: Axes, matrix: NDArray[np.float64], names: Sequence[str], limits: tuple[float, float]
) -> AxesImage:
    """The matrix on a logarithmic scale of colours, with a name for each row and column."""
    ax.patch.set(facecolor="white", hatch="////", edgecolor="#C8C8C8")
    norm = LogNorm(*limits, clip=True)
    shown = np.ma.masked_equal(matrix, 0)
    image = ax.imshow(shown, cmap=SEQUENTIAL, norm=norm, interpolation="nearest", aspect="auto")
    turned = 90 if max(len(name) for name in names) > 2 else 0
    ax.set_xticks(range(matrix.shape[1]), names[: matrix.shape[1]], rotation=turned)
    ax.set_yticks(range(matrix.shape[0]), names[: matrix.shape[0]])
    return image


def _draw_scale(image: ScalarMappable, axes: Sequence[Axes], *, hatched: bool) -> None:
    """One colour bar for all of `axes`, with ticks that are written out."""
    label = f"{_MEASURE}{' (hatched: exactly 0)' if hatched else ''}"
    low, high = image.get_clim()
    ticks = MaxNLocator(5) if low is None or high is None or high < 10 * low else LogLocator(subs=(1, 2, 5))
    bar = axes[0].figure.colorbar(image, ax=list(axes), label=label, ticks=ticks, format="%g", pad=0.02)
    bar.ax.yaxis.set_minor_locator(NullLocator())


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
                mark = f"{name}\npredicts"
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


def plot_streams(streams: Sequence[Sequence[str]], unroll_steps: int, *, ax: Axes | None = None) -> Axes:
    """Draw how running text is read as streams, side by side, a window of each at a time.

    Args:
        streams: What one direction reads of each stream, token by token; the last one may be shorter.
        unroll_steps: Tokens of a window, at least 1.
        ax: Where to draw; a new figure, as wide as the text needs, if None.
    """
    length, n = max(map(len, streams)), len(streams)
    starts = range(0, length, unroll_steps)
    x = [t + _GAP * (t // unroll_steps) for t in range(length)]
    longest = max(len(_short(token, 8)) for stream in streams for token in stream)
    width = max(0.62, 0.095 * longest + 0.12)  # inches of a token
    with styled(ax, max(7.5, 0.9 + width * (x[-1] + 1)), 1.8 + 0.55 * n) as ax:
        for k, start in enumerate(starts):
            left, right = x[start] - 0.55, x[min(start + unroll_steps, length) - 1] + 0.55
            ax.add_patch(Rectangle((left, -0.5), right - left, n, facecolor="#F2F2F2", edgecolor="none"))
            ax.text((left + right) / 2, -0.6, f"window {k + 1}", ha="center", va="bottom", color=_QUIET)
            arrow = {"arrowstyle": "-|>", "color": VERMILION, "linestyle": "--", "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (left, n - 0.3), (right, n - 0.3), arrowprops=arrow)
        for row, stream in enumerate(streams):
            for t, token in enumerate(stream):
                fill = "#C8C8C8" if token == SPECIALS[BOS] else "white"
                _draw_token(ax, x[t], row, _short(token, 8), BLACK, fill, size=9)
                if t and t % unroll_steps == 0:
                    arrow = {"arrowstyle": "-|>", "color": FORWARD, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
                    ax.annotate("", (x[t] - 0.45, row), (x[t - 1] + 0.45, row), arrowprops=arrow)
        lines = [
            Line2D([], [], color=FORWARD, linewidth=2, label="the state h, c goes on to the next window"),
            Line2D([], [], color=VERMILION, linestyle="--", label="the gradient flows back to where its window begins"),
        ]
        ax.figure.legend(handles=lines, loc="outside lower left", ncols=2)
        ax.set_yticks(range(n), [f"stream {row + 1}" for row in range(n)])
        ax.set_xticks(x, [str(t) for t in range(length)])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(
            xlim=(-0.6, x[-1] + 0.6),
            ylim=(n - 0.15, -1.0),
            xlabel="token of the stream",
            title="Each line is a stream; a window of all of them is one training step",
        )
    return ax
