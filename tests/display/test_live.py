import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import TrainingConfig, train
from elmo_helpers.display import live
from elmo_helpers.display.live import LiveCurve
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.training.progress import Progress
from small_notebooks import build


class Screen:
    """Stands for the notebook: what is shown below the cell, and how it came there."""

    def __init__(self):
        self.calls, self.figures = [], []

    def display(self, figure, *, display_id):
        assert display_id is True
        self.calls.append("display")
        self.figures.append(figure)
        return SimpleNamespace(update=self.update)

    def update(self, figure):
        self.calls.append("update")
        self.figures.append(figure)


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def screen(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(live, "display", screen.display)
    with plt.rc_context({"backend": "agg"}):
        yield screen
        assert plt.get_fignums() == [], "an open figure would be shown once more"


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


def loop_of(softmax=None, *, validation=True, is_main=True):
    """What the curve looks at of a `TrainingLoop`."""
    return SimpleNamespace(
        model=SimpleNamespace(softmax=softmax or FullSoftmax(9, 2)),
        processes=SimpleNamespace(is_main=is_main),
        validation=["titles"] if validation else [],
        progress=Progress(),
    )


def add_step(loop, loss=5.0):
    loop.progress.step += 10
    loop.progress.steps.append({"step": loop.progress.step, "loss": loss, "learning_rate": 1e-3})


def add_evaluation(loop, perplexity=200.0):
    perplexities = {"forward": perplexity - 1, "backward": perplexity + 1, "perplexity": perplexity}
    loop.progress.history.append({"step": loop.progress.step, "epoch": 0.5} | perplexities)


def lines(ax):
    return {line.get_label(): line.get_ydata() for line in ax.lines}


def test_one_figure_is_shown_and_then_updated(screen, clock):
    loop, curve = loop_of(), LiveCurve({"unigram": 500.0})
    for _ in range(3):
        add_step(loop)
        curve(loop)
        clock.now += 60
    assert screen.calls == ["display", "update", "update"]


def test_the_loss_and_the_exact_perplexity_have_axes_of_their_own(screen, clock):
    loop = loop_of()
    for loss in (6.0, 5.0):
        add_step(loop, loss)
    add_evaluation(loop)
    LiveCurve({"unigram": 500.0})(loop)
    left, right = screen.figures[-1].axes
    assert lines(left)["mean of 10 steps"].tolist() == [6, 5]
    assert len(left.lines) == 2
    assert lines(right)["biLM, mean of both"].tolist() == [200]
    assert lines(right)["unigram"] == [500, 500]
    assert "sampled" not in left.get_ylabel()
    assert "exact" in right.get_ylabel()
    assert right.lines[0].get_xdata().tolist() == [0.5]


def test_before_the_first_evaluation_the_right_axes_say_so(screen, clock):
    loop = loop_of()
    add_step(loop)
    LiveCurve()(loop)
    assert [text.get_text() for text in screen.figures[-1].axes[1].texts] == ["not measured yet"]


def test_an_evaluation_before_the_first_row_of_steps(screen, clock):
    loop = loop_of()
    add_evaluation(loop)
    LiveCurve()(loop)
    assert len(screen.figures[-1].axes) == 2


def test_without_validation_titles_there_is_the_loss_alone(screen, clock):
    loop = loop_of(validation=False)
    add_step(loop)
    loop.progress.history.append({"step": 10, "epoch": 1.0, "train_loss": 5.0})
    LiveCurve()(loop)
    assert len(screen.figures[-1].axes) == 1


def test_a_sampled_loss_is_called_so(screen, clock):
    loop = loop_of(SampledSoftmax(9, 2, 3))
    add_step(loop)
    LiveCurve()(loop)
    assert screen.figures[-1].axes[0].get_ylabel().startswith("sampled loss")


def test_at_most_once_a_second(screen, clock):
    loop, curve = loop_of(), LiveCurve()
    for _ in range(30):
        add_step(loop)
        curve(loop)
        clock.now += 0.1
    assert 2 <= len(screen.figures) <= 3


def test_where_drawing_is_slow_it_takes_a_small_part_of_the_time(screen, clock, monkeypatch):
    def slow_display(figure, *, display_id):
        clock.now += 2
        return screen.display(figure, display_id=display_id)

    monkeypatch.setattr(live, "display", slow_display)
    loop, curve = loop_of(), LiveCurve()
    for _ in range(30):
        add_step(loop)
        curve(loop)
        clock.now += 1
    assert len(screen.figures) == 1


def test_the_last_rows_are_always_drawn(screen, clock):
    loop, curve = loop_of(), LiveCurve()
    add_step(loop)
    curve(loop)
    add_step(loop)
    loop.progress.finished = True
    curve(loop)
    assert len(screen.figures[-1].axes[0].lines[0].get_ydata()) == 2


def test_close_draws_what_came_after_the_last_drawing_of_a_stopped_run(screen, clock):
    loop = loop_of()
    with LiveCurve() as curve:
        for _ in range(4):
            add_step(loop)
            curve(loop)
        assert len(screen.figures) == 1
    assert len(screen.figures[-1].axes[0].lines[0].get_ydata()) == 4
    curve.close()
    assert len(screen.figures) == 2, "nothing has come since"


def test_a_run_that_is_interrupted_leaves_its_curve(screen, clock):
    loop = loop_of()

    def interrupted():
        with LiveCurve() as curve:
            for _ in range(3):
                add_step(loop)
                curve(loop)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(screen.figures[-1].axes[0].lines[0].get_ydata()) == 3


def test_closed_without_a_run_nothing_is_shown(screen):
    with LiveCurve():
        pass
    assert screen.calls == []


def test_another_run_has_a_figure_of_its_own(screen, clock):
    curve = LiveCurve()
    for _ in range(2):
        loop = loop_of()
        add_step(loop)
        curve(loop)
    assert screen.calls == ["display", "display"]


def test_of_several_processes_one_draws(screen, clock):
    loop, curve = loop_of(is_main=False), LiveCurve()
    add_step(loop)
    curve(loop)
    curve.close()
    assert screen.calls == []


def test_what_is_drawn_depends_on_losses_and_perplexities_alone(screen, clock):
    """No speed and no time: the figure of a run that is made again is the same."""
    pictures = []
    for tokens_per_second in (1.0, 1e6):
        loop = loop_of()
        for _ in range(5):
            add_step(loop)
            loop.progress.steps[-1]["tokens_per_second"] = tokens_per_second
        add_evaluation(loop)
        loop.progress.history[-1] |= {"tokens_per_second": tokens_per_second, "seconds": tokens_per_second}
        loop.progress.seconds = tokens_per_second
        LiveCurve()(loop)
        pictures.append(io.BytesIO())
        screen.figures[-1].savefig(pictures[-1], format="png")
    assert pictures[0].getvalue() == pictures[1].getvalue()


def test_a_real_run_ends_with_all_of_its_rows_in_the_figure(screen):
    corpus = corpus_of(TOY_TITLES, valid=0.2)
    config = TrainingConfig(epochs=3, batch_size=4, log_every=2)
    with LiveCurve() as curve:
        result = train(
            corpus.split("train"), "tiny", config, validation=corpus.split("valid"), progress=False, callback=curve
        )
    left, right = screen.figures[-1].axes
    assert left.lines[0].get_ydata().tolist() == result.steps["loss"].tolist()
    assert right.lines[0].get_xdata().tolist() == result.history["epoch"].tolist() == [1, 2, 3]


NOTEBOOK = """# %%
from types import SimpleNamespace

import elmo_helpers.display.live as live
from elmo_helpers.training.progress import Progress

live._SECONDS = live._SHARE = 1e-9  # draw at each call
loop = SimpleNamespace(
    model=SimpleNamespace(softmax=None),
    processes=SimpleNamespace(is_main=True),
    validation=["titles"],
    progress=Progress(),
)

# %%
with live.LiveCurve({"unigram": 500.0}) as curve:
    for step in range(1, 5):
        loop.progress.steps.append({"step": step, "loss": 9.0 - step})
        curve(loop)
    loop.progress.history.append({"step": 4, "epoch": 1.0, "forward": 90.0, "backward": 92.0, "perplexity": 91.0})

# %%
print("after it")
"""


@pytest.mark.notebook
def test_a_notebook_keeps_the_last_figure_alone(tmp_path):
    pictures = []
    # Drawn at each step, and drawn at the end alone.
    for name, source in (
        ("often", NOTEBOOK),
        (
            "once",
            NOTEBOOK.replace("        curve(loop)\n", "").replace("\n# %%\nprint", "    curve(loop)\n\n# %%\nprint"),
        ),
    ):
        (tmp_path / f"00_{name}.py").write_text(source)
        notebook = build.clean(build.run_notebook(tmp_path / f"00_{name}.py", timeout=60))
        assert build.noise(notebook) == []
        assert [len(cell.outputs) for cell in notebook.cells] == [0, 1, 1]
        pictures.append(notebook.cells[1].outputs[0].data["image/png"])
    assert pictures[0] == pictures[1]
