"""One call makes the corpus that the single steps make, and the next call loads it."""

import os
import time

import pandas as pd
import pytest

from elmo_helpers import (
    CharacterVocabulary,
    Corpus,
    ElmoHelpersError,
    Tokenizer,
    clean_titles,
    prepare_corpus,
    read_titles,
)


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "titles.csv"
    rows = [(f"The old dog\N{RIGHT SINGLE QUOTATION MARK}s {n}th bone", f"2001-01-{n % 28 + 1:02}") for n in range(200)]
    pd.DataFrame(rows, columns=["title", "date"]).to_csv(path)
    return path


def test_equals_the_single_steps(csv, tmp_path):
    corpus = prepare_corpus(csv, tmp_path / "corpus", min_count=2, seed=3)
    frame, _ = clean_titles(read_titles(csv)[0])
    tokens = list(Tokenizer()(frame["title"]))
    expected = Corpus.build(frame, tokens, CharacterVocabulary(), min_count=2, seed=3)
    assert corpus.titles == expected.titles
    assert [corpus.words(i) for i in range(200)] == tokens
    assert corpus.vocabulary == expected.vocabulary
    assert (corpus.split("test").rows == expected.split("test").rows).all()
    assert len(corpus.split("test"))


def test_the_second_call_loads(csv, tmp_path):
    first = prepare_corpus(csv, tmp_path / "corpus")
    csv.unlink()
    again = prepare_corpus(csv, tmp_path / "corpus")
    assert again.titles == first.titles
    assert not csv.exists()


def test_newer_titles_make_a_new_corpus(csv, tmp_path):
    prepare_corpus(csv, tmp_path / "corpus")
    csv.write_text("title,date\nmy own words,2002-02-02\n")
    os.utime(csv, (time.time() + 10, time.time() + 10))
    assert prepare_corpus(csv, tmp_path / "corpus", valid=0, test=0).titles == ["my own words"]


def test_settings_reach_the_corpus(csv, tmp_path):
    corpus = prepare_corpus(
        csv, tmp_path / "corpus", characters=CharacterVocabulary("utf8", 24), split="date", valid=0.1, test=0.2
    )
    assert corpus.character_vocabulary == CharacterVocabulary("utf8", 24)
    assert corpus.split("train").dates.max() < corpus.split("test").dates.min()


def test_a_corpus_of_other_characters_is_not_passed_off(csv, tmp_path):
    prepare_corpus(csv, tmp_path / "corpus")
    with pytest.raises(ElmoHelpersError, match=r"utf8.*is asked for: remove the directory"):
        prepare_corpus(csv, tmp_path / "corpus", characters=CharacterVocabulary("utf8", 24))


def test_no_title_left(tmp_path):
    (tmp_path / "titles.txt").write_text("Ω\nщ\n", encoding="utf-8")
    with pytest.raises(ElmoHelpersError, match=r"titles.txt: no title is left.*2 character outside the 69"):
        prepare_corpus(tmp_path / "titles.txt", tmp_path / "corpus")


def test_nothing_is_written_on_bad_input(tmp_path):
    (tmp_path / "titles.csv").write_text("headline,date\nx,2001-01-01\n")
    with pytest.raises(ElmoHelpersError, match="title"):
        prepare_corpus(tmp_path / "titles.csv", tmp_path / "corpus")
    assert [p.name for p in tmp_path.iterdir()] == ["titles.csv"]
