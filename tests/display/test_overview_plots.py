"""The picture of the whole."""

import matplotlib.pyplot as plt
import pytest

from elmo_helpers.display.overview_plots import plot_overview
from elmo_helpers.display.style import VERMILION
from elmo_helpers.errors import ElmoHelpersError

NUMBERS = ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("words", [("peace", "and", "commerce"), ("union",), ("we", "shall", "not", "be", "moved")])
def test_it_has_a_column_a_token_and_two_cells_a_layer(words):
    ax = plot_overview(words)
    texts = [text.get_text() for text in ax.texts]
    n = len(words) + 2
    assert texts.count("char CNN") == n
    assert texts.count("→") == texts.count("←") == 2 * n + 1  # one more in the legend
    assert [word for word in texts if word in words] == list(words)
    assert [t for t in texts if t.startswith("layer ")] == ["layer 0", "layer 1", "layer 2"]
    plt.close(ax.figure)


def test_no_arrow_leads_from_what_a_direction_has_not_read():
    """Between columns, forward arrows lead to the right and backward ones to the left."""
    ax = plot_overview()
    colours = {}
    for line in ax.lines:
        x = line.get_xdata()
        if len(x) == 3:
            colours.setdefault(line.get_color(), set()).add(x[-1] > x[0])
    assert sorted(colours.values(), key=min) == [{False}, {True}]
    plt.close(ax.figure)


def test_it_draws_where_it_is_told():
    ax = plt.subplots()[1]
    assert plot_overview(ax=ax) is ax
    plt.close(ax.figure)


@pytest.mark.parametrize("here", ["01", "02", "03", "04", "05"])
def test_the_place_of_the_notebook_alone_is_lit(here):
    ax = plot_overview(here=here)
    quiet = plot_overview()
    assert len(ax.patches) == len(quiet.patches) + 1
    colours = {text.get_text(): text.get_color() for text in ax.texts if text.get_text() in NUMBERS}
    assert len(colours) == len(NUMBERS)
    assert [number for number in NUMBERS if colours[number] == VERMILION] == [here]
    plt.close("all")


@pytest.mark.parametrize("here", ["06", "1", 1, ""])
def test_a_notebook_that_there_is_not_is_refused(here):
    with pytest.raises(ElmoHelpersError, match="01, 02, 03, 04, 05"):
        plot_overview(here=here)
