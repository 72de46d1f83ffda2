"""Files of titles: which ones a path or a pattern names, and their rows, block by block."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from elmo_helpers.errors import ElmoHelpersError

BLOCK = 100_000  # rows held as Python objects at a time

Files = str | os.PathLike | Sequence[str | os.PathLike]

_MISSING_DATES = ("", "nan", "nat", "na", "n/a", "<na>", "none", "null")  # in lower case


def title_files(name: str, files: Files) -> list[Path]:
    """The files that an argument names.

    Args:
        name: Of the argument, for errors.
        files: One path, a pattern such as "news/*.txt.gz" (its files in the order of their names; `**` stands for any
            folders), or a list of such. A path that is there is taken as it is, whatever signs it holds.

    Raises:
        ElmoHelpersError: A pattern matches no file, the list is empty, or it holds something else.
    """
    if isinstance(files, str | os.PathLike):
        path = Path(files)
        if path.exists() or not any(sign in str(path) for sign in "*?["):
            return [path]
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if os.path.isfile(match))
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


def is_table(path: Path) -> bool:
    """Whether `path` is read as a CSV; any other file holds one title a line."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


def title_blocks(path: Path, size: int = BLOCK) -> Iterator[tuple[pd.DataFrame, dict[str, int]]]:
    """The rows of a file as `read_titles` reads it, at most `size` of them at a time.

    Yields:
        - The rows kept: `title` (str) and `date` (datetime64[s]), numbered from 0.
        - How many rows were "read", of those how many with a "missing title" and how many with a "missing date".

    Raises:
        ElmoHelpersError: The file is missing, broken, not UTF-8 or malformed, lacks a column, or has an unreadable
            date. A file without any row is no error.
    """
    table = is_table(path)
    try:
        with open_file(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="" if table else None) as text:
            rows = _dated_rows(text, path) if table else _text_rows(text)
            while block := list(islice(rows, size)):
                piece = pd.DataFrame(block, columns=["line", "title", "date"]).astype({"title": "str", "date": "str"})
                no_title = piece["title"] == ""
                no_date = ~no_title & piece["date"].str.strip().str.lower().isin(_MISSING_DATES)
                piece = piece[~(no_title | no_date)].reset_index(drop=True)
                counts = {
                    "read": len(block),
                    "missing title": int(no_title.sum()),
                    "missing date": int(no_date.sum()),
                }
                yield pd.DataFrame({"title": piece["title"], "date": _parse_dates(piece, path)}), counts
    except UnicodeDecodeError:
        check_utf8(path)
        raise


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked; what goes wrong while they are read ends in one sentence."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: check its name, or make it with default_titles().") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ElmoHelpersError(f"{path} is not a whole gzip file ({error}): copy or compress it again.") from None
    except OSError as error:
        raise ElmoHelpersError(f"{path} cannot be read ({error.strerror}): name a readable file.") from None


def table_rows(
    text: io.TextIOBase, path: Path, columns: tuple[str, ...], longest: int | None = None
) -> Iterator[tuple[int, list[str] | None]]:
    """Line number (of a row's first line) and the fields of these columns of each row; None for an empty line.

    Args:
        text: A CSV; others of its columns are ignored. Empty lines before its header are passed over.
        path: Its name, for messages.
        columns: Names of columns.
        longest: Characters that a field may have; None: the csv module's own limit.

    Raises:
        ElmoHelpersError: A column is missing or is there twice, or a row is malformed.
    """
    longest = csv.field_size_limit() if longest is None else longest
    table = csv.reader(text, strict=True)
    line = 1
    try:
        header: list[str] = []
        while not header:
            header = [name.strip() for name in _next_row(table, longest)]
        if missing := [name for name in columns if name not in header]:
            raise ElmoHelpersError(
                f"{path} has no column {' and no column '.join(missing)}, only {header!s:.200}: name its columns in "
                "the first line, apart by commas, or name the file .txt if it holds one title a line."
            )
        if twice := [name for name in columns if header.count(name) > 1]:
            raise ElmoHelpersError(f"{path} has more than one column {twice[0]}: rename the others.")
        places = [header.index(name) for name in columns]
        while True:
            line = table.line_num + 1
            fields = _next_row(table, longest)
            if fields and len(fields) != len(header):
                raise ElmoHelpersError(
                    f"{path}, line {line}: expected {len(header)} fields as in the header, found {len(fields)}; put a "
                    f"title that holds commas or line breaks between double quotes."
                )
            yield line, [fields[place] for place in places] if fields else None
    except StopIteration:
        return
    except csv.Error as error:
        if "field limit" in str(error):
            raise ElmoHelpersError(
                f"{path}, line {line}: a field of this row is longer than {longest:,} characters; close a double quote "
                f"that was left open, or cut the text into sentences."
            ) from None
        raise ElmoHelpersError(
            f"{path}, line {line}: not a row of CSV ({error}); put such a title between double quotes, and double "
            f"those inside it."
        ) from None


def _next_row(table: Iterator[list[str]], longest: int) -> list[str]:
    # The limit is the whole process's, so it is set for the one call alone.
    before = csv.field_size_limit(longest)
    try:
        return next(table)
    finally:
        csv.field_size_limit(before)


def _dated_rows(text: io.TextIOBase, path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, title and date of each row; empty lines are passed over."""
    for line, fields in table_rows(text, path, ("title", "date")):
        if fields is not None:
            yield line, *fields


def _text_rows(text: io.TextIOBase) -> Iterator[tuple[int, str, None]]:
    for line, title in enumerate(text, start=1):
        yield line, title.rstrip("\n"), None


def _parse_dates(rows: pd.DataFrame, path: Path) -> pd.Series:
    # Without a year of four digits pandas would fill in today's, and it reads words such as "today".
    with_year = rows["date"].where(rows["date"].str.contains(r"\d{4}"))
    dates = pd.to_datetime(with_year, format="mixed", errors="coerce", utc=True)
    unreadable = dates.isna() & rows["date"].notna()
    if unreadable.any():
        row = rows[unreadable].iloc[0]
        raise ElmoHelpersError(
            f"{path}, line {row['line']}: {row['date']!r} is not a date; write it like 2013-08-20, or leave it empty."
        )
    return dates.dt.tz_localize(None).dt.normalize().astype("datetime64[s]")


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
