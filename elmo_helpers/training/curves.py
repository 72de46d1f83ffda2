"""The curves of a run for TensorBoard."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import writing
from elmo_helpers.training.checkpoint import RESUME
from elmo_helpers.training.growing import GrowingFile


class TensorBoard(NamedTuple):
    """What makes a file of TensorBoard's."""

    number: Callable[..., Any]  # with its name, as a summary
    event: Callable[..., Any]  # what a record holds
    records: Callable[..., Any]  # writes them


class Curves:
    """Curves of loss, rates and perplexities in a file of TensorBoard's; each number is on disk when its call returns.

    TensorBoard's own writer has a thread, which would say by a traceback of its own that the disk is full.
    """

    def __init__(self, parts: TensorBoard, directory: Path, loss_name: str) -> None:
        """A file of its own in `directory`.

        Args:
            parts: What `tensorboard_parts` gives.
            directory: The curves' own; it is made where it is missing.
            loss_name: What the curve of the training loss is called.

        Raises:
            ElmoHelpersError: The file cannot be written.
        """
        self._parts, self._loss_name = parts, loss_name
        self._is_first = not directory.exists()
        with writing(directory, RESUME):
            directory.mkdir(parents=True, exist_ok=True)
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)  # TensorBoard reads files in the order of their names
        name = f"events.out.tfevents.{seconds:010}.{nanoseconds:09}.{socket.gethostname()}.{os.getpid()}"
        self._file = GrowingFile(directory / name)
        self._records = parts.records(self._file)

    def begin(self, steps: list[dict[str, Any]], history: list[dict[str, Any]]) -> None:
        """Begin with the rows of a resumed run, in the place of what else it has drawn."""
        if self._is_first:  # the run's first part, if there was one, was without curves
            self._write(file_version="brain.Event:2")
            for row in steps:
                self.step(row)
            for row in history:
                self.evaluation(row)
        else:
            # What was drawn beyond the last checkpoint would lie doubled under the curves to come.
            purge_step = max((row["step"] for row in [*steps, *history]), default=-1) + 1
            self._write(step=purge_step, file_version="brain.Event:2")
            self._write(step=purge_step, session_log={"status": "START"})

    def step(self, row: dict[str, Any]) -> None:
        """Draw a row of `STEP_COLUMNS`."""
        names = {"loss": self._loss_name}
        for column in ("loss", "learning_rate", "gradient_norm", "tokens_per_second"):
            self._draw(f"train/{names.get(column, column)}", row, column)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Draw a row of `HISTORY_COLUMNS`."""
        for column, name in (("forward", "forward"), ("backward", "backward"), ("perplexity", "mean")):
            self._draw(f"perplexity/{name}", row, column)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _draw(self, tag: str, row: dict[str, Any], column: str) -> None:
        if row.get(column) is not None:
            self._write(step=int(row["step"]), summary=self._parts.number(tag, float(row[column])))

    def _write(self, **content: Any) -> None:
        self._records.write(self._parts.event(wall_time=time.time(), **content).SerializeToString())


def tensorboard_parts() -> TensorBoard:
    """What is needed of TensorBoard; loaded only where it is asked for, as it is not always installed.

    Raises:
        ElmoHelpersError: It is not.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard import summary
    except ImportError:
        raise ElmoHelpersError(
            "tensorboard=True: TensorBoard is not installed; run `pip install tensorboard`, or leave it out."
        ) from None
    return TensorBoard(summary.scalar, Event, RecordWriter)
