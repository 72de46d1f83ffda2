"""The rows of a file that is encoded: every one of them, in order, with its number and its place in the file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from elmo_helpers.files import check_ordinary
from elmo_helpers.text.title_files import open_text
from elmo_helpers.text.title_rows import TableKind, table_kind, table_rows, text_lines

# A cell may be a whole book; a quote that was left open, which makes one cell of the rest of the file, is found here.
_LONGEST_CELL = 2**27


class InputRow(NamedTuple):
    """One line of a text file, or one row of a table below its header.

    Attributes:
        number: From 0.
        title: The text, without the line's end; blank ones too.
        position: Bytes of the file, as it lies on disk, that had been read by then.
    """

    number: int
    title: str
    position: int


class InputRows:
    """All rows of a file, blank and repeated ones too, one at a time.

    A CSV or TSV has a column `title`; others are ignored, and an empty line below the header is a row with an empty
    title. Any other file holds one title a line. All may be gzipped.
    """

    kind: TableKind | None
    count: int

    def __init__(self, path: Path) -> None:
        """Nothing is read yet.

        Raises:
            ElmoHelpersError: `path` is of another kind, or a pipe, which could not be read again to go on with.
        """
        check_ordinary(path)
        self.path = path
        self.kind = table_kind(path)
        self.count = 0  # of all rows, once they have been read to the end

    def __iter__(self) -> Iterator[InputRow]:
        """Read the file.

        Raises:
            ElmoHelpersError: It is missing, broken, not UTF-8 or malformed, or a table without the column title.
        """
        n = 0
        with open_text(self.path, self.kind) as text:
            titles = text_lines(text, self.path) if self.kind is None else _table_titles(text, self.path, self.kind)
            for title in titles:
                yield InputRow(n, title, os.lseek(text.fileno(), 0, os.SEEK_CUR))
                n += 1
        self.count = n


def _table_titles(text: io.TextIOBase, path: Path, kind: TableKind) -> Iterator[str]:
    for _, fields in table_rows(text, path, kind, ("title",), _LONGEST_CELL):
        yield "" if fields is None else fields[0]
