from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.display.search_plots import drawable, plot_contexts, plot_dates_of_nearest


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[D]")


def test_points_in_clusters_with_rings():
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, -5.0]])
    ax = plot_contexts(points, [1, 0, 1], ["1: a", "2: b"], chosen=2, nearest=[0, 1], title="Here")
    marks = {c.get_label(): c.get_offsets().tolist() for c in ax.collections}
    assert marks == {
        "1: a": [[2, 3]],
        "2: b": [[0, 1], [4, -5]],
        "the occurrence": [[4, -5]],
        "its nearest": points[:2].tolist(),
    }
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["1: a", "2: b", "the occurrence", "its nearest"]
    assert ax.get_xlim() == ax.get_ylim() == (-1.08 * 5, 1.08 * 5)
    assert ax.get_aspect() == 1
    assert ax.get_title(loc="left") == "Here"


def test_extent_is_kept():
    assert plot_contexts(np.ones((1, 2)), [0], ["1"], extent=30.0).get_xlim() == (-30, 30)
    assert plot_contexts(np.zeros((1, 2)), [0], ["1"]).get_xlim() == (-1, 1)


def test_names_with_an_emoji_and_dollars_are_drawn():
    ax = plot_contexts(np.zeros((1, 2)), [0], ["1: \N{PILE OF POO} — / $ — $"], title="\N{PILE OF POO}")
    ax.figure.canvas.draw()  # a warning of a missing shape, or an error of a formula, would fail
    assert ax.get_legend().get_texts()[0].get_text() == "1: □ — / $ — $"


@pytest.mark.parametrize("names", [["1"], ["1", "1"]])
def test_names_are_one_a_cluster(names):
    with pytest.raises(ElmoHelpersError, match="names: expected one a cluster"):
        plot_contexts(np.zeros((2, 2)), [0, 1], names)


def test_text_that_can_be_drawn_stays():
    assert drawable("“état” — of (3)") == "“état” — of (3)"


def test_bars_are_shares_of_what_has_a_date(rng):
    start = np.datetime64("1900-01-01")
    every = start + rng.integers(20_000, size=300)
    every[:30] = np.datetime64("NaT")
    found = every[rng.permutation(300)[:40]]
    ax = plot_dates_of_nearest(found, every, n_bins=7, title="Here")
    dated = every[~np.isnat(every)]
    edges = np.linspace(dated.min().astype(int), dated.max().astype(int) + 1, 8)
    for dates, heights in (
        (found, [bar.get_height() for bar in ax.containers[0]]),
        (every, next(p for p in ax.patches if hasattr(p, "get_data")).get_data().values),
    ):
        numbers = [int(d.astype(int)) for d in dates if not np.isnat(d)]
        by_hand = [sum(a <= x < b for x in numbers) / len(numbers) for a, b in pairwise(edges)]
        np.testing.assert_allclose(heights, by_hand)
        assert sum(heights) == pytest.approx(1)
    labels = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    assert "30 without a date" in labels
    assert f"{np.isnat(found).sum()} without a date" in labels
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("found", "every"),
    [
        (days("2001-01-01"), days("2001-01-01")),  # all on one day
        (days("NaT"), days("NaT", "1790-01-08")),
        (days(), days("0001-01-01", "2026-01-01")),
    ],
)
def test_dates_at_the_edges(found, every):
    ax = plot_dates_of_nearest(found, every)
    ax.figure.canvas.draw()
    assert sum(bar.get_height() for bar in ax.containers[0]) == (~np.isnat(found)).any()


def test_no_date_at_all_is_said():
    ax = plot_dates_of_nearest(days("NaT"), days("NaT", "NaT"))
    assert [text.get_text() for text in ax.texts] == ["No title has a date."]


def test_number_of_bins_is_checked():
    with pytest.raises(ElmoHelpersError, match="n_bins=0"):
        plot_dates_of_nearest(days(), days("2001-01-01"), n_bins=0)


def test_ticks_say_what_they_mark():
    """Shares of 2.5 % apart were once written as 2 %, 5 %, 8 %."""
    every = days(*(f"2001-01-{day:02}" for day in range(1, 29)))
    for n_bins in (7, 9, 14, 28):
        ax = plot_dates_of_nearest(every, every, n_bins=n_bins)
        written = [
            float(text.removesuffix("%")) for text in ax.yaxis.get_major_formatter().format_ticks(ax.get_yticks())
        ]
        assert written == pytest.approx([100 * tick for tick in ax.get_yticks()])
