"""A panel below a notebook's cell that trains models: settings, a run with its curves, and all runs compared."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import ipywidgets as widgets

from elmo_helpers.checks import choice, number
from elmo_helpers.config import PRESETS, BiLMConfig
from elmo_helpers.display.widgets.fields import Message
from elmo_helpers.display.widgets.main_thread import Ticker
from elmo_helpers.display.widgets.run_view import RunView
from elmo_helpers.display.widgets.training_estimate import steps_of_an_epoch
from elmo_helpers.display.widgets.training_forecast import Forecast
from elmo_helpers.display.widgets.training_form import TrainingForm
from elmo_helpers.display.widgets.training_run import TrainingRun
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.training.config import TrainingConfig
from elmo_helpers.training.evaluation import sizes
from elmo_helpers.training.trainer import TrainingResult

_ROWS = 100  # that the table of steps of a short run has at least, if it has as many steps


class TrainingPanel(widgets.VBox):
    """Settings, Train, Pause and Stop, live curves, and a plot and a table of all runs.

        panel = TrainingPanel(corpus.split("train"), corpus.split("valid"))
        panel

    A run goes on in a background thread, so that other cells can be executed meanwhile. Its curves are drawn in the
    main thread, while no cell is at work there. A run draws from PyTorch's global random numbers: a cell that draws
    from them at the same time changes what the run learns, and gets other numbers itself. Without such a cell, a run
    gives the same model as `train` with the same configurations.

    A new panel takes the place of those before it, and stops their runs: where a cell was executed anew, they can no
    longer be seen.

    Attributes:
        model: The model of the last run that has made one, or None.
        result: What `train` has returned for it, or None.
        runs: All runs that have ended, each a `TrainingRun`: finished, stopped or failed.
        run: The run that is going on, or the last one; None before the first.
        form: The fields of the settings.
        forecast: The model's size, and the time that training will take.
        view: What is seen of the runs.
    """

    corpus: Corpus | CorpusShards
    validation: Corpus | CorpusShards | None
    directory: str | os.PathLike[str] | None
    form: TrainingForm
    forecast: Forecast
    train_button: widgets.Button
    pause_button: widgets.Button
    stop_button: widgets.Button
    message: Message
    view: RunView

    _panels: ClassVar[weakref.WeakSet[TrainingPanel]] = weakref.WeakSet()

    def __init__(
        self,
        corpus: Corpus | CorpusShards,
        validation: Corpus | CorpusShards | None = None,
        *,
        references: Mapping[str, float] | None = None,
        directory: str | os.PathLike[str] | None = None,
        preset: str = "tutorial",
        model: BiLMConfig | None = None,
        training: TrainingConfig | None = None,
    ) -> None:
        """A panel that trains nothing yet.

        Args:
            corpus: Titles to learn from, as in `train`.
            validation: Titles to measure the exact perplexity on.
            references: Name of a model to its exact perplexity on the same titles; drawn as level lines.
            directory: Where each run gets a folder of its own; None: nothing is written.
            preset: The preset whose settings the fields start with.
            model: Sizes to start with in place of the preset's.
            training: Settings to start with in place of the preset's.

        Raises:
            ElmoHelpersError: The corpus has no title, there is no such preset, or the fields cannot show the model.
        """
        if not any(titles for titles, _ in sizes(corpus)):
            raise ElmoHelpersError("TrainingPanel: the corpus has no title; give one that has.")
        choice("preset", preset, tuple(PRESETS))
        for name, perplexity in (references or {}).items():
            number(f"references[{name!r}]", perplexity, "a perplexity, a number of at least 1", 1)
        if not isinstance(directory, str | os.PathLike | None):
            raise ElmoHelpersError(f"directory={directory!r:.60}: expected the name of a directory, or None.")
        self.corpus, self.validation, self.directory = corpus, validation, directory
        self.model: BiLM | None = None
        self.result: TrainingResult | None = None
        self.runs: list[TrainingRun] = []
        self.run: TrainingRun | None = None
        self.form = TrainingForm(
            corpus.character_vocabulary,
            model or BiLMConfig.preset(preset),
            training or TrainingConfig.preset(preset),
            None if model or training else preset,
        )
        self.forecast = Forecast(corpus, validation)
        self.train_button = widgets.Button(description="Train", button_style="primary", tooltip="Begin a run")
        self.pause_button = widgets.Button(description="Pause", tooltip="Wait after the present step, or go on")
        self.stop_button = widgets.Button(description="Stop", tooltip="End the run after the present step")
        self.message = Message()
        validated = validation is not None and any(titles for titles, _ in sizes(validation))
        self.view = RunView(validated=validated, references=dict(references or {}))
        buttons = widgets.HBox([self.train_button, self.pause_button, self.stop_button])
        super().__init__([self.form, self.forecast, buttons, self.message, self.view])
        for panel in list(self._panels):
            panel.forecast.cancel()
            panel.stop("Stopped, since another panel was made.")
        self._panels.add(self)
        self._ticker = Ticker(self._on_tick)
        self.train_button.on_click(lambda _: self.train())
        self.pause_button.on_click(lambda _: self.pause_or_resume())
        self.stop_button.on_click(lambda _: self.stop())
        self.form.on_change(self._settings_changed)
        self._settings_changed()
        self._show_buttons()

    def train(self) -> None:
        """Begin a run with the settings of the fields; where they are wrong, the panel says so."""
        self.refresh()
        if any(panel.run is not None and panel.run.going for panel in list(self._panels)):
            self.message.say("Not started: a run is going on. Stop it first.")
            return
        configs, n_parameters = self.form.configs(), self.forecast.n_parameters
        if configs is None or n_parameters is None:
            self._settings_changed()  # says again what is wrong
            self.message.say("Not started: a setting is wrong, and the line under it says how.")
            return
        model, training = configs
        if training.epochs is not None:
            n_steps = training.epochs * steps_of_an_epoch(self.corpus, training)
            training = replace(training, log_every=min(training.log_every, max(1, n_steps // _ROWS)))
        self.message.say("")
        self.forecast.cancel()
        name = f"run {len(self.runs) + 1}"
        self.run = TrainingRun(
            name, model, training, preset=self.form.preset, base=self.form.base, n_parameters=n_parameters
        )
        self.view.begin()
        # A step that is still being timed draws from the same random numbers.
        self.run.start(self.corpus, self.validation, self._folder_of(name), after=self.forecast.join)
        self.refresh()
        self._ticker.start()

    def pause_or_resume(self) -> None:
        """Let the run wait after its present step, or go on."""
        if self.run is not None and self.run.going:
            if self.run.state == "paused":
                self.run.resume()
            else:
                self.run.pause()
            self.refresh()

    def stop(self, why: str = "") -> None:
        """End the run after its present step, if one is going on; the model is kept as it is then.

        Args:
            why: What the panel says about it.
        """
        if self.run is not None and self.run.going:
            self.run.stop()
            self.message.say(why)
            self.refresh()

    def close(self) -> None:
        """Stop the run, and take the panel out of the page; what the runs have made stays."""
        if hasattr(self, "_ticker"):  # the base class closes what was never finished, too
            self.stop()
            self.forecast.close()
            self._panels.discard(self)
        super().close()

    def refresh(self) -> bool:
        """Show how things stand now, and say whether that will change by itself.

        In a notebook this happens by itself several times a second; a script without an event loop calls it.
        """
        waiting = self.forecast.refresh()
        if self.run is not None and self.run not in self.runs:
            waiting = True
            self._follow(self.run)
        self._show_buttons()
        return waiting

    def wait(self, seconds: float = 3600.0) -> None:
        """Wait until neither a run nor a measurement is going on, or so long.

        For scripts and tests: in a notebook it would keep the kernel from all else.
        """
        end = time.monotonic() + seconds
        while self.refresh() and time.monotonic() < end:
            time.sleep(0.02)

    def _follow(self, run: TrainingRun) -> None:
        """Show a run that is going on, or that has just ended."""
        ended = not run.going
        if ended:
            self.runs.append(run)
            if run.result is not None:
                self.result, self.model = run.result, run.result.model
            if run.failure:
                self.message.say(f"{run.name} {run.failure}")
            self.view.ended(self.runs)
            self.forecast.measure()
        runs = self.runs if ended else [*self.runs, run]
        self.view.show(runs, steps_of_an_epoch(self.corpus, run.training_config))

    def _settings_changed(self) -> None:
        """Say how large the model is, have its time measured soon, and show the settings as code."""
        configs = self.form.configs()
        try:
            self.forecast.show(configs)
        except ElmoHelpersError as error:
            self.form.blame(error)
            configs = None
        if self.run is not None and self.run.going:
            self.forecast.cancel()  # until the run has ended
        self.view.settings(configs)
        self._ticker.start()

    def _on_tick(self) -> bool:
        try:
            return self.refresh()
        except Exception as error:  # what cannot be drawn must not leave a run going unseen
            self.message.say(f"The panel could not be drawn anew: {type(error).__name__}: {error}")
            return self.run is not None and self.run.going

    def _show_buttons(self) -> None:
        state = "" if self.run is None else self.run.state
        going = self.run is not None and self.run.going
        self.train_button.disabled = going
        self.pause_button.disabled = self.stop_button.disabled = not going or state == "stopping"
        self.pause_button.description = "Resume" if state == "paused" else "Pause"

    def _folder_of(self, name: str) -> Path | None:
        """A folder for a run that no earlier one has used."""
        if self.directory is None:
            return None
        number, stem = 1, name.replace(" ", "-")
        while (folder := Path(self.directory) / (stem if number == 1 else f"{stem}-{number}")).exists():
            number += 1
        return folder
