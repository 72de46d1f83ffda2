"""HDF5 files through files of Python's own.

HDF5 would lock them, which some file systems cannot and nothing here needs; and where a disk is full while it writes,
it may take the whole process with it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py

from elmo_helpers.files import open_ordinary

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """An HDF5 file for reading.

    Raises:
        ElmoHelpersError: It is missing, is no ordinary file, or cannot be read.
        OSError, RuntimeError, ValueError: It is no HDF5 file, or is damaged.
    """
    with open_ordinary(path) as stream, h5py.File(stream, "r") as file:
        yield file


@contextmanager
def writable_hdf5(
    path: str | os.PathLike[str], mode: str = "w", **options: Any
) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """An HDF5 file for writing, and a function that raises what the disk has refused so far.

    Args:
        path: The file.
        mode: "w" for a new file, "r+" for one that is there.
        options: Of `h5py.File`.

    Raises:
        OSError: The file cannot be written; at the latest at the end of the block.
    """
    with _Stream(path, "w+" if mode == "w" else "r+") as stream:
        try:
            with h5py.File(stream, mode, **options) as file:
                yield file, stream.check
        finally:
            stream.check()


class _Stream(io.FileIO):
    """A file that takes all that HDF5 writes, and keeps the first error for whoever asks."""

    _error: OSError | None = None

    def check(self) -> None:
        """Raise the error of an earlier write, if there was one."""
        if self._error is not None:
            raise self._error

    def write(self, data: ReadableBuffer) -> int:
        rest = memoryview(data).cast("B")
        n = len(rest)
        try:
            while self._error is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._error = error
        return n

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return self.tell() if size is None else size
