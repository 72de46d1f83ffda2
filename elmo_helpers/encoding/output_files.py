"""The file that encoding ends with, HDF5 or Parquet, made of its shards; a few megabytes are in memory at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from elmo_helpers.encoding.encoded_shards import ShardFiles
from elmo_helpers.encoding.hdf5_files import open_hdf5, writable_hdf5
from elmo_helpers.encoding.sentence_index import SentenceIndex
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import open_ordinary

HEADER = "elmo_helpers"  # HDF5's attribute, and Parquet's key, of the JSON that says what a file was made with
SUFFIXES = (".hdf5", ".h5", ".parquet")

Batches = Iterator[pa.RecordBatch]

# With the older groups, the names of all datasets are held in memory; files of these versions are read by every HDF5
# since 1.8, of 2008.
_LIBVER = ("v108", "v110")


def check_suffix(path: Path) -> None:
    """Check that the name of an output says what it is to be.

    Raises:
        ElmoHelpersError: It does not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ElmoHelpersError(f"{path}: name an output that ends in .hdf5 or .h5 (HDF5), or in .parquet (Parquet).")


def read_header(path: Path) -> Any:
    """What `path` was made with, or None where this library did not write it."""
    try:
        if path.suffix.lower() == ".parquet":
            with open_ordinary(path) as stream:
                header = (pq.read_schema(stream).metadata or {}).get(HEADER.encode())
        else:
            with open_hdf5(path) as file:
                header = file.attrs.get(HEADER)
        return None if header is None else json.loads(header)
    except (OSError, RuntimeError, ValueError, pa.ArrowException):
        return None


def make_output(
    output: Path,
    shards: ShardFiles,
    n_rows: int,
    header: dict[str, Any],
    *,
    aside: str = "output",
    progress: bool = False,
) -> int:
    """Make the output of what the shards hold, whole or not at all, and say how many words that were.

    Args:
        output: Its suffix decides between HDF5 and Parquet.
        shards: All rows, complete.
        n_rows: How many there are.
        header: What they were made with.
        aside: Its name in the shards' directory, where it lies until it is whole.
        progress: Show a progress bar.

    Raises:
        ElmoHelpersError: A shard is missing or damaged, or the sentence index is too large for HDF5.
        OSError: The disk is full, or cannot be written to.
    """
    made = shards.directory / aside
    try:
        with tqdm(total=n_rows, desc="writing", unit=" rows", unit_scale=True, disable=not progress) as bar:
            words = _write(made, output.suffix, shards, _counted(shards.read(n_rows), bar), n_rows, header)
        with made.open("rb") as stream:
            os.fsync(stream.fileno())
        made.replace(output)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    finally:
        made.unlink(missing_ok=True)  # half of it would take the room that is missing
    return words


def try_output(output: Path, shards: ShardFiles, header: dict[str, Any]) -> None:
    """Make an output without rows beside the real one's place, so that what would fail at the end fails now.

    Raises:
        OSError: It cannot be made.
    """
    handle, name = tempfile.mkstemp(prefix=".", suffix=output.suffix, dir=output.parent)
    os.close(handle)
    trial = Path(name)
    try:
        make_output(trial, shards, 0, header, aside=".trial")
    finally:
        trial.unlink(missing_ok=True)


def _write(path: Path, suffix: str, shards: ShardFiles, batches: Batches, n_rows: int, header: dict[str, Any]) -> int:
    if suffix.lower() == ".parquet":
        return _write_parquet(path, shards, batches, header)
    if "vectors" in shards.schema.names:
        return _write_token_hdf5(path, shards, batches, header)
    return _write_title_hdf5(path, shards, batches, n_rows, header)


def _counted(batches: Batches, bar: tqdm) -> Batches:
    for batch in batches:
        yield batch
        bar.update(batch.num_rows)


def _write_parquet(path: Path, shards: ShardFiles, batches: Batches, header: dict[str, Any]) -> int:
    """Columns line, title, tokens and vector or vectors; a row group has some 8 MB."""
    words = 0
    schema = shards.schema.with_metadata({HEADER: json.dumps(header)})
    # Dictionaries and statistics of floating-point numbers cost time and help nobody.
    with (
        pa.OSFile(os.fsencode(path), "wb") as sink,
        pq.ParquetWriter(
            sink, schema, use_dictionary=["title", "tokens.list.element"], write_statistics=["line"]
        ) as writer,
    ):
        for batch in batches:
            words += len(batch.column("tokens").values)
            writer.write_table(pa.Table.from_batches([batch.replace_schema_metadata(schema.metadata)]))
    return words


def _write_title_hdf5(path: Path, shards: ShardFiles, batches: Batches, n_rows: int, header: dict[str, Any]) -> int:
    """Datasets `vectors` (N, dim) or (N, layers, dim), and `titles` (N,) of strings."""
    words = 0
    with _hdf5(path, header) as (file, check):
        vectors = file.create_dataset("vectors", (n_rows, *shards.shape), shards.dtype)
        titles = file.create_dataset("titles", (n_rows,), h5py.string_dtype())
        for batch in batches:
            line = batch.column("line")[0].as_py()
            rows = slice(line, line + batch.num_rows)
            vectors[rows] = shards.vectors(batch)[0]
            # HDF5's strings end at their first NUL.
            titles[rows] = [title.replace("\0", "\N{REPLACEMENT CHARACTER}") for title in _titles(batch)]
            words += len(batch.column("tokens").values)
            check()
    return words


def _write_token_hdf5(path: Path, shards: ShardFiles, batches: Batches, header: dict[str, Any]) -> int:
    """As AllenNLP: a dataset a line, (n, dim) or (L + 1, n, dim), named by its number; and the sentence index."""
    words = 0
    index = SentenceIndex(path.parent)
    try:
        with _hdf5(path, header) as (file, check):
            kind = h5py.h5t.py_create(shards.dtype)
            settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            settings.set_obj_track_times(False)
            for batch in batches:
                vectors, places = shards.vectors(batch)
                lines = batch.column("line").to_pylist()
                for line, start, end in zip(lines, places[:-1].tolist(), places[1:].tolist(), strict=True):
                    own = vectors[start:end]
                    if own.ndim == 3:
                        own = np.ascontiguousarray(own.transpose(1, 0, 2))  # (n, layers, dim) to (layers, n, dim)
                    # Twice as fast as create_dataset, which counts where a file has a million of them.
                    place = h5py.h5d.create(
                        file.id, str(line).encode(), kind, h5py.h5s.create_simple(own.shape), settings
                    )
                    place.write(h5py.h5s.ALL, h5py.h5s.ALL, own)
                index.add([title.strip() for title in _titles(batch)], lines)
                words += len(vectors)
                check()
        index.write(path)
    finally:
        index.close()
    return words


@contextmanager
def _hdf5(path: Path, header: dict[str, Any]) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """A new file, and a function that raises what the disk has refused so far."""
    with writable_hdf5(path, libver=_LIBVER) as (file, check):
        file.attrs[HEADER] = json.dumps(header)
        yield file, check


def _titles(batch: pa.RecordBatch) -> list[str]:
    titles: list[str] = batch.column("title").to_pylist()
    return titles
