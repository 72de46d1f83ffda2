import matplotlib.pyplot as plt
import numpy as np
import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.display.encoding_plots import OTHER, plot_accuracies, plot_groups, plot_layer_weights


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def small_marks(ax) -> dict:
    """The points of each group, without the large marks at the middles."""
    return {c.get_label(): c for c in ax.collections if not c.get_label().startswith("_")}


@pytest.mark.parametrize("shares", [[1.0], [0.2, 0.5, 0.3]])
def test_bars_are_the_shares_and_the_line_is_the_equal_one(shares):
    names = [f"layer {i}" for i in range(len(shares))]
    ax = plot_layer_weights(shares, names, title="Here")
    assert [bar.get_height() for bar in ax.patches] == shares
    assert [label.get_text() for label in ax.get_xticklabels()] == names
    assert [text.get_text() for text in ax.texts] == [f"{share:.2f}" for share in shares]
    assert ax.lines[0].get_ydata() == [1 / len(shares)] * 2
    assert ax.get_title(loc="left") == "Here"


def test_shares_need_a_name_each():
    with pytest.raises(ElmoHelpersError, match="expected 2, one a share, and got 1"):
        plot_layer_weights([0.5, 0.5], ["layer 0"])


@pytest.mark.parametrize("ordered", [False, True])
def test_points_stand_where_they_are_in_their_groups_colour(ordered):
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    before = points.copy()
    ax = plot_groups(points, ["b", "a", "b"], ["a", "b"], ordered=ordered, title="Here", axis_name="component")
    marks = small_marks(ax)
    assert marks["a"].get_offsets().tolist() == [[2, 3]]
    assert marks["b"].get_offsets().tolist() == [[0, 1], [4, 5]]
    assert not np.array_equal(marks["a"].get_facecolor(), marks["b"].get_facecolor())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("component 1", "component 2", "Here")
    np.testing.assert_array_equal(points, before)


def test_ordered_groups_have_a_large_mark_at_their_middle():
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    ax = plot_groups(points, ["b", "a", "b"], ["a", "b", "c"], ordered=True)
    middles = [c.get_offsets().tolist() for c in ax.collections if c.get_label().startswith("_")]
    assert middles == [[[2, 3]], [[2, 3]]]


def test_a_legend_can_be_left_to_another_drawing():
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    ax = plot_groups(points, ["a", "b"], ["a", "b"], legend=False)
    assert ax.get_legend() is None
    assert list(small_marks(ax)) == ["a", "b"]


def test_other_is_grey_and_lies_under_the_rest():
    ax = plot_groups(np.zeros((2, 2)), ["a", OTHER], ["a", OTHER])
    assert next(iter(small_marks(ax))) == OTHER
    red, green, blue, _ = small_marks(ax)[OTHER].get_facecolor()[0]
    assert red == green == blue
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", OTHER]


@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize("ordered", [False, True])
def test_any_number_of_groups_is_drawn(n, ordered):
    names = [f"group {i}" for i in range(n)]
    ax = plot_groups(np.arange(2.0 * n).reshape(n, 2), names, names, ordered=ordered)
    assert list(small_marks(ax)) == names


@pytest.mark.parametrize(("points", "groups"), [(np.zeros((2, 3)), ["a", "b"]), (np.zeros((2, 2)), ["a"])])
def test_points_that_do_not_fit_are_refused(points, groups):
    with pytest.raises(ElmoHelpersError, match="points and groups: expected"):
        plot_groups(points, groups, ["a", "b"])


@pytest.mark.parametrize("accuracies", [{"alone": 0.4}, {"layer 1": 0.5, "layer 2": 1.0, "both": 0.0}])
def test_accuracies_stand_in_order_from_the_top_beside_the_commonest_class(accuracies):
    ax = plot_accuracies(accuracies, 0.25, title="Here")
    dots = next(line for line in ax.lines if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == list(accuracies.values())
    assert dots.get_ydata().tolist() == list(range(len(accuracies)))[::-1]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(accuracies)
    assert [text.get_text() for text in ax.texts] == [f"{value:.1%}" for value in accuracies.values()]
    assert ax.get_legend().get_texts()[0].get_text() == "always the commonest: 25.0%"
    assert ax.get_title(loc="left") == "Here"


def test_numbers_of_accuracies_stand_beside_the_axes_where_no_line_crosses_them():
    ax = plot_accuracies({"one": 0.3, "two": 0.31}, 0.3)
    ax.figure.canvas.draw()
    right = ax.get_window_extent().x1
    assert all(text.get_window_extent().x0 > right for text in ax.texts)


def test_bounds_are_bars_of_their_ways():
    ax = plot_accuracies({"one": 0.5, "two": 0.7}, 0.25, bounds={"two": (0.6, 0.8), "one": (0.4, 0.65)})
    bars = next(c for c in ax.collections if c.get_label() == "95 % bounds")
    assert [line[:, 0].tolist() for line in bars.get_segments()] == [[0.4, 0.65], [0.6, 0.8]]
    assert [line[0, 1] for line in bars.get_segments()] == [1, 0]
    low, high = ax.get_xlim()
    assert low < 0.25
    assert high > 0.8


@pytest.mark.parametrize("bounds", [{"one": (0.4, 0.6)}, {"one": (0.4, 0.6), "two": (0.5,)}])
def test_bounds_are_of_every_way(bounds):
    with pytest.raises(ElmoHelpersError, match="a lowest and a highest share of each of"):
        plot_accuracies({"one": 0.5, "two": 0.7}, 0.25, bounds=bounds)


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_layer_weights([1.0], ["layer 0"], ax=ax),
        lambda ax: plot_groups(np.zeros((1, 2)), ["a"], ["a"], title="Here", ax=ax),
        lambda ax: plot_accuracies({"alone": 0.5}, 0.5, ax=ax),
    ],
)
def test_axes_given_are_drawn_on(draw):
    _, ax = plt.subplots()
    assert draw(ax) is ax
    assert ax.get_title(loc="left") + ax.get_title()
    assert len(plt.get_fignums()) == 1
