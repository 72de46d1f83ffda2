import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from conftest import corpus_of
from elmo_helpers.display import corpus_plots
from elmo_helpers.display.corpus_plots import format_bytes
from elmo_helpers.display.style import BLUE, VERMILION

SPLITS = ("train", "valid", "test")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def days(*names):
    return np.array(names, dtype="datetime64[s]")


def coverage_table():
    return pd.DataFrame({"min_count": [1, 2, 3], "words": [100, 40, 10], "coverage": [1.0, 0.9, 0.5]})


CALLS = {
    "plot_title_path": (corpus_of(["we meet again", "we sing"], min_count=2), 0, "We meet — again"),
    "plot_documents": (days("1800-01-01", "1800-01-01", "1900-02-02"), np.array([0, 0, 2]), SPLITS),
    "plot_word_counts": ({"the": 10, "of": 5, "rare": 1},),
    "plot_coverage": (coverage_table(), 2),
    "plot_costs": ({"large": 10**9, "small": 2000},),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_figure_is_drawn_on_new_axes_or_on_those_given(name):
    plot = getattr(corpus_plots, name)
    assert isinstance(plot(*CALLS[name]), Axes)
    _, ax = plt.subplots()
    before = len(plt.get_fignums())
    assert plot(*CALLS[name], ax=ax) is ax
    assert len(plt.get_fignums()) == before
    ax.figure.canvas.draw()


def texts_at(ax, y):
    """What is written at one height, from left to right, without the labels at the left."""
    found = [(text.get_position(), text.get_text()) for text in ax.texts]
    return [text for (x, at), text in sorted(found) if x > 0 and np.isclose(at, y)]


def test_a_title_is_followed_from_its_letters_to_the_ids_of_its_characters():
    corpus = corpus_of(["we meet again", "we sing"], min_count=2)  # lexicon: we, then by the alphabet
    ax = corpus_plots.plot_title_path(corpus, 0, "We meet again")
    assert "".join(texts_at(ax, corpus_plots._RAW)) == "Wemeetagain"
    changed = [text.get_text() for text in ax.texts if text.get_color() == VERMILION and text.get_text() != "<UNK>"]
    assert changed == ["W"]
    assert "".join(texts_at(ax, corpus_plots._CLEAN)) == "wemeetagain"
    assert texts_at(ax, corpus_plots._TOKENS) == ["<S>", "we", "meet", "again", "</S>"]
    assert texts_at(ax, corpus_plots._LEXICON) == ["1", "3", "5", "4", "2"]
    assert texts_at(ax, corpus_plots._VOCABULARY) == ["1", "4", "3", "3", "2"]
    unsaid = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_facecolor() == to_rgba(VERMILION)]
    assert [round(patch.get_x() - 0.04) for patch in unsaid] == [2, 3]
    assert texts_at(ax, corpus_plots._SPELLING) == ["<S>", "70", "w", "24", "m", "14", "a", "2", "</S>", "71"]
    assert "2 of its 3 words" in ax.get_title("left")


@pytest.mark.parametrize("scheme", ["tutorial", "utf8"])
def test_long_titles_and_words_are_cut_in_the_picture_alone(scheme):
    words = ["incomprehensibilities", *(f"w{n}" for n in range(30))]
    corpus = corpus_of([" ".join(words)], scheme=scheme)
    ax = corpus_plots.plot_title_path(corpus, 0, " ".join(words))
    assert len(texts_at(ax, corpus_plots._RAW)) <= 96
    tokens = texts_at(ax, corpus_plots._TOKENS)
    assert tokens[0] == "<S>"
    assert tokens[-2:] == ["…", "</S>"]
    assert len(tokens) == 10
    assert "all of its 31 words" in ax.get_title("left")
    with pytest.raises(IndexError):
        corpus_plots.plot_title_path(corpus, 1, "none")


def test_a_raw_title_of_odd_signs_can_be_drawn():
    corpus = corpus_of(["naïve $x$ 😀"], scheme="utf8")
    corpus_plots.plot_title_path(corpus, 0, "naïve $x$ 😀").figure.canvas.draw()


def test_lengths_without_a_cut_are_all_alike():
    ax = corpus_plots.plot_lengths(np.array([1, 2, 2, 9]), things="titles", unit="words")
    assert {bar.get_facecolor() for bar in ax.patches} == {to_rgba(BLUE)}
    assert sum(bar.get_height() for bar in ax.patches) == 4
    assert ax.get_legend() is None


@pytest.mark.parametrize("log", [False, True])
def test_lengths_beyond_the_cut_stand_out(log):
    lengths = np.array([1, 2, 2, 3, 5, 9])
    ax = corpus_plots.plot_lengths(lengths, 3, things="titles", unit="words", log=log)
    bars = [bar for bar in ax.patches if bar.get_height() > 0]
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in bars}
    assert heights == {1: 1, 2: 2, 3: 1, 5: 1, 9: 1}
    colours = {round(bar.get_x() + bar.get_width() / 2): bar.get_facecolor() for bar in bars}
    assert [colours[n] for n in (3, 5)] == [to_rgba(BLUE), to_rgba(VERMILION)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "whole: 4",
        "cut: 2 (33.33%)",
        "at most 3 words",
    ]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == (
        "length (words)",
        "titles",
        "log" if log else "linear",
    )
    assert lengths.tolist() == [1, 2, 2, 3, 5, 9]


@pytest.mark.parametrize("lengths", [[4], [0], [7, 12_345]])
def test_lengths_of_few_or_very_long_things_are_all_counted(lengths):
    ax = corpus_plots.plot_lengths(np.array(lengths), 5, things="titles", unit="words")
    assert sum(bar.get_height() for bar in ax.patches) == len(lengths)
    assert len(ax.patches) <= 2 * 102


def test_documents_without_dates_are_no_lines():
    ax = corpus_plots.plot_documents(days("NaT"), np.array([0]), SPLITS)
    assert not any(len(lines.get_segments()) for lines in ax.collections)


def test_documents_are_lines_as_high_as_their_titles():
    dates = days("1800-01-01", "1800-01-01", "1900-02-02", "1950-01-01", "NaT")
    ax = corpus_plots.plot_documents(dates, np.array([0, 0, 2, 0, 0]), SPLITS)
    heights = [[segment[1][1] for segment in lines.get_segments()] for lines in ax.collections]
    assert heights == [[2, 1], [], [1]]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["train: 2 days, 3 titles", "valid: 0 days, 0 titles", "test: 1 days, 1 titles"]


def test_words_lie_by_rank_beside_a_zipf_line_with_the_same_number_of_running_words():
    counts = {"of": 5, "the": 10, "never": 0, "rare": 1, "also": 1}
    ax = corpus_plots.plot_word_counts(counts)
    zipf, words = ax.lines[:2]
    assert words.get_xdata().tolist() == [1, 2, 3, 4]
    assert words.get_ydata().tolist() == [10, 5, 1, 1]
    assert np.isclose(zipf.get_ydata().sum(), 17)
    assert np.allclose(zipf.get_ydata() * zipf.get_xdata(), zipf.get_ydata()[0])
    assert [text.get_text() for text in ax.texts] == ["the"]
    assert counts == {"of": 5, "the": 10, "never": 0, "rare": 1, "also": 1}


@pytest.mark.parametrize("counts", [{}, {"home": 1}])
def test_no_word_or_one_word_can_be_drawn(counts):
    corpus_plots.plot_word_counts(counts).figure.canvas.draw()


def test_coverage_marks_the_minimum_count_that_is_chosen():
    table = coverage_table()
    ax = corpus_plots.plot_coverage(table, 2)
    curve, mark = ax.lines[:2]
    assert curve.get_xdata().tolist() == [100, 40, 10]
    assert curve.get_ydata().tolist() == [100, 90, 50]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (40, 90)
    assert [text.get_text() for text in ax.texts] == ["1", "3"]
    assert "40 words, which cover 90.00%" in ax.get_title("left")
    assert table.equals(coverage_table())


def test_coverage_of_one_word_can_be_drawn():
    table = pd.DataFrame({"min_count": [1, 2], "words": [5, 4], "coverage": [1.0, 0.0]})
    corpus_plots.plot_coverage(table, 1).figure.canvas.draw()


def test_costs_are_bars_on_a_log_axis_with_their_size():
    sizes = {"large": 625_000_000, "small": 7_500_000}
    ax = corpus_plots.plot_costs(sizes, ours="small")
    assert [bar.get_width() for bar in ax.patches] == [625_000_000, 7_500_000]
    assert [bar.get_facecolor() == to_rgba(BLUE) for bar in ax.patches] == [False, True]
    assert [text.get_text() for text in ax.texts] == ["625 MB", "7.5 MB"]
    assert ax.get_xscale() == "log"
    assert sizes == {"large": 625_000_000, "small": 7_500_000}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1500, "1.5 kB"),
        (99_400, "99.4 kB"),
        (999_600, "1.0 MB"),
        (4_147_257_600, "4.1 GB"),
        (2e15, "2000 TB"),
    ],
)
def test_bytes_for_people(size, text):
    assert format_bytes(size) == text
