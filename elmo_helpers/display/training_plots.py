"""Figures of a training run: the first steps, the loss of the steps, the perplexity of every evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.markers import CARETLEFT, CARETRIGHT
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from elmo_helpers.display.style import (
    BACKWARD,
    BLACK,
    BLUE,
    FORWARD,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    styled,
)

_RUN_COLOURS = (BLUE, ORANGE, SKY, GREEN, BLACK)  # with seven markers, 35 runs look different
_REFERENCE_COLOURS = (VERMILION, PURPLE, GREEN)
_REFERENCE_DASHES = ("--", ":", "-.")
_WINDOWS = 40  # the smoothed line averages over a run's steps divided by this, and over five at least


def plot_first_steps(
    gaps: Mapping[str, Sequence[float]],
    *,
    title: str = "A few steps change little; the start counts for more",
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of the first steps of several runs, as nats above or below knowing nothing.

    Args:
        gaps: Name of a run to loss - log V at each of its steps.
        title: The figure's title.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 7.0, 3.2) as ax:
        for (name, values), marker in zip(gaps.items(), cycle("osD^v"), strict=False):
            ax.plot(range(1, len(values) + 1), values, marker=marker, label=name)
        ax.axhline(0, color=BLACK, linewidth=1, linestyle="--", label="knowing nothing: log V")
        ax.set(
            xlabel="step of training",
            ylabel="loss - log V\n(nats per prediction)",
            title=title,
        )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.margins(y=0.12)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return ax


def plot_training_loss(steps: pd.DataFrame, *, sampled: bool = False, ax: Axes | None = None) -> Axes:
    """Draw the loss of every row of steps lightly, and its running mean strongly.

    No other model's loss belongs on these axes: this one is measured on training titles, with any dropout.

    Args:
        steps: A row for every few steps, with the columns step and loss (their mean, in nats per prediction), as
            `TrainingResult.steps`.
        sampled: The loss is that of a sampled softmax.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 7.0, 3.4) as ax:
        window = max(5, len(steps) // _WINDOWS)
        smooth = steps["loss"].rolling(window, center=True, min_periods=1).mean()
        every = _steps_of_a_row(steps)
        each = "each step" if every == 1 else f"mean of {every:,} steps"
        ax.plot(steps["step"], steps["loss"], color=FORWARD, alpha=0.25, linewidth=0.8, label=each)
        label = f"running mean over {window * every:,} steps"
        ax.plot(steps["step"], smooth, color=FORWARD, linewidth=2, label=label)
        ax.set(
            xlabel="step of training (batches)",
            ylabel=f"{'sampled ' if sampled else ''}loss\n(nats per prediction)",
            title="Loss on the training titles",
        )
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.legend(loc="upper right")
    return ax


def plot_validation(history: pd.DataFrame, references: Mapping[str, float], *, ax: Axes | None = None) -> Axes:
    """Draw the validation perplexity of each evaluation in both directions and their mean, beside other models'.

    Args:
        history: A row an evaluation, with the columns epoch (passes over the titles, which may have a fraction),
            forward, backward and perplexity, as `TrainingResult.history`; it may have no row yet.
        references: Name of a model to its perplexity on the same titles.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 7.0, 3.6) as ax:
        history = history.astype(dict.fromkeys(("epoch", "forward", "backward", "perplexity"), float))
        marked = max(1, len(history) // 15)
        for column, label, colour, marker in (  # both directions may be as good: an arrowhead for each, side by side
            ("forward", "biLM forward", FORWARD, CARETRIGHT),
            ("backward", "biLM backward", BACKWARD, CARETLEFT),
        ):
            ax.plot(
                history["epoch"],
                history[column],
                label=label,
                color=colour,
                linestyle="none",
                marker=marker,
                markersize=9,
                markevery=marked,
            )
        ax.plot(history["epoch"], history["perplexity"], label="biLM, mean of both", color=BLACK, zorder=1.5)
        _references(ax, references)
        ax.set(
            xlabel="epoch (passes over the training titles)",
            ylabel="perplexity on validation titles\n(exact; log scale)",
            title="Perplexity on the validation titles; lower is better",
            xlim=(0, 1.06 * history["epoch"].max() if len(history) else 1),
        )
        _log_scale(ax, [*history[["forward", "backward", "perplexity"]].to_numpy().ravel(), *references.values()])
        if 0 < len(history) <= 12 and (history["epoch"] % 1 == 0).all():
            ax.set_xticks(history["epoch"])
        else:
            ax.xaxis.set_major_locator(MaxNLocator(nbins=8))
        if history.empty:
            ax.text(0.5, 0.5, "not measured yet", transform=ax.transAxes, ha="center", va="center")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_runs(
    runs: Mapping[str, pd.DataFrame],
    references: Mapping[str, float] | None = None,
    *,
    title: str = "Runs beside each other; lower is better",
    ax: Axes | None = None,
) -> Axes:
    """Draw the validation perplexity of several runs over the tokens that each has read.

    Tokens, since runs with other batches or another way to read have other steps and epochs.

    Args:
        runs: Name of a run to its evaluations, with the columns tokens and perplexity, as `TrainingResult.history`; a
            run may have no row yet, or no perplexity, and is then in the legend alone.
        references: Name of a model to its perplexity on the same titles.
        title: The figure's title.
        ax: Where to draw; a new figure if None.
    """
    references = references or {}
    with styled(ax, 8.5, 3.8) as ax:
        shown = list(references.values())
        looks = zip(cycle(_RUN_COLOURS), cycle("osD^vPX"), strict=False)
        for (name, history), (colour, marker) in zip(runs.items(), looks, strict=False):
            history = history.reindex(columns=["tokens", "perplexity"]).astype(float)
            marked = max(1, len(history) // 15)
            ax.plot(
                history["tokens"],
                history["perplexity"],
                color=colour,
                marker=marker,
                markevery=marked,
                label=name,
            )
            shown += history["perplexity"].tolist()
        if not any(len(history.reindex(columns=["perplexity"]).dropna()) for history in runs.values()):
            ax.text(0.5, 0.5, "not measured yet", transform=ax.transAxes, ha="center", va="center")
        _references(ax, references)
        ax.set(
            xlabel="tokens read (words and boundaries)",
            ylabel="perplexity on validation titles\n(exact, mean of both directions; log scale)",
            title=title,
        )
        ax.set_xlim(left=0)
        _log_scale(ax, shown)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        if runs or references:
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_gradient_cosines(cosines: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how near the mean gradient of several draws of a sampled softmax is to the exact one.

    Args:
        cosines: A row for each number of draws (the index), a column for each number of words in a draw.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 7.5, 3.4) as ax:
        for n_words, marker in zip(cosines.columns, cycle("osD^v"), strict=False):
            ax.plot(cosines.index, cosines[n_words], marker=marker, label=f"{n_words:,} words in a draw")
        ax.axhline(1, color=BLACK, linewidth=1, linestyle="--", label="the exact gradient")
        ax.set(
            xlabel="draws that the mean is taken over (log scale)",
            ylabel="cosine to the exact gradient",
            title="More draws, or more words in each: nearer to the exact gradient",
            xscale="log",
        )
        ax.set_xticks(cosines.index, [f"{draws:,}" for draws in cosines.index])
        ax.minorticks_off()
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _steps_of_a_row(steps: pd.DataFrame) -> int:
    """How many steps a row stands for; the last one may stand for fewer."""
    if steps.empty:
        return 1
    return int(steps["step"].diff().max() if len(steps) > 2 else steps["step"].iloc[0])


def _references(ax: Axes, values: Mapping[str, float]) -> None:
    for i, (name, value) in enumerate(values.items()):
        colour, dashes = _REFERENCE_COLOURS[i % 3], _REFERENCE_DASHES[i % 3]
        ax.axhline(value, linewidth=1.5, label=name, color=colour, linestyle=dashes)


def _log_scale(ax: Axes, values: Sequence[float]) -> None:
    """A log scale of perplexities, from a round number below those that are finite to one above them."""
    known = np.asarray(values, dtype=np.float64)
    ticks = _round_numbers(known[np.isfinite(known)])
    ax.set_yscale("log")
    ax.set_yticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    ax.minorticks_off()
    if ticks:
        ax.set_ylim(ticks[0] / 1.02, ticks[-1] * 1.02)


def _round_numbers(values: NDArray[np.float64]) -> list[float]:
    """Round numbers that enclose `values`, as few of them as a log scale can be read by: 100, 200, 500, 1,000, ..."""
    if not len(values):
        return []
    low, high = max(float(values.min()), 1.0), max(float(values.max()), 1.0)
    powers = range(int(np.log10(low)), int(np.log10(high)) + 2)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        marks = np.array([step * 10.0**power for power in powers for step in steps])
        first, last = np.searchsorted(marks, low, "right") - 1, np.searchsorted(marks, high)
        if last - first >= 4:
            return [float(mark) for mark in marks[max(first, 0) : last + 1]]
    if high < 1.05 * low:  # nearly one number
        low, high = low / 1.05, high * 1.05
    return [float(mark) for mark in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if mark > 0]
