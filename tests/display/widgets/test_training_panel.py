"""The panel as a whole, driven by its fields and buttons, without a browser."""

import asyncio
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLMConfig, ElmoHelpersError, TrainingConfig, evaluate, train
from elmo_helpers.display.widgets import main_thread, run_view, training_estimate, training_forecast, training_run
from elmo_helpers.display.widgets.training_panel import TrainingPanel
from elmo_helpers.training.run_folder import RunFolder

LONG = TrainingConfig(epochs=100_000, batch_size=8)


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        assert plt.get_fignums() == []


@pytest.fixture
def make(monkeypatch):
    """Makes panels of a toy corpus, and leaves no thread behind."""
    monkeypatch.setattr(training_forecast, "_DEBOUNCE", 1e6)  # nothing is timed unless a test asks for it
    monkeypatch.setattr(training_estimate, "_SECONDS", 0.1)
    made = []

    def make(**settings):
        corpus = corpus_of(TOY_TITLES * 4, valid=0.2)
        settings = {"validation": corpus.split("valid"), "preset": "tiny"} | settings
        panel = TrainingPanel(corpus.split("train"), **settings)
        made.append(panel)
        return panel

    yield make
    for panel in made:
        panel.close()
        end_of(panel)
        panel.forecast.join(30)


def end_of(panel):
    """Wait for the run alone, and show how it has ended."""
    if panel.run is not None:
        panel.run.join(60)
        assert not panel.run.going
    panel.refresh()


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def clicked(button):
    assert not button.disabled
    button.click()


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def configs_in(panel):
    names = {}
    exec(panel.view.code.value, names)
    return names["model_config"], names["training_config"]


def test_a_run_leaves_what_train_leaves_with_the_code_shown(make):
    panel = make()
    panel.form.set(dropout="0.3", hidden_dim="12", budget="3", learning_rate="0.01")
    clicked(panel.train_button)
    end_of(panel)
    (run,) = panel.runs
    assert (run.state, run.error, panel.message.text) == ("finished", None, "")
    model_config, training_config = configs_in(panel)
    assert (model_config, training_config) == (run.model_config, run.training_config)
    assert (model_config.hidden_dim, model_config.dropout, training_config.epochs) == (12, 0.3, 3)
    again = train(panel.corpus, model_config, training_config, validation=panel.validation, progress=False)
    assert torch.equal(weights(panel.model), weights(again.model))
    assert panel.result is run.result
    assert run.best_perplexity == pytest.approx(evaluate(panel.model, panel.validation).perplexity)
    assert run.n_parameters == sum(p.numel() for p in panel.model.parameters())
    assert f"{run.n_parameters:,}" in panel.forecast.size.value
    assert panel.view.curves.layout.display is None
    assert "finished" in panel.view.state.value


def test_pause_go_on_and_stop(make):
    panel = make(model=BiLMConfig.preset("tiny"), training=LONG)
    assert panel.pause_button.disabled
    assert panel.stop_button.disabled
    clicked(panel.train_button)
    assert panel.train_button.disabled
    until(lambda: panel.run.progress.step > 20)
    clicked(panel.pause_button)
    assert panel.pause_button.description == "Resume"
    time.sleep(0.1)
    step, seconds = panel.run.progress.step, panel.run.progress.seconds
    time.sleep(0.2)
    panel.refresh()
    assert "paused" in panel.view.state.value
    assert panel.run.progress.step == step
    clicked(panel.pause_button)
    assert panel.pause_button.description == "Pause"
    until(lambda: panel.run.progress.step > step + 20)
    assert panel.run.progress.seconds > seconds
    clicked(panel.stop_button)
    end_of(panel)
    assert [run.state for run in panel.runs] == ["stopped"]
    assert not panel.result.finished
    assert panel.model is panel.result.model
    assert not panel.train_button.disabled


def test_stop_while_paused_and_before_the_first_step(make):
    panel = make(model=BiLMConfig.preset("tiny"), training=LONG)
    for early in (True, False):
        clicked(panel.train_button)
        if not early:
            until(lambda: panel.run.progress.step > 5)
        clicked(panel.pause_button)
        clicked(panel.stop_button)
        end_of(panel)
    assert [run.state for run in panel.runs] == ["stopped", "stopped"]
    assert panel.runs[0].progress.step <= panel.runs[1].progress.step


def test_the_screen_follows_the_run_while_it_goes_on(make, monkeypatch):
    monkeypatch.setattr(run_view, "_SHARE", 1e9)  # drawing may take as long as it does
    panel = make(model=BiLMConfig.preset("tiny"), training=LONG)
    clicked(panel.train_button)
    until(lambda: len(panel.run.progress.history) >= 2)
    assert panel.refresh()
    first = panel.view.curves.value
    assert first
    for words in ("tokens/s", "of 100000", "left", "training loss"):
        assert words in panel.view.numbers.value
    until(lambda: panel.refresh() and panel.view.curves.value != first)
    assert "running" in panel.view.table.value


def test_a_run_that_diverges_says_why_and_the_next_one_is_good(make):
    panel = make()
    panel.form.set(optimizer="sgd", learning_rate="1e30", budget="20")
    clicked(panel.train_button)
    end_of(panel)
    assert panel.runs[0].state == "failed"
    assert isinstance(panel.runs[0].error, ElmoHelpersError)
    assert "learning_rate" in panel.message.text
    assert panel.message.text.startswith("run 1 failed: ")
    assert panel.model is None
    panel.form.set(preset="tiny")
    clicked(panel.train_button)
    end_of(panel)
    assert [run.state for run in panel.runs] == ["failed", "finished"]
    assert panel.message.text == ""
    assert panel.model is not None


def test_what_nobody_expected_is_shown_with_its_type_and_its_traceback_is_kept(make, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("<out of memory>")

    panel = make()
    with monkeypatch.context() as patched:
        patched.setattr(training_run, "train", broken)
        clicked(panel.train_button)
        end_of(panel)
    assert panel.message.text == "run 1 failed: RuntimeError: <out of memory>"
    assert "&lt;out of memory&gt;" in panel.view.table.value
    assert panel.runs[0].error.__traceback__ is not None
    clicked(panel.train_button)
    end_of(panel)
    assert panel.runs[1].state == "finished"


def test_with_a_wrong_setting_nothing_starts(make):
    panel = make()
    for wrong in ({"hidden_dim": "many"}, {"softmax": "sampled"}):  # the toy has no 8,192 words to draw
        panel.form.set(**wrong)
        assert panel.forecast.n_parameters is None
        clicked(panel.train_button)
        assert panel.run is None
        assert "Not started" in panel.message.text
        field = panel.form.fields[next(iter(wrong))]
        assert field.message.text
        panel.form.set(preset="tiny")
        assert not field.message.text
    clicked(panel.train_button)
    assert panel.message.text == ""


def test_two_runs_are_compared(make):
    panel = make()
    for width in ("8", "16"):
        panel.form.set(hidden_dim=width)
        clicked(panel.train_button)
        end_of(panel)
        assert (panel.view.comparison.layout.display is None) == (width == "16")
    assert "hidden_dim = 16" in panel.view.table.value
    assert panel.view.code_choice.options[1:] == ("run 1", "run 2")
    panel.view.code_choice.value = "run 1"
    assert configs_in(panel)[0] == panel.runs[0].model_config
    panel.form.set(hidden_dim="24")
    assert configs_in(panel)[0].hidden_dim == 24


def test_without_validation_titles(make):
    panel = make(validation=None)
    for _ in range(2):
        clicked(panel.train_button)
        end_of(panel)
    assert panel.runs[1].best_perplexity is None
    assert panel.view.curves.layout.display is None
    assert panel.view.comparison.layout.display == "none"


def test_each_run_has_a_folder_of_its_own(make, tmp_path):
    for _ in range(2):
        panel = make(directory=tmp_path)
        clicked(panel.train_button)
        end_of(panel)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-1", "run-1-2"]
    kept = RunFolder(tmp_path / "run-1-2").load_model()
    assert torch.equal(weights(kept), weights(panel.model))


def test_another_panel_and_close_leave_no_run_behind(make):
    first = make(model=BiLMConfig.preset("tiny"), training=LONG)
    clicked(first.train_button)
    until(lambda: first.run.progress.step)
    second = make()
    end_of(first)
    assert first.runs[0].state == "stopped"
    assert "another panel" in first.message.text
    first.form.set(preset="as given")
    clicked(first.train_button)
    clicked(second.train_button)
    assert second.run is None
    assert "Stop it first" in second.message.text
    first.close()
    end_of(first)
    assert [run.state for run in first.runs] == ["stopped", "stopped"]
    first.close()  # once more is no harm


def test_a_corpus_without_titles_is_refused():
    corpus = corpus_of(TOY_TITLES)
    with pytest.raises(ElmoHelpersError, match="no title"):
        TrainingPanel(corpus.select(slice(0, 0)))
    with pytest.raises(ElmoHelpersError, match="references"):
        TrainingPanel(corpus, references={"unigram": "high"})
    with pytest.raises(ElmoHelpersError, match="directory=3"):
        TrainingPanel(corpus, directory=3)
    with pytest.raises(ElmoHelpersError, match="preset"):
        TrainingPanel(corpus, preset="huge")
    with pytest.raises(ElmoHelpersError, match="softmax"):
        TrainingPanel(corpus, model=replace(BiLMConfig.preset("tiny"), softmax="none"))


def test_every_control_is_labelled(make):
    panel = make()
    controls = [field.control for field in panel.form.fields.values()]
    controls += [panel.train_button, panel.pause_button, panel.stop_button, panel.view.code_choice, panel.view.code]
    assert all(control.description for control in controls)
    assert len({control.description for control in controls}) == len(controls)


def test_in_an_event_loop_all_happens_by_itself_and_in_one_thread(make, monkeypatch):
    monkeypatch.setattr(training_forecast, "_DEBOUNCE", 0.01)
    drawn_in = set()
    save = plt.Figure.savefig
    monkeypatch.setattr(
        plt.Figure, "savefig", lambda *a, **k: (drawn_in.add(threading.current_thread()), save(*a, **k))[1]
    )

    async def session():
        panel = make()
        turns = 0
        while panel.forecast.estimate is None:
            await asyncio.sleep(0.02)
            turns += 1
            assert turns < 1000
        assert "measured" in panel.forecast.time.value
        panel.train_button.click()
        while not panel.runs:
            await asyncio.sleep(0.02)
            turns += 1
            assert turns < 3000
        return panel

    panel = asyncio.run(session())
    assert panel.runs[0].state == "finished"
    assert "finished" in panel.view.state.value
    assert drawn_in == {threading.main_thread()}


def test_the_time_is_measured_after_a_change_and_not_while_a_cell_or_a_run_goes_on(make, monkeypatch):
    monkeypatch.setattr(training_forecast, "_DEBOUNCE", 0.0)
    listeners = {}
    shell = SimpleNamespace(
        events=SimpleNamespace(register=listeners.__setitem__, unregister=lambda name, _: listeners.pop(name))
    )
    monkeypatch.setattr(main_thread, "get_ipython", lambda: shell)
    panel = make()
    assert not panel.refresh(), "the cell that makes the panel is still being executed"
    assert "measuring" in panel.forecast.time.value
    listeners["post_run_cell"](None)
    assert panel.refresh()
    listeners["pre_run_cell"](None)  # in the midst of it
    assert not panel.forecast._busy
    before = torch.random.get_rng_state()
    time.sleep(0.05)
    assert torch.equal(before, torch.random.get_rng_state())
    assert panel.forecast.estimate is None
    listeners["post_run_cell"](None)
    panel.wait(30)
    assert panel.forecast.estimate.tokens_per_second > 0
    panel.form.set(hidden_dim="9")
    assert panel.forecast.estimate is None
    panel.refresh()
    timed = panel.forecast._measurement
    clicked(panel.train_button)
    assert timed.cancelled
    panel.wait(60)
    assert panel.forecast.estimate is not None, "it is measured after the run"
    panel.close()
    assert listeners == {}
