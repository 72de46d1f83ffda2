"""A file that grows while a run goes on, and can be read meanwhile."""

from __future__ import annotations

from pathlib import Path

from elmo_helpers.files import writing
from elmo_helpers.training.checkpoint import RESUME


class GrowingFile:
    """A file to which pieces are added; each is with the operating system, whole, when its call returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, which is made where it is missing.

        Raises:
            ElmoHelpersError: It cannot be written.
        """
        self.path = path
        with writing(path, RESUME):
            self._stream = path.open("ab", buffering=0)  # a buffer would fail once more when it is closed

    def write(self, data: bytes) -> None:
        """Add a piece.

        Raises:
            ElmoHelpersError: It cannot be written; half of it may have been.
        """
        with writing(self.path, RESUME):
            while data:
                data = data[self._stream.write(data) :]

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
