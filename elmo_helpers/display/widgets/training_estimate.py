"""How large a model will be, and how long its training will take, before it begins."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from elmo_helpers.config import BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.training.config import TrainingConfig
from elmo_helpers.training.epochs import n_batches
from elmo_helpers.training.evaluation import corpora, evaluate, sizes
from elmo_helpers.training.loop import TrainingLoop
from elmo_helpers.training.trainer import train

_SECONDS = 2.0  # of steps that are timed
_WARM_UP = 2  # steps before them, in which memory is allocated
_EVALUATED = 128  # validation titles that are timed


def parameter_counts(config: BiLMConfig, corpus: Corpus | CorpusShards) -> tuple[int, int]:
    """Numbers that a model of this corpus learns, and how many of them are its softmax's; no weight is made.

    Raises:
        ElmoHelpersError: The softmax does not fit the vocabulary.
    """
    with torch.device("meta"):  # shapes and no numbers
        model = BiLM(config, corpus.vocabulary, corpus.text)
    softmax = 0 if model.softmax is None else sum(p.numel() for p in model.softmax.parameters())
    return sum(p.numel() for p in model.parameters()), softmax


def steps_of_an_epoch(corpus: Corpus | CorpusShards, config: TrainingConfig) -> int:
    """Updates of the weights in one pass over the titles."""
    return sum(n_batches(titles, words, config) for titles, words in sizes(corpus))


def duration(seconds: float) -> str:
    """A time in words: 45 s, 2 min 5 s, 3 h 10 min."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min"


@dataclass(frozen=True)
class Estimate:
    """What a few steps have told.

    Attributes:
        tokens_per_second: Words and boundaries read a second in training.
        epoch_seconds: One pass over the training titles.
        evaluation_seconds: One evaluation on the validation titles; 0 where there are none.
        epoch_steps: Updates of the weights in one pass.
    """

    tokens_per_second: float
    epoch_seconds: float
    evaluation_seconds: float
    epoch_steps: int

    def seconds(self, config: TrainingConfig) -> float:
        """How long the run takes that this configuration bounds."""
        bounds = [] if config.minutes is None else [60 * config.minutes]
        if config.epochs is not None:
            bounds.append(config.epochs * self._seconds_an_epoch(config))
        if config.steps is not None:
            bounds.append(config.steps / self.epoch_steps * self._seconds_an_epoch(config))
        return min(bounds)

    def epochs(self, config: TrainingConfig) -> float:
        """How many passes over the titles the run comes to."""
        return self.seconds(config) / self._seconds_an_epoch(config)

    def describe(self, config: TrainingConfig) -> str:
        """The time of a run bounded by epochs, or what a run bounded by minutes reaches."""
        speed = f"measured: {self.tokens_per_second:,.0f} tokens/s"
        if config.minutes is not None:
            return f"{config.minutes:g} minutes, which reach about {self.epochs(config):.2g} epochs ({speed})"
        return f"about {duration(self.seconds(config))} ({speed})"

    def _seconds_an_epoch(self, config: TrainingConfig) -> float:
        evaluations = 1.0 if config.evaluate_every is None else self.epoch_steps / config.evaluate_every
        return self.epoch_seconds + evaluations * self.evaluation_seconds


class Measurement:
    """Times a few real steps of a configuration, and a small evaluation, in a background thread.

    Attributes:
        model_config: The model whose steps are timed.
        training_config: How it is trained.
        estimate: What came out; None before, and where it was cancelled or has failed.
        error: Why it has failed; None where it has not.
        cancelled: Whether its estimate is not wanted any more.
    """

    model_config: BiLMConfig
    training_config: TrainingConfig
    cancelled: bool

    def __init__(
        self,
        model_config: BiLMConfig,
        training_config: TrainingConfig,
        corpus: Corpus | CorpusShards,
        validation: Corpus | CorpusShards | None = None,
    ) -> None:
        """Begin at once."""
        self.estimate: Estimate | None = None
        self.error: BaseException | None = None
        self.model_config, self.training_config = model_config, training_config
        self._corpus, self._validation = corpus, validation
        self.cancelled = False
        self._times: list[tuple[float, int]] = []  # when each step was done, and the tokens read until then
        self._thread = threading.Thread(target=self._measure, name="measuring", daemon=True)
        self._thread.start()

    @property
    def going(self) -> bool:
        """Whether it is at work."""
        return self._thread.is_alive()

    def cancel(self) -> None:
        """End after the present step, without an estimate."""
        self.cancelled = True

    def join(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended, or so long."""
        self._thread.join(seconds)

    def begin(self, loop: TrainingLoop) -> None:
        """Called by the loop before its first step."""
        self._times.append((time.perf_counter(), 0))
        if self.cancelled:
            loop.stop()

    def __call__(self, loop: TrainingLoop) -> None:
        """Called by the loop after each step."""
        self._times.append((time.perf_counter(), loop.progress.tokens))
        # A slow model is not kept at it for the sake of a warm start.
        enough = self._times[-1][0] - self._times[0][0] >= _SECONDS and len(self._times) > 2
        if self.cancelled or enough:
            loop.stop()

    def _measure(self) -> None:
        try:
            if not self.cancelled:
                config = self.training_config
                timed = replace(config, epochs=None, steps=1000, minutes=None, log_every=1, evaluate_every=None)
                result = train(self._corpus, self.model_config, timed, progress=False, callback=self)
                if not self.cancelled:
                    self.estimate = self._estimate(result.model, config)
        except BaseException as error:  # nobody is above a thread: it is kept to be shown
            self.error = error

    def _estimate(self, model: BiLM, config: TrainingConfig) -> Estimate:
        steps = [entry for i, entry in enumerate(self._times) if i == 0 or entry[1] > self._times[i - 1][1]]
        first = min(_WARM_UP, len(steps) - 2)
        (start, before), (end, after) = steps[first], steps[-1]
        speed = (after - before) / max(end - start, 1e-9)
        n_titles, n_words = _totals(self._corpus)
        boundaries = n_titles if config.feed == "streams" else 2 * n_titles
        return Estimate(
            speed,
            (n_words + boundaries) / speed,
            self._evaluation_seconds(model, config),
            steps_of_an_epoch(self._corpus, config),
        )

    def _evaluation_seconds(self, model: BiLM, config: TrainingConfig) -> float:
        if self._validation is None or not any(titles for titles, _ in sizes(self._validation)):
            return 0.0
        shard = next(shard for shard in corpora(self._validation) if len(shard))
        every = math.ceil(len(shard) / _EVALUATED)
        sample = shard.select(np.arange(0, len(shard), every))
        start = time.perf_counter()
        evaluate(model, sample, config.batch_size)
        spent = time.perf_counter() - start
        n_titles, n_words = _totals(self._validation)
        return spent * (n_words + 2 * n_titles) / (sample.n_tokens + 2 * len(sample))


def why_not(error: BaseException) -> str:
    """Why there is no estimate, in a line."""
    kind = "" if isinstance(error, ElmoHelpersError) else f"{type(error).__name__}: "
    return f"not measured: {kind}{error}"


def _totals(corpus: Corpus | CorpusShards) -> tuple[int, int]:
    """Titles and words of all shards."""
    shards = sizes(corpus)
    return sum(titles for titles, _ in shards), sum(words for _, words in shards)
