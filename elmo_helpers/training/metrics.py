"""What a run writes beside its checkpoints for people to look at: tables as CSV, and curves for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from numbers import Integral
from pathlib import Path
from typing import Any, Self

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import whole_file
from elmo_helpers.training.checkpoint import RESUME
from elmo_helpers.training.curves import Curves, tensorboard_parts
from elmo_helpers.training.growing import GrowingFile

STEP_COLUMNS = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens_per_second")
HISTORY_COLUMNS = (
    "step",
    "epoch",
    "tokens",
    "train_loss",
    "forward",
    "backward",
    "perplexity",
    "learning_rate",
    "tokens_per_second",
    "seconds",
)


class Metrics:
    """The tables of one run, written as it goes; a context manager, which closes them.

    - `steps.csv`: a row for every few steps, `STEP_COLUMNS`.
    - `history.csv`: a row for every evaluation, `HISTORY_COLUMNS`.
    - `tensorboard/`, if asked for: the same numbers as curves.

    Every row is on disk when its call returns, so a person can follow. A value that a row lacks, or that is None,
    is an empty cell, and a float is written with all digits that it takes to read the same bits back.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        steps: list[dict[str, Any]],
        history: list[dict[str, Any]],
        tensorboard: bool = False,
        loss_name: str = "loss",
    ) -> None:
        """Write both tables anew from the rows given, and leave them open.

        Args:
            directory: The run's own folder; it is made where it is missing.
            steps, history: Rows that a resumed run begins with; a new run has none. What else an interrupted run had
                written after its last checkpoint is left out.
            tensorboard: Also write curves.
            loss_name: What the curve of the training loss is called: a sampled softmax's loss is no measure of the
                exact one, so the two must not share a curve.

        Raises:
            ElmoHelpersError: A file cannot be written, a row has an unknown column, or TensorBoard is not installed.
        """
        directory = Path(directory)
        parts = tensorboard_parts() if tensorboard else None  # before a file is made
        self._curves: Curves | None = None
        with ExitStack() as files:  # where one cannot be opened, the others are closed again
            self._steps = files.enter_context(closing(_Table(directory / "steps.csv", STEP_COLUMNS, steps)))
            self._history = files.enter_context(closing(_Table(directory / "history.csv", HISTORY_COLUMNS, history)))
            if parts is not None:
                self._curves = files.enter_context(closing(Curves(parts, directory / "tensorboard", loss_name)))
                self._curves.begin(steps, history)
            self._files = files.pop_all()

    def step(self, row: dict[str, Any]) -> None:
        """Append a row to `steps.csv`.

        Raises:
            ElmoHelpersError: The file cannot be written, or the row has an unknown column.
        """
        self._steps.append(row)
        if self._curves is not None:
            self._curves.step(row)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Append a row to `history.csv`.

        Raises:
            ElmoHelpersError: The file cannot be written, or the row has an unknown column.
        """
        self._history.append(row)
        if self._curves is not None:
            self._curves.evaluation(row)

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Table(GrowingFile):
    """A CSV file that is written anew, whole or not at all, and then grows by rows."""

    def __init__(self, path: Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
        self.path, self._columns = path, columns
        with whole_file(path, remedy=RESUME) as temporary:
            temporary.write_bytes(b"".join([",".join(columns).encode() + b"\n", *map(self._line, rows)]))
        super().__init__(path)

    def append(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self.write(self._line(row))

    def _line(self, row: dict[str, Any]) -> bytes:
        if unknown := sorted(set(row) - set(self._columns)):
            raise ElmoHelpersError(f"{self.path}: a row has the columns {unknown}; expected {list(self._columns)}.")
        return ",".join(_cell(row.get(column)) for column in self._columns).encode() + b"\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # NumPy's numbers are written as Python's: their own repr names their type.
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
