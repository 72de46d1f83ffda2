"""Files of labelled words, written by hand."""

import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.labelled_titles import LabelledTitle, read_labelled


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "labelled.tsv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_labelled(path)

    return read_text


@pytest.mark.parametrize(
    "text",
    [
        "My\tO\nscanner\tPRODUCT\n\nslow\t-\n",
        "My O\nscanner PRODUCT\n\nslow -",  # no end of the last line
        "\n\nMy  O\nscanner   PRODUCT \n \t \n\n\nslow -\n\n",  # white space alone, lines in a row
        "\N{ZERO WIDTH NO-BREAK SPACE}My\tO\r\nscanner\tPRODUCT\r\n\r\nslow\t-\r\n",  # from Windows
        "-DOCSTART- -X- -X- O\n\nMy PRP B-NP O\nscanner NN I-NP PRODUCT\n\n-DOCSTART- -X- -X- O\n\nslow JJ B-ADJP -\n",
    ],
)
def test_words_and_labels(read, text):
    assert read(text) == [LabelledTitle(["My", "scanner"], ["O", "PRODUCT"]), LabelledTitle(["slow"], ["-"])]


def test_words_as_people_write_them(read):
    text = "New York\tCITY\n\N{SNOWMAN}\tO\nwagon\N{NO-BREAK SPACE}lit\tO\n#\tO\n\N{LINE SEPARATOR}x\tO\n"
    (title,) = read(text)
    assert title.tokens == ["New York", "\N{SNOWMAN}", "wagon\N{NO-BREAK SPACE}lit", "#", "x"]
    assert title.labels == ["CITY", "O", "O", "O", "O"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("My O\nscanner\n", r"labelled\.tsv, line 2: expected a word and its label, and got 'scanner'"),
        ("My\tO\n\nscanner\t\n", r"labelled\.tsv, line 3: expected a word and its label"),
        ("\tO\n", "line 1: expected a word and its label"),
        ("", "it holds no title"),
        (" \n\n-DOCSTART- O\n", "it holds no title"),
        (b"My O\ncaf\xe9 O\n", "byte 8 is not UTF-8"),
    ],
)
def test_what_is_no_such_file(read, text, message):
    with pytest.raises(ElmoHelpersError, match=message):
        read(text)


def test_a_missing_file(tmp_path):
    with pytest.raises(ElmoHelpersError, match="is missing"):
        read_labelled(tmp_path / "none.tsv")
