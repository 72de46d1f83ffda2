"""Files of labelled words: a word and its label on each line, and an empty line behind each title."""

from __future__ import annotations

import os
from typing import NamedTuple

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, read_bytes

UNLABELLED = "-"  # the label of a word that nobody has looked at
_DOCUMENT = "-DOCSTART-"  # stands before each document in the files of CoNLL-2003


class LabelledTitle(NamedTuple):
    """A title and the labels of its words."""

    tokens: list[str]
    labels: list[str]  # one a token; UNLABELLED where nobody has looked


def read_labelled(path: str | os.PathLike[str]) -> list[LabelledTitle]:
    """The titles of a file of labelled words, such as those of CoNLL-2003 (Tjong Kim Sang & De Meulder 2003).

    A line has a word in its first column and the word's label in its last one. Columns are set apart by tabs or, in a
    line without a tab, by blanks. A line that is empty, or of white space alone, ends a title. Lines that begin with
    -DOCSTART- are left out.

    Args:
        path: Of a file in UTF-8.

    Raises:
        ElmoHelpersError: The file is missing or no text, a line has no label, or there is no title.
    """
    path = path_of("path", path)
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ElmoHelpersError(
            f"{path}: byte {error.start} is not UTF-8; convert it, for example with `iconv -f WINDOWS-1252 -t UTF-8`."
        ) from None
    titles = [LabelledTitle([], [])]
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            titles.append(LabelledTitle([], []))
            continue
        columns = [column.strip() for column in (line.split("\t") if "\t" in line else line.split())]
        if columns[0] == _DOCUMENT:
            continue
        if len(columns) < 2 or not columns[0] or not columns[-1]:
            raise ElmoHelpersError(
                f"{path}, line {number}: expected a word and its label, and got {line.strip()[:60]!r}; write "
                f"{UNLABELLED!r} as the label of a word that nobody has looked at."
            )
        titles[-1].tokens.append(columns[0])
        titles[-1].labels.append(columns[-1])
    titles = [title for title in titles if title.tokens]
    if not titles:
        raise ElmoHelpersError(f"{path}: it holds no title; write a word and its label on each line.")
    return titles
