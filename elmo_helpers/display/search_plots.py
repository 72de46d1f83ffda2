"""Figures of what a search finds: a word's contexts on a map, and when the titles nearest to one were written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from elmo_helpers.checks import whole_number
from elmo_helpers.display.encoding_plots import plot_groups
from elmo_helpers.display.style import BLACK, BLUE, styled
from elmo_helpers.errors import ElmoHelpersError


def plot_contexts(
    points: NDArray[np.floating],
    clusters: NDArray[np.integer],
    names: Sequence[str],
    *,
    chosen: int | None = None,
    nearest: Sequence[int] = (),
    extent: float | None = None,
    title: str = "Occurrences by context",
    ax: Axes | None = None,
) -> Axes:
    """Draw a word's occurrences on a plane, one colour and marker a cluster.

    Args:
        points: (n, 2) float, the first two principal components. Both axes have the same scale, so distances may be
            compared in all directions.
        clusters: The number of each point's cluster, from 0.
        names: What to call each cluster, each by another name.
        chosen: A point to mark with a large ring; None: none.
        nearest: Points to mark with small rings, its neighbours.
        extent: Where both axes end on both sides; None: at the outermost point.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: There is not one cluster a point, or no name for a cluster.
    """
    points, clusters = np.asarray(points), np.asarray(clusters)
    names = [drawable(name) for name in names]
    if len(set(names)) != len(names) or (clusters.size and not 0 <= clusters.min() <= clusters.max() < len(names)):
        raise ElmoHelpersError("names: expected one a cluster, each another.")
    with styled(ax, 8.6, 4.6) as ax:
        plot_groups(points, [names[i] for i in clusters], names, title=drawable(title), ax=ax)
        rings: dict[str, Any] = {"facecolors": "none", "edgecolors": BLACK, "zorder": 4}
        if len(nearest):
            x, y = points[list(nearest)].T
            ax.scatter(x, y, s=55, linewidths=1.2, label="its nearest", **rings)
        if chosen is not None:
            x, y = points[chosen]
            ax.scatter(x, y, s=170, linewidths=2.0, label="the occurrence", **rings)
        handles, labels = ax.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        order = [name for name in [*names, "the occurrence", "its nearest"] if name in by_label]
        legend = ax.legend(
            [by_label[name] for name in order], order, loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=1.3
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        extent = extent or 1.08 * float(np.abs(points).max(initial=0)) or 1.0
        ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", anchor="W")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(5))
    return ax


def plot_dates_of_nearest(
    nearest: NDArray[np.datetime64],
    all_dates: NDArray[np.datetime64],
    *,
    n_bins: int = 24,
    title: str = "When the nearest titles were written",
    ax: Axes | None = None,
) -> Axes:
    """Draw how the titles that a search found spread over time, against all titles that were searched.

    Titles without a date are left out of the bars, and counted in the legend.

    Args:
        nearest: The dates of what was found, datetime64 with NaT for none.
        all_dates: The dates of all titles searched.
        n_bins: Periods of the same length from the first date of all titles to the last.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: `n_bins` is not a whole number of at least 1.
    """
    n_bins = whole_number("n_bins", n_bins, 1)
    nearest, all_dates = (np.asarray(dates, dtype="datetime64[D]") for dates in (nearest, all_dates))
    dated, all_dated = nearest[~np.isnat(nearest)], all_dates[~np.isnat(all_dates)]
    with styled(ax, 8.0, 2.8) as ax:
        ax.set_title(drawable(title))
        if not len(all_dated):
            ax.set(xticks=[], yticks=[])
            ax.text(0.5, 0.5, "No title has a date.", ha="center", va="center", transform=ax.transAxes)
            return ax
        days = [dates.astype(np.int64) for dates in (dated, all_dated)]
        edges = np.linspace(days[1].min(), days[1].max() + 1, n_bins + 1)  # a day ends when the next one begins
        found, expected = (np.histogram(d, edges)[0] / max(len(d), 1) for d in days)
        label = f"the {len(nearest):,} nearest" + _undated(len(nearest) - len(dated))
        ax.bar(edges[:-1], found, np.diff(edges), align="edge", color=BLUE, alpha=0.75, edgecolor="white", label=label)
        label = f"all {len(all_dates):,} titles" + _undated(len(all_dates) - len(all_dated))
        ax.stairs(expected, edges, color=BLACK, linewidth=1.5, label=label)
        ax.xaxis_date()
        locator = mdates.AutoDateLocator(minticks=3, maxticks=9)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set(xlim=(edges[0], edges[-1]), ylim=(0, None), xlabel="date", ylabel="share of the titles")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def drawable(text: str) -> str:
    """`text` with a box in the place of what the font of the figures has no shape for, such as an emoji."""
    return "".join(c if ord(c) in _shapes() else "\N{WHITE SQUARE}" for c in text)


@cache
def _shapes() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def _undated(n: int) -> str:
    return f" ({n:,} without a date)" if n else ""
