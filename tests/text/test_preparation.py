"""One call makes the corpus that the single steps make, and the next call loads it."""

import gzip
import os
import shutil
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_corpora import assert_same

from elmo_helpers import (
    CharacterVocabulary,
    Corpus,
    ElmoHelpersError,
    Tokenizer,
    clean_titles,
    prepare_corpus,
    read_titles,
)
from elmo_helpers.text import corpus_writing, preparation
from elmo_helpers.text.corpus_storage import corpus_directory


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


# Files


def write(directory, **files):
    """Text files of a sentence a line; returns the directory."""
    for name, lines in files.items():
        content = "".join(line + "\n" for line in lines).encode()
        (directory / f"{name}.txt.gz").write_bytes(gzip.compress(content))
    return directory


def sentences(word, n):
    return [f"the {word} saw {i}" for i in range(n)]


@pytest.mark.parametrize("shard_size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("settings", [{}, {"split": "date", "min_count": 1, "max_size": 9, "valid": 0.2, "test": 0}])
def test_shards_are_the_same_corpus(csv, tmp_path, shard_size, settings):
    rows = ["Café,2001-01-01", ",2001-01-02", "no date,", '"  ",2001-01-03', "the <UNK> of <unk>s <S>,2001-02-09"]
    with csv.open("a") as stream:
        stream.writelines(f"{1000 + i},{row}\n" for i, row in enumerate(rows))
    corpus = prepare_corpus(csv, tmp_path / "corpus", shard_size=shard_size, **settings)
    frame, _ = clean_titles(read_titles(csv)[0])
    in_memory = Corpus.build(frame, Tokenizer()(frame["title"]), CharacterVocabulary(), **({"min_count": 3} | settings))
    assert_same(corpus, in_memory)
    assert corpus.made_from == in_memory.made_from | {"titles": [csv.name], "valid_titles": None, "test_titles": None}
    shards = prepare_corpus(csv, tmp_path / "corpus", shards=True)
    assert shards.n_titles == len(in_memory) == 201
    assert max(titles for titles, _ in shards.sizes) <= shard_size
    assert len(shards) >= 201 / shard_size
    assert not [path for path in (tmp_path / "corpus").iterdir() if path.name.startswith("block")]


def test_undated_rows_are_split_as_in_memory(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(sentences("dog", 60)))
    corpus = prepare_corpus(tmp_path / "lines.txt", tmp_path / "corpus", shard_size=7, seed=5, valid=0.2, test=0.1)
    frame, _ = clean_titles(read_titles(tmp_path / "lines.txt")[0])
    tokens = Tokenizer()(frame["title"])
    assert_same(corpus, Corpus.build(frame, tokens, CharacterVocabulary(), min_count=3, seed=5, valid=0.2, test=0.1))
    assert [len(corpus.split(name)) for name in ("train", "valid", "test")] == [42, 12, 6]


def test_only_a_block_of_titles_is_in_memory(tmp_path, monkeypatch):
    """Whatever the number of titles, no more Arrow memory is held than a few blocks take."""
    write_batch, held = corpus_writing.write_batch, []

    def watched(*arguments):
        held.append(pa.total_allocated_bytes())
        return write_batch(*arguments)

    monkeypatch.setattr(corpus_writing, "write_batch", watched)
    peaks = []
    for n in (400, 4000):
        (tmp_path / f"{n}.txt").write_text("\n".join(sentences("dog " * 30, n)))
        held.clear()
        before = pa.total_allocated_bytes()
        prepare_corpus(tmp_path / f"{n}.txt", tmp_path / f"corpus{n}", shard_size=100, shards=True)
        peaks.append(max(held) - before)
    assert len(held) == 40
    assert peaks[1] < 1.5 * peaks[0]


def test_files_by_pattern_or_list_are_one_corpus(tmp_path):
    write(tmp_path, b=sentences("bird", 3), a=sentences("ant", 2), empty=[])
    (tmp_path / "c.csv").write_text("title,date\nthe cat,2001-01-01\nthe cow,2001-01-02\n")
    (tmp_path / "nothing.csv").write_text("")
    by_pattern = prepare_corpus(str(tmp_path / "*.txt.gz"), tmp_path / "one", valid=0, test=0)
    assert by_pattern.titles == sentences("ant", 2) + sentences("bird", 3)
    files = [tmp_path / "nothing.csv", tmp_path / "c.csv", str(tmp_path / "[ab].txt.gz")]
    for size in (1, 3, 100):
        mixed = prepare_corpus(files, tmp_path / f"mixed{size}", valid=0, test=0, shard_size=size, min_count=1)
        assert mixed.titles == ["the cat", "the cow", *by_pattern.titles]
        assert np.isnat(mixed.dates).tolist() == [False, False] + [True] * 5
        assert mixed.made_from["titles"] == ["nothing.csv", "c.csv", "a.txt.gz", "b.txt.gz"]
    assert prepare_corpus(files, tmp_path / "mixed1", shards=True).sizes == [(1, n) for n in (2, 2, 4, 4, 4, 4, 4)]


def test_one_title(tmp_path):
    (tmp_path / "one.txt").write_text("home")
    corpus = prepare_corpus(tmp_path / "one.txt", tmp_path / "corpus", valid=0, test=0, min_count=1)
    assert corpus.titles == ["home"]
    assert corpus.vocabulary.words[4:] == ["home"]


@pytest.mark.parametrize("shard_size", [2, 4, 100])
def test_files_of_your_own_for_validation_and_test(tmp_path, shard_size):
    write(tmp_path, train1=sentences("ant", 5), train2=["one", "two"], dev=sentences("bee", 3), held=["the emu", "emu"])
    corpus = prepare_corpus(
        str(tmp_path / "train*"),
        tmp_path / "corpus",
        valid_titles=tmp_path / "dev.txt.gz",
        test_titles=[tmp_path / "held.txt.gz"],
        min_count=1,
        shard_size=shard_size,
    )
    assert corpus.split("train").titles == [*sentences("ant", 5), "one", "two"]
    assert corpus.split("valid").titles == sentences("bee", 3)
    assert corpus.split("test").titles == ["the emu", "emu"]
    assert "ant" in corpus.vocabulary
    assert "bee" in corpus.lexicon
    assert "bee" not in corpus.vocabulary  # counted on training rows alone


@pytest.mark.parametrize("name", ["valid", "test"])
def test_with_files_for_one_split_the_other_is_empty(tmp_path, name):
    write(tmp_path, train=sentences("ant", 50), held=sentences("bee", 3))
    files = {f"{name}_titles": tmp_path / "held.txt.gz"}
    shards = prepare_corpus(tmp_path / "train.txt.gz", tmp_path / "corpus", **files, shards=True, shard_size=10)
    assert {part: shards.split(part).n_titles for part in ("train", "valid", "test")} == {
        "train": 50,
        "valid": 0,
        "test": 0,
    } | {name: 3}
    assert shards.made_from["split"] == "files"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"titles": "*.csv"}, r"titles='.*\*\.csv': no file matches"),
        ({"valid_titles": "*.csv"}, r"valid_titles='.*\*\.csv': no file matches"),
        ({"titles": "gone.txt"}, "titles: .*gone.txt is missing"),
        ({"valid_titles": "gone.csv"}, "valid_titles: .*gone.csv is missing"),
        ({"test_titles": "empty.txt.gz"}, r"empty.txt.gz: no title is left of 0 rows"),
        (
            {"test_titles": "greek.txt.gz"},
            "greek.txt.gz: no title is left of 2 rows .2 character outside the 69.; .*utf8",
        ),
        ({"valid_titles": "*.txt.gz"}, "titles.txt.gz is among titles and among valid_titles"),
        ({"valid_titles": "held.txt.gz", "valid": 0.1}, "valid=0.1: nothing is drawn"),
        ({"valid_titles": "held.txt.gz", "test": 0.1}, "test=0.1: nothing is drawn"),
        ({"valid_titles": "held.txt.gz", "split": "date"}, "split='date': nothing is drawn"),
        ({"split": "date"}, "Row 0 has no date"),
        ({"valid": 0.6, "test": 0.6}, "together below 1"),
        ({"min_count": 0}, "min_count=0"),
        ({"max_size": -1}, "max_size=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"shard_size": 0}, "shard_size=0"),
        ({"shards": "no"}, "shards='no'"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(tmp_path, settings, message):
    write(tmp_path, titles=sentences("ant", 50), held=sentences("bee", 3), empty=[], greek=["Ω", "щ"])
    before = sorted(tmp_path.iterdir())
    settings = {"titles": "titles.txt.gz"} | settings
    settings |= {name: str(tmp_path / value) for name, value in settings.items() if name.endswith("titles")}
    with pytest.raises(ElmoHelpersError, match=message):
        prepare_corpus(directory=tmp_path / "corpus", **settings)
    assert sorted(tmp_path.iterdir()) == before


# A corpus that is there


def test_a_corpus_made_otherwise_is_not_passed_off(csv, tmp_path):
    made = {"min_count": 2, "max_size": 50, "split": "date", "valid": 0.1, "test": 0.2, "seed": 4}
    corpus = prepare_corpus(csv, tmp_path / "corpus", **made)
    assert made.items() <= corpus.made_from.items()
    for same in ({}, made, {"seed": 4}):
        assert prepare_corpus(csv, tmp_path / "corpus", **same).titles == corpus.titles
    (tmp_path / "other.csv").write_text("title,date\n")
    os.utime(tmp_path / "other.csv", (0, 0))
    for name, other in {
        "min_count": 3,
        "max_size": 51,
        "split": "document",
        "valid": 0,
        "test": 0.1,
        "seed": 0,
        "titles": tmp_path / "other.csv",
        "valid_titles": tmp_path / "other.csv",
    }.items():
        with pytest.raises(ElmoHelpersError, match=rf"made with {name}=.* is asked for: remove the directory"):
            prepare_corpus(**({"titles": csv, "directory": tmp_path / "corpus"} | {name: other}))


def test_a_corpus_of_unknown_files_is_loaded_if_its_settings_fit(csv, tmp_path):
    frame, _ = clean_titles(read_titles(csv)[0])
    Corpus.build(frame, frame["title"].str.split(), CharacterVocabulary(), min_count=2).save(tmp_path / "corpus")
    assert len(prepare_corpus(csv, tmp_path / "corpus", min_count=2)) == 200
    with pytest.raises(ElmoHelpersError, match="made with min_count=2, and 3 is asked for"):
        prepare_corpus(csv, tmp_path / "corpus", min_count=3)


@pytest.mark.parametrize("newer", ["a", "b", "held"])
def test_any_newer_file_makes_a_new_corpus(tmp_path, newer):
    write(tmp_path, a=sentences("ant", 3), b=sentences("bee", 3), held=["x"])
    arguments = {"titles": str(tmp_path / "[ab].*"), "valid_titles": tmp_path / "held.txt.gz"}
    assert len(prepare_corpus(directory=tmp_path / "corpus", shard_size=2, **arguments)) == 7
    write(tmp_path, **{newer: ["only", "this"]})
    os.utime(tmp_path / f"{newer}.txt.gz", (time.time() + 10, time.time() + 10))
    corpus = prepare_corpus(directory=tmp_path / "corpus", **arguments)
    assert {"only", "this"} <= set(corpus.titles)
    assert [path.name for path in (tmp_path / "corpus").glob("*.arrow")] == ["titles-00000.arrow"]


def test_a_failure_in_the_middle_leaves_the_old_corpus(tmp_path):
    write(tmp_path, a=sentences("ant", 30))
    prepare_corpus(tmp_path / "a.txt.gz", tmp_path / "corpus", shard_size=10)
    before = {path.name: path.read_bytes() for path in (tmp_path / "corpus").iterdir()}
    whole = gzip.compress("".join(f"{i * 7919}\n" for i in range(2000)).encode())
    (tmp_path / "a.txt.gz").write_bytes(whole[:-20])
    os.utime(tmp_path / "a.txt.gz", (time.time() + 10, time.time() + 10))
    with pytest.raises(ElmoHelpersError, match="not a whole gzip file"):
        prepare_corpus(tmp_path / "a.txt.gz", tmp_path / "corpus", shard_size=500)
    assert {path.name: path.read_bytes() for path in (tmp_path / "corpus").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt.gz", "corpus"]


def test_no_absolute_path_is_written(csv, tmp_path):
    prepare_corpus(csv, tmp_path / "corpus", valid=0, test=0)
    assert str(tmp_path) not in (tmp_path / "corpus" / "corpus.json").read_text()


def test_progress(csv, tmp_path, capsys):
    prepare_corpus(csv, tmp_path / "corpus", progress=True)
    assert "200 titles" in capsys.readouterr().err
    prepare_corpus(csv, tmp_path / "quiet")
    assert capsys.readouterr().err == ""


def test_what_another_process_is_making_is_waited_for(csv, tmp_path, monkeypatch):
    made = tmp_path / "corpus"
    expected = prepare_corpus(csv, tmp_path / "alone")
    held = corpus_directory(made)
    temporary = held.__enter__()

    def the_other_one_ends(_seconds):
        for file in (tmp_path / "alone").iterdir():
            shutil.copy(file, temporary)
        held.__exit__(None, None, None)

    monkeypatch.setattr(preparation.time, "sleep", the_other_one_ends)
    monkeypatch.setattr(preparation, "write_corpus", None)  # there is nothing to write any more
    assert_same(prepare_corpus(csv, made), expected)


def test_what_another_process_gave_up_is_made(csv, tmp_path, monkeypatch):
    made = tmp_path / "corpus"
    held = corpus_directory(made)
    held.__enter__()

    def the_other_one_fails(_seconds):
        assert not held.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)

    monkeypatch.setattr(preparation.time, "sleep", the_other_one_fails)
    assert_same(prepare_corpus(csv, made), prepare_corpus(csv, tmp_path / "alone"))


def test_titles_of_tomorrow_are_prepared_each_time(csv, tmp_path):
    os.utime(csv, (time.time() + 86_400,) * 2)
    assert_same(prepare_corpus(csv, tmp_path / "corpus"), prepare_corpus(csv, tmp_path / "corpus"))
