"""A figure of a training run that is drawn again while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import DisplayHandle, display
from matplotlib.figure import Figure

from elmo_helpers.display.style import figure
from elmo_helpers.display.training_plots import plot_training_loss, plot_validation
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.training.loop import TrainingLoop
from elmo_helpers.training.metrics import HISTORY_COLUMNS, STEP_COLUMNS
from elmo_helpers.training.progress import Progress

_SECONDS = 1.0  # between two drawings at least
_SHARE = 1 / 30  # of the run's time that drawing may take


class Pace:
    """When to draw again: at most once a second, and so seldom that drawing takes a small part of the run's time."""

    def __init__(self, share: float = _SHARE) -> None:
        """It is time to at once.

        Args:
            share: Of the time that drawing may take.
        """
        self._share = share
        self._next = 0.0  # not to be drawn again before

    @property
    def due(self) -> bool:
        """Whether it is time to."""
        return time.monotonic() >= self._next

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw in the block; the longer that takes, the longer it is until the next time."""
        start = time.monotonic()
        yield
        end = time.monotonic()
        self._next = end + max(_SECONDS, (end - start) / self._share)


def run_figure(
    progress: Progress, *, validated: bool, sampled: bool, references: Mapping[str, float] | None = None
) -> Figure:
    """Draw a run as it is now: the training loss, and beside it the exact perplexity on the validation titles.

    Args:
        progress: Where the run stands; another thread may be adding rows to it.
        validated: There are validation titles.
        sampled: The loss is that of a sampled softmax.
        references: Name of a model to its exact perplexity on the same validation titles.
    """
    steps = pd.DataFrame(list(progress.steps)).reindex(columns=STEP_COLUMNS)
    left, *right = figure(2, width=12.5, height=3.8) if validated else figure(1, width=7.0, height=3.8)
    plot_training_loss(steps, sampled=sampled, ax=left)
    for ax in right:
        plot_validation(pd.DataFrame(list(progress.history)).reindex(columns=HISTORY_COLUMNS), references or {}, ax=ax)
    return left.figure.figure


class LiveCurve:
    """The curves of a run, in one figure below a notebook's cell: pass it to `train` or `fine_tune` as `callback`.

        with LiveCurve() as live:
            result = train(corpus, validation=valid, callback=live)

    On the left the training loss of the steps so far, with any dropout; that of a sampled softmax is not even an
    estimate of the exact loss. On the right, where there are validation titles, the exact perplexity on them. The two
    have no axis in common, since they are not to be compared.

    The figure is drawn again at most once a second, and less often where drawing is slow; and at the end, so that what
    is left below the cell shows the whole run.
    """

    references: Mapping[str, float]

    def __init__(self, references: Mapping[str, float] | None = None) -> None:
        """A figure that has not been drawn yet.

        Args:
            references: Name of a model to its exact perplexity on the same validation titles; drawn as level lines.
        """
        self.references = references or {}
        self._loop: TrainingLoop | None = None
        self._handle: DisplayHandle | None = None
        self._drawn = (0, 0)  # rows of both tables in the figure
        self._pace = Pace()

    def __call__(self, loop: TrainingLoop) -> None:
        """Draw the run as it is now, if it is time to."""
        if not loop.processes.is_main:
            return
        if loop is not self._loop:  # another run has a figure of its own
            self._loop, self._handle, self._drawn, self._pace = loop, None, (0, 0), Pace()
        if loop.progress.finished or self._pace.due:
            self._draw(loop)

    def close(self) -> None:
        """Draw what came after the last drawing; a run that was stopped does not say that it is over."""
        if self._loop is not None:
            self._draw(self._loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _draw(self, loop: TrainingLoop) -> None:
        progress = loop.progress
        rows = (len(progress.steps), len(progress.history))
        if rows == self._drawn:
            return
        with self._pace.drawing():
            drawn = run_figure(
                progress,
                validated=bool(loop.validation),
                sampled=isinstance(loop.model.softmax, SampledSoftmax),
                references=self.references,
            )
            plt.close(drawn)  # or the notebook would show it once more at the end of the cell
            if self._handle is None:
                self._handle = display(drawn, display_id=True)
            else:
                self._handle.update(drawn)
        self._drawn = rows
