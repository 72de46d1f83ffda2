"""Figures of notebook 02: characters, filters, and the vectors of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from elmo_helpers.display.style import BLACK, BLUE, COLOURS, DIVERGING, VERMILION, styled
from elmo_helpers.text.characters import CharacterVocabulary

_QUIET = "#5F5F5F"
_PALE = "#D9D9D9"
# Light enough for black letters on top; a title with more words than these begins with the first again.
_WORD_COLOURS = ("#56B4E9", "#E69F00", "#4DC6A2", "#F0E442", "#DBA0C0", "#F0895A", "#BFBFBF", "#7FA8D9")
_MARKERS = "osD^vPX*"
_LETTER = 0.024  # width of a letter beside a point, as a share of the plane
# Characters: a "$" among them begins no formula.
_AS_WRITTEN: dict[str, Any] = {"family": "monospace", "parse_math": False}


def character_labels(row: Sequence[int] | NDArray[np.integer], characters: CharacterVocabulary) -> list[str]:
    """What each id of a row (C,) stands for, short enough for a figure; "·" is padding, "␣" a space.

    In `utf8` the marks of a word's begin and end are "‹" and "›", and a byte beyond ASCII is its hexadecimal number.
    """
    if characters.scheme == "utf8":
        special = {0: "·", 257: "<S>", 258: "</S>", 259: "‹", 260: "›", 261: "·"}
        return [special.get(i) or (chr(i - 1) if 32 < i - 1 < 127 else f"{i - 1:02x}") for i in map(int, row)]
    special = {0: "·", 1: "␣", 70: "<S>", 71: "</S>"}
    return [special.get(i) or characters.decode([i]) for i in map(int, row)]


def plot_character_vectors(
    vectors: NDArray[np.floating], labels: Sequence[str], *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """One column a character of a word, one row a component, values as colours; white is zero.

    Args:
        vectors: (E, n) float.
        labels: n characters.
        title: What is to be seen; None: a general line.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 5.0, 4.0) as ax:
        limit = float(np.abs(vectors).max(initial=0)) or 1.0
        signed = bool((vectors < 0).any())
        colours, lowest = (DIVERGING, -limit) if signed else ("Purples", 0)
        picture = ax.imshow(vectors, aspect="auto", cmap=colours, vmin=lowest, vmax=limit, interpolation="nearest")
        ax.figure.colorbar(picture, ax=ax, label="value")
        _label_characters(ax, labels)
        ax.set(ylabel="component (E)", title=title or f"Each character is a column of {len(vectors)} numbers")
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    return ax


def plot_filter_slide(contributions: NDArray[np.floating], labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """One filter over one word: a row a place of its window, and in it what each character adds to the response.

    Args:
        contributions: (positions, width) float; row p belongs to the characters p .. p + width - 1.
        labels: The word's characters, positions + width - 1 of them.
        ax: Where to draw; a new figure if None.
    """
    positions, width = contributions.shape
    with styled(ax, 5.0, 4.0) as ax:
        band = np.full((positions, len(labels)), np.nan)
        for p in range(positions):
            band[p, p : p + width] = contributions[p]
        limit = float(np.nanmax(np.abs(band))) or 1.0
        picture = ax.imshow(band, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
        ax.figure.colorbar(picture, ax=ax, label="what the character adds")
        _label_characters(ax, labels)
        best = int(contributions.sum(1).argmax())
        ax.add_patch(Rectangle((best - 0.5, best - 0.5), width, 1, fill=False, edgecolor=VERMILION, linewidth=2.5))
        ax.set(ylabel="place of the window", title=f"A filter {_characters(width)} wide slides over the word")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def plot_window_responses(responses: NDArray[np.floating], windows: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """The response of one filter at each window of a word, the greatest one marked.

    Args:
        responses: (positions,) float.
        windows: The characters in each window.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 5.0, 4.0) as ax:
        best = int(np.argmax(responses))
        colours = [VERMILION if p == best else BLUE for p in range(len(responses))]
        bars = ax.barh(np.arange(len(responses)), responses, color=colours)
        ax.bar_label(bars, [f"{r:.3f}" for r in responses], padding=3, fontsize=8)
        ax.axvline(0, color=BLACK, linewidth=0.8)
        ax.margins(x=0.2)
        ax.set_yticks(np.arange(len(responses)), windows, **_AS_WRITTEN)
        ax.set(ylim=(len(responses) - 0.5, -0.5), xlabel="response", ylabel="characters in the window")
        ax.set_title(f"The maximum is all that is kept: {responses[best]:.3f}, at {windows[best]!r}", parse_math=False)
    return ax


def plot_response_heat(responses: NDArray[np.floating], windows: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Where in a word each filter of one width finds most of what it looks for.

    A row is a filter; rows are sorted by the window of their maximum, which a dot marks. Each is scaled by its own
    maximum, so that filters with small responses can be seen, too. What is below zero is white, as the ReLU makes it 0.

    Args:
        responses: (filters, positions) float.
        windows: The characters in each window.
        ax: Where to draw; a new figure if None.
    """
    positive = np.maximum(responses, 0)
    largest = positive.max(1, keepdims=True, initial=0)
    order = np.argsort(responses.argmax(1), kind="stable")
    share = (positive / np.where(largest > 0, largest, 1))[order]
    with styled(ax, 7.0, 5.0) as ax:
        picture = ax.imshow(share, aspect="auto", cmap="Purples", vmin=0, vmax=1, interpolation="nearest")
        ax.figure.colorbar(picture, ax=ax, label="response, as a share of the filter's maximum")
        heard = np.flatnonzero(largest[order, 0] > 0)
        ax.scatter(share.argmax(1)[heard], heard, s=16, color="white", edgecolors=BLACK, linewidths=0.9)
        ax.set_xticks(np.arange(len(windows)), windows, rotation=45 if len(windows) > 6 else 0, **_AS_WRITTEN)
        ax.set_yticks([])
        ax.set(xlabel="characters in the window", ylabel=f"{len(responses)} filters, by the window of their maximum")
        ax.set_title("Which window each filter answers to; dot: its maximum")
    return ax


def plot_origins(
    origins: NDArray[np.integer], words: Sequence[str], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """From which word of the title each number comes that a network reads as one word.

    Args:
        origins: (E, C) int, the number of the word that the value at this component and character belongs to.
        words: The words of the title.
        title: What is to be seen.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 4.5, 4.0) as ax:
        colours = np.array([to_rgb(_word_colour(word)) for word in range(len(words))])
        ax.imshow(colours[origins], aspect="auto", interpolation="nearest")
        for word in np.unique(origins):  # a name on the longest stretch of rows of its colour
            rows = np.flatnonzero((origins == word).any(1))
            ax.text(origins.shape[1] / 2 - 0.5, rows.mean(), words[word], ha="center", va="center", fontsize=9)
        ax.set(xlabel="character of the word (C)", ylabel="component of the character (E)", title=title)
    return ax


def plot_letters(
    letters: pd.DataFrame, words: Sequence[str], n_places: int, *, title: str = "", ax: Axes | None = None
) -> Axes:
    """The letters that are read as each word of a title, on the colour of the word that they belong to.

    Args:
        letters: A row a letter: letter (text), word (number of its own word), row (number of the word that it is read
            in) and place (in that word). Several may stand at one place.
        words: The words of the title.
        n_places: Places of a word, C.
        title: What is to be seen.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 10.0, 0.9 + 0.34 * len(words)) as ax:
        for y in range(len(words)):
            ax.add_patch(Rectangle((-0.5, y - 0.5), n_places, 1, facecolor="none", edgecolor=_PALE))
        for (y, x), here in letters.groupby(["row", "place"]):
            share = 1 / len(here)
            for part, (letter, word) in enumerate(zip(here["letter"], here["word"], strict=True)):
                left = x - 0.5 + part * share
                ax.add_patch(Rectangle((left, y - 0.5), share, 1, facecolor=_word_colour(word), edgecolor="white"))
                size = 11 if share > 0.7 else 8 if share > 0.4 else 6
                ax.text(left + share / 2, y, letter, ha="center", va="center", family="monospace", fontsize=size)
        ax.set_yticks(np.arange(len(words)), words)
        for word, tick in enumerate(ax.get_yticklabels()):
            tick.set_bbox({"facecolor": _word_colour(word), "edgecolor": "none", "pad": 1.5})
        ax.set(xlim=(-0.6, n_places - 0.4), ylim=(len(words) - 0.4, -0.6))
        ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        ax.set(xlabel="place in the word (C)", ylabel="read as this word", title=title)
    return ax


def plot_ngrams_in_words(
    words: Sequence[str], starts: Sequence[int], width: int, *, title: str = "", ax: Axes | None = None
) -> Axes:
    """The character n-grams that a filter answers to most, each marked in a word that has it, the strongest on top.

    Args:
        words: n words.
        starts: (n,) where in its word each n-gram begins; it may reach beyond the end, into padding.
        width: Characters of an n-gram.
        title: What is to be seen.
        ax: Where to draw; a new figure if None.
    """
    longest = max(12, *(max(len(word), start + width) for word, start in zip(words, starts, strict=True)))
    with styled(ax, 1.0 + 0.17 * longest, 0.9 + 0.24 * len(words)) as ax:
        for row, (word, start) in enumerate(zip(words, starts, strict=True)):
            _draw_window(ax, row, word.ljust(start + width, "·"), start, width)
        ax.set_yticks(np.arange(len(words)), [str(rank) for rank in range(1, len(words) + 1)])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(xlim=(-0.6, longest - 0.4), ylim=(len(words) - 0.4, -0.6), xticks=[], title=title)
        ax.set_xlabel("strongest on top")
    return ax


def plot_families(
    points: NDArray[np.floating],
    families: Sequence[str],
    names: Sequence[str] = (),
    *,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Words as points on a plane, each family with a colour and a mark of its own.

    Args:
        points: (n, 2) float.
        families: n names of families.
        names: n words; of each family one that lies far out is written beside its point, where there is room. Empty:
            none is.
        title: What is to be seen.
        ax: Where to draw; a new figure if None.
    """
    with styled(ax, 5.0, 4.2) as ax:
        for i, family in enumerate(dict.fromkeys(families)):
            x, y = points[np.array(families) == family].T
            ax.scatter(
                x, y, s=22, color=COLOURS[i % 7], marker=_MARKERS[i % len(_MARKERS)],
                edgecolors=BLACK, linewidths=0.3, alpha=0.9, label=family,
            )  # fmt: skip
        if len(names):
            ax.margins(0.8, 0.12)  # a name has room on either side
            for row, side in _rows_to_name(points, families, names):
                ax.annotate(
                    names[row], points[row], xytext=(6 * side, 0), textcoords="offset points", fontsize=8,
                    va="center", ha="left" if side > 0 else "right",
                    path_effects=[withStroke(linewidth=2.5, foreground="white")],
                )  # fmt: skip
        ax.set(xlabel="first component", ylabel="second component", title=title)
    return ax


def _rows_to_name(
    points: NDArray[np.floating], families: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """Of each family the row of a point far out, and 1 or -1: the side on which its name covers the fewest others."""
    low, size = points.min(0), np.ptp(points, axis=0) + 1e-12
    places = (points - low) / size  # from 0 to 1
    outward = np.abs(places - places.mean(0)).sum(1)
    covered = places
    for family in dict.fromkeys(families):
        rows = np.flatnonzero(np.array(families) == family)
        far: list[int] = rows[np.argsort(-outward[rows], kind="stable")][:20].tolist()
        found = [
            (_n_covered(covered, places[row], side, names[row]), i, row, side)
            for i, row in enumerate(far)
            for side in (1, -1)
        ]
        _, _, row, side = min(found)
        # The next name must not cover this one.
        letters = np.arange(len(names[row]) + 2) * _LETTER * side
        covered = np.concatenate([covered, places[row] + np.stack([letters, 0 * letters], axis=1)])
        yield row, side


def _n_covered(places: NDArray[np.floating], at: NDArray[np.floating], side: int, name: str) -> int:
    """How many of some places, from 0 to 1, a name beside a point would cover."""
    x, y = (places - at).T
    return int(((x * side > 0.01) & (x * side < 0.03 + _LETTER * len(name)) & (np.abs(y) < 0.03)).sum())


def _draw_window(ax: Axes, row: int, labels: Sequence[str], start: int, width: int) -> None:
    """The characters of a word in one row, those of a window white on blue."""
    ax.add_patch(Rectangle((start - 0.45, row - 0.4), width - 0.1, 0.8, color=BLUE, linewidth=0))
    for place, label in enumerate(labels):
        inside = start <= place < start + width
        ax.text(
            place, row, label, ha="center", va="center", family="monospace", parse_math=False,
            color="white" if inside else _QUIET, weight="bold" if inside else "normal",
        )  # fmt: skip


def _label_characters(ax: Axes, labels: Sequence[str]) -> None:
    ax.set_xticks(np.arange(len(labels)), labels, **_AS_WRITTEN)
    ax.set_xlabel("character")


def _word_colour(word: int) -> str:
    return _WORD_COLOURS[word % len(_WORD_COLOURS)]


def _characters(n: int) -> str:
    return f"{n} character" + ("s" if n > 1 else "")
