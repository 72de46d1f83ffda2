"""Every row of a file: none dropped, none doubled, and one sentence about what cannot be read."""

import csv
import gzip
import os

import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.encoding.corpus_encoding import encode_file
from elmo_helpers.encoding.input_rows import InputRows


def titles(path) -> list[str]:
    rows = InputRows(path)
    found = list(rows)
    assert [row.number for row in found] == list(range(len(found)))
    assert rows.count == len(found)
    assert [row.position for row in found] == sorted(row.position for row in found)
    assert all(row.position <= path.stat().st_size for row in found)
    return [row.title for row in found]


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("one", ["one"]),
        ("\n", [""]),
        ("\n\na\nb\n\n", ["", "", "a", "b", ""]),
        ("a\na\n a \n", ["a", "a", " a "]),
        ("\ufeffa\r\nb\x0bc\u2028d\r\n", ["a", "b\x0bc\u2028d"]),
        ("x" * 300_000, ["x" * 300_000]),
    ],
)
def test_text(tmp_path, name, text, expected):
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert titles(tmp_path / name) == expected


@pytest.mark.parametrize("ending", ["csv", "tsv", "tab"])
def test_tables(tmp_path, ending):
    rows = ["plain", 'with "quotes", and a comma', '"so" it begins', "", "plain", " \N{PILE OF POO} ", "x" * 300_000]
    if ending == "csv":
        rows.append("two\nlines")
    for name, opened in ((f"t.{ending}", open), (f"t.{ending}.gz", gzip.open)):
        with opened(tmp_path / name, "wt", newline="") as stream:
            writer = csv.writer(stream, "excel" if ending == "csv" else "excel-tab")
            writer.writerows([("id", " title", "more"), *((i, title, "x") for i, title in enumerate(rows))])
        assert titles(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("title", []),
        ("title\n", []),
        ("title\n\na\n\n", ["", "a", ""]),
        ("\ntitle,date\n\n,2001\n", ["", ""]),
    ],
)
def test_csv_with_empty_lines(tmp_path, text, expected):
    (tmp_path / "t.csv").write_text(text)
    assert titles(tmp_path / "t.csv") == expected


def test_the_limit_of_fields_is_left_as_it_was(tmp_path):
    before = csv.field_size_limit()
    (tmp_path / "t.csv").write_text("title\na\nb\n")
    for _ in InputRows(tmp_path / "t.csv"):
        assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.txt", b"good\nb\xe4d\n", r"t\.txt, line 2: byte 6 of the text, 0xe4, is not UTF-8"),
        ("t.csv", b"title\ngood\nb\xe4d\n", r"t\.csv, line 3: byte 12 of the text, 0xe4, is not UTF-8"),
        ("t.txt.gz", b"no gzip", r"t\.txt\.gz is not a whole gzip file"),
        ("t.csv", b"text,date\na,b\n", r"t\.csv has no column title, only \['text', 'date'\]"),
        ("t.csv", b"title,title\na,b\n", r"t\.csv has more than one column title"),
        ("t.csv", b"title,date\na,b\na,b,c\n", r"t\.csv, line 3: expected 2 fields as in the header, found 3"),
        ("t.csv", b'title\n"a\nb" c\n', r"t\.csv, line 2: not a row of CSV"),
        ("t.csv", b'title\na\n"b\n', r"t\.csv, line 3: not a row of CSV"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ElmoHelpersError, match=said):
        list(InputRows(tmp_path / name))


def test_an_open_quote_before_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr("elmo_helpers.encoding.input_rows._LONGEST_CELL", 1000)
    (tmp_path / "t.csv").write_text('title\na\n"b\n' + "c\n" * 1000)
    with pytest.raises(ElmoHelpersError, match=r"line 3: a field of this row is longer than 1,000 characters; close"):
        list(InputRows(tmp_path / "t.csv"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ElmoHelpersError, match=r"none\.txt is missing"):
        list(InputRows(tmp_path / "none.txt"))


def test_another_kind_or_a_pipe_is_refused_before_a_model_is_read(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"title": "a"}\n')
    os.mkfifo(tmp_path / "t.txt")
    before = sorted(tmp_path.iterdir())
    for name, said in (("t.jsonl", r"t\.jsonl is JSON"), ("t.txt", r"t\.txt is a named pipe")):
        with pytest.raises(ElmoHelpersError, match=said):
            encode_file(tmp_path / "model", tmp_path / name, tmp_path / "vectors.h5", progress=False)
    assert sorted(tmp_path.iterdir()) == before
