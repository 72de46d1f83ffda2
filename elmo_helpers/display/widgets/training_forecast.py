"""Two lines before a run: how many numbers the model has, and how long its training will take."""

from __future__ import annotations

import html
import math
import time

import ipywidgets as widgets

from elmo_helpers.config import BiLMConfig
from elmo_helpers.display.widgets.main_thread import Cells
from elmo_helpers.display.widgets.training_estimate import Estimate, Measurement, parameter_counts, why_not
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.training.config import TrainingConfig

_DEBOUNCE = 0.6  # seconds after the last change of a setting before steps are timed
_LONGEST_WAIT = 5.0  # seconds that a cell waits for the step that is being timed


class Forecast(widgets.VBox):
    """The size of a model, at once, and the time of its training, when a few steps have been timed.

    Steps are timed in the background, and only while no cell is executed: so the cells' random numbers and speed are
    their own. A cell that begins cancels what is being timed, and when it is done that begins anew.

    Attributes:
        n_parameters: Of the model of the present settings; None where there is none.
        estimate: What has been measured of the present settings, or None.
    """

    size: widgets.HTML
    time: widgets.HTML

    def __init__(self, corpus: Corpus | CorpusShards, validation: Corpus | CorpusShards | None = None) -> None:
        self.n_parameters: int | None = None
        self.estimate: Estimate | None = None
        self._corpus, self._validation = corpus, validation
        self._configs: tuple[BiLMConfig, TrainingConfig] | None = None
        self._measurement: Measurement | None = None  # the last one, which may be cancelled and at its last step
        self._due: float | None = None  # when to time steps: never before a cell has ended; None: there is no need
        self.size, self.time = widgets.HTML(), widgets.HTML()
        super().__init__([self.size, self.time])
        self._cells = Cells(self._cell_began, self._cell_ended)

    def show(self, configs: tuple[BiLMConfig, TrainingConfig] | None) -> None:
        """Say how large the model of these configurations is, and time it from now on; None: there is no model.

        Raises:
            ElmoHelpersError: The softmax does not fit the vocabulary.
        """
        self.cancel()
        self._configs = self.n_parameters = self.estimate = None
        self.size.value = self.time.value = ""
        if configs is not None:
            self.n_parameters, softmax = parameter_counts(configs[0], self._corpus)
            self.size.value = f"Parameters: <b>{self.n_parameters:,}</b>, of which the softmax has {softmax:,}"
            self._configs = configs
            self.measure()

    def measure(self) -> None:
        """Time the present settings soon, if that has not been done."""
        if self._configs is not None and self.estimate is None:
            self._due = time.monotonic() + _DEBOUNCE
            self.time.value = "Time: measuring…"

    def cancel(self) -> None:
        """Time no steps, or no further ones."""
        if self._due is not None or self._busy:
            self.time.value = ""
        self._due = None
        if self._measurement is not None:
            self._measurement.cancel()

    def join(self, seconds: float | None = None) -> None:
        """Wait for a step that is still being timed, or so long."""
        if self._measurement is not None:
            self._measurement.join(seconds)

    def refresh(self) -> bool:
        """Begin to time steps where that is due, show what has come out, and say whether there is more to come."""
        due = self._due is not None and time.monotonic() >= self._due
        if due and self._configs is not None and not self._cells.running and not self._busy:
            self._due = None
            self._measurement = Measurement(*self._configs, self._corpus, self._validation)
        done = self._measurement
        if done is not None and not done.going:
            self._measurement = None
            if done.cancelled:
                pass
            elif done.error is not None:
                self.time.value = html.escape(f"Time: {why_not(done.error)}")
            elif done.estimate is not None:
                self.estimate = done.estimate
                self.time.value = html.escape(f"Time: {done.estimate.describe(done.training_config)}")
        return self._busy or (self._due is not None and not self._cells.running)

    def close(self) -> None:
        """Time nothing any more."""
        if hasattr(self, "_cells"):  # the base class closes what was never finished, too
            self.cancel()
            self._cells.close()
        super().close()

    @property
    def _busy(self) -> bool:
        return self._measurement is not None and self._measurement.going

    def _cell_began(self) -> None:
        measured = self._measurement
        if self._due is not None or (measured is not None and measured.going and not measured.cancelled):
            self.cancel()
            self._due = math.inf
        self.join(_LONGEST_WAIT)

    def _cell_ended(self) -> None:
        if self._due is not None:
            self.measure()
