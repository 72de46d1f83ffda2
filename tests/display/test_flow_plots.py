import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch

from elmo_helpers.display.flow_plots import STAGES, STEPS, plot_flow
from elmo_helpers.display.style import BLUE
from elmo_helpers.errors import ElmoHelpersError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def boxes(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


@pytest.mark.parametrize("here", [1, 2, 3, 4])
def test_the_steps_of_the_present_notebook_alone_are_filled(here):
    ax = plot_flow(here)
    steps = [(step, number) for number, (_, names) in enumerate(STAGES, start=1) for step in names]
    assert len(boxes(ax)) == len(steps) == len(STEPS)
    for box, (_, number) in zip(boxes(ax), steps, strict=True):
        assert (box.get_facecolor() == to_rgba(BLUE)) == (number == here)


def test_the_way_reads_from_titles_to_vectors_and_names_the_four_notebooks():
    ax = plot_flow(here=2)
    words = [text.get_text() for text in ax.texts if text.get_text()]
    way = [word for word in words if " · " not in word]
    assert way == ["titles", "words", "characters", "character CNN", "two LSTMs", "layers", "vectors"]
    assert [word[:1] for word in words if " · " in word] == ["1", "2", "3", "4"]


def test_it_draws_on_the_axes_given():
    _, ax = plt.subplots()
    assert plot_flow(3, ax=ax) is ax
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("here", [0, 5, "1", None])
def test_a_notebook_that_does_not_exist_is_refused(here):
    with pytest.raises(ElmoHelpersError, match="from 1 to 4"):
        plot_flow(here)
