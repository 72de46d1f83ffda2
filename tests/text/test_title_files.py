import gzip
import os

import pandas as pd
import pytest

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text import title_files as module
from elmo_helpers.text.title_files import title_blocks, title_files
from elmo_helpers.text.titles import read_titles

ROWS = [(f"title {i}" if i % 4 else "", "2001-01-01" if i % 5 else "") for i in range(20)]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text("title,date\n" + "".join(f"{title},{date}\n" for title, date in ROWS))
    return path


@pytest.mark.parametrize("size", [1, 3, 20, 100])
def test_blocks_hold_all_rows_in_order(table, size):
    frames, counts = zip(*title_blocks(table, size), strict=True)
    kept = [title for title, date in ROWS if title and date]
    assert [title for frame in frames for title in frame["title"]] == kept
    assert [count["read"] for count in counts] == [min(size, 20 - start) for start in range(0, 20, size)]
    assert sum(count["missing title"] for count in counts) == 5
    assert sum(count["missing date"] for count in counts) == 3
    for frame in frames:
        assert frame.index.tolist() == list(range(len(frame)))
        assert (frame["title"].dtype, frame["date"].dtype) == ("str", "datetime64[s]")


def test_a_block_is_read_when_it_is_asked_for(tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text("title,date\na,2001-01-01\nb,2001-01-01\nc,never\n")
    blocks = title_blocks(path, 2)
    assert next(blocks)[0]["title"].tolist() == ["a", "b"]
    with pytest.raises(ElmoHelpersError, match="line 4: 'never' is not a date"):
        next(blocks)


def test_a_file_read_in_blocks_is_one_frame(table, monkeypatch):
    whole, report = read_titles(table)
    monkeypatch.setattr(module.title_blocks, "__defaults__", (3,))
    in_blocks, same_report = read_titles(table)
    pd.testing.assert_frame_equal(whole, in_blocks)
    pd.testing.assert_frame_equal(report, same_report)
    assert report["rows"].tolist() == [20, 5, 3, 12]


@pytest.mark.parametrize("place", [0, 2**20 - 1, 2**20, 2**20 + 1, 2**21 - 2])
@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"\xc3"])  # no character, and two that are cut off
def test_a_byte_that_is_not_utf8_in_a_large_file(tmp_path, place, bad):
    path = tmp_path / "titles.txt"
    path.write_bytes((b"words\n" * 2**19)[:place] + bad + b"\nmore\n")
    with pytest.raises(ElmoHelpersError, match=rf"line {place // 6 + 1}: byte {place} of the text, {bad[0]:#x}"):
        list(title_blocks(path))


@pytest.fixture
def news(tmp_path):
    """Three files of one title each, of which one lies deeper."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("bee")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"ay"))
    (tmp_path / "deep" / "c.txt").write_text("sea")
    (tmp_path / "folder.txt").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt*", ["a.txt.gz", "b.txt"]),
        ("[ab].txt*", ["a.txt.gz", "b.txt"]),
        ("?.txt", ["b.txt"]),
        ("**/*.txt", ["b.txt", "deep/c.txt"]),
        ("b.txt", ["b.txt"]),
        ("missing.txt", ["missing.txt"]),
        (["deep/*", "*.gz", "b.txt"], ["deep/c.txt", "a.txt.gz", "b.txt"]),
        (("b.txt",), ["b.txt"]),
    ],
)
@pytest.mark.parametrize("kind", [str, os.path.abspath])
def test_paths_patterns_and_lists(news, monkeypatch, pattern, expected, kind):
    monkeypatch.chdir(news)
    files = kind(pattern) if isinstance(pattern, str) else [kind(part) for part in pattern]
    assert [os.path.relpath(path) for path in title_files("titles", files)] == expected


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(news):
    path = news / "news[ab].txt"
    (news / "newsa.txt").write_text("other")
    assert title_files("titles", str(path)) == [news / "newsa.txt"]
    path.write_text("mine")
    assert title_files("titles", str(path)) == [path]
    assert title_files("titles", path) == [path]


@pytest.mark.parametrize("files", ["*.csv", "folder*", ["b.txt", "*.csv"], "news[ab].txt"])
def test_a_pattern_without_a_match(news, monkeypatch, files):
    monkeypatch.chdir(news)
    with pytest.raises(ElmoHelpersError, match=r"valid_titles=.*: no file matches"):
        title_files("valid_titles", files)


@pytest.mark.parametrize("files", [[], (), 5, {"a": "b"}, [5], [[]], None])
def test_what_is_no_path(files):
    with pytest.raises(ElmoHelpersError, match=r"titles=.*expected a path"):
        title_files("titles", files)
