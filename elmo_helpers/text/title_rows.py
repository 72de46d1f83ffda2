"""What kind of file holds titles, by its name, and its rows: of a table by the names of its columns, or lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from elmo_helpers.errors import ElmoHelpersError


class TableKind(NamedTuple):
    """How a kind of table is written.

    Attributes:
        name: As people call it.
        separator: Stands between the fields of a row.
        quoting: The csv module's QUOTE_MINIMAL or QUOTE_NONE.
        row_advice: What to do about a row with another number of fields.
        length_advice: What to do about a field that is too long.
    """

    name: str
    separator: str
    quoting: Literal[0, 3]
    row_advice: str
    length_advice: str


CSV = TableKind(
    "CSV",
    ",",
    csv.QUOTE_MINIMAL,
    "put a title that holds commas or line breaks between double quotes, and double those inside it",
    "close a double quote that was left open, or cut the text into sentences",
)
TSV = TableKind(
    "TSV",
    "\t",
    csv.QUOTE_NONE,
    "write a space for a tab or a line break inside a title",
    "cut the text into sentences",
)

_LONGEST_FIELD = 131_072  # the csv module's limit, which a caller may have lowered for the whole process
_TABLES = {"csv": CSV, "tsv": TSV, "tab": TSV}

_SAVE = "save its titles as .csv or .tsv with the columns title and date, or one a line as .txt"
_FROM_JSON = "save its titles as .csv, for example with pandas.read_json(name, lines=True).to_csv('new.csv')"
# Endings of what holds no titles in lines or rows, what it is called, and what to do.
_OTHERS = (
    ("json jsonl ndjson jsonlines geojson", "JSON", _FROM_JSON),
    ("xlsx xls xlsm xlsb xltx ods fods numbers", "a spreadsheet", _SAVE),
    ("psv parquet pq feather arrow ipc orc avro sav dta sas7bdat rds rdata", "another kind of table", _SAVE),
    ("sql db sqlite sqlite3 duckdb mdb accdb", "a database", _SAVE),
    ("h5 hdf5 npy npz mat pkl pickle pt pth safetensors", "a file of arrays or objects", _SAVE),
    ("html htm xhtml xml pdf doc docx odt rtf epub ppt pptx ipynb yaml yml bib ris", "a document", _SAVE),
    ("zip bz2 xz zst lzma lz4 z 7z rar tar tgz tbz2 txz", "packed", "unpack it; as .gz, a single file is read packed"),
)
_REFUSED = {ending: (kind, remedy) for endings, kind, remedy in _OTHERS for ending in endings.split()}

_SIGNS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}

_quoted = re.compile(r'"((?:[^"]|"")*)"').fullmatch
_begins_json = re.compile(r'\s*\[?\s*\{\s*("|$)').match


def table_kind(path: Path) -> TableKind | None:
    """How the table at `path` is written, by its name; None where each line is a title.

    Raises:
        ElmoHelpersError: By its name it is neither.
    """
    _, dot, ending = path.name.lower().removesuffix(".gz").rpartition(".")
    if dot and ending in _REFUSED:
        kind, remedy = _REFUSED[ending]
        raise ElmoHelpersError(f"{path} is {kind}, and titles are read from CSV, TSV and plain text: {remedy}.")
    return _TABLES.get(ending) if dot else None


def table_rows(
    text: io.TextIOBase, path: Path, kind: TableKind, columns: tuple[str, ...], longest: int | None = None
) -> Iterator[tuple[int, list[str] | None]]:
    """Line number (of a row's first line) and the fields of these columns of each row; None for an empty line.

    In a CSV, a field between double quotes may hold anything. In a TSV, a row is a line and a quote is a letter, so
    that a title can begin with one; but a field wholly between quotes, with those inside it doubled, loses them.

    Args:
        text: A table; others of its columns are ignored. Empty lines before its header are passed over.
        path: Its name, for messages.
        kind: CSV or TSV.
        columns: Names of columns.
        longest: Characters that a field may have; None: 131,072 as the csv module says, or more where the caller does.

    Raises:
        ElmoHelpersError: A column is missing or is there twice, or a row is malformed.
    """
    longest = max(csv.field_size_limit(), _LONGEST_FIELD) if longest is None else longest
    # A header in quotes with other separators is an error to a strict reader, which cannot say what it holds.
    top, table = (csv.reader(text, delimiter=kind.separator, quoting=kind.quoting, strict=s) for s in (False, True))
    line = 1
    try:
        header: list[str] = []
        while not header:
            header = [name.strip() for name in _next_row(top, kind, longest)]
        places = _places(header, path, columns, kind)
        while True:
            line = top.line_num + table.line_num + 1
            fields = _next_row(table, kind, longest)
            if fields and len(fields) != len(header):
                raise ElmoHelpersError(
                    f"{path}, line {line}: expected {len(header)} fields as in the header, found {len(fields)}; "
                    f"{kind.row_advice}."
                )
            yield line, [fields[place] for place in places] if fields else None
    except StopIteration:
        return
    except csv.Error as error:
        if "field limit" in str(error):
            raise ElmoHelpersError(
                f"{path}, line {line}: a field of this row is longer than {longest:,} characters; {kind.length_advice}."
            ) from None
        raise ElmoHelpersError(f"{path}, line {line}: not a row of {kind.name} ({error}); {kind.row_advice}.") from None


def _next_row(table: Iterator[list[str]], kind: TableKind, longest: int) -> list[str]:
    # The limit is the whole process's, so it is set for the one call alone.
    before = csv.field_size_limit(longest)
    try:
        fields = next(table)
    finally:
        csv.field_size_limit(before)
    if kind is TSV:
        return [found[1].replace('""', '"') if (found := _quoted(field)) else field for field in fields]
    return fields


def _places(header: list[str], path: Path, columns: tuple[str, ...], kind: TableKind) -> list[int]:
    """Where in a row the columns stand."""
    if missing := [name for name in columns if name not in header]:
        _refuse_utf16(header[0], path)
        sign = _sign_between(columns, kind.separator.join(header))
        if sign in (None, kind.separator):
            advice = (
                f"name its columns in the first line, apart by {_SIGNS[kind.separator]}, or name the file .txt if it "
                "holds one title a line"
            )
        else:
            advice = f"its columns are apart by {_SIGNS[sign]}, so {_advice(sign)}"
        raise ElmoHelpersError(
            f"{path} has no column {' and no column '.join(missing)}, only {header!s:.200}: {advice}."
        )
    if twice := [name for name in columns if header.count(name) > 1]:
        raise ElmoHelpersError(f"{path} has more than one column {twice[0]}: rename the others.")
    return [header.index(name) for name in columns]


def text_lines(text: io.TextIOBase, path: Path) -> Iterator[str]:
    """The lines of a text file, without their ends.

    Raises:
        ElmoHelpersError: The first one shows that it is a table or JSON under another name, or UTF-16.
    """
    for number, line in enumerate(text):
        if number == 0:
            _check_first_line(line, path)
        yield line.rstrip("\n")


def _check_first_line(line: str, path: Path) -> None:
    _refuse_utf16(line, path)
    if sign := _sign_between(("title", "date"), line):
        raise ElmoHelpersError(
            f"{path} begins with the names of a table's columns, {line.strip()!r:.80}, and one title a line is "
            f"expected there: {_advice(sign)}."
        )
    if _begins_json(line):
        raise ElmoHelpersError(f"{path} begins like JSON, and one title a line is expected there: {_FROM_JSON}.")


def _sign_between(columns: tuple[str, ...], line: str) -> str | None:
    """What stands between these names in a line, if it holds them all."""
    for sign in _SIGNS:
        if sign in line and set(columns) <= {field.strip(' "\n').lower() for field in line.split(sign)}:
            return sign
    return None


def _advice(sign: str) -> str:
    """What to do about a table whose name does not tell that its columns are apart by `sign`."""
    for ending, kind in _TABLES.items():
        if kind.separator == sign:
            return f"let its name end in .{ending}"
    return f"save it with commas, for example with pandas.read_csv(name, sep={sign!r}).to_csv('new.csv')"


def _refuse_utf16(start: str, path: Path) -> None:
    """Refuse UTF-16 without its mark: read as UTF-8, every other letter of English is a zero."""
    for order, every_other in (("LE", start[1:4:2]), ("BE", start[0:4:2])):
        if set(every_other) == {"\0"}:
            raise ElmoHelpersError(
                f"{path} is UTF-16, not UTF-8; convert the file with `iconv -f UTF-16{order} -t UTF-8`."
            )
