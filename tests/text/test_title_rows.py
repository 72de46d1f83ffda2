"""CSV and TSV are read as tables, and text by lines; nothing else passes as text, and a pipe is not waited for."""

import csv
import gzip
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_helpers.encoding.input_rows import InputRows
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.preparation import prepare_corpus
from elmo_helpers.text.titles import default_titles, read_titles


@pytest.fixture
def write(tmp_path):
    def write_file(name: str, content: str | bytes) -> Path:
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
        return tmp_path / name

    return write_file


def read_both(path: Path) -> list[str]:
    """The titles, as they are read to make a corpus, and to be encoded."""
    titles = read_titles(path)[0]["title"].tolist()
    assert [row.title for row in InputRows(path)] == titles
    return titles


def refusals(path: Path) -> list[str]:
    """The sentences in which all that reads titles refuses a file."""
    sentences = []
    directory = path.parent / "corpus"
    for read in (read_titles, lambda path: list(InputRows(path)), lambda path: prepare_corpus(path, directory)):
        with pytest.raises(ElmoHelpersError) as caught:
            read(path)
        sentences.append(str(caught.value))
    assert not directory.exists()
    return sentences


@pytest.mark.parametrize("name", ["t.tsv", "t.tab", "t.tsv.gz", "t.tab.gz", "T.TSV", "T.Tab.GZ", ".tsv"])
def test_tsv_is_a_table(write, name):
    path = write(name, "id\ttitle\tby\tdate\n1\tOne, two\tann\t2001-01-02\n\n2\tThree\t\t20 Aug 2013\n3\t\tx\t\n")
    frame, report = read_titles(path)
    assert frame["title"].tolist() == ["One, two", "Three"]
    assert [str(day)[:10] for day in frame["date"]] == ["2001-01-02", "2013-08-20"]
    assert report["rows"].tolist() == [3, 1, 0, 2]
    assert [row.title for row in InputRows(path)] == ["One, two", "", "Three", ""]
    assert len(prepare_corpus(path, path.parent / "corpus", min_count=1, valid=0, test=0)) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_line_ends_a_mark_zeros_and_a_last_line_without_an_end(write, name, end):
    sign = "," if name.endswith("csv") else "\t"
    rows = ["title" + sign + "date", *(title + sign + "2001-01-01" for title in ("a\0b", "\x01\x1b\x7f", "c\x85d"))]
    assert read_both(write(name, "\ufeff" + end.join(rows))) == ["a\0b", "\x01\x1b\x7f", "c\x85d"]


QUOTES = ['"Yes," she said', 'a 5" nail', '"I came.', 'I saw."', '"', "'", '"a" and "b"', "a\\tb", '"" x']


def test_a_quote_in_a_tsv_is_a_letter(write):
    assert read_both(write("t.tsv", "title\tdate\n" + "".join(f"{title}\t2001-01-01\n" for title in QUOTES))) == QUOTES
    assert read_both(write("r.tsv", "date\ttitle\n" + "".join(f"2001-01-01\t{title}\n" for title in QUOTES))) == QUOTES


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), min_size=1), min_size=1))
@settings(deadline=None, max_examples=50)
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_tsv_with_quoted_fields_is_read_as_it_was_meant(tmp_path_factory, quoting, titles):
    stream = io.StringIO()
    writer = csv.writer(stream, "excel-tab", quoting=quoting)
    writer.writerows([("title", "date"), *((title, "2001-01-01") for title in titles)])
    path = tmp_path_factory.getbasetemp() / "quoted.tsv"
    path.write_bytes(stream.getvalue().encode())
    assert read_both(path) == titles


@pytest.mark.parametrize("title", ['"two\ttabs"', '"two\nlines"', "two\ttabs", "two\nlines", '"open\n'])
def test_a_tab_or_a_line_break_inside_a_title_of_a_tsv(write, title):
    for said in refusals(write("t.tsv", f"title\tdate\na\t2001-01-01\n{title}\t2001-01-01\n"))[:2]:
        assert "line 3: expected 2 fields as in the header" in said
        assert "space" in said


def test_nothing_of_a_database_is_a_missing_date(write):
    assert read_titles(write("t.tsv", "title\tdate\n\\N\t2001-01-01\nb\t\\N\n"))[1]["rows"].tolist() == [2, 0, 1, 1]


@pytest.mark.parametrize(
    "ending",
    [
        *(
            "json",
            "jsonl",
            "ndjson",
            "xlsx",
            "xls",
            "ods",
            "parquet",
            "feather",
            "arrow",
            "orc",
            "avro",
            "sqlite",
            "db",
        ),
        *("zip", "bz2", "xz", "zst", "tar", "tgz", "7z", "rar", "html", "xml", "pdf", "docx", "ipynb", "yaml", "bib"),
        *("h5", "hdf5", "npy", "pkl", "dta", "sav", "rds", "sql", "psv"),
    ],
)
def test_other_kinds_are_refused_by_their_names(write, ending):
    text = "".join(f"a line of {ending} that would pass as a title\n" for _ in range(3))
    for name in (f"t.{ending}", f"T.{ending.upper()}", f"t.csv.{ending}", f"t.{ending}.gz"):
        for said in refusals(write(name, text)):
            assert name in said
            assert "titles are read from CSV, TSV and plain text: " in said
            assert said.count("\n") == 0
    assert len(read_both(write(ending, text))) == 3  # a name without an ending
    assert len(read_both(write(f"t.{ending}.txt", text))) == 3


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "title\tdate\na\t2001-01-01\n", "apart by tabs, so let its name end in .tsv"),
        ("t.csv", "n,m\ttitle\tdate\na\tb\t2001-01-01\n", "apart by tabs, so let its name end in .tsv"),
        ("t.tsv", "title,date\na,2001-01-01\n", "apart by commas, so let its name end in .csv"),
        ("t.tab", "title,date,text\tbody\na,2001-01-01,b\tc\n", "apart by commas, so let its name end in .csv"),
        ("t.csv", '"title";"date"\na;2001-01-01\n', r"semicolons.*sep=';'.*to_csv"),
        ("t.csv.gz", "id;title;date\n1;a;2001-01-01\n", r"semicolons.*sep=';'.*to_csv"),
        ("t.tsv", "title|date\na|2001-01-01\n", r"bars.*sep='\|'.*to_csv"),
        ("t.csv", "Title\na\n", "name its columns in the first line, apart by commas, or name the file .txt"),
        ("t.tsv", "a title\nand another\n", "name its columns in the first line, apart by tabs, or name the file .txt"),
        ("t.csv", "title,date\na,2001-01-01\n".encode("utf-16-le"), "is UTF-16.*`iconv -f UTF-16LE"),
        ("t.tsv", "title\tdate\na\t2001-01-01\n".encode("utf-16-be"), "is UTF-16.*`iconv -f UTF-16BE"),
        ("t.csv", "title,date\na,2001-01-01\n".encode("utf-16"), "0xff, is not UTF-8.*`iconv -f UTF-16 "),
        ("t.txt", "a title\n".encode("utf-16"), "0xff, is not UTF-8.*`iconv -f UTF-16 "),
        ("t.txt", "a title\n".encode("utf-16-le"), "is UTF-16.*`iconv -f UTF-16LE"),
        ("t", "a title\n".encode("utf-16-be"), "is UTF-16.*`iconv -f UTF-16BE"),
        ("t.csv.bak", "title,date\na,2001-01-01\n", "begins with the names of a table's columns.* end in .csv"),
        ("t.txt", ",Title,Date\n0,a,2001-01-01\n", "begins with the names of a table's columns.* end in .csv"),
        ("t.txt.gz", '\ufeff"title"\t"date"\na\tb\n', "begins with the names of a table's columns.* end in .tsv"),
        ("t", "date;title\n2001-01-01;a\n", r"begins with the names of a table's columns.* sep=';'"),
        ("t.txt", '{"title": "a", "date": "2001-01-01"}\n', "begins like JSON.* pandas.read_json"),
        ("t.log", "[\n", None),
        ("t.data", '[{"title": "a", "date": "2001-01-01"}]', "begins like JSON.* pandas.read_json"),
        ("t", '{\n "titles": []}', "begins like JSON.* pandas.read_json"),
    ],
)
def test_what_a_file_holds_under_another_name(write, name, content, said):
    path = write(name, content)
    if said is None:
        assert read_both(path) == [content.rstrip()]
        return
    for read in (read_titles, lambda path: list(InputRows(path))):
        with pytest.raises(ElmoHelpersError, match=rf"{name}[ ,].*{said}"):
            read(path)


@pytest.mark.parametrize(
    "content", ["Title, date and place\nx", "{curly} title\nx", "[OC] a picture\nx", "a\0bc\nx", "<b>\nx", "#\nx"]
)
def test_first_lines_that_are_titles(write, content):
    assert read_both(write("t.txt", content)) == content.split("\n")


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.csv.gz", "t.tsv.gz", "t.txt.gz"])
def test_a_file_without_any_row(write, name):
    with pytest.raises(ElmoHelpersError, match="no title to keep"):
        read_titles(write(name, ""))
    assert list(InputRows(write(name, ""))) == []


# Pipes, devices and sockets


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.csv.gz", "t"])
def test_a_named_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    (tmp_path / "link.csv").symlink_to(tmp_path / name)
    for path in (tmp_path / name, tmp_path / "link.csv"):
        for said in refusals(path):
            assert said.startswith(f"{path} is a named pipe")
    with pytest.raises(ElmoHelpersError, match="is a named pipe"):
        default_titles(tmp_path / name)


def test_devices_and_sockets_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may be short only
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("t.csv")
        assert all("t.csv is a socket" in said for said in refusals(Path("t.csv")))
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for device in ("/dev/zero", "/dev/null", "/dev/urandom", "zero.csv"):
        for read in (read_titles, InputRows, lambda path: prepare_corpus(path, tmp_path / "corpus")):
            with pytest.raises(ElmoHelpersError, match=f"{device} is a device"):
                read(Path(device))


def test_a_pattern_passes_over_nothing_but_folders(write, tmp_path):
    write("a.txt", "one\n")
    (tmp_path / "folder.txt").mkdir()
    assert prepare_corpus(str(tmp_path / "*.txt"), tmp_path / "made", valid=0, test=0, min_count=1).titles == ["one"]
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    with pytest.raises(ElmoHelpersError, match=r"gone\.txt is missing"):
        prepare_corpus(str(tmp_path / "*.txt"), tmp_path / "corpus")
    (tmp_path / "gone.txt").unlink()
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ElmoHelpersError, match=r"pipe\.txt is a named pipe"):
        prepare_corpus(str(tmp_path / "*.txt"), tmp_path / "corpus")


@pytest.fixture
def piped():
    """A path such as the shell gives a command for `<(another)`, through which some bytes come once."""
    opened = []

    def pipe(content: bytes) -> Path:
        read_end, write_end = os.pipe()
        opened.append(read_end)
        with open(write_end, "wb") as stream:
            stream.write(content)
        return Path(f"/dev/fd/{read_end}")

    yield pipe
    for end in opened:
        os.close(end)


def test_what_is_piped_in_is_read_once(piped):
    assert read_titles(piped(b"one\r\n\ntwo"))[0]["title"].tolist() == ["one", "two"]
    for content, said in (
        (b"title,date\na,2001-01-01\n", "begins with the names of a table's columns"),
        (b"", "no title to keep"),
        (b"caf\xe9\n", "a byte of the text, 0xe9, is not UTF-8"),
    ):
        with pytest.raises(ElmoHelpersError, match=said):
            read_titles(piped(content))


def test_standard_input_is_read():
    code = "from elmo_helpers import read_titles; print(len(read_titles('/dev/stdin')[0]))"
    run = subprocess.run([sys.executable, "-c", code], input=b"one\ntwo", capture_output=True, timeout=60, check=True)
    assert run.stdout == b"2\n"


def test_a_pipe_is_not_read_where_a_second_look_is_needed(piped, tmp_path):
    for read in (InputRows, lambda path: prepare_corpus(path, tmp_path / "corpus")):
        with pytest.raises(ElmoHelpersError, match=r"/dev/fd/\d+ is a named pipe, and an ordinary file is expected"):
            read(piped(b"one\ntwo"))
    assert list(tmp_path.iterdir()) == []


def test_a_lower_limit_of_the_csv_module_is_not_ours(write):
    path, before = write("titles.csv", "title,date\na long title,2001-01-01\n"), csv.field_size_limit(5)
    try:
        assert read_titles(path)[0].title.tolist() == ["a long title"]
        assert csv.field_size_limit() == 5
    finally:
        csv.field_size_limit(before)
