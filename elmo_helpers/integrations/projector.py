"""Vectors for TensorBoard's embedding projector, which shows them in three dimensions and finds neighbours."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

import numpy as np
import pandas as pd

from elmo_helpers.checks import numbers, shown
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import exchange, path_of, read_bytes, whole_file, writing
from elmo_helpers.text.characters import is_text

CONFIG = "projector_config.pbtxt"
_LONGEST_NAME = 60  # letters; it becomes the name of a folder
_NOTHING = "(none)"  # the projector skips a line of blanks, and all labels after it would slip by one


def write_projector(
    directory: str | os.PathLike[str],
    vectors: np.ndarray,
    labels: Sequence[object] | Mapping[str, Sequence[object]] | pd.DataFrame,
    *,
    name: str = "vectors",
) -> Path:
    """Write vectors and their labels where `tensorboard --logdir DIRECTORY` shows them under "Projector".

    Several sets of vectors may lie in one directory, each with a name of its own; one of the same name is replaced.
    White space within a label becomes one space, and a label that is blank or missing becomes "(none)".

    Args:
        directory: Made where it is missing. It may hold the curves of a training run.
        vectors: (N, dim) of finite numbers: of titles, of a word's occurrences, of whatever has labels.
        labels: N labels; or several columns of N, by name, of which the first is shown beside a point. (The projector
            shows no name where there is one column.)
        name: What the vectors are called in the projector's list.

    Returns:
        The directory with `tensors.tsv`, a row a vector, and `metadata.tsv`, a row of names (where there are several
        columns) and a row a vector.

    Raises:
        ElmoHelpersError: TensorBoard is not installed, an argument is of the wrong kind, there is not one label a
            vector, or the directory cannot be written.
    """
    vectors = _matrix(vectors)
    columns = _columns(labels, len(vectors))
    if not isinstance(name, str) or not name.strip(" .") or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ElmoHelpersError(
            f"name={shown(name)}: expected a name of at most {_LONGEST_NAME} printable letters, and not of dots alone."
        )
    writer = _summary_writer()
    directory = path_of("directory", directory)
    if not is_text(str(directory)):
        raise ElmoHelpersError(f"directory={shown(directory)}: TensorBoard reads names in UTF-8 alone: name another.")
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".projector-", dir=directory))
        try:
            _write(writer, temporary, vectors, columns, name)
            return _move(temporary, directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _matrix(vectors: np.ndarray) -> np.ndarray:
    vectors = numbers("vectors", vectors, "(N, dim) numbers, a row a label")
    if vectors.ndim != 2 or not vectors.size:
        raise ElmoHelpersError(
            f"vectors: expected (N, dim) numbers, a row a label, and got {vectors.shape} of {vectors.dtype}."
        )
    with np.errstate(over="ignore", under="ignore"):  # beyond float32 they are not finite
        vectors = vectors.astype(np.float32, copy=False)
    if not (finite := np.isfinite(vectors).all(1)).all():
        raise ElmoHelpersError(f"vectors: row {finite.argmin()} holds a number that is not finite: leave it out.")
    return vectors


def _columns(labels: Sequence[object] | Mapping[str, Sequence[object]] | pd.DataFrame, n: int) -> dict[str, list[str]]:
    """The text of each column, one a vector."""
    columns = labels if isinstance(labels, Mapping | pd.DataFrame) else {"label": labels}
    for column in columns:
        # A string would be cut into letters, a set has no order, and an array without axes only looks like a list.
        found = columns[column]
        if isinstance(found, str | bytes | Set) or not isinstance(found, Iterable) or getattr(found, "ndim", 1) == 0:
            kind = "one string" if isinstance(found, str) else f"a {type(found).__name__}"
            raise ElmoHelpersError(f"labels: expected a list of labels under {column!r}, and got {kind}.")
    texts = {_cell(column): [_cell(x) for x in columns[column]] for column in columns}
    if len(texts) != len(list(columns)) or not texts:
        raise ElmoHelpersError(f"labels: expected columns with a name each, and got {list(columns)}.")
    for column, cells in texts.items():
        if len(cells) != n:
            raise ElmoHelpersError(f"labels: expected {n}, one a vector, and got {len(cells)} of {column!r}.")
    return texts


def _cell(value: object) -> str:
    """One cell of a table whose columns are apart by tabs, and whose rows by line feeds."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return _NOTHING
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        value = value.date()
    # Half a character of a pair (a lone surrogate) cannot be written as UTF-8.
    return " ".join(str(value).split()).encode(errors="replace").decode() or _NOTHING


def _summary_writer() -> type:
    """TensorBoard's writer; loaded only where it is asked for, as it takes seconds and is not always installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ElmoHelpersError(
            "The projector's files are written by TensorBoard, which is not installed: run `pip install tensorboard`."
        ) from None
    return SummaryWriter


def _write(writer: type, folder: Path, vectors: np.ndarray, columns: dict[str, list[str]], name: str) -> None:
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    # The projector takes the first line for names if there is a tab in it, so a single column has none.
    several = len(columns) > 1
    # Where not even a block is free, the writer's thread would say so by a traceback of its own.
    room = folder / "room"
    room.write_bytes(bytes(4096))
    room.unlink()
    with writer(str(folder)) as events:
        events.add_embedding(
            vectors,
            metadata=rows if several else [cell for (cell,) in rows],
            metadata_header=list(columns) if several else None,
            tag=name,
        )


def _move(temporary: Path, directory: Path) -> Path:
    """Put what was written into `directory`, each file whole, and name it in the configuration that is there."""
    from google.protobuf import text_format  # TensorBoard brings it
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    def read(path: Path) -> ProjectorConfig:
        try:
            return text_format.Parse(read_bytes(path).decode("utf-8-sig"), ProjectorConfig())
        except ElmoHelpersError:
            raise
        except (ValueError, text_format.ParseError) as error:
            raise ElmoHelpersError(f"{path} is no projector configuration ({error}): move it away.") from None

    (added,) = read(temporary / CONFIG).embeddings
    config = read(directory / CONFIG) if os.path.exists(directory / CONFIG) else ProjectorConfig()
    kept = [other for other in config.embeddings if other.tensor_name != added.tensor_name]
    del config.embeddings[:]
    config.embeddings.extend([*kept, added])

    inside = Path(added.tensor_path).parent
    place = directory / inside
    place.parent.mkdir(parents=True, exist_ok=True)
    exchange(temporary / inside, place)  # labels of one set beside the vectors of another would be wrong
    if not list(directory.glob("events.out.tfevents.*")):  # a folder without one is no run to TensorBoard
        for events in temporary.glob("events.out.tfevents.*"):
            events.replace(directory / events.name)
    with whole_file(directory / CONFIG) as path:
        path.write_text(text_format.MessageToString(config), encoding="utf-8")
    return place
