"""Figures of vectors: how the layers are weighed, and maps of titles and of words in their sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from elmo_helpers.display.style import BLACK, BLUE, COLOURS, styled
from elmo_helpers.errors import ElmoHelpersError

OTHER = "other"  # the name of the group that is drawn in grey, under the others
_GREY = "#BFBFBF"
_MARKERS = "os^DvP*X"
_ORDERED = "viridis"  # of four steps of it, each is told from the next more easily than of cividis


def plot_layer_weights(
    shares: Sequence[float],
    names: Sequence[str],
    *,
    title: str = "How much each layer counts",
    ax: Axes | None = None,
) -> Axes:
    """Draw the share s_l of each layer as a bar, and the equal share as a line.

    Args:
        shares: s_l of each layer, of sum 1.
        names: What to call each layer.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: There is not one name a share.
    """
    if len(shares) != len(names):
        raise ElmoHelpersError(f"names: expected {len(shares)}, one a share, and got {len(names)}.")
    with styled(ax, 4.5, 3.0) as ax:
        ax.bar(names, shares, color=BLUE, width=0.6)
        ax.axhline(1 / len(shares), color=BLACK, linestyle="--", linewidth=1, label="equal shares")
        for place, share in enumerate(shares):  # the line must not cross a number, so it stands at the bar's foot
            fits = share > 0.15 * max(shares)
            foot, colour = (0.0, "white") if fits else (share, BLACK)
            ax.annotate(
                f"{share:.2f}", (place, foot), xytext=(0, 3), textcoords="offset points", ha="center", color=colour
            )
        ax.set(ylabel="share $s_l$ of the mix", ylim=(0, 1.35 * max(shares)), title=title)
        ax.legend(loc="upper right")
    return ax


def plot_groups(
    points: NDArray[np.floating],
    groups: Sequence[str],
    order: Sequence[str],
    *,
    ordered: bool = False,
    title: str = "",
    axis_name: str = "component",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw points on a plane, each group in its colour and marker.

    Args:
        points: (N, 2) float.
        groups: The group of each point; the one named "other" is grey.
        order: The groups in the order of the legend.
        ordered: The groups follow one another, as periods do: colours run from dark to light, and a large mark stands
            at the middle (the mean) of each group.
        title: The figure's title.
        axis_name: What the axes are called, before their numbers 1 and 2.
        legend: Say at the right which group is which; False: another drawing of the same groups does.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: `points` are not (N, 2), or there is not one group a point.
    """
    points, group_of = np.asarray(points), np.asarray(groups, dtype=object)
    if points.ndim != 2 or points.shape[1] != 2 or len(groups) != len(points):
        raise ElmoHelpersError(f"points and groups: expected (N, 2) and N, and got {points.shape} and {len(groups)}.")
    coloured = [name for name in order if name != OTHER]
    if ordered:
        palette = [plt.get_cmap(_ORDERED)(x) for x in np.linspace(0.0, 0.93, max(len(coloured), 1))]
    else:
        palette = [COLOURS[i % 6] for i in range(len(coloured))]
    with styled(ax, 6.5, 4.8) as ax:
        for name in sorted(order, key=lambda name: name != OTHER):  # grey first, under the rest
            i = coloured.index(name) if name in coloured else 0
            style: dict[str, Any] = (
                {"color": _GREY, "marker": "o"} if name == OTHER else {"color": palette[i], "marker": _MARKERS[i % 8]}
            )
            x, y = points[group_of == name].T
            ax.scatter(x, y, s=14, alpha=0.6 if ordered else 0.85, linewidths=0, label=name, **style)
            if ordered and len(x):
                ax.scatter(x.mean(), y.mean(), s=170, edgecolors="white", linewidths=1.5, zorder=3, **style)
        ax.set(xticks=[], yticks=[], xlabel=f"{axis_name} 1", ylabel=f"{axis_name} 2", title=title)
        if legend:
            handles = {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
            named = ax.legend(
                [handles[name] for name in order], order, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.8
            )
            for handle in filter(None, named.legend_handles):
                handle.set_alpha(1)
    return ax


def plot_accuracies(
    accuracies: Mapping[str, float],
    chance: float,
    *,
    bounds: Mapping[str, Sequence[float]] | None = None,
    title: str = "What a linear classifier reads from the layers",
    ax: Axes | None = None,
) -> Axes:
    """Draw the accuracy of each way to use the layers, and that of always naming the commonest class.

    Args:
        accuracies: Name of a way to its share of right answers; the number stands at the right.
        chance: The share of right answers of the commonest class.
        bounds: Name of a way to the lowest and the highest share that it may have, drawn as a pale bar; None: no bars.
        title: The figure's title.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: `bounds` has not two numbers for each way.
    """
    names, values = list(accuracies), np.array(list(accuracies.values()))
    if bounds is not None and any(len(bounds.get(name, ())) != 2 for name in names):
        raise ElmoHelpersError(f"bounds: expected a lowest and a highest share of each of {names}, and got {bounds}.")
    with styled(ax, 7.5, 1.3 + 0.34 * len(names)) as ax:
        places = np.arange(len(names))[::-1]
        ends = np.array([bounds[name] for name in names]) if bounds else np.stack([values, values], 1)
        low, high = min(chance, ends.min()), max(chance, ends.max())
        around = 0.06 * (high - low) or 0.05
        ax.hlines(places, low - around, high + around, color="#E6E6E6", linewidth=1, zorder=0)
        ax.axvline(chance, color=BLACK, linestyle="--", linewidth=1, label=f"always the commonest: {chance:.1%}")
        if bounds:
            ax.hlines(places, *ends.T, color=BLUE, alpha=0.3, linewidth=7, label="95 % bounds")
        ax.plot(values, places, "o", color=BLUE)
        for place, value in zip(places, values, strict=True):
            ax.annotate(f"{value:.1%}", (1.02, place), xycoords=("axes fraction", "data"), va="center")
        ax.set_yticks(places, names)
        ax.set(xlim=(low - around, high + around), ylim=(-0.6, len(names) - 0.4))
        ax.set(xlabel="share of titles put in the right class", title=title)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.55 / len(names) - 0.1), ncols=2)
    return ax
