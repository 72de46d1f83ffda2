"""Figures of what layers know: right answers by layer, scores over the number of labels, four ways to read a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from elmo_helpers.display.style import BLACK, BLUE, COLOURS, GREEN, ORANGE, PURPLE, figure, styled
from elmo_helpers.errors import ElmoHelpersError

_GREY = "#7F7F7F"
_MARKERS = "osD^v"
_GREY_MARKERS = {"s": "■", "^": "▲", "D": "◆", "v": "▼", "X": "✖", "P": "✚"}  # each with its sign in text


def plot_by_layer(
    groups: Mapping[str, Mapping[str, float]],
    *,
    chance: float | None = None,
    xlabel: str = "right answers",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of right answers of each way to read a word, a colour and a mark for each group of tasks.

    Args:
        groups: By name, the share of right answers, 0 to 1, of each way; all of the same ways, from top to bottom.
        chance: Right answers of a guess; None: no line.
        xlabel: What the shares are of.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: The groups have different ways.
    """
    ways = list(next(iter(groups.values()), {}))
    for name, shares in groups.items():
        if list(shares) != ways:
            raise ElmoHelpersError(f"groups: {name} has {list(shares)}, and the first one {ways}: expected the same.")
    with styled(ax, 7.0, 0.9 + 0.42 * len(ways)) as ax:
        places = np.arange(len(ways))[::-1]
        ax.hlines(places, 0, 1, color="#E6E6E6", linewidth=1, zorder=0)
        for i, (name, shares) in enumerate(groups.items()):
            form = _MARKERS[i % len(_MARKERS)]
            ax.plot(list(shares.values()), places, form, color=COLOURS[i % len(_MARKERS)], markersize=8, label=name)
        if chance is not None:
            ax.axvline(chance, color=BLACK, linestyle="--", linewidth=1, label=f"a guess: {chance:.0%}")
        low = min((value for shares in groups.values() for value in shares.values()), default=0.0)
        ax.set_yticks(places, ways)
        ax.set(xlim=(min(low, chance or low) - 0.04, 1.0), ylim=(-0.6, len(ways) - 0.4), xlabel=xlabel, title=title)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.28), ncols=3)
    return ax


def plot_curves(
    labels: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    *,
    highlighted: Sequence[str] = (),
    ylabel: str = "F1",
    xlabel: str = "labelled titles",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a score over the number of labels, a line for each way, named at its end.

    Args:
        labels: Numbers of labels, rising.
        curves: By name, the score at each number.
        highlighted: Names of lines that are drawn thick and in colour; the others are grey, each with its own mark.
            None of them: all.
        ylabel: What the score is.
        xlabel: What is labelled.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: A line has not one score a number.
    """
    for name, scores in curves.items():
        if len(scores) != len(labels):
            raise ElmoHelpersError(f"curves: {name} has {len(scores)} scores: expected {len(labels)}, one a number.")
    with styled(ax, 8.0, 4.4) as ax:
        colours, marks = cycle(COLOURS[:5]), cycle(_GREY_MARKERS.items())
        ends = _apart([scores[-1] for scores in curves.values()], 0.055 * _span(curves))
        for (name, scores), end in zip(curves.items(), ends, strict=True):
            is_main = not highlighted or name in highlighted
            colour = next(colours) if is_main else _GREY
            mark, sign = ("o", "") if is_main else next(marks)
            ax.plot(
                labels,
                scores,
                color=colour,
                linewidth=2.4 if is_main else 1.2,
                marker=mark,
                markersize=4 if is_main else 5,
                zorder=is_main,
            )
            ax.annotate(
                f"{sign} {name}".strip(),
                (labels[-1], scores[-1]),
                xytext=(1.06, end),
                textcoords=ax.get_yaxis_transform(),  # x in widths of the axes
                va="center",
                color=colour,
                annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4},
            )
        ax.set_xscale("log")
        ax.set_xticks(labels, [f"{n:,}" for n in labels])
        ax.minorticks_off()
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


def _span(curves: Mapping[str, Sequence[float]]) -> float:
    scores = [score for of_way in curves.values() for score in of_way]
    return max(scores) - min(scores) if scores else 0.0


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights for names, near those given, in their order, and at least `gap` apart."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, dtype=float)
    for lower, upper in pairwise(order):
        placed[upper] = max(placed[upper], placed[lower] + gap)
    return (placed - (placed.mean() - np.mean(heights))).tolist() if len(placed) else []


def plot_shares_over_labels(
    labels: Sequence[int],
    shares: Sequence[Sequence[float]],
    *,
    title: str = "How much each layer counts, by what the tagger has seen",
    ax: Axes | None = None,
) -> Axes:
    """Draw the shares s_l of a learned mix, stacked to 1, for each number of labelled titles.

    Args:
        labels: Numbers of labelled titles.
        shares: For each, s_l of each layer, layer 0 first.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: There is not one row of shares a number.
    """
    if len(shares) != len(labels):
        raise ElmoHelpersError(f"shares: expected {len(labels)} rows, one a number of labels, and got {len(shares)}.")
    with styled(ax, 6.5, 3.2) as ax:
        table, places, below = np.array(shares), np.arange(len(labels)), np.zeros(len(labels))
        for layer, (row, colour) in enumerate(zip(table.T, (GREEN, BLUE, ORANGE, PURPLE), strict=False)):
            bars = ax.bar(places, row, bottom=below, color=colour, width=0.65, label=f"layer {layer}")
            ax.bar_label(bars, [f"{x:.2f}" if x >= 0.07 else "" for x in row], label_type="center", color="white")
            below += row
        ax.set_xticks(places, [f"{n:,}" for n in labels])
        ax.set(xlabel="labelled titles", ylabel="share $s_l$", ylim=(0, 1), title=title)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
    return ax


def plot_readers(words: Sequence[str] = ("the", "river", "bank", "was", "steep"), place: int = 2) -> list[Axes]:
    """Draw which words the vector of one word is made from: word2vec, ELMo, BERT and GPT, side by side.

    Args:
        words: A short title.
        place: Of the word whose vector is asked for.
    """
    readers = {
        "word2vec: the word alone,\none vector for all its uses": ([], []),
        "ELMo: both sides, each read\nby an LSTM of its own": ([*range(place)], [*range(place + 1, len(words))]),
        "BERT: both sides at once,\nin every layer (attention)": ([i for i in range(len(words)) if i != place], []),
        "GPT: what stands before,\nin every layer (attention)": ([*range(place)], []),
    }
    axes = figure(4, width=13.0, height=2.6)
    for ax, (name, (before, after)) in zip(axes, readers.items(), strict=True):
        for i, word in enumerate(words):
            is_read = i == place or i in before or i in after
            ax.text(i, 0, word, ha="center", va="center", color=BLACK if is_read else "#B5B5B5", fontsize=9)
        box = FancyBboxPatch((place - 0.42, 1.5), 0.84, 0.34, boxstyle="round,pad=0.02", color=PURPLE, alpha=0.9)
        ax.add_patch(box)
        ax.text(place, 1.67, "vector", ha="center", va="center", color="white", fontsize=9)
        if name.startswith("ELMo"):
            _chain(ax, [*before, place], BLUE)
            _chain(ax, [*reversed(after), place], ORANGE)
        else:
            for i in [*before, place]:
                _arrow(ax, (i, 0.2), (place, 1.46), GREEN if i != place else PURPLE)
        ax.set(xlim=(-0.7, len(words) - 0.3), ylim=(-0.3, 2.0))
        ax.set_title(name, fontsize=10)
        ax.axis("off")
    return axes


def _chain(ax: Axes, places: Sequence[int], colour: str) -> None:
    """An LSTM that reads words one after another, up to the last of `places`, and gives its state to the vector."""
    height, aside = (0.75, -0.1) if colour == BLUE else (1.05, 0.1)  # beside the other one, where both read a word
    at = [i + (aside if i == places[-1] else 0) for i in places]
    for x in at:
        _arrow(ax, (x, 0.2), (x, height - 0.1), colour)
        ax.plot(x, height, "s", color=colour, markersize=9)
    for x, y in pairwise(at):
        step = np.sign(y - x)
        _arrow(ax, (x + 0.16 * step, height), (y - 0.16 * step, height), colour)
    _arrow(ax, (at[-1], height + 0.1), (at[-1], 1.46), colour)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.2))
