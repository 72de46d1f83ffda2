"""A training run in a thread of its own, which can be paused, gone on with and stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from elmo_helpers.config import BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.training.config import TrainingConfig
from elmo_helpers.training.loop import TrainingLoop
from elmo_helpers.training.progress import Progress
from elmo_helpers.training.trainer import TrainingResult, train


class TrainingRun:
    """One call of `train`, in a background thread. It draws nothing: others look at `progress` and `state`.

    Attributes:
        name: What tables and figures call it.
        model_config: The model's sizes.
        training_config: The run's settings.
        preset: The name of the preset that both were made from.
        base: Both configurations of that preset.
        n_parameters: Of the model, its softmax included.
        progress: Where the run stands, or where it has ended; its tables grow while the run goes on.
        sampled: Whether its training loss is that of a sampled softmax.
        n_steps: Steps of the whole run; None where only time bounds it, or before it has begun.
        result: What `train` has returned; None before, and where it has failed.
        error: Why it has failed, with its traceback; None where it has not.
    """

    name: str
    model_config: BiLMConfig
    training_config: TrainingConfig
    preset: str
    base: tuple[BiLMConfig, TrainingConfig]
    n_parameters: int
    progress: Progress
    sampled: bool

    def __init__(
        self,
        name: str,
        model_config: BiLMConfig,
        training_config: TrainingConfig,
        *,
        preset: str = "",
        base: tuple[BiLMConfig, TrainingConfig] | None = None,
        n_parameters: int = 0,
    ) -> None:
        self.name, self.model_config, self.training_config = name, model_config, training_config
        self.preset, self.n_parameters = preset, n_parameters
        self.base = base or (model_config, training_config)
        self.progress = Progress()
        self.sampled = False
        self.n_steps: int | None = None
        self.result: TrainingResult | None = None
        self.error: BaseException | None = None
        self._loop: TrainingLoop | None = None
        self._lock = threading.Lock()  # what is asked of the run, and whether there is a loop to ask
        self._paused = self._stop_wanted = False
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> str:
        """One of new, starting, running, paused, stopping; and at the end finished, stopped or failed."""
        if self._thread is None:
            return "new"
        if not self._thread.is_alive():
            return "failed" if self.result is None else "finished" if self.result.finished else "stopped"
        if self._stop_wanted:
            return "stopping"
        if self._paused:
            return "paused"
        return "starting" if self._loop is None else "running"

    @property
    def going(self) -> bool:
        """Whether its thread is at work, or waits to go on."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def failure(self) -> str:
        """Why it has failed, in a line; empty where it has not."""
        if self.error is None:
            return ""
        kind = "" if isinstance(self.error, ElmoHelpersError) else f"{type(self.error).__name__}: "
        return f"failed: {kind}{self.error}"

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens read a second in training, so far; None before the first row of steps."""
        p = self.progress
        seconds = p.seconds_trained + sum(row["seconds"] for row in list(p.history))
        return p.tokens / seconds if seconds and p.tokens else None

    @property
    def best_perplexity(self) -> float | None:
        """The lowest on the validation titles so far; None where there is none."""
        return min((row["perplexity"] for row in list(self.progress.history) if "perplexity" in row), default=None)

    @property
    def seconds_left(self) -> float | None:
        """Until the run ends, at the speed that it has had; None before its first step."""
        p, minutes = self.progress, self.training_config.minutes
        bounds = [] if minutes is None else [60 * minutes - p.seconds]
        if self.n_steps is not None and p.step:
            bounds.append((self.n_steps - p.step) * p.seconds / p.step)
        return max(0.0, min(bounds)) if bounds and p.step else None

    def start(
        self,
        corpus: Corpus | CorpusShards,
        validation: Corpus | CorpusShards | None = None,
        directory: str | os.PathLike[str] | None = None,
        *,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin; returns at once.

        Args:
            corpus: As in `train`.
            validation: As in `train`.
            directory: As in `train`.
            after: Called in the thread before the run, to wait for what must end first.
        """
        arguments = (corpus, validation, directory, after)
        self._thread = threading.Thread(target=self._train, args=arguments, name=f"training {self.name}", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Wait after the present step, until `resume` or `stop`."""
        with self._lock:
            self._paused = True
            if self._loop is not None:
                self._loop.pause()

    def resume(self) -> None:
        """Go on."""
        with self._lock:
            self._paused = False
            if self._loop is not None:
                self._loop.resume()

    def stop(self) -> None:
        """End after the present step, paused or not."""
        with self._lock:
            self._stop_wanted = True
            if self._loop is not None:
                self._loop.stop()

    def join(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended, or so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def begin(self, loop: TrainingLoop) -> None:
        """Called by the loop before its first step: what was asked for until now is asked of it."""
        with self._lock:
            self._loop, self.progress, self.n_steps = loop, loop.progress, loop.n_steps
            self.sampled = isinstance(loop.model.softmax, SampledSoftmax)
            if self._paused:
                loop.pause()
            if self._stop_wanted:
                loop.stop()

    def __call__(self, loop: TrainingLoop) -> None:
        """Called by the loop after each row; those who look at `progress` see it anyway."""

    def _train(
        self,
        corpus: Corpus | CorpusShards,
        validation: Corpus | CorpusShards | None,
        directory: str | os.PathLike[str] | None,
        after: Callable[[], None],
    ) -> None:
        try:
            after()
            self.result = train(
                corpus,
                self.model_config,
                self.training_config,
                validation=validation,
                directory=directory,
                progress=False,
                callback=self,
            )
        except BaseException as error:  # nobody is above a thread: whatever it is, it is kept to be shown
            self.error = error
        finally:
            self._loop = None  # with its optimiser and the best weights
