"""One look for every figure: legible in print and to the colour-blind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
from matplotlib import RcParams
from matplotlib.axes import Axes
from matplotlib.rcsetup import cycler

# Okabe & Ito (2008): eight colours that people with any colour vision tell apart.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, BLACK = COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
FORWARD, BACKWARD = BLUE, ORANGE  # the two directions look the same in every figure
SEQUENTIAL = "cividis"  # values from low to high
DIVERGING = "PuOr"  # values on both sides of zero

_RC = RcParams(
    {
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.prop_cycle": cycler(color=COLOURS[:5]),
        "legend.frameon": False,
    }
)


@contextmanager
def styled(ax: Axes | None, width: float = 7.0, height: float = 3.2) -> Iterator[Axes]:
    """Yield `ax`, or the axes of a new figure of that size in inches, under the common style."""
    with plt.rc_context(_RC):
        yield plt.subplots(figsize=(width, height))[1] if ax is None else ax


def figure(columns: int, width: float = 10.0, height: float = 3.2, rows: int = 1) -> list[Axes]:
    """A new figure with `columns` axes side by side, in `rows` rows, for plots that are to be compared."""
    with plt.rc_context(_RC):
        return list(plt.subplots(rows, columns, figsize=(width, height), squeeze=False)[1].flat)


def shortened(text: str, longest: int) -> str:
    """`text`, or its first letters and an ellipsis, `longest` letters at most."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
