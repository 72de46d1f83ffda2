"""The strip of surprises, and the likely words."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from elmo_helpers.analysis.scoring import Fill, WordScores
from elmo_helpers.display import scoring_plots as plots
from elmo_helpers.display.style import BACKWARD, FORWARD, VERMILION
from elmo_helpers.errors import ElmoHelpersError


def scores_of(tokens, forward, backward, forward_end=0.5, backward_end=0.25, unknown=()) -> WordScores:
    """Scores from probabilities."""
    mask = np.array([token in unknown for token in tokens], dtype=bool)
    logs = [np.log(np.array(p, dtype=np.float32)) for p in (forward, backward)]
    return WordScores(tokens, *logs, float(np.log(forward_end)), float(np.log(backward_end)), mask)


RAIN = scores_of(["rain", "fell"], [0.5, 0.125], [1.0, 2**-5], unknown=["fell"])
NO_WORD = scores_of([], [], [])
ODD = scores_of(["$\\q$", "🙂", "donaudampfschifffahrt"], [0.1] * 3, [0.1] * 3)
FILLS = [Fill("rain", float(np.log(0.5))), Fill("snow", float(np.log(0.25)))]

FIGURES = {
    "a title": (plots.plot_surprise, (RAIN,)),
    "no word": (plots.plot_surprise, (NO_WORD,)),
    "words that are no Latin, no formula": (plots.plot_surprise, (ODD,)),
    "everything certain": (plots.plot_surprise, (scores_of(["a"], [1.0], [1.0], 1.0, 1.0),)),
    "forty words": (plots.plot_surprise, (scores_of(["word"] * 40, [0.1] * 40, [0.1] * 40),)),
    "likely words": (plots.plot_likely_words, (FILLS,)),
    "one likely word": (plots.plot_likely_words, (FILLS[:1],)),
    "no likely word": (plots.plot_likely_words, ([],)),
    "odd words": (plots.plot_likely_words, ([Fill("$\\q$", -1.0), Fill("🙂", -300.0)],)),
}
each_figure = pytest.mark.parametrize(("plot", "data"), FIGURES.values(), ids=FIGURES.keys())


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


@each_figure
def test_figures_are_labelled_and_draw_where_they_are_told_to(plot, data):
    before = repr(data)
    given = plt.subplots()[1]
    assert plot(*data, ax=given) is given
    assert len(plt.get_fignums()) == 1
    for ax in (given, plot(*data)):
        ax.figure.canvas.draw()
        assert ax.get_title(loc="left")
        assert ax.get_xlabel()
    assert repr(data) == before


def test_surprise_is_in_bits_and_boundaries_are_given():
    tokens, bits = plots.surprise(RAIN)
    assert tokens == ["<S>", "rain", "fell", "</S>"]
    np.testing.assert_allclose(bits[0], [np.nan, 1, 3, 1], atol=1e-6)
    np.testing.assert_allclose(bits[1], [2, 0, 5, np.nan], atol=1e-6)


def test_the_strip_shows_the_surprises():
    ax = plots.plot_surprise(RAIN, limit=4)
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(np.ma.filled(shown, np.nan), plots.surprise(RAIN)[1])
    assert ax.images[0].get_clim() == (0, 4)
    assert "bits" in ax.images[0].colorbar.ax.get_ylabel()
    assert ax.images[0].colorbar.extend == "max", "5 bits are more than the scale has"
    assert plots.plot_surprise(RAIN).images[0].colorbar.extend == "neither"
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert [written[t, 0] for t in range(4)] == ["given", "1.0", "3.0", "1.0"]
    assert [written[t, 1] for t in range(4)] == ["2.0", "0.0", "5.0", "given"]
    assert ticks(ax.xaxis) == ["<S>", "rain", "fell*", "</S>"]
    assert "vocabulary" in ax.get_xlabel()
    assert "5.0 bits forward, 7.0 backward" in ax.get_title(loc="left")


@pytest.mark.parametrize("chosen", [None, 0, 1])
def test_the_frame_is_around_the_chosen_word(chosen):
    frames = [p for p in plots.plot_surprise(RAIN, chosen=chosen).patches if isinstance(p, Rectangle)]
    middles = [frame.get_x() + frame.get_width() / 2 for frame in frames]
    assert middles == ([] if chosen is None else [chosen + 1]), "the boundary stands before the first word"
    assert all(frame.get_edgecolor() == to_rgba(VERMILION) for frame in frames)


@pytest.mark.parametrize(("direction", "colour"), [("forward", FORWARD), ("backward", BACKWARD)])
def test_bars_are_the_probabilities_in_the_colour_of_the_direction(direction, colour):
    ax = plots.plot_likely_words(FILLS, direction=direction, word="snow")
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [0.5, 0.25])
    assert {bar.get_facecolor() for bar in ax.patches} == {to_rgba(colour)}
    assert ticks(ax.yaxis) == ["rain", "snow"]
    assert [label.get_weight() for label in ax.get_yticklabels()] == ["normal", "bold"]
    assert direction in ax.get_title(loc="left")


def test_an_unknown_direction_is_refused():
    with pytest.raises(ElmoHelpersError, match="direction"):
        plots.plot_likely_words(FILLS, direction="sideways")
