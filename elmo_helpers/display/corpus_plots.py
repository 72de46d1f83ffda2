"""Figures of notebook 01: the way of a title, what a corpus holds, what a minimum count leaves out, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from elmo_helpers.display.character_plots import character_labels
from elmo_helpers.display.search_plots import drawable
from elmo_helpers.display.style import BLACK, BLUE, ORANGE, SKY, VERMILION, shortened, styled
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.titles import normalize_title
from elmo_helpers.text.vocabulary import BOS, EOS, SPECIALS, UNK

_COUNT = FuncFormatter(lambda value, _: f"{value:,.0f}")
_QUIET = "#5F5F5F"
_SPLIT_COLOURS = (SKY, ORANGE, BLACK)  # train, valid, test

# Of a title on its way: what is drawn of a long one, and the heights of the rows, downwards.
_MOST_LETTERS, _MOST_COLUMNS, _MOST_CHARACTERS = 96, 10, 12
_LETTER = 0.105  # from one letter of the raw title to the next, where a token is 1 wide
_RAW, _CLEAN, _TOKENS, _LEXICON, _VOCABULARY, _SPELLING = 0.0, 1.0, 2.05, 3.05, 4.05, 5.1
_SPELLED = 0.48  # from one character of a token down to the next
_READ, _SAID, _PLAIN = "#DCEBF5", "#FBE6C8", "#F2F2F2"


def plot_title_path(corpus: Corpus, i: int, raw: str, *, ax: Axes | None = None) -> Axes:
    """Draw the way of one title: raw, clean, tokens with boundaries, lexicon ids, vocabulary ids, character ids.

    Letters that cleaning changes stand out, and so do words that can be read and not said. Of a long title the
    beginning and the end are drawn, and of a long word the beginning.

    Args:
        corpus: The corpus that the title is in.
        i: Its position in this view.
        raw: The title as it was before it was cleaned.
        ax: Where to draw; a new figure if None.

    Raises:
        IndexError: There is no title `i`.
    """
    ids: list[int | None] = [BOS, *corpus.tokens(i).tolist(), EOS]
    if len(ids) > _MOST_COLUMNS:
        ids = [*ids[: _MOST_COLUMNS - 2], None, EOS]
    said = corpus.lexicon_to_vocabulary[corpus.tokens(i)]
    spelled = {word: _spelling(corpus, word) for word in ids if word is not None}
    deepest = min(_MOST_CHARACTERS, max(map(len, spelled.values())))
    bottom = _SPELLING + _SPELLED * (deepest + 1)
    fill, c = corpus.character_vocabulary.padding_id, corpus.characters.shape[1]
    with styled(ax, 10.0, 0.4 * bottom + 0.5) as ax:
        _draw_letters(ax, _RAW, raw, [normalize_title(f"x{c}x", corpus.text.lowercase)[1:-1] != c for c in raw])
        _draw_letters(ax, _CLEAN, corpus.titles[i], [False] * len(corpus.titles[i]))
        for place, word in enumerate(ids):
            if word is None:
                _write(ax, place + 0.5, _TOKENS, "…", weight="bold")
                continue
            name, number = corpus.lexicon[word], int(corpus.lexicon_to_vocabulary[word])
            unsaid = number == UNK
            style = {"color": _QUIET if word <= EOS else BLACK, "fontsize": 9 if len(name) < 10 else 7.5}
            _write(ax, place + 0.5, _TOKENS, shortened(name, 12), weight="bold", **style)
            _box(ax, place, _LEXICON, f"{word:,}", _READ)
            _box(ax, place, _VOCABULARY, f"{number:,}", VERMILION if unsaid else _SAID, "white" if unsaid else BLACK)
            if unsaid:
                _write(ax, place + 0.5, _VOCABULARY + 0.52, SPECIALS[UNK], fontsize=8, color=VERMILION, weight="bold")
            for down, (label, number) in enumerate(spelled[word][: _MOST_CHARACTERS + 1]):
                _draw_character(ax, place, down, "…" if down == _MOST_CHARACTERS else label, number)
            if len(spelled[word]) <= _MOST_CHARACTERS:
                below = _SPELLING + _SPELLED * len(spelled[word])
                _write(ax, place + 0.72, below, f"{fill} …", fontsize=8, color=_QUIET)
        for y, label, way in (
            (_RAW, "raw title", "↓ change coloured letters"),
            (_CLEAN, "clean title", "↓ cut it, add boundaries"),
            (_TOKENS, "tokens", "↓ number every word"),
            (_LEXICON, "lexicon id, to read", "↓ number the frequent ones"),
            (_VOCABULARY, "vocabulary id, to say", "↓ spell what is read"),
            (_SPELLING, "character ids", f"then {fill} up to C = {c}"),
        ):
            _write(ax, -0.25, y, label, ha="right", weight="bold")
            _write(ax, -0.25, y + 0.48, way, ha="right", fontsize=8, color=_QUIET)
        ax.set(xlim=(-2.75, _MOST_COLUMNS + 0.3), ylim=(bottom, _RAW - 0.4))
        ax.axis("off")
        n = int((said == UNK).sum())
        ax.set_title(
            f"One title, from raw text to ids: {n} of its {len(said)} words can be read and not said"
            if n
            else f"One title, from raw text to ids: all of its {len(said)} words can be said"
        )
    return ax


def _spelling(corpus: Corpus, word: int) -> list[tuple[str, int]]:
    """What each character id of a word of the lexicon stands for, and the id, as far as its row is not filled up."""
    row = corpus.characters[word]
    row = row[row != corpus.character_vocabulary.padding_id]
    return list(zip(character_labels(row, corpus.character_vocabulary), row.tolist(), strict=True))


def _write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    usual: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "parse_math": False}
    ax.text(x, y, drawable(text), **(usual | style))


def _box(ax: Axes, place: float, y: float, text: str, face: str, colour: str = BLACK) -> None:
    ax.add_patch(Rectangle((place + 0.04, y - 0.3), 0.92, 0.6, facecolor=face, edgecolor="none"))
    _write(ax, place + 0.5, y, text, color=colour)


def _draw_letters(ax: Axes, y: float, text: str, changed: Sequence[bool]) -> None:
    """One line of text, letter by letter, those that are changed in a colour of their own."""
    for place, (letter, stands_out) in enumerate(zip(shortened(text, _MOST_LETTERS), changed, strict=False)):
        if not letter.isspace():
            style = {"color": VERMILION, "weight": "bold"} if stands_out else {}
            if letter.isascii():  # other signs are of the font of which `drawable` knows the shapes
                style["family"] = "monospace"
            _write(ax, 0.1 + place * _LETTER, y, letter, **style)


def _draw_character(ax: Axes, place: float, down: int, label: str, number: int) -> None:
    y = _SPELLING + down * _SPELLED
    if label == "…":
        _write(ax, place + 0.5, y - 0.1, label, color=_QUIET)
        return
    ax.add_patch(Rectangle((place + 0.04, y - 0.21), 0.92, 0.42, facecolor=_PLAIN, edgecolor="none"))
    _write(ax, place + 0.3, y, label, family="monospace", fontsize=9 if len(label) < 3 else 7)
    _write(ax, place + 0.72, y, str(number), fontsize=8, color=BLUE)


def plot_lengths(
    lengths: NDArray[np.integer],
    cut: int | None = None,
    *,
    things: str,
    unit: str,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many things have each length; those longer than `cut` stand out.

    Args:
        lengths: (n,), whole numbers of at least 0.
        cut: The longest length that is kept whole; None: all are.
        things, unit: What is measured, and in what, such as "titles" and "words".
        log: Show counts on a log axis, where a long tail can be seen.
        ax: Where to draw; a new figure if None.
    """
    longest = int(np.max(lengths, initial=1))
    step = -(-longest // 100)  # at most some 100 bars
    edges = (np.arange(0, longest + step + 1, step) - 0.5).tolist()
    with styled(ax) as ax:
        if cut is None:
            ax.hist(lengths, bins=edges, color=BLUE)
        else:
            whole, longer = lengths[lengths <= cut], lengths[lengths > cut]
            ax.hist(whole, bins=edges, color=BLUE, label=f"whole: {len(whole):,}")
            ax.hist(
                longer,
                bins=edges,
                color=VERMILION,
                hatch="//",
                label=f"cut: {len(longer):,} ({_share(len(longer), len(lengths))})",
            )
            ax.axvline(cut + 0.5, color=BLACK, linestyle="--", linewidth=1, label=f"at most {cut} {unit}")
        if log:
            ax.set_yscale("log")
        top = ax.get_ylim()[1]
        room = 1 if cut is None else 20 if log else 1.4  # for the legend
        ax.set_ylim((0.7, room * top) if log else (0, room * top))
        ax.yaxis.set_major_formatter(_COUNT)
        ax.set(xlabel=f"length ({unit})", ylabel=things, xlim=(-0.5, max(longest, cut or 0) + 1.5))
        ax.set_title(f"How long {things} are")
        if cut is not None:
            ax.legend(loc="upper left" if 2 * cut > longest else "upper right")
    return ax


def plot_documents(
    dates: NDArray[np.datetime64], splits: NDArray[np.integer], names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draw every day's titles as one line, as high as there are titles, in the colour of its split.

    Args:
        dates: (n,), datetime64; titles without a date are left out.
        splits: (n,), the split of each title as a position in `names`.
        names: The splits.
        ax: Where to draw; a new figure if None.
    """
    dates = np.asarray(dates).astype("datetime64[D]")
    with styled(ax, 9.0, 3.2) as ax:
        for number, name in enumerate(names):
            days, counts = np.unique(_known(dates[splits == number]), return_counts=True)
            label = f"{name}: {len(days):,} days, {counts.sum():,} titles"
            colour = _SPLIT_COLOURS[number % len(_SPLIT_COLOURS)]
            ax.vlines(days, 0, counts, color=colour, linewidth=1 if number == 0 else 2, label=label)
        ax.yaxis.set_major_formatter(_COUNT)
        ax.set_ylim(bottom=0)
        ax.set(
            xlabel="date", ylabel="titles of that day", title="Whole documents are held out: no day is in two splits"
        )
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_word_counts(counts: Mapping[str, int], *, ax: Axes | None = None) -> Axes:
    """Draw how often words occur against their rank, both on log axes, beside Zipf's law.

    Zipf's law says count(r) = c / r for the word of rank r; c is chosen so that all counts sum to the number of
    running words.

    Args:
        counts: Word to the number of times it occurs.
        ax: Where to draw; a new figure if None.
    """
    ranked = sorted(
        ((count, word) for word, count in counts.items() if count > 0), key=lambda pair: (-pair[0], pair[1])
    )
    ranks = np.arange(1, len(ranked) + 1)
    occurrences = np.array([count for count, _ in ranked], dtype=np.int64)
    with styled(ax, 7.0, 4.0) as ax:
        if len(ranked):
            constant = occurrences.sum() / (1 / ranks).sum()
            ax.plot(ranks, constant / ranks, color=ORANGE, linestyle="--", label="Zipf: count = c / rank")
        ax.plot(ranks, occurrences, ".", color=BLUE, markersize=3, label="words of the titles")
        for rank in [10**power for power in range(6) if 10**power <= len(ranked)]:
            count, word = ranked[rank - 1]
            ax.plot(rank, count, "o", color=BLACK, markersize=4)
            label = word if len(word) <= 20 else word[:19] + "…"
            if rank == 1:
                ax.annotate(label, (rank, count), xytext=(6, 6), textcoords="offset points")
            else:  # below the dots, where Zipf's line is not
                ax.annotate(label, (rank, count), xytext=(-4, -4), textcoords="offset points", ha="right", va="top")
        ax.set(xscale="log", yscale="log", xlabel="rank (1: the most frequent word)", ylabel="times that it occurs")
        ax.set_xlim(0.8, max(10, 2 * len(ranked)))
        ax.set_ylim(0.7, 4 * occurrences.max(initial=3))
        ax.xaxis.set_major_formatter(_COUNT)
        ax.yaxis.set_major_formatter(_COUNT)
        ax.set_title("A few words are very frequent, most are rare")
        ax.legend()
    return ax


def plot_coverage(table: pd.DataFrame, chosen: int, *, ax: Axes | None = None) -> Axes:
    """Draw what a minimum count costs (running words that become `<UNK>`) against what it saves (words to predict).

    Args:
        table: A row a minimum count, rising, with the columns `min_count`, `words` and `coverage` (a share).
        chosen: The minimum count to mark; one that is in the table.
        ax: Where to draw; a new figure if None.
    """
    mark = table[table["min_count"] == chosen].iloc[0]
    words, coverage = int(mark["words"]), 100 * float(mark["coverage"])
    with styled(ax, 7.0, 3.8) as ax:
        ax.plot(table["words"], 100 * table["coverage"], ".-", color=BLUE, markersize=7)
        ax.plot(words, coverage, "o", color=VERMILION, markersize=10)
        labelled = {1, 2, 3, 5, 10, 20, 50, 100} - {chosen}
        for row in table[table["min_count"].isin(labelled)].itertuples():
            ax.annotate(
                f"{row.min_count}", (row.words, 100 * row.coverage), xytext=(2, -15), textcoords="offset points"
            )
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(_COUNT)
        ax.xaxis.set_minor_formatter(NullFormatter())
        bottom, left = ax.get_ylim()[0], ax.get_xlim()[0]
        bottom -= 0.1 * (100 - bottom)  # room for the label of the lowest point
        ax.plot([left, words, words], [coverage, coverage, bottom], color=_QUIET, linewidth=0.8, linestyle=":")
        ax.set(xlim=(left, None), ylim=(bottom, 100 + 0.05 * (100 - bottom)))
        ax.set(
            xlabel="V: words that the model can say (number at a point: the minimum count)",
            ylabel="running words covered (%)",
        )
        ax.set_title(f"A minimum count of {chosen} leaves {words:,} words, which cover {coverage:.2f}% of the text")
    return ax


def plot_costs(sizes: Mapping[str, int], ours: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw sizes in bytes on a log axis.

    Args:
        sizes: What is stored to its bytes, each above 0.
        ours: The one in the first colour; the others stand out from it.
        ax: Where to draw; a new figure if None.
    """
    names, values = list(sizes), list(sizes.values())
    with styled(ax, 8.0, 1.2 + 0.42 * len(names)) as ax:
        bars = ax.barh(names, values, color=[BLUE if name == ours else ORANGE for name in names])
        ax.bar_label(bars, [format_bytes(value) for value in values], padding=4)
        ax.set_xscale("log")
        ax.set_xlim(min(values) / 5, max(values) * 5)
        ax.xaxis.set_major_locator(LogLocator(numticks=20))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_bytes(value)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.invert_yaxis()
        ax.set(
            xlabel="bytes (log axis: each labelled mark is ten times the one before)",
            title="What it costs to store the titles",
        )
    return ax


def format_bytes(size: float) -> str:
    """A number of bytes for people, in steps of 1,000: "14.5 MB"."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if size >= 99.5 or size == int(size) else f"{size:.1f} {units[0]}"


def _share(part: int, whole: int) -> str:
    share = part / max(whole, 1)
    return "<0.01%" if 0 < share < 0.0001 else f"{share:.2%}"


def _known(dates: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = np.asarray(dates).astype("datetime64[D]")
    return days[~np.isnat(days)]
