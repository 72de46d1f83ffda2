"""The strip at the top of each notebook: the way from titles to vectors, with the present notebook marked."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from elmo_helpers.display.style import BLUE, styled
from elmo_helpers.errors import ElmoHelpersError

# A notebook's name, and the steps of the way that it is about.
STAGES = (
    ("Preprocess", ("titles", "words", "characters")),
    ("Character embedding", ("character CNN",)),
    ("biLM", ("two LSTMs",)),
    ("Train and encode", ("layers", "vectors")),
)
STEPS = tuple(step for _, steps in STAGES for step in steps)

_SHARED, _ALONE, _GAP = 1.12, 1.7, 0.3  # widths of a box that shares its stage, of one that does not, and between
_BOTTOM, _TOP = 0.42, 0.98
_QUIET = "#5F5F5F"


def plot_flow(here: int, *, ax: Axes | None = None) -> Axes:
    """Draw titles → words → characters → character CNN → two LSTMs → layers → vectors, with one notebook marked.

    Args:
        here: The number of the notebook that is read, 1 to 4; its steps are filled.
        ax: Where to draw; a new slim figure if None.

    Raises:
        ElmoHelpersError: There is no such notebook.
    """
    if here not in range(1, len(STAGES) + 1):
        raise ElmoHelpersError(f"here={here!r} is no notebook: pass a number from 1 to {len(STAGES)}.")
    with styled(ax, 10.0, 1.2) as ax:
        left, middle = 0.0, (_BOTTOM + _TOP) / 2
        arrow = {"arrowstyle": "-|>", "color": _QUIET, "shrinkA": 0, "shrinkB": 0}
        for number, (name, steps) in enumerate(STAGES, start=1):
            marked = number == here
            start = left
            for step in steps:
                if left > 0:
                    ax.annotate("", (left - 0.03, middle), (left - _GAP + 0.03, middle), arrowprops=arrow)
                width = _SHARED if len(steps) > 1 else _ALONE
                _draw_step(ax, left, width, step, marked)
                left += width + _GAP
            end = left - _GAP
            ax.plot([start, end], [0.3, 0.3], color=BLUE if marked else "#BBBBBB", linewidth=3 if marked else 1)
            ax.text(
                (start + end) / 2,
                0.16,
                f"{number} · {name}",
                ha="center",
                va="center",
                color=BLUE if marked else _QUIET,
                weight="bold" if marked else "normal",
            )
        ax.set(xlim=(-0.3, left - _GAP + 0.3), ylim=(0, 1.05))
        ax.axis("off")
    return ax


def _draw_step(ax: Axes, left: float, width: float, step: str, marked: bool) -> None:
    box = FancyBboxPatch(
        (left, _BOTTOM),
        width,
        _TOP - _BOTTOM,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=BLUE if marked else "white",
        edgecolor=BLUE if marked else _QUIET,
    )
    ax.add_patch(box)
    ax.text(
        left + width / 2,
        (_BOTTOM + _TOP) / 2,
        step,
        ha="center",
        va="center",
        color="white" if marked else "black",
        weight="bold" if marked else "normal",
    )
