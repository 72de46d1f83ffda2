"""The rows of a file that is encoded: every one of them, in order, with its number and its place in the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.title_files import check_utf8, is_table, open_file

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
    table = csv.reader(text, strict=True)
    line = 1  # the first one of a row, which may have several
    try:
        header: list[str] = []
        while not header:
            header = [name.strip() for name in _next_row(table)]
        if header.count("title") != 1:
            found = "no column title" if "title" not in header else "more than one column title"
            raise ElmoHelpersError(
                f"{path} has {found}: its first line is {header!s:.200}; name exactly one column title there, or "
                f"name the file .txt if it holds one title a line."
            )
        column = header.index("title")
        while True:
            line = table.line_num + 1
            fields = _next_row(table)
            if fields and len(fields) != len(header):
                raise ElmoHelpersError(
                    f"{path}, line {line}: expected {len(header)} fields as in the header, found {len(fields)}; put a "
                    f"title that holds commas or line breaks between double quotes."
                )
            yield fields[column] if fields else ""
    except StopIteration:
        return
    except csv.Error as error:
        if "field limit" in str(error):
            raise ElmoHelpersError(
                f"{path}, line {line}: a field of this row is longer than {_LONGEST_CELL:,} characters; close a double "
                f"quote that was left open, or cut the text into sentences."
            ) from None
        raise ElmoHelpersError(
            f"{path}, line {line}: not a row of CSV ({error}); put such a title between double quotes, and double "
            f"those inside it."
        ) from None


def _next_row(table: Iterator[list[str]]) -> list[str]:
    # The limit is the whole process's, so it is lifted for the one call alone.
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        return next(table)
    finally:
        csv.field_size_limit(before)
