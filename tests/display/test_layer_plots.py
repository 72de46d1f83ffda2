import matplotlib.pyplot as plt
import numpy as np
import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.display.layer_plots import plot_by_layer, plot_curves, plot_readers, plot_shares_over_labels


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def test_points_are_the_shares_from_top_to_bottom():
    groups = {"of different class": {"layer 0": 0.5, "layer 1": 0.9}, "of one class": {"layer 0": 0.5, "layer 1": 0.6}}
    ax = plot_by_layer(groups, chance=0.5, title="Here")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["layer 0", "layer 1"]
    for line, (name, shares) in zip(ax.lines, groups.items(), strict=False):
        assert line.get_label() == name
        assert list(line.get_xdata()) == list(shares.values())
        assert list(line.get_ydata()) == [1, 0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [*groups, "a guess: 50%"]
    assert ax.get_title(loc="left") == "Here"
    assert ax.get_xlim()[0] < 0.5
    assert len(plot_by_layer(groups).lines) == 2  # without a guess


def test_groups_need_the_same_ways():
    with pytest.raises(ElmoHelpersError, match=r"groups: b has \['y'\]"):
        plot_by_layer({"a": {"x": 1.0}, "b": {"y": 1.0}})


def test_each_curve_is_named_at_its_end_and_no_two_names_touch():
    curves = {"a": [1.0, 30.0], "b": [2.0, 30.1], "c": [3.0, 50.0], "d": [0.0, 30.2]}
    ax = plot_curves([50, 1000], curves, highlighted=["a"])
    assert [list(line.get_ydata()) for line in ax.lines] == list(curves.values())
    assert [label.get_text() for label in ax.get_xticklabels()] == ["50", "1,000"]
    heights = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert [tuple(text.xy) for text in ax.texts] == [(1000, scores[-1]) for scores in curves.values()]
    assert sorted(heights, key=heights.get) == ["a", "■ b", "◆ d", "▲ c"]
    assert [line.get_marker() for line in ax.lines] == ["o", "s", "^", "D"]
    assert (np.diff(sorted(heights.values())) > 2).all()
    assert ax.lines[0].get_color() != ax.lines[1].get_color() == ax.lines[2].get_color()
    assert len({line.get_color() for line in plot_curves([1], {"a": [1.0], "b": [1.0]}).lines}) == 2


def test_shares_are_stacked_to_one():
    shares = [[0.5, 0.2, 0.3], [0.1, 0.0, 0.9]]
    ax = plot_shares_over_labels([50, 200], shares)
    heights = np.array([[bar.get_height() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(heights, np.transpose(shares))
    np.testing.assert_allclose([bar.get_y() for bar in ax.containers[2]], [0.7, 0.1])


def test_lengths_must_agree():
    with pytest.raises(ElmoHelpersError, match="curves: a has 1 scores: expected 2"):
        plot_curves([1, 2], {"a": [1.0]})
    with pytest.raises(ElmoHelpersError, match="expected 2 rows, one a number of labels, and got 1"):
        plot_shares_over_labels([1, 2], [[1.0]])


@pytest.mark.parametrize("place", [0, 1, 3])
def test_what_is_not_read_is_pale(place):
    words = ["the", "river", "bank", "rose"]
    pale = [
        [text.get_text() for text in ax.texts if text.get_color() == "#B5B5B5"] for ax in plot_readers(words, place)
    ]
    others = [word for i, word in enumerate(words) if i != place]
    assert pale == [others, [], [], words[place + 1 :]]
