import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from elmo_helpers.display.training_plots import (
    plot_first_steps,
    plot_gradient_cosines,
    plot_runs,
    plot_training_loss,
    plot_validation,
)


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def steps(n, every=1):
    """A row for every so many steps; the last one has one step less where that is possible."""
    ends = [*range(every, every * n, every), max(1, every * n - 1)] if every > 1 else range(1, n + 1)
    losses = np.linspace(9, 5, n) if n > 1 else np.array([9.0])
    return pd.DataFrame({"step": ends, "loss": losses, "learning_rate": np.linspace(0, 1e-3, n)})


def history(n, per_epoch=1):
    rows = np.arange(n)
    epochs = np.round((rows + 1) / per_epoch, 4)
    return pd.DataFrame(
        {"epoch": epochs, "forward": 200.0 - rows, "backward": 220.0 - rows, "perplexity": 210.0 - rows}
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
def test_training_loss_is_every_row_and_their_running_mean(n):
    data = steps(n)
    before = data.copy()
    ax = plot_training_loss(data)
    lines = by_label(ax)
    assert lines["each step"].get_ydata().tolist() == data["loss"].tolist()
    window = max(5, n // 40)
    smooth = lines[f"running mean over {window} steps"].get_ydata()
    assert len(smooth) == n
    assert smooth[n // 2] == pytest.approx(
        data["loss"][max(0, n // 2 - window // 2) : n // 2 + (window + 1) // 2].mean()
    )
    assert len(ax.lines) == 2, "no other model's loss belongs here"
    pd.testing.assert_frame_equal(data, before)


@pytest.mark.parametrize(("n", "every"), [(3, 10), (50, 10), (40, 100)])
def test_training_loss_says_over_how_many_steps_a_row_is_the_mean(n, every):
    lines = by_label(plot_training_loss(steps(n, every)))
    assert set(lines) == {f"mean of {every} steps", f"running mean over {5 * every} steps"}
    assert lines[f"mean of {every} steps"].get_xdata()[0] == every


def test_loss_of_a_sampled_softmax_is_called_so():
    assert plot_training_loss(steps(3), sampled=True).get_ylabel().startswith("sampled loss")
    assert "sampled" not in plot_training_loss(steps(3)).get_ylabel()


def test_tables_without_a_row_are_drawn():
    assert plot_training_loss(steps(1)[:0]).get_xlabel()
    ax = plot_validation(history(1)[:0].astype(object), {"unigram": 500.0})
    assert [text.get_text() for text in ax.texts] == ["not measured yet"]
    assert by_label(ax)["unigram"].get_ydata() == [500, 500]


@pytest.mark.parametrize(("n", "per_epoch"), [(1, 3), (5, 2), (40, 7)])
def test_several_evaluations_an_epoch_stand_at_their_share_of_it(n, per_epoch):
    data = history(n, per_epoch)
    ax = plot_validation(data, {})
    assert by_label(ax)["biLM forward"].get_xdata().tolist() == data["epoch"].tolist()
    low, high = ax.get_xlim()
    assert low == 0
    assert data["epoch"].max() < high < 1.2 * data["epoch"].max()
    assert len(ax.get_xticks()) < 12


def test_gradient_cosines_are_a_line_for_each_number_of_words():
    cosines = pd.DataFrame({20: [0.7, 0.9], 1000: [0.95, 0.99]}, index=[1, 16])
    ax = plot_gradient_cosines(cosines)
    assert by_label(ax)["1,000 words in a draw"].get_xydata().tolist() == [[1, 0.95], [16, 0.99]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "16"]


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
    assert lines["biLM forward"].get_marker() != lines["biLM backward"].get_marker(), "seen where they are as good"
    assert ax.get_yscale() == "log"
    assert set(ax.get_xticks()) == set(data["epoch"]) or n > 12


def test_runs_are_told_apart_by_colour_and_marker_and_a_run_has_the_same_one_each_time():
    runs = {f"run {i}": pd.DataFrame({"tokens": [10, 20], "perplexity": [300.0 - i, 200.0 - i]}) for i in range(30)}
    runs["failed"] = pd.DataFrame()
    runs["unmeasured"] = pd.DataFrame({"tokens": [10], "train_loss": [5.0]})
    ax = plot_runs(runs, {"unigram": 500.0})
    lines = by_label(ax)
    assert lines["run 3"].get_xydata().tolist() == [[10, 297], [20, 197]]
    assert len({(line.get_color(), line.get_marker()) for line in lines.values()}) == len(runs) + 1
    assert lines["unigram"].get_ydata() == [500, 500]
    assert ax.get_yscale() == "log"
    assert len(ax.texts) == 0
    fewer = by_label(plot_runs({"run 0": runs["run 0"], "run 1": runs["run 1"]}))
    assert fewer["run 1"].get_color() == lines["run 1"].get_color()


@pytest.mark.parametrize("runs", [{}, {"one": pd.DataFrame()}, {"one": pd.DataFrame({"tokens": [1]})}])
def test_runs_that_were_not_measured_say_so(runs):
    assert [text.get_text() for text in plot_runs(runs).texts] == ["not measured yet"]


@pytest.mark.parametrize(
    ("forward", "reference"), [(1.3, 2.0), (111.0, 112.0), (30.0, 30_000.0), (5.0, 2_000_000.0), (float("nan"), 50.0)]
)
def test_perplexities_of_any_size_can_be_read_on_the_axis(forward, reference):
    data = pd.DataFrame({"epoch": [1], "forward": [forward], "backward": [forward], "perplexity": [forward]})
    ax = plot_validation(data, {"unigram": reference})
    ticks = ax.get_yticks()
    assert 3 <= len(ticks) <= 12
    assert ticks[0] <= np.nanmin([forward, reference]) <= np.nanmax([forward, reference]) <= ticks[-1]
    low, high = ax.get_ylim()
    assert low <= ticks[0] < ticks[-1] <= high
    assert len({label.get_text() for label in ax.get_yticklabels()}) == len(ticks)


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_first_steps({"one": [1.0]}, ax=ax),
        lambda ax: plot_training_loss(steps(3), ax=ax),
        lambda ax: plot_gradient_cosines(pd.DataFrame({20: [0.5]}, index=[1]), ax=ax),
        lambda ax: plot_validation(history(2), {}, ax=ax),
        lambda ax: plot_runs({"one": pd.DataFrame({"tokens": [1], "perplexity": [2.0]})}, ax=ax),
    ],
)
def test_axes_given_are_drawn_on_and_labelled(draw):
    _, ax = plt.subplots()
    assert draw(ax) is ax
    assert all((ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left") + ax.get_title()))
    assert len(plt.get_fignums()) == 1
