"""What a run writes beside its checkpoints for people to look at: tables as CSV, and curves for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from numbers import Integral
from pathlib import Path
from typing import Any, Self

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import whole_file

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
        summary_writer = _summary_writer() if tensorboard else None
        self._curves: _Curves | None = None
        with ExitStack() as files:  # where one cannot be opened, the others are closed again
            self._steps = files.enter_context(_Table(directory / "steps.csv", STEP_COLUMNS, steps))
            self._history = files.enter_context(_Table(directory / "history.csv", HISTORY_COLUMNS, history))
            if summary_writer is not None:
                curves = _Curves(summary_writer, directory / "tensorboard", loss_name, steps, history)
                self._curves = files.enter_context(curves)
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


class _Curves:
    """TensorBoard's curves of one run."""

    def __init__(
        self,
        summary_writer: Callable[..., Any],
        directory: Path,
        loss_name: str,
        steps: list[dict[str, Any]],
        history: list[dict[str, Any]],
    ) -> None:
        self._loss_name = loss_name
        first = not directory.exists()
        # Curves that an interrupted run drew beyond its last checkpoint would lie doubled under those to come.
        purge_step = max((row["step"] for row in [*steps, *history]), default=-1) + 1
        self._writer = summary_writer(str(directory), purge_step=None if first else purge_step, flush_secs=10)
        if first:  # the run's first part was without curves
            for row in steps:
                self.step(row)
            for row in history:
                self.evaluation(row)

    def step(self, row: dict[str, Any]) -> None:
        names = {"loss": self._loss_name}
        for column in ("loss", "learning_rate", "gradient_norm", "tokens_per_second"):
            self._draw(f"train/{names.get(column, column)}", row, column)

    def evaluation(self, row: dict[str, Any]) -> None:
        for column, name in (("forward", "forward"), ("backward", "backward"), ("perplexity", "mean")):
            self._draw(f"perplexity/{name}", row, column)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def _draw(self, tag: str, row: dict[str, Any], column: str) -> None:
        if row.get(column) is not None:
            self._writer.add_scalar(tag, float(row[column]), row["step"])


def _summary_writer() -> Callable[..., Any]:
    """TensorBoard's writer; loaded only where it is asked for, as it takes seconds and is not always installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ElmoHelpersError(
            "tensorboard=True: TensorBoard is not installed; run `pip install tensorboard`, or leave it out."
        ) from None
    writer: Callable[..., Any] = SummaryWriter  # PyTorch leaves it without types
    return writer


class _Table:
    """A CSV file that is written anew, whole or not at all, and then grows by rows."""

    def __init__(self, path: Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
        self._path, self._columns = path, columns
        with whole_file(path) as temporary:
            temporary.write_bytes(b"".join([",".join(columns).encode() + b"\n", *map(self._line, rows)]))
        self._stream = path.open("ab", buffering=0)  # without a buffer nothing is left over that fails once more

    def append(self, row: dict[str, Any]) -> None:
        """Add a row and hand it to the operating system at once."""
        line = self._line(row)
        try:
            self._stream.write(line)
        except OSError as error:
            raise ElmoHelpersError(
                f"{self._path} cannot be written ({error.strerror or error}): mend that, and resume the run."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def _line(self, row: dict[str, Any]) -> bytes:
        if unknown := sorted(set(row) - set(self._columns)):
            raise ElmoHelpersError(f"{self._path}: a row has the columns {unknown}; expected {list(self._columns)}.")
        return ",".join(_cell(row.get(column)) for column in self._columns).encode() + b"\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # NumPy's numbers are written as Python's: their own repr names their type.
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
