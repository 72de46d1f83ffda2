"""The picture of the whole."""

import matplotlib.pyplot as plt
import pytest

from elmo_helpers.display.overview_plots import plot_overview


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
