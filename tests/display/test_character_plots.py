import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from elmo_helpers import CharacterVocabulary
from elmo_helpers.display import character_plots as plots
from elmo_helpers.display.style import BLUE, VERMILION

WORD = ["c", "a", "t", "·", "·"]
LETTERS = pd.DataFrame({"letter": list("atx"), "word": [0, 1, 1], "row": [1, 0, 0], "place": [2, 3, 3]})

EVERY_PLOT = [
    (plots.plot_character_vectors, (np.arange(10.0).reshape(2, 5), WORD)),
    (plots.plot_filter_slide, (np.arange(9.0).reshape(3, 3), WORD)),
    (plots.plot_window_responses, (np.array([0.5, 2.0, -1.0]), ["cat", "at·", "t··"])),
    (plots.plot_response_heat, (np.arange(6.0).reshape(2, 3), ["cat", "at·", "t··"])),
    (plots.plot_origins, (np.array([[0, 0], [1, 1]]), ["cat", "sat"])),
    (plots.plot_letters, (LETTERS, ["cat", "sat"], 5)),
    (plots.plot_ngrams_in_words, (["the", "others"], [0, 4], 3)),
    (plots.plot_families, (np.arange(8.0).reshape(4, 2), ["a", "a", "b", "b"], ["p", "q", "r", "s"])),
]
# One word, one character, one filter, one title.
EDGES = [
    (plots.plot_character_vectors, (np.zeros((1, 1)), ["a"])),
    (plots.plot_filter_slide, (np.zeros((1, 1)), ["a"])),
    (plots.plot_window_responses, (np.zeros(1), ["a"])),
    (plots.plot_response_heat, (np.zeros((1, 1)), ["a"])),
    (plots.plot_origins, (np.zeros((1, 1), dtype=int), ["a"])),
    (plots.plot_letters, (LETTERS.iloc[:0], ["a"], 3)),
    (plots.plot_ngrams_in_words, (["a"], [0], 1)),
    (plots.plot_families, (np.zeros((1, 2)), ["a"], ["p"])),
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def name_of(value: object) -> str | None:
    return value.__name__ if callable(value) else ""


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def tick_labels(axis) -> list[str]:
    return [tick.get_text() for tick in axis.get_ticklabels()]


@pytest.mark.parametrize(("plot", "data"), EVERY_PLOT + EDGES, ids=name_of)
def test_every_plot_draws_on_new_or_given_axes_and_labels_them(plot, data):
    ax = plot(*data)
    assert isinstance(ax, Axes)
    given = plt.subplots()[1]
    assert plot(*data, ax=given) is given
    ax.figure.canvas.draw()
    assert ax.get_xlabel()
    assert ax.get_title(loc="left") or plot in (
        plots.plot_origins, plots.plot_letters, plots.plot_ngrams_in_words, plots.plot_families,
    )  # fmt: skip


@pytest.mark.parametrize(("plot", "data"), EVERY_PLOT, ids=name_of)
def test_no_plot_changes_its_input(plot, data):
    def copies(value):
        if isinstance(value, dict):
            return {name: copies(v) for name, v in value.items()}
        return value.copy() if hasattr(value, "copy") else value

    kept = [copies(value) for value in data]
    plot(*data)
    for value, copy in zip(data, kept, strict=True):
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, copy)
        else:
            np.testing.assert_equal(value, copy)


@pytest.mark.parametrize(
    "title", ["plot_character_vectors", "plot_origins", "plot_letters", "plot_ngrams_in_words", "plot_families"]
)
def test_a_title_given_is_shown(title):
    plot, data = next((plot, data) for plot, data in EVERY_PLOT if plot.__name__ == title)
    assert plot(*data, title="what is to be seen").get_title(loc="left") == "what is to be seen"


def test_labels_of_tutorial_characters():
    table = CharacterVocabulary("tutorial", 6)
    assert plots.character_labels(table.encode(["a b-"])[0], table) == ["a", "␣", "b", "-", "·", "·"]
    assert [plots.character_labels(row, table)[0] for row in table.boundary_rows] == ["·", "<S>", "</S>"]


def test_labels_of_utf8_bytes():
    table = CharacterVocabulary("utf8", 8)
    assert plots.character_labels(table.encode(["aé"])[0], table) == ["‹", "a", "c3", "a9", "›", "·", "·", "·"]
    assert plots.character_labels(table.boundary_rows[1], table)[1] == "<S>"


def test_character_vectors_show_the_values_and_white_is_zero():
    values = np.array([[1.0, -3.0]])
    picture = plots.plot_character_vectors(values, ["a", "b"]).images[0]
    np.testing.assert_array_equal(picture.get_array(), values)
    assert picture.get_clim() == (-3, 3)
    assert plots.plot_character_vectors(-values.clip(max=0), ["a", "b"]).images[0].get_clim() == (0, 3)


def test_filter_slide_stands_on_the_diagonal_and_frames_the_greatest_sum():
    contributions = np.array([[1.0, 1.0], [5.0, -9.0], [2.0, 2.0]])
    ax = plots.plot_filter_slide(contributions, ["a", "b", "c", "d"])
    band = ax.images[0].get_array()
    for place, row in enumerate(contributions):
        np.testing.assert_array_equal(band[place, place : place + 2], row)
    assert np.ma.count(np.ma.masked_invalid(band)) == contributions.size
    assert ax.patches[0].get_xy() == (1.5, 1.5)
    assert tick_labels(ax.xaxis) == ["a", "b", "c", "d"]


def test_window_responses_mark_the_maximum():
    ax = plots.plot_window_responses(np.array([0.5, 2.0, -1.0]), ["cat", "at·", "t··"])
    assert [bar.get_width() for bar in ax.patches] == [0.5, 2.0, -1.0]
    colours = [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
    assert colours == [BLUE, VERMILION, BLUE]
    assert "2.000" in ax.get_title(loc="left")
    assert tick_labels(ax.yaxis) == ["cat", "at·", "t··"]


def test_response_heat_sorts_the_filters_by_their_maximum_and_scales_each_by_its_own():
    responses = np.array([[0.0, 2.0, 1.0], [3.0, -1.0, 0.0], [-1.0, -2.0, -3.0]])
    ax = plots.plot_response_heat(responses, ["ab", "bc", "cd"])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[1, 0, 0], [0, 0, 0], [0, 1, 0.5]])
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[0, 0], [1, 2]])  # none where all is below zero


def test_origins_have_a_colour_and_a_name_for_each_word():
    origins = np.array([[0, 0], [2, 2], [2, 2]])
    ax = plots.plot_origins(origins, ["cat", "sat", "mat"])
    picture = ax.images[0].get_array()
    assert (picture[0] != picture[1]).any()
    np.testing.assert_array_equal(picture[1], picture[2])
    assert texts(ax) == ["cat", "mat"]
    assert ax.texts[1].get_position() == (0.5, 1.5)


def test_letters_stand_at_their_places_and_share_one_where_two_meet():
    ax = plots.plot_letters(LETTERS, ["cat", "sat"], 5)
    assert texts(ax) == ["t", "x", "a"]
    assert [text.get_position() for text in ax.texts] == [(2.75, 0), (3.25, 0), (2.0, 1)]
    assert tick_labels(ax.yaxis) == ["cat", "sat"]


def test_letters_have_the_colour_of_their_own_word():
    cells = plots.plot_letters(LETTERS, ["cat", "sat"], 5).patches[2:]
    assert cells[0].get_facecolor() == cells[1].get_facecolor() != cells[2].get_facecolor()


def test_ngrams_are_marked_in_their_words_and_may_end_in_padding():
    ax = plots.plot_ngrams_in_words(["the", "others"], [0, 5], 3)
    assert "".join(texts(ax)) == "theothers··"
    assert "".join(text.get_text() for text in ax.texts if text.get_weight() == "bold") == "thes··"
    assert [round(patch.get_x() + 0.45) for patch in ax.patches] == [0, 5]
    assert ax.yaxis.get_ticklocs()[0] > ax.get_ylim()[1], "the first stands on top"


def test_families_name_their_outermost_words():
    points = np.array([[0.0, 0.0], [-9.0, -9.0], [1.0, 1.0], [9.0, 9.0]])
    ax = plots.plot_families(points, ["a", "a", "b", "b"], ["p", "q", "r", "s"])
    assert [points.get_label() for points in ax.collections] == ["a", "b"]
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), points[2:])
    assert texts(ax) == ["q", "s"]
    assert texts(plots.plot_families(points, ["a"] * 4)) == []


def test_a_name_covers_no_point_where_it_can_stand_beside_it():
    row = np.stack([np.linspace(0, 1, 20), np.zeros(20)], axis=1)  # points close together, and two far above
    points = np.concatenate([row, [[0.0, 1.0], [1.0, 1.0]]])
    ax = plots.plot_families(points, ["a"] * 22, ["word"] * 22)
    assert ax.texts[0].xy[1] == 1
