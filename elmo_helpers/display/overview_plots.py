"""The whole of ELMo in one picture, bottom to top: a title, its spelling, two language models, the mixed layers."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from elmo_helpers.display.style import BACKWARD, BLACK, FORWARD, GREEN, PURPLE, VERMILION, styled
from elmo_helpers.errors import ElmoHelpersError

_QUIET, _PALE, _LIT = "#5F5F5F", "#F2F2F2", "#FFF3D6"
_NOTEBOOKS = ("01", "02", "03", "04", "05")
_COLUMN = 2.0  # from one word to the next
_HALF = 0.42  # from a word's middle to its forward and its backward cell
_WORDS, _CHARACTERS, _CNN, _TOKEN, _LSTM, _STEP = 0.0, 0.65, 1.5, 2.35, 3.35, 1.15  # heights of the rows
_LAYERS = 2
_CELL = (0.62, 0.5)


def plot_overview(
    words: Sequence[str] = ("peace", "and", "commerce"), *, here: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw title → characters → character CNN → two LSTM stacks → layers → vector, with the notebooks' numbers.

    Args:
        words: A short title; the vector at the right is that of its last word.
        here: The number of a notebook, "01" to "05": what it is about is lit. None: nothing is.
        ax: Where to draw; a new figure if None.

    Raises:
        ElmoHelpersError: There is no notebook of that number.
    """
    if here is not None and here not in _NOTEBOOKS:
        raise ElmoHelpersError(f"here={here!r} is no notebook: pass one of {', '.join(_NOTEBOOKS)}, or None.")
    tokens = ["<S>", *words, "</S>"]
    middles = [_COLUMN * i for i in range(len(tokens))]
    right = middles[-1] + 1.6
    top = _LSTM + _STEP * (_LAYERS - 1) + _CELL[1]
    with styled(ax, 12.0, 4.2) as ax:
        chosen = len(words)
        edge = _CELL[0] + _HALF
        ax.add_patch(  # the word whose layers are mixed
            FancyBboxPatch(
                (middles[chosen] - edge + 0.12, _TOKEN - 0.2),
                2 * edge - 0.24,
                top - _TOKEN + 0.35,
                boxstyle="round,pad=0,rounding_size=0.1",
                facecolor="none",
                edgecolor=PURPLE,
                linestyle="--",
                linewidth=1.5,
            )
        )
        for i, (x, token) in enumerate(zip(middles, tokens, strict=True)):
            ax.text(
                x, _WORDS, token, ha="center", va="center", weight="bold", color=_QUIET if token[0] == "<" else BLACK
            )
            _draw_characters(ax, x, [token] if token[0] == "<" else list(token))
            _arrow(ax, (x, _CHARACTERS + 0.32), (x, _CNN - 0.02))
            _box(ax, x, _CNN + 0.2, 1.3, 0.4, "char CNN", GREEN)
            _arrow(ax, (x, _CNN + 0.42), (x, _TOKEN - 0.02))
            _draw_vector(ax, x, _TOKEN + 0.12, GREEN, GREEN)
            for layer in range(_LAYERS):
                y = _LSTM + layer * _STEP + _CELL[1] / 2
                for direction, colour, name in ((-1, FORWARD, "→"), (1, BACKWARD, "←")):
                    at = x + direction * _HALF
                    below = _TOKEN + 0.25 if layer == 0 else y - _STEP + _CELL[1] / 2
                    _arrow(ax, (at if layer else x + direction * 0.2, below), (at, y - _CELL[1] / 2), colour)
                    _box(ax, at, y, *_CELL, name, colour)
                    _pass_on(ax, middles, i, direction, y, colour)
        _draw_mix(ax, right, middles[chosen] + edge - 0.12, words[-1])
        _draw_notebooks(ax, middles[0] - 1.35, middles[-1] + edge, here)
        _draw_uses(ax, right, here)
        ax.set(xlim=(-3.6, right + 4.15), ylim=(_WORDS - 0.35, top + 0.85), aspect="equal")
        ax.axis("off")
    return ax


def _box(ax: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.07",
            facecolor=colour,
            edgecolor="none",
        )
    )
    ax.text(x, y - 0.01, text, ha="center", va="center", color="white" if colour != BACKWARD else BLACK, fontsize=9)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = _QUIET) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8, "linewidth": 1}
    ax.annotate("", end, start, arrowprops=style)


def _draw_characters(ax: Axes, x: float, characters: Sequence[str]) -> None:
    width = 0.2 if len(characters) > 1 else 0.6
    left = x - width * len(characters) / 2
    for k, character in enumerate(characters):
        ax.add_patch(
            Rectangle((left + k * width, _CHARACTERS), width, 0.3, facecolor=_PALE, edgecolor=_QUIET, linewidth=0.6)
        )
        ax.text(left + (k + 0.5) * width, _CHARACTERS + 0.14, character, ha="center", va="center", fontsize=8)


def _draw_vector(ax: Axes, x: float, y: float, left: str, right: str) -> None:
    """Eight numbers side by side, half of them of each colour."""
    ax.add_patch(Rectangle((x - 0.6, y - 0.11), 1.2, 0.22, facecolor="white", edgecolor="none"))  # hides lines below
    for k in range(8):
        ax.add_patch(
            Rectangle(
                (x - 0.6 + 0.15 * k, y - 0.11),
                0.15,
                0.22,
                facecolor=left if k < 4 else right,
                alpha=(0.35, 0.75, 0.5, 0.9)[(3 * k) % 4],
                edgecolor="white",
                linewidth=0.8,
            )
        )


def _pass_on(ax: Axes, middles: Sequence[float], i: int, direction: int, y: float, colour: str) -> None:
    """The arrow by which a cell hands its state on, over the other direction's cell beside it."""
    to = i - direction  # the forward cells stand at the left, and read to the right
    if 0 <= to < len(middles):
        start = middles[i] + direction * _HALF
        end = middles[to] + direction * _HALF
        height = y + 0.36 if direction < 0 else y - 0.36
        side = 0.16 if direction < 0 else -0.16
        half = _CELL[1] / 2 if direction < 0 else -_CELL[1] / 2
        ax.plot([start + side, start + side, end - side], [y + half, height, height], color=colour, linewidth=1)
        _arrow(ax, (end - side, height), (end - side, y + half), colour)


def _draw_mix(ax: Axes, left: float, edge: float, word: str) -> None:
    heights = [_TOKEN + 0.12] + [_LSTM + _CELL[1] / 2 + layer * _STEP for layer in range(_LAYERS)]
    at = (left + 2.0, heights[1])
    for layer, y in enumerate(heights):
        colours = (GREEN, GREEN) if layer == 0 else (FORWARD, BACKWARD)
        ax.plot([edge, left - 0.65], [y, y], color=PURPLE, linestyle="--", linewidth=1, zorder=0)
        _draw_vector(ax, left, y, *colours)
        ax.text(left, y + 0.24, f"layer {layer}", ha="center", va="center", fontsize=9, color=_QUIET)
        way = (at[0] - left - 0.65, at[1] - y)
        length = (way[0] ** 2 + way[1] ** 2) ** 0.5
        end = (at[0] - 0.27 * way[0] / length, at[1] - 0.27 * way[1] / length)
        _arrow(ax, (left + 0.65, y), end, PURPLE)
        above = 0.2 if layer < 2 else 0.3
        ax.text(left + 1.15, y + 0.36 * (at[1] - y) + above, f"$s_{layer}$", ha="center", va="center", color=PURPLE)
    ax.add_patch(Circle(at, 0.25, facecolor=PURPLE, edgecolor="none"))
    ax.text(*at, r"$\Sigma$", ha="center", va="center", color="white", fontsize=12)
    _arrow(ax, (at[0] + 0.27, at[1]), (at[0] + 0.75, at[1]), PURPLE)
    ax.text(at[0] + 0.51, at[1] + 0.2, r"$\gamma$", ha="center", va="center", color=PURPLE)
    _draw_vector(ax, at[0] + 1.45, at[1], PURPLE, PURPLE)
    ax.text(at[0] + 1.45, at[1] + 0.42, f"“{word}”\nin this title", ha="center", va="center", fontsize=9)
    _box(ax, left - 0.3, _CHARACTERS + 0.15, *_CELL, "→", FORWARD)
    ax.text(left + 0.15, _CHARACTERS + 0.15, "forward: predicts the next word", va="center", fontsize=9)
    _box(ax, left - 0.3, _WORDS, *_CELL, "←", BACKWARD)
    ax.text(left + 0.15, _WORDS, "backward: predicts the word before", va="center", fontsize=9)


def _draw_notebooks(ax: Axes, left: float, right: float, here: str | None) -> None:
    """The rows of notebooks 01 to 03, with their brackets at the left."""
    top = _LSTM + _STEP * (_LAYERS - 1) + _CELL[1]
    rows = (
        ("01", "title and\ncharacters", _WORDS - 0.2, _CHARACTERS + 0.35),
        ("02", "spelling to\ntoken vector", _CNN - 0.05, _TOKEN + 0.3),
        ("03", "two language\nmodels", _LSTM - 0.2, top + 0.2),
    )
    for number, text, low, high in rows:
        colour = VERMILION if number == here else _QUIET
        if number == here:
            _light(ax, -3.6, right, low - 0.06, high + 0.06)
        ax.plot([left, left], [low, high], color=colour, linewidth=2.5 if number == here else 1)
        ax.text(left - 0.15, (low + high) / 2, text, ha="right", va="center", fontsize=9, color=colour)
        _number(ax, -3.45, (low + high) / 2, number, colour)


def _draw_uses(ax: Axes, left: float, here: str | None) -> None:
    """The numbers of notebooks 05 and 04 above the layers and above their mix."""
    top = _LSTM + _STEP * (_LAYERS - 1) + _CELL[1]
    for number, text, start, end in (
        ("05", "ask each\nlayer", left - 0.78, left + 0.72),
        ("04", "train, encode, mix", left + 0.78, left + 4.1),
    ):
        colour = VERMILION if number == here else _QUIET
        if number == here:
            _light(ax, start, end, _TOKEN - 0.15, top + 0.75)
        _number(ax, start + 0.08, top + 0.45, number, colour)
        ax.text(start + 0.58, top + 0.45, text, ha="left", va="center", fontsize=9, color=colour)


def _light(ax: Axes, left: float, right: float, low: float, high: float) -> None:
    """Mark a place by a ground of light colour behind all else."""
    shape = "round,pad=0,rounding_size=0.1"
    ax.add_patch(
        FancyBboxPatch(
            (left, low), right - left, high - low, boxstyle=shape, facecolor=_LIT, edgecolor="none", zorder=-1
        )
    )


def _number(ax: Axes, x: float, y: float, number: str, colour: str) -> None:
    ax.text(x, y, number, ha="left", va="center", fontsize=12, weight="bold", color=colour)
