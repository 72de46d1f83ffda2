"""Figures of notebook 01: what a corpus of titles holds, what cleaning and a minimum count leave out, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from elmo_helpers.display.style import BLACK, BLUE, COLOURS, ORANGE, SKY, VERMILION, styled

_COUNT = FuncFormatter(lambda value, _: f"{value:,.0f}")
_QUIET = "#5F5F5F"
_SPLIT_COLOURS = (SKY, ORANGE, BLACK)  # train, valid, test


def plot_dropped(reports: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw the rows that each way of cleaning drops, by reason.

    Args:
        reports: Name of the way to its report: columns `reason` and `rows`, "read" and "kept" among the reasons.
        ax: Where to draw; a new figure if None.
    """
    reasons = list(dict.fromkeys(r for report in reports.values() for r in report["reason"] if r not in _WHOLE))
    height = 0.8 / len(reports)
    with styled(ax, 8.0, 1.5 + 0.3 * len(reasons) * len(reports)) as ax:
        most = 0
        for number, (name, report) in enumerate(reports.items()):
            rows = report.set_index("reason")["rows"]
            dropped = [int(rows.get(reason, 0)) for reason in reasons]
            places = np.arange(len(reasons)) + (number - (len(reports) - 1) / 2) * height
            bars = ax.barh(places, dropped, height=height, label=name, color=COLOURS[number % len(COLOURS)])
            labels = [f"{n:,} ({_share(n, rows['read'])})" if n else "0" for n in dropped]
            ax.bar_label(bars, labels, padding=4)
            most = max(most, *dropped, 0) if dropped else most
        ax.set_yticks(np.arange(len(reasons)), reasons)
        ax.invert_yaxis()
        ax.set_xlim(0, 1.25 * max(most, 1))
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.xaxis.set_major_formatter(_COUNT)
        ax.set(xlabel="rows dropped (and share of the rows read)", title="How many rows are dropped, and why")
        if len(reports) > 1:
            ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(reports), borderaxespad=0.1)
    return ax


def plot_lengths(
    lengths: NDArray[np.integer], cut: int, *, things: str, unit: str, log: bool = False, ax: Axes | None = None
) -> Axes:
    """Draw how many things have each length; those longer than `cut` stand out.

    Args:
        lengths: (n,), whole numbers of at least 0.
        cut: The longest length that is kept whole.
        things, unit: What is measured, and in what, such as "titles" and "words".
        log: Show counts on a log axis, where a long tail can be seen.
        ax: Where to draw; a new figure if None.
    """
    longest = int(np.max(lengths, initial=1))
    step = -(-longest // 100)  # at most some 100 bars
    whole, longer = lengths[lengths <= cut], lengths[lengths > cut]
    edges = (np.arange(0, longest + step + 1, step) - 0.5).tolist()
    with styled(ax) as ax:
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
        ax.set_ylim((0.7, 20 * top) if log else (0, 1.4 * top))  # room for the legend
        ax.yaxis.set_major_formatter(_COUNT)
        ax.set(xlabel=f"length ({unit})", ylabel=things, xlim=(-0.5, max(longest, cut) + 1.5))
        ax.set_title(f"How long {things} are")
        ax.legend(loc="upper left" if 2 * cut > longest else "upper right")
    return ax


def plot_titles_over_time(dates: NDArray[np.datetime64], *, ax: Axes | None = None) -> Axes:
    """Draw the number of titles by decade, year or month, whichever suits the range; days without a date are left out.

    Args:
        dates: (n,), datetime64.
        ax: Where to draw; a new figure if None.
    """
    days = _known(dates)
    with styled(ax) as ax:
        ax.set(xlabel="date", ylabel="titles", title="Titles over time: no title has a date")
        if len(days):
            starts, widths, counts, period = _by_period(days)
            ax.bar(starts, counts, width=0.9 * widths, align="edge", color=BLUE)
            ax.set(xlabel=f"date (one bar a {period})", title=f"How many titles each {period} has")
        ax.yaxis.set_major_formatter(_COUNT)
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


def plot_alignment(rows: Mapping[str, Sequence[str | None]], *, ax: Axes | None = None) -> Axes:
    """Draw what a model reads at each position and, below, what it has to say there.

    A target that is the very word that is read stands out: there is nothing to predict.

    Args:
        rows: Name of the row to one word a position, None where there is none; the first row is what is read.
        ax: Where to draw; a new figure if None.
    """
    read = next(iter(rows.values()))
    with styled(ax, max(4.0, 1.0 * len(read) + 2.0), 0.6 + 0.5 * len(rows)) as ax:
        copied = 0
        for down, (name, words) in enumerate(rows.items()):
            ax.text(-0.15, down, name, ha="right", va="center")
            for place, word in enumerate(words):
                if word is None:
                    continue
                same = down > 0 and word == read[place]
                copied += same
                face = VERMILION if same else "#DCEBF5" if down == 0 else "#F2F2F2"
                ax.add_patch(Rectangle((place, down - 0.4), 0.94, 0.8, facecolor=face, edgecolor="none"))
                colour, weight = ("white", "bold") if same else ("black", "normal")
                ax.text(place + 0.47, down, word, ha="center", va="center", color=colour, weight=weight)
        ax.set(xlim=(-0.2, len(read)), ylim=(len(rows) - 0.5, -0.5))
        ax.axis("off")
        ax.set_title(
            f"In {copied} place{'s' * (copied != 1)} a model has to say the very word that it reads"
            if copied
            else "No model has to say a word that it reads"
        )
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


_WHOLE = ("read", "kept")  # what a report says of all rows, not reasons to drop one


def _known(dates: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = np.asarray(dates).astype("datetime64[D]")
    return days[~np.isnat(days)]


def _by_period(
    days: NDArray[np.datetime64],
) -> tuple[NDArray[np.datetime64], NDArray[np.timedelta64], NDArray[np.int64], str]:
    """First day, length in days and number of titles of each period that has any, and the period's name."""
    years = (days.max() - days.min()) / np.timedelta64(365, "D")
    unit, size, name = ("Y", 10, "decade") if years >= 50 else ("Y", 1, "year") if years >= 3 else ("M", 1, "month")
    periods = days.astype(f"datetime64[{unit}]").astype(np.int64)  # counted from 1970
    firsts, counts = np.unique(periods // size * size, return_counts=True)
    starts = firsts.astype(f"datetime64[{unit}]").astype("datetime64[D]")
    ends = (firsts + size).astype(f"datetime64[{unit}]").astype("datetime64[D]")
    return starts, ends - starts, counts, name
