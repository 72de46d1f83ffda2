import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from elmo_helpers.display.training_plots import (
    plot_first_steps,
    plot_learning_rate,
    plot_training_loss,
    plot_validation,
)


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def steps(n):
    losses = np.linspace(9, 5, n) if n > 1 else np.array([9.0])
    return pd.DataFrame({"step": range(1, n + 1), "loss": losses, "learning_rate": np.linspace(0, 1e-3, n)})


def history(n):
    rows = np.arange(n)
    return pd.DataFrame(
        {"epoch": rows + 1, "forward": 200.0 - rows, "backward": 220.0 - rows, "perplexity": 210.0 - rows}
    )


def by_label(ax: Axes) -> dict:
    return {line.get_label(): line for line in ax.lines}


def test_first_steps_are_the_numbers_given_beside_a_line_at_zero():
    gaps = {"one": pd.Series([0.5, 0.25]), "two": [-1.0, -2.0, -3.0]}
    ax = plot_first_steps(gaps, title="Here")
    lines = by_label(ax)
    assert lines["one"].get_xydata().tolist() == [[1, 0.5], [2, 0.25]]
    assert lines["two"].get_ydata().tolist() == [-1, -2, -3]
    assert lines["knowing nothing: log V"].get_ydata() == [0, 0]
    assert ax.get_title(loc="left") == "Here"
    assert list(gaps["one"]) == [0.5, 0.25]


def test_more_runs_than_markers_are_all_drawn():
    assert len(plot_first_steps({str(i): [i] for i in range(12)}).lines) == 13


@pytest.mark.parametrize("n", [1, 4, 400])
def test_training_loss_is_every_step_its_running_mean_and_the_references(n):
    data = steps(n)
    before = data.copy()
    ax = plot_training_loss(data, {"unigram": 6.0, "bigram": 5.5})
    lines = by_label(ax)
    assert lines["each batch"].get_ydata().tolist() == data["loss"].tolist()
    window = max(5, n // 40)
    smooth = lines[f"mean of {window} batches"].get_ydata()
    assert len(smooth) == n
    assert smooth[n // 2] == pytest.approx(
        data["loss"][max(0, n // 2 - window // 2) : n // 2 + (window + 1) // 2].mean()
    )
    assert (lines["unigram"].get_ydata(), lines["bigram"].get_ydata()) == ([6, 6], [5.5, 5.5])
    pd.testing.assert_frame_equal(data, before)


@pytest.mark.parametrize("n", [1, 50])
def test_learning_rate_of_each_step(n):
    data = steps(n)
    (line,) = plot_learning_rate(data).lines
    assert line.get_ydata().tolist() == data["learning_rate"].tolist()


@pytest.mark.parametrize("n", [1, 3, 40])
def test_validation_shows_both_directions_their_mean_and_the_references(n):
    data = history(n)
    ax = plot_validation(data, {"unigram": 500.0})
    lines = by_label(ax)
    for label, column in (
        ("biLM forward", "forward"),
        ("biLM backward", "backward"),
        ("biLM, mean of both", "perplexity"),
    ):
        assert lines[label].get_ydata().tolist() == data[column].tolist()
    assert lines["unigram"].get_ydata() == [500, 500]
    assert ax.get_yscale() == "log"
    assert set(ax.get_xticks()) == set(data["epoch"]) or n > 12


@pytest.mark.parametrize(
    ("forward", "reference"), [(1.3, 2.0), (111.0, 112.0), (30.0, 30_000.0), (5.0, 2_000_000.0), (float("nan"), 50.0)]
)
def test_perplexities_of_any_size_can_be_read_on_the_axis(forward, reference):
    data = pd.DataFrame({"epoch": [1], "forward": [forward], "backward": [forward], "perplexity": [forward]})
    ax = plot_validation(data, {"unigram": reference})
    ticks = ax.get_yticks()
    assert 1 <= len(ticks) <= 12
    assert len({label.get_text() for label in ax.get_yticklabels()}) == len(ticks)


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_first_steps({"one": [1.0]}, ax=ax),
        lambda ax: plot_training_loss(steps(3), {}, ax=ax),
        lambda ax: plot_learning_rate(steps(3), ax=ax),
        lambda ax: plot_validation(history(2), {}, ax=ax),
    ],
)
def test_axes_given_are_drawn_on_and_labelled(draw):
    _, ax = plt.subplots()
    assert draw(ax) is ax
    assert all((ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left") + ax.get_title()))
    assert len(plt.get_fignums()) == 1
