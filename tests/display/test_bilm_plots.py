import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation

from elmo_helpers.display import bilm_plots as plots
from elmo_helpers.display.style import BACKWARD, BLACK, BLUE, FORWARD

TOKENS = ["<S>", "rain", "fell", "</S>"]
STREAMS = [["<S>", "rain", "fell", "<S>", "peace"], ["and", "commerce", "<S>", "amen"]]
PAST = np.tril(np.arange(1.0, 17.0).reshape(4, 4))

FIGURES = {
    "targets": (plots.plot_targets, (TOKENS,)),
    "targets of no word": (plots.plot_targets, (["<S>", "</S>"],)),
    "cell": (plots.plot_cell, (pd.DataFrame({"x1": [0.5, -1.0], "x2": [2.0, 0.0]}, index=["c", "h"]),)),
    "cell, one step": (plots.plot_cell, (pd.DataFrame({"x1": [0.0]}, index=["c"]),)),
    "reads": (plots.plot_reads, (TOKENS, PAST[1], PAST.T[1], 1)),
    "losses": (plots.plot_loss_curves, ({"ours": [4.0, 3.0, 2.0, 2.0, 2.0, 2.0]}, 1.5)),
    "losses of one step": (plots.plot_loss_curves, ({"ours": [4.0]}, 1.5)),
    "probabilities": (plots.plot_word_probabilities, (np.array([0.7, 0.3]), {"fitted": np.array([0.6, 0.4])})),
    "probability of one": (plots.plot_word_probabilities, (np.ones(1), {"fitted": np.ones(1)})),
    "padding": (plots.plot_padding, (np.array([[1, 9, 8, 2], [1, 7, 2, 0]]),)),
    "padding of one title": (plots.plot_padding, (np.array([[1, 7, 2]]),)),
    "streams": (plots.plot_streams, (STREAMS, 3)),
    "stream of one token": (plots.plot_streams, ([["<S>"]], 20)),
}

each_figure = pytest.mark.parametrize(("plot", "arguments"), FIGURES.values(), ids=FIGURES.keys())


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


@each_figure
def test_figure_is_labelled_and_draws_without_a_warning(plot, arguments):
    ax = plot(*arguments)
    assert isinstance(ax, Axes)
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel() or ax.get_yticklabels()
    ax.figure.canvas.draw()


@each_figure
def test_figure_is_drawn_on_the_axes_given(plot, arguments):
    ax = plt.subplots()[1]
    assert plot(*arguments, ax=ax) is ax
    assert len(plt.get_fignums()) == 1


@each_figure
def test_input_is_not_changed(plot, arguments):
    before = repr(arguments)
    plot(*arguments).figure.canvas.draw()
    assert repr(arguments) == before


def test_each_direction_has_its_neighbour_and_nothing_at_its_end():
    ax = plots.plot_targets(TOKENS)
    by_place = {tuple(text.get_position()): text.get_text() for text in ax.texts if text.get_text()}
    rows = {level: [by_place[t, level] for t in range(4)] for level in (1, 0, -1)}
    assert rows == {
        1: ["rain", "fell", "</S>", "nothing"],
        0: TOKENS,
        -1: ["nothing", "<S>", "rain", "fell"],
    }
    edges = [patch.get_edgecolor() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    assert edges.count(to_rgba(FORWARD)) == edges.count(to_rgba(BACKWARD)) == 3
    assert edges.count(to_rgba(BLACK)) == 4


def test_boxes_of_long_words_are_as_wide_as_the_words():
    ax = plots.plot_targets(["<S>", "internationalisation", "constitutional", "</S>"])
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    words = [text for text in ax.texts if text.get_text()]
    for box, text in zip(boxes, words, strict=True):
        outer, inner = box.get_window_extent(renderer), text.get_window_extent(renderer)
        assert outer.x0 <= inner.x0
        assert inner.x1 <= outer.x1


def test_a_word_too_long_for_its_place_is_cut():
    long, n = "donaudampfschifffahrt", 4
    cut = "donaudampfsch…"
    assert cut in texts(plots.plot_targets(["<S>", long, "is", "</S>"]))
    assert ticks(plots.plot_triangles({"a": (np.ones((n, n)), 1)}, ["<S>", long, "is", "</S>"])[0].xaxis)[1] == cut
    assert ticks(plots.plot_reads(["<S>", long, "is", "</S>"], np.ones(n), np.ones(n), 1).xaxis)[1] == cut


def test_cell_shows_every_number_below_its_token():
    ax = plots.plot_cell(FIGURES["cell"][1][0])
    assert texts(ax) == ["0.50", "2.00", "-1.00", "0.00"]
    assert (ticks(ax.xaxis), ticks(ax.yaxis)) == (["x1", "x2"], ["c", "h"])
    assert ax.images[0].get_clim() == (-2, 2)


def test_limits_leave_out_zeros():
    assert plots.influence_limits([[0, 2]], [3, 0.5]) == (0.5, 3)
    low, high = plots.influence_limits(np.ones(3))
    assert low < 1 < high
    low, high = plots.influence_limits(np.zeros(3))
    assert 0 < low < high


@pytest.mark.parametrize(("position", "marks"), [(0, {"forward": 1}), (1, {"forward": 2, "backward": 0})])
def test_bars_are_what_each_direction_reads(position, marks):
    forward, backward = PAST[position], PAST.T[position]
    ax = plots.plot_reads(TOKENS, forward, backward, position)
    assert [bar.get_height() for bar in ax.containers[0]] == forward.tolist()
    assert [bar.get_height() for bar in ax.containers[1]] == backward.tolist()
    assert ticks(ax.xaxis) == TOKENS
    assert {text.get_text().split()[0]: text.get_position()[0] for text in ax.texts} == marks


def test_curves_are_moving_means_beside_the_floor():
    ax = plots.plot_loss_curves({"a": [4, 2, 3], "b": [1, 1, 1]}, 1.5, "the floor", smooth=2)
    a, b, floor = ax.lines
    assert a.get_xdata().tolist() == [2, 3]
    assert a.get_ydata().tolist() == [3, 2.5]
    assert b.get_ydata().tolist() == [1, 1]
    assert a.get_linestyle() != b.get_linestyle(), "told apart in print too"
    assert set(floor.get_ydata()) == {1.5}
    assert texts(ax) == ["the floor"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_probabilities_stand_at_their_ranks():
    ax = plots.plot_word_probabilities([0.7, 0.3], {"fitted": [0.6, 0.4]})
    fitted, wanted = ax.lines
    assert fitted.get_xdata().tolist() == wanted.get_xdata().tolist() == [1, 2]
    assert (fitted.get_ydata().tolist(), wanted.get_ydata().tolist()) == ([0.6, 0.4], [0.7, 0.3])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_padding_words_and_boundaries_have_three_colours():
    image = plots.plot_padding(np.array([[1, 9, 8, 2], [1, 7, 2, 0]])).images[0]
    assert image.get_array().tolist() == [[2, 1, 1, 2], [2, 1, 2, 0]]
    colours = image.to_rgba(image.get_array()).reshape(-1, 4)
    assert len(np.unique(colours, axis=0)) == 3
    assert tuple(colours[1]) == to_rgba(BLUE)


def test_triangles_share_one_scale_and_mark_what_is_asked_for():
    axes = plots.plot_triangles({"forward": (PAST, 1), "backward": (PAST.T, -1), "both": (PAST + 1, 1)}, TOKENS)
    images = [ax.images[0] for ax in axes]
    assert [image.get_clim() for image in images] == [(1, 17)] * 3
    assert np.array_equal(images[1].get_array().mask, PAST.T == 0), "what is exactly zero has no colour"
    assert np.array_equal(images[1].get_array().filled(0), PAST.T)
    assert "hatched" in axes[0].figure.axes[-1].get_ylabel()
    assert len(axes[0].figure.axes) == 4, "three pictures and one colour bar"
    circles = [[(int(x), int(y)) for x, y in ax.lines[0].get_xydata()] for ax in axes]
    assert circles[0] == circles[2] == [(1, 0), (2, 1), (3, 2)]
    assert circles[1] == [(0, 1), (1, 2), (2, 3)]
    assert [ax.get_title(loc="left") for ax in axes] == ["forward", "backward", "both"]
    assert ticks(axes[0].yaxis) == ticks(axes[2].xaxis) == TOKENS
    axes[0].figure.canvas.draw()


def test_triangles_are_drawn_on_the_axes_given():
    given = list(plt.subplots(1, 2)[1])
    assert plots.plot_triangles({"a": (PAST, 1), "b": (np.zeros((4, 4)), -1)}, TOKENS, axes=given) == given
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(("low", "high"), [(1.0, 3.0), (1e-6, 1.0)])
def test_ticks_of_a_scale_are_written_out(low, high):
    (ax,) = plots.plot_triangles({"a": ([[low, high], [0, low]], 1)}, ["<S>", "</S>"])
    ax.figure.canvas.draw()
    written = [label.get_text() for label in ax.figure.axes[-1].get_yticklabels()]
    assert len(written) >= 2
    assert not any("times" in text or "^" in text for text in written)


def test_streams_stand_in_windows_and_the_state_goes_on_in_each():
    ax = plots.plot_streams(STREAMS, 3)
    words = {(round(t.get_position()[0], 2), t.get_position()[1]): t.get_text() for t in ax.texts if t.get_text()}
    first = [words[x, 0] for x, row in sorted(words) if row == 0]
    second = [words[x, 1] for x, row in sorted(words) if row == 1]
    assert [first, second] == STREAMS
    places = sorted(x for x, row in words if row == 0)
    assert np.diff(places)[2] > 1, "a gap between two windows"
    assert set(np.diff(places)[[0, 1, 3]]) == {1}
    arrows = [(t.xy[1], t.get_position()[1]) for t in ax.texts if isinstance(t, Annotation)]
    assert sorted(row for row, _ in arrows) == [0, 1, 1.7, 1.7], "a state in each stream, a gradient in each window"
    assert [text for text in texts(ax) if text.startswith("window")] == ["window 1", "window 2"]


def test_words_of_streams_fit_into_their_boxes():
    ax = plots.plot_streams([["<S>", "commerce", "prosperity", "internationalisation"]], 2)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    words = [text for text in ax.texts if text.get_text() and not text.get_text().startswith("window")]
    for box, text in zip(boxes, words, strict=True):
        outer, inner = box.get_window_extent(renderer), text.get_window_extent(renderer)
        assert outer.x0 <= inner.x0
        assert inner.x1 <= outer.x1
