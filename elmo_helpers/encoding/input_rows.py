"""The rows of a file that is encoded: every one of them, in order, with its number and its place in the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from elmo_helpers.text.title_files import check_utf8, is_table, open_file, table_rows

# A cell may be a whole book; a quote that was left open, which makes one cell of the rest of the file, is found here.
_LONGEST_CELL = 2**27


class InputRow(NamedTuple):
    """One line of a text file, or one row of a CSV below its header.

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

    A `.csv` or `.csv.gz` has a column `title`; others are ignored, and an empty line below the header is a row with an
    empty title. Any other file, plain or `.gz`, holds one title a line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count: int | None = None  # of all rows, known once they have been read to the end

    def __iter__(self) -> Iterator[InputRow]:
        """Read the file.

        Raises:
            ElmoHelpersError: It is missing, broken, not UTF-8 or malformed, or a CSV without the column title.
        """
        table = is_table(self.path)
        n = 0
        try:
            with (
                open_file(self.path) as raw,
                io.TextIOWrapper(raw, encoding="utf-8-sig", newline="" if table else None) as text,
            ):
                on_disk = getattr(raw, "fileobj", raw)  # of a gzip file, the packed one
                for title in _table_titles(text, self.path) if table else _lines(text):
                    yield InputRow(n, title, on_disk.tell())
                    n += 1
        except UnicodeDecodeError:
            check_utf8(self.path)
            raise
        self.count = n


def _lines(text: io.TextIOBase) -> Iterator[str]:
    return (line.rstrip("\n") for line in text)


def _table_titles(text: io.TextIOBase, path: Path) -> Iterator[str]:
    for _, fields in table_rows(text, path, ("title",), _LONGEST_CELL):
        yield "" if fields is None else fields[0]
