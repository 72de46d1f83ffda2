"""The sentence index of AllenNLP's HDF5 files: one JSON object {sentence: "line number"}, made outside of memory."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import h5py

from elmo_helpers.encoding.hdf5_files import writable_hdf5
from elmo_helpers.errors import ElmoHelpersError

NAME = "sentence_to_index"
_MAX_BYTES = 2**31 - 1  # of one string that NumPy can read


class SentenceIndex:
    """Collects sentences on disk, and writes them as the dataset `sentence_to_index`, one string of JSON.

    JSON has one number a sentence: that of its last line, as AllenNLP's file had. All of it is one string, which HDF5
    writes in one piece; here the piece is reserved first and filled afterwards, so that memory does not grow with it.
    """

    def __init__(self, directory: Path) -> None:
        """An empty index, whose files in `directory` are temporary."""
        self._database, self._json = directory / "sentences.sqlite", directory / "sentences.json"
        self._remove()
        # Nobody else knows of this file, and some file systems have no locks.
        self._table = sqlite3.connect(f"{self._database.absolute().as_uri()}?nolock=1", isolation_level=None, uri=True)
        self._table.execute("PRAGMA journal_mode=OFF")
        self._table.execute("PRAGMA synchronous=OFF")
        self._table.execute("PRAGMA temp_store=FILE")
        # BLOB, since a text of SQLite's ends at its first NUL in some of its functions.
        self._table.execute("CREATE TABLE lines (sentence BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def add(self, sentences: list[str], lines: list[int]) -> None:
        """Note on which lines sentences are; a later line of the same sentence takes the place of an earlier one."""
        pairs = ((sentence.encode(), line) for sentence, line in zip(sentences, lines, strict=True))
        self._table.execute("BEGIN")
        self._table.executemany("INSERT OR REPLACE INTO lines VALUES (?, ?)", pairs)
        self._table.execute("COMMIT")

    def write(self, path: Path) -> None:
        """Put the dataset into the HDF5 file `path`, which is not open, and remove the temporary files.

        Raises:
            ElmoHelpersError: It would be larger than 2 GiB.
        """
        size = self._write_json()
        if size > _MAX_BYTES:
            raise ElmoHelpersError(
                f"The sentence index would be {size:,} bytes and HDF5 holds {_MAX_BYTES:,} in one string: cut the "
                f"input in parts, or name an OUTPUT that ends in .parquet."
            )
        with writable_hdf5(path, "r+") as (file, _):
            place = _reserve(file, size)
        with path.open("r+b") as target, self._json.open("rb") as source:
            target.seek(place)
            while piece := source.read(1 << 20):
                target.write(piece)
        self.close()

    def close(self) -> None:
        """Remove the temporary files."""
        self._table.close()
        self._remove()

    def _write_json(self) -> int:
        with self._json.open("w", encoding="ascii") as stream:
            separator = "{"
            for sentence, line in self._table.execute("SELECT sentence, line FROM lines ORDER BY sentence"):
                stream.write(f'{separator}{json.dumps(sentence.decode())}: "{line}"')
                separator = ", "
            stream.write("{}" if separator == "{" else "}")
        return os.path.getsize(self._json)

    def _remove(self) -> None:
        for path in (self._database, self._json):
            path.unlink(missing_ok=True)


def _reserve(file: h5py.File, size: int) -> int:
    """Make the dataset, shape (1,), a string of `size` bytes, and say where in the file its bytes lie."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(size)
    kind.set_strpad(h5py.h5t.STR_NULLPAD)
    kind.set_cset(h5py.h5t.CSET_UTF8)
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((1,))
    return int(h5py.h5d.create(file.id, NAME.encode(), kind, space, settings).get_offset())
