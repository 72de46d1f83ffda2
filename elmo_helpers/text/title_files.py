"""Files of titles: which ones a path or a pattern names, and their rows, block by block."""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pandas as pd

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, path_of
from elmo_helpers.text.dates import MISSING, FileDates
from elmo_helpers.text.title_rows import TableKind, table_kind, table_rows, text_lines

BLOCK = 100_000  # rows held as Python objects at a time

Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def title_files(name: str, files: Files) -> list[Path]:
    """The files that an argument names.

    Args:
        name: Of the argument, for errors.
        files: One path, a pattern such as "news/*.txt.gz" (its files in the order of their names; `**` stands for any
            folders), or a list of such. A path that is there is taken as it is, whatever signs it holds.

    A pattern leaves out folders alone: something else that cannot be read is not passed over in silence.

    Raises:
        ElmoHelpersError: A pattern matches no file, the list is empty, or it holds something else.
    """
    if isinstance(files, str | os.PathLike):
        path = path_of(name, files)
        if os.path.exists(path) or not any(sign in str(path) for sign in "*?["):
            return [path]
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if not os.path.isdir(match))
        if not matches:
            raise ElmoHelpersError(
                f"{name}={str(files)!r}: no file matches this pattern; check its folder and its end."
            )
        return matches
    if not isinstance(files, list | tuple) or not files:
        raise ElmoHelpersError(
            f"{name}={files!r:.80}: expected a path, a pattern such as 'news/*.txt', or a list of them."
        )
    return [path for part in files for path in title_files(name, part)]


def title_blocks(path: Path, size: int = BLOCK) -> Iterator[tuple[pd.DataFrame, dict[str, int]]]:
    """The rows of a file as `read_titles` reads it, at most `size` of them at a time.

    Yields:
        - The rows kept: `title` (str) and `date` (datetime64[s]), numbered from 0.
        - How many rows were "read", of those how many with a "missing title" and how many with a "missing date".

    Raises:
        ElmoHelpersError: The file is missing, of another kind, broken, not UTF-8 or malformed, lacks a column, or has
            an unreadable date or two orders of day and month. A file without any row is no error.
    """
    rows = _rows(path)
    dates = FileDates(path, lambda: ((line, date) for line, _, date in _rows(path) if date is not None))
    while block := list(islice(rows, size)):
        piece = pd.DataFrame(block, columns=["line", "title", "date"]).astype({"title": "str", "date": "str"})
        days = dates.days(piece["line"], piece["date"])
        no_title = piece["title"] == ""
        no_date = ~no_title & piece["date"].str.strip().str.lower().isin(MISSING)
        kept = ~(no_title | no_date)
        unreadable = kept & days.isna() & piece["date"].notna()
        if unreadable.any():
            row = piece[unreadable].iloc[0]
            raise ElmoHelpersError(
                f"{path}, line {row['line']}: {row['date']!r:.80} is not a date; write year, month and day, best like "
                "2013-08-20, or leave it empty."
            )
        counts = {"read": len(block), "missing title": int(no_title.sum()), "missing date": int(no_date.sum())}
        yield pd.DataFrame({"title": piece["title"], "date": days})[kept].reset_index(drop=True), counts


def _rows(path: Path) -> Iterator[tuple[int, str, str | None]]:
    """Line number, title and date of each row, None in a text file; empty lines of a table are passed over."""
    kind = table_kind(path)
    with open_text(path, kind) as text:
        if kind is None:
            for line, title in enumerate(text_lines(text, path), start=1):
                yield line, title, None
            return
        for line, fields in table_rows(text, path, kind, ("title", "date")):
            if fields is not None:
                title, date = fields
                yield line, title, date


@contextmanager
def open_text(path: Path, kind: TableKind | None) -> Iterator[io.TextIOWrapper]:
    """The text of a file, as `text_lines` or `table_rows` read it; a byte that is not UTF-8 is named."""
    try:
        # A field of a table may hold ends of lines, and the csv module is to see them as they are.
        newline = None if kind is None else ""
        with open_file(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline=newline) as text:
            yield text
    except UnicodeDecodeError as error:
        if os.path.isfile(path):
            check_utf8(path)
        # What came through a pipe cannot be read again.
        raise ElmoHelpersError(
            f"{path}: a byte of the text, {error.object[error.start]:#x}, is not UTF-8; convert it, for example with "
            "`iconv -f WINDOWS-1252 -t UTF-8`."
        ) from None


@contextmanager
def open_file(path: Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """The bytes of a file, unpacked; what goes wrong while they are read ends in one sentence."""
    check_ordinary(path, open_pipe=True)
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: check its name, or make it with default_titles().") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ElmoHelpersError(f"{path} is not a whole gzip file ({error}): copy or compress it again.") from None
    except OSError as error:
        raise ElmoHelpersError(f"{path} cannot be read ({error.strerror}): name a readable file.") from None


def check_utf8(path: Path) -> None:
    """Name the first byte that is not UTF-8; a stream's own error counts from the start of its buffer."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    start, before, lines = b"", 0, 1  # of the file; bytes and lines before this chunk
    with open_file(path) as stream:
        while True:
            chunk = stream.read(2**20)
            start = start or chunk[:4]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder holds back a character that the chunk before began.
                place = before - (len(error.object) - len(chunk)) + error.start
                lines += chunk.count(b"\n", 0, max(place - before, 0))
                raise _not_utf8(path, start, place, lines, error.object[error.start]) from None
            if not chunk:
                return
            before += len(chunk)
            lines += chunk.count(b"\n")


def _not_utf8(path: Path, start: bytes, place: int, line: int, byte: int) -> ElmoHelpersError:
    for mark, remedy in (
        (b"\x1f\x8b", "a gzip file: add .gz to its name"),
        (b"PK\x03\x04", "a zip or Excel file: save it as CSV"),
    ):
        if start.startswith(mark):
            return ElmoHelpersError(f"{path} is {remedy}.")
    likely = "UTF-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
    return ElmoHelpersError(
        f"{path}, line {line}: byte {place} of the text, {byte:#x}, is not UTF-8; convert the file, for example with "
        f"`iconv -f {likely} -t UTF-8`."
    )
