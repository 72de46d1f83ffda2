"""The evidence in one picture: a panel for each task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from evidence_measures import COUNTED, Record
from evidence_vectors import AROUND
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elmo_helpers.display.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

GREY = "#777777"
# Colour, marker and line of what is read: rivals are black or grey, and all that is no layer alone is a broken line.
LOOKS = {
    "commonest tag": (GREY, "x", ":"),
    "counted words": (BLACK, "x", ":"),
    "word2vec": (GREY, "v", "--"),
    "fastText": (GREY, "^", "-."),
    "fastText of 3 words": (BLACK, "^", "-."),
    "layer 0 around": (SKY, "^", "--"),
    "layer 0": (SKY, "o", "-"),
    "layer 1": (BLUE, "s", "-"),
    "layer 2": (ORANGE, "D", "-"),
    "all layers": (VERMILION, "P", "--"),
    "fixed mean": (GREEN, "v", "--"),
    "learned mix": (PURPLE, "*", "--"),
    "gap, learned mix": (VERMILION, "P", "-"),
    "likelier title": (BLACK, "D", "-"),
    "likelier title, counted": (GREY, "D", "--"),
}
LEFT_OUT = ("gap, layer 0", "gap, layer 1", "gap, layer 2")  # one line of the gap is enough
OTHER = (BLACK, ".", "-")
PANELS = {  # the title of each panel, and what there are 50 to 5,000 of
    "parts of speech": ("Parts of speech", "sentences with labels"),
    "commas": ("Commas put back", "titles with labels"),
    "words of two classes": ("Words of two classes, one spelling", "examples with labels"),
    "words of one class": ("Words of one class, one spelling", "examples with labels"),
    "confused words": ("Confused words, one spelling", "examples with labels"),
}
DODGE = 1.03  # between the points of one column, so that their bounds do not hide each other


def draw(records: Sequence[Record], model: str, path: Path) -> None:
    """Draw what was measured of one model, and of the rivals, into a PNG."""
    shown = [record for record in records if record.model in ("", model)]
    drawn = {task: [record for record in shown if record.task == task] for task in PANELS}
    drawn = {task: of_task for task, of_task in drawn.items() if of_task}
    senses = [record for record in shown if record.part == "senses"]
    panels = len(drawn) + bool(senses)
    columns = min(3, panels)
    figure = Figure(figsize=(10, 3.4 * -(-panels // columns) + 0.6), dpi=150, layout="constrained")
    axes = list(figure.subplots(-(-panels // columns), columns, squeeze=False).ravel())
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[panels:]:
        ax.set_axis_off()
    if senses:
        sense_bars(axes.pop(min(1, panels - 1)), senses)
    for ax, (task, of_task) in zip(axes, drawn.items(), strict=False):
        curve(ax, task, of_task)
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(f"What {model} knows of words in context (per cent, with 95 % bounds)", x=0.01, ha="left")
    figure.savefig(path)


def curve(ax: Axes, task: str, records: Sequence[Record]) -> None:
    """Accuracy or F1 over the number of labels, of each kind of features."""
    read = [features for features in dict.fromkeys(record.features for record in records) if features not in LEFT_OUT]
    counts = sorted({record.labels for record in records})
    places = {n: n or min(filter(None, counts), default=3) / 3 for n in counts}  # no label is left of the fewest
    for number, features in enumerate(read):
        some = [record for record in records if record.features == features]
        x = [places[record.labels] * DODGE ** (number - len(read) / 2) for record in some]
        value, low, high = zip(*(record.measured for record in some), strict=True)
        colour, marker, line = LOOKS.get(features, OTHER)
        ax.plot(x, value, color=colour, marker=marker, linestyle=line, markersize=5, linewidth=1.3, label=features)
        ax.vlines(x, low, high, color=colour, linewidth=1, alpha=0.6)
    ax.set_xscale("log")
    ax.set_xticks(list(places.values()), [f"{n:,}" for n in places])
    ax.minorticks_off()
    title, of_what = PANELS[task]
    ax.set_title(title, loc="left", fontsize=10)
    ax.set_xlabel(of_what)
    ax.set_ylabel("F1, %" if task == "commas" else "right, %")


def sense_bars(ax: Axes, records: Sequence[Record]) -> None:
    """Both tasks on WordNet's examples by layer, with a line where chance is."""
    tasks = list(dict.fromkeys(record.task for record in records))
    read = list(dict.fromkeys(record.features for record in records if record.model))
    width = 0.8 / max(1, len(read))
    for record in records:
        position, (value, low, high) = tasks.index(record.task), record.measured
        colour = LOOKS.get(record.features, OTHER)[0]
        if record.model:
            x = position - 0.4 + (read.index(record.features) + 0.5) * width
            hatch = "///" if record.features == AROUND else None  # it has the colour of layer 0
            ax.bar(x, value, 0.9 * width, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            ax.errorbar(x, value, [[value - low], [high - value]], color=BLACK, linewidth=1, capsize=2)
            name = record.features.removesuffix(" layers").removeprefix("layer ").replace("around", "±2")
            ax.annotate(name, (x, 1), ha="center", fontsize=7)
        else:
            line = "--" if record.features == COUNTED else ":"
            ax.plot([position - 0.45, position + 0.45], [value, value], color=BLACK, linestyle=line, linewidth=1.3)
    rivals = defaultdict(list)
    for record in records:
        if not record.model:
            rivals[record.task].append(f"{'dashed' if record.features == COUNTED else 'dotted'}: {record.features}")
    labels = ["\n".join([fill(task, 24), *(fill(rival, 24) for rival in rivals[task])]) for task in tasks]
    ax.set_xticks(range(len(tasks)), labels, fontsize=8)
    ax.set_ylim(0, 100)
    ax.set_ylabel("right, %")
    ax.set_title("WordNet's examples, by layer", loc="left", fontsize=10)
