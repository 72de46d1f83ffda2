"""The strip of a word's ids, and the bars of its neighbours."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from elmo_helpers import CharacterVocabulary
from elmo_helpers.display.character_plots import character_labels, plot_response_heat
from elmo_helpers.display.spelling_plots import plot_neighbours, plot_spelling
from elmo_helpers.errors import ElmoHelpersError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize(
    ("plot", "data"),
    [
        (plot_spelling, ([3, 1], ["c", "a"])),
        (plot_spelling, ([5], ["e"])),
        (plot_spelling, ([], [])),
        (plot_neighbours, (["a", "b"], [0.9, -0.5])),
        (plot_neighbours, (["a"], np.zeros(1))),
        (plot_neighbours, ([], [])),
    ],
)
def test_plots_are_labelled_and_draw_where_they_are_told_to(plot, data):
    before = repr(data)
    given = plt.subplots()[1]
    assert plot(*data, ax=given) is given
    assert len(plt.get_fignums()) == 1
    for ax in (given, plot(*data)):
        ax.figure.canvas.draw()
        assert ax.get_xlabel()
        assert ax.get_title(loc="left")
    assert repr(data) == before


@pytest.mark.parametrize("scheme", ["tutorial", "utf8"])
def test_each_id_stands_below_its_character(scheme):
    table = CharacterVocabulary(scheme, 12)
    row = table.encode(["née$5$" if scheme == "utf8" else "nee$5$"])[0]
    ids = row[row != table.padding_id]
    labels = character_labels(ids, table)
    ax = plot_spelling(ids, labels)
    ax.figure.canvas.draw()
    columns = {}
    for text in ax.texts:
        x, y = text.get_position()
        columns.setdefault(x, []).append((-y, text.get_text()))
    shown = [[text for _, text in sorted(column)] for _, column in sorted(columns.items())]
    assert shown == [[label, str(i)] for label, i in zip(labels, ids, strict=True)]


def test_bars_are_the_cosines_the_nearest_on_top():
    ax = plot_neighbours(["near", "far", "against"], [0.9, 0.25, -0.5])
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.25, -0.5]
    assert ticks(ax.yaxis) == ["near", "far", "against"]
    low, high = ax.get_xlim()
    assert low < -0.5
    assert high > 1
    top, bottom = (ax.transData.transform((0, y))[1] for y in (0, 2))
    assert top > bottom


def test_words_are_drawn_as_they_are_written():
    ax = plot_neighbours(["$\\nothing$", "a" * 100, "🙂"], [0.3, 0.2, 0.1], title="“$\\q$ 🙂”")
    ax.figure.canvas.draw()  # no formula is looked for, and no shape is missing in the font: both would be a warning
    words = ticks(ax.yaxis)
    assert words[0] == "$\\nothing$"
    assert len(words[1]) < 30
    plot_response_heat(np.ones((2, 2)), ["$\\q$", "\\q$$"]).figure.canvas.draw()


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ElmoHelpersError, match="labels"):
        plot_spelling([1, 2], ["a"])
    with pytest.raises(ElmoHelpersError, match="cosines"):
        plot_neighbours(["a"], [])
