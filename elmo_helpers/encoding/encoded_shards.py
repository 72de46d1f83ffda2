"""Encoded titles on their way to the output: Arrow files of some rows each, written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from elmo_helpers.encoding.windows import EncodedTitle
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import whole_file

DTYPES: dict[str, tuple[type[np.floating], pa.DataType]] = {
    "float32": (np.float32, pa.float32()),
    "float16": (np.float16, pa.float16()),
}

# A record batch, and later a row group, ends with the title that brings it to so many bytes.
_BATCH_BYTES = 8 << 20

GO_ON = "mend that, and go on with --resume"  # where a file of a run cannot be written

_is_shard_name = re.compile(r"rows-\d{8,}\.arrow").fullmatch


def vector_type(level: str, shape: tuple[int, ...], dtype: str) -> pa.DataType:
    """What a column of vectors holds: of "titles" one vector a title, of "tokens" a list of one a token.

    Args:
        level: "titles" or "tokens".
        shape: Of one vector: (dim,), or (layers, dim).
        dtype: "float32" or "float16".
    """
    vector = DTYPES[dtype][1]
    for size in reversed(shape):
        vector = pa.list_(pa.field("item", vector, nullable=False), size)
    return vector if level == "titles" else pa.list_(pa.field("item", vector, nullable=False))


def vector_column(
    vectors: Sequence[NDArray[np.float32]], level: str, shape: tuple[int, ...], dtype: str, rows: Sequence[object]
) -> pa.Array:
    """The vectors of n titles as a column of `vector_type`.

    Args:
        vectors: Those of `EncodedTitle`, one a title.
        level, shape, dtype: See `vector_type`.
        rows: What the titles are called where something is wrong with one, such as "line 7".

    Raises:
        ElmoHelpersError: A number is beyond float16, or a title has more numbers than one cell of Arrow holds.
    """
    kind = vector_type(level, shape, dtype)
    if level == "titles":
        return _fixed_lists(np.stack(vectors) if vectors else np.empty((0, *shape), np.float32), kind, dtype, rows)
    if len(shape) == 2:
        vectors = [v.transpose(1, 0, 2) for v in vectors]  # (layers, n, dim) to (n, layers, dim)
    offsets = np.cumsum([0, *(len(v) for v in vectors)], dtype=np.int64)
    if offsets[-1] * np.prod(shape) > np.iinfo(np.int32).max:
        raise ElmoHelpersError(
            f"{rows[-1]}: its {len(vectors[-1]):,} tokens have more numbers than one cell of Arrow holds; cut it "
            "into sentences."
        )
    together = np.concatenate(vectors) if vectors else np.empty((0, *shape), np.float32)
    values = _fixed_lists(together, kind.value_type, dtype, rows)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=kind)


def _fixed_lists(vectors: NDArray[np.float32], kind: pa.DataType, dtype: str, rows: Sequence[object]) -> pa.Array:
    """(m, *shape) float32 as an array of fixed-size lists."""
    with np.errstate(over="ignore", under="ignore"):
        numbers = vectors.astype(DTYPES[dtype][0]).reshape(-1)
    if not np.isfinite(numbers).all():
        remedy = "use float32" if np.isfinite(vectors).all() else "train the model at a lower learning rate"
        raise ElmoHelpersError(
            f"dtype={dtype}: a vector of {rows[0]} to {rows[-1]} has a number beyond its range: {remedy}."
        )
    array = pa.array(numbers)
    kinds = [kind]
    while pa.types.is_fixed_size_list(kinds[-1].value_type):
        kinds.append(kinds[-1].value_type)
    for kind in reversed(kinds):
        array = pa.FixedSizeListArray.from_arrays(array, type=kind)
    return array


def schema_of(level: str, shape: tuple[int, ...], dtype: str) -> pa.Schema:
    """Columns of encoded titles: line, title, tokens, and `vector` (of "titles") or `vectors` (of "tokens").

    Args:
        level, shape, dtype: See `vector_type`.
    """
    return pa.schema(
        [
            pa.field("line", pa.int64(), nullable=False),
            pa.field("title", pa.string(), nullable=False),
            pa.field("tokens", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
            pa.field("vector" if level == "titles" else "vectors", vector_type(level, shape, dtype), nullable=False),
        ]
    )


def is_shard(path: Path) -> bool:
    """Whether it is the file of a shard."""
    return _is_shard_name(path.name) is not None and path.is_file()


class ShardFiles:
    """The shards of one output; shard k has the rows from k · size on, and the last one may have fewer."""

    directory: Path
    size: int
    schema: pa.Schema
    dtype: np.dtype[np.floating]

    def __init__(self, directory: Path, size: int, schema: pa.Schema) -> None:
        self.directory, self.size, self.schema = directory, size, schema
        self._level = "titles" if "vector" in schema.names else "tokens"
        kind = schema.field(3).type if self._level == "titles" else schema.field(3).type.value_type
        self.shape: tuple[int, ...] = ()
        while pa.types.is_fixed_size_list(kind):
            self.shape += (kind.list_size,)
            kind = kind.value_type
        self.dtype = np.dtype(kind.to_pandas_dtype())

    def path(self, k: int) -> Path:
        """The file of shard k."""
        return self.directory / f"rows-{k:08}.arrow"

    def done(self) -> set[int]:
        """The shards that are there, each of them whole."""
        return {int(path.stem[5:]) for path in self.directory.iterdir() if is_shard(path)}

    def write(self, k: int, rows: Iterable[tuple[int, str, EncodedTitle]]) -> None:
        """Write shard k from (line, title, its vectors), as they come.

        Raises:
            ElmoHelpersError: The disk is full or cannot be written to, or a number is beyond float16.
        """
        with whole_file(self.path(k), remedy=GO_ON) as temporary:
            with pa.OSFile(os.fsencode(temporary), "wb") as sink, pa.ipc.new_file(sink, self.schema) as writer:
                for some in self._pieces(rows):
                    writer.write_batch(self._batch(some))
            # Before it gets its name, so that a power cut cannot leave a name without its rows.
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())

    def read(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        """The record batches of all shards in order, after a check that no row is missing and none is there twice.

        Raises:
            ElmoHelpersError: A shard is missing or damaged.
        """
        line = 0
        for k in range(-(-n_rows // self.size)):
            end = min(n_rows, (k + 1) * self.size)
            for batch in self._read_shard(k):
                expected = np.arange(line, line + batch.num_rows)
                if not np.array_equal(batch.column("line").to_numpy(), expected):
                    raise self._damaged(k, f"its lines are not those from {line} on")
                line += batch.num_rows
                yield batch
            if line != end:
                raise self._damaged(k, f"it ends before line {line}, expected {end}")

    def vectors(self, batch: pa.RecordBatch) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
        """The vectors of a batch of n titles, without a copy.

        Returns:
            - "titles": (n, dim) or (n, layers, dim); "tokens": (words of all titles, dim) or (…, layers, dim).
            - (n + 1,) int: where each title's begin.
        """
        column = batch.column(3)
        if self._level == "titles":
            places = np.arange(batch.num_rows + 1)
        else:
            places = column.offsets.to_numpy()
            column = column.values
        for _ in self.shape:
            column = column.values
        return column.to_numpy(zero_copy_only=True).reshape(-1, *self.shape), places

    def _pieces(self, rows: Iterable[tuple[int, str, EncodedTitle]]) -> Iterator[list[tuple[int, str, EncodedTitle]]]:
        piece, size = [], 0
        for row in rows:
            piece.append(row)
            size += row[2].vectors.nbytes + 4 * len(row[1])  # a character has up to 4 bytes
            if size >= _BATCH_BYTES:
                yield piece
                piece, size = [], 0
        if piece:
            yield piece

    def _batch(self, rows: list[tuple[int, str, EncodedTitle]]) -> pa.RecordBatch:
        lines = pa.array([line for line, _, _ in rows], pa.int64())
        titles = pa.array([title for _, title, _ in rows], pa.string())
        tokens = pa.array([encoded.tokens for _, _, encoded in rows], self.schema.field("tokens").type)
        vectors = [encoded.vectors for _, _, encoded in rows]
        names = [f"line {line}" for line, _, _ in rows]
        column = vector_column(vectors, self._level, self.shape, self.dtype.name, names)
        return pa.record_batch([lines, titles, tokens, column], schema=self.schema)

    def _read_shard(self, k: int) -> Iterator[pa.RecordBatch]:
        path = self.path(k)
        if not path.is_file():
            raise self._damaged(k, "it is missing")
        try:
            # Not memory-mapped: pages of the file would count as this process's memory.
            with pa.OSFile(os.fsencode(path), "rb") as source:
                reader = pa.ipc.open_file(source)
                if not reader.schema.equals(self.schema):
                    raise self._damaged(k, "it is another table")
                for i in range(reader.num_record_batches):
                    batch = reader.get_batch(i)
                    batch.validate(full=True)
                    yield batch
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(k, error) from None

    def _damaged(self, k: int, why: object) -> ElmoHelpersError:
        return ElmoHelpersError(f"{self.path(k)} is not as it was written ({why}): delete it, and go on with --resume.")
