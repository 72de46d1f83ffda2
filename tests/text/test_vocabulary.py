import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, WordVocabulary
from elmo_helpers.text.word_ids import WordIds

COUNTS = {"cat": 2, "the": 5, "sat": 2, "mat": 1, "<S>": 3, "</S>": 3}


def test_specials_come_first_then_words_by_falling_count_and_code_point():
    vocabulary = WordVocabulary.from_counts(COUNTS)
    assert vocabulary.words == ["<pad>", "<S>", "</S>", "<UNK>", "the", "cat", "sat", "mat"]
    assert vocabulary.counts.tolist() == [0, 3, 3, 0, 5, 2, 2, 1]
    assert vocabulary.counts.dtype == np.int64
    assert (PAD, BOS, EOS, UNK) == tuple(map(vocabulary.id, SPECIALS)) == (0, 1, 2, 3)


def test_ties_are_in_code_point_order_not_in_alphabetical_order():
    words = ["b", "B", "ä", "a", "😀", "Z", "\uffff"]
    assert WordVocabulary.from_counts(dict.fromkeys(words, 1)).words[4:] == ["B", "Z", "a", "b", "ä", "\uffff", "😀"]


@pytest.mark.parametrize(
    ("bounds", "kept", "left_out"),
    [
        ({}, ["the", "cat", "sat", "mat"], 0),
        ({"min_count": 2}, ["the", "cat", "sat"], 1),
        ({"min_count": 6}, [], 10),
        ({"max_size": 2}, ["the", "cat"], 3),
        ({"max_size": 0}, [], 10),
        ({"min_count": 2, "max_size": 1}, ["the"], 5),
    ],
)
def test_bounds_and_coverage_by_hand(bounds, kept, left_out):
    vocabulary = WordVocabulary.from_counts(COUNTS, **bounds)
    assert vocabulary.words[4:] == kept
    assert vocabulary.counts[UNK] == left_out
    assert vocabulary.coverage == (10 - left_out) / 10  # boundaries are no running words


def test_coverage_without_counts_is_not_a_number():
    assert math.isnan(WordVocabulary(["a"]).coverage)
    assert math.isnan(WordVocabulary.from_counts({}).coverage)


def test_unknown_words_and_tokens_that_read_like_specials():
    vocabulary = WordVocabulary.from_counts(COUNTS | {"<UNK>": 4, "<pad>": 2})
    assert vocabulary.words[4:] == ["the", "cat", "sat", "mat"]
    assert vocabulary.counts[:4].tolist() == [0, 3, 3, 6]  # nothing counts as padding
    ids = vocabulary.ids(["the", "dog", "<UNK>", "<S>", "</S>", "<pad>", ""])
    assert ids.tolist() == [4, 3, 3, 1, 2, 0, 3]
    assert ids.dtype == np.int64
    assert vocabulary.ids([]).shape == (0,)


@pytest.mark.parametrize("word", ["<unk>", "<UNK>", "<Unk>"])
def test_an_unknown_word_of_the_text_has_no_id_of_its_own(word):
    vocabulary = WordVocabulary.from_counts(COUNTS | {word: 7}, max_size=2)
    assert vocabulary.words[4:] == ["the", "cat"]
    assert vocabulary.counts[UNK] == 2 + 1 + 7
    assert vocabulary.id(word) == UNK


def test_container():
    vocabulary = WordVocabulary(["a", "b"])
    assert len(vocabulary) == 6
    assert list(vocabulary) == vocabulary.words
    assert vocabulary[np.int64(4)] == "a"
    assert "b" in vocabulary
    assert "<UNK>" in vocabulary
    assert "c" not in vocabulary
    with pytest.raises(IndexError):
        vocabulary[6]
    assert vocabulary != WordVocabulary(["a", "b"], [1, 0])
    assert vocabulary != ["a", "b"]
    assert "6 words" in repr(vocabulary)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "b", "a"],), "'a' of the vocabulary is there already"),
        ((["<S>"],), "'<S>' of the vocabulary is there already"),
        (([3],), "is 3: expected text"),
        ((["a"], [-1]), "'a' has the count -1"),
        ((["a"], [0.5]), "'a' has the count .* whole number"),
        ((["a"], ["1"]), "'a' has the count .* whole number"),
        ((["a"], [10**30]), "'a' has the count .* whole number"),
        ((["a"], [[1]]), "'a' has the count .* whole number"),
        ((["a"], [1, 2]), "5 words .* 6 counts"),
        (("abc",), "words is one string"),
        ((None,), "words is None: expected a list of words"),
        (({"a", "b"},), "words is .*: expected a list of words"),
        ((pd.DataFrame({"a": [1]}),), "words is .*: expected a list of words"),
        ((["a", float("nan")],), "is nan: expected text"),
        ((["a"], 3), "counts is 3"),
        ((["a"], {1}), "counts is {1}"),
        ((["a"], [1], None), "special_counts is None"),
    ],
)
def test_bad_words_and_counts_are_refused(arguments, message):
    with pytest.raises(ElmoHelpersError, match=message):
        WordVocabulary(*arguments)


@pytest.mark.parametrize("bad", [{"min_count": 0}, {"max_size": -1}])
def test_bad_bounds_are_refused(bad):
    with pytest.raises(ElmoHelpersError, match=next(iter(bad))):
        WordVocabulary.from_counts(COUNTS, **bad)


@pytest.mark.parametrize("counts", [None, 3, "cat", ["cat"], {3: 1}, {None: 1}, pd.Series([1, 2])], ids=repr)
def test_what_counts_no_words_is_refused(counts):
    with pytest.raises(ElmoHelpersError, match="counts"):
        WordVocabulary.from_counts(counts)


@pytest.mark.parametrize("word", [None, float("nan"), 3, b"a", ["a"], pd.NA], ids=repr)
def test_something_that_is_no_word_is_no_unknown_word(word):
    vocabulary = WordVocabulary(["a"])
    for ask in (vocabulary.id, lambda word: vocabulary.ids(["a", word]), lambda word: vocabulary.ids(iter([word]))):
        with pytest.raises(ElmoHelpersError, match="expected"):
            ask(word)
    assert word not in vocabulary


def test_negative_count_is_refused_even_below_the_minimum():
    with pytest.raises(ElmoHelpersError, match="'b' has the count -2"):
        WordVocabulary.from_counts({"a": 1, "b": -2}, min_count=5)


def test_file_is_json_that_a_person_can_read(tmp_path):
    vocabulary = WordVocabulary.from_counts({"naïve": 2, "😀": 1})
    vocabulary.save(tmp_path / "new" / "vocabulary.json")
    text = (tmp_path / "new" / "vocabulary.json").read_text(encoding="utf-8")
    assert '"naïve"' in text
    assert '"😀"' in text
    assert WordVocabulary.load(tmp_path / "new" / "vocabulary.json") == vocabulary


GOOD = {"words": [*SPECIALS, "a"], "counts": [0, 0, 0, 0, 1]}


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"words": "a", "counts": []},
        GOOD | {"words": ["a", *SPECIALS]},
        GOOD | {"words": [*SPECIALS, "a", "b"]},
        GOOD | {"words": [*SPECIALS, None]},
        GOOD | {"words": [*SPECIALS, ["a"]]},
        GOOD | {"counts": None},
        GOOD | {"counts": [0, 0, 0, 0, -1]},
        GOOD | {"counts": [0, 0, 0, 0, 1.5]},
        GOOD | {"counts": [0, 0, 0, 0, [1]]},
        {"words": [*SPECIALS, "a", "a"], "counts": [0] * 6},
    ],
)
def test_a_foreign_file_is_refused_by_name(tmp_path, data):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ElmoHelpersError, match=r"vocabulary\.json"):
        WordVocabulary.load(path)


def test_a_missing_or_cut_off_file_is_refused_by_name(tmp_path):
    path = tmp_path / "vocabulary.json"
    with pytest.raises(ElmoHelpersError, match=r"vocabulary\.json is missing"):
        WordVocabulary.load(path)
    WordVocabulary(["a"]).save(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ElmoHelpersError, match=r"vocabulary\.json is not UTF-8 JSON"):
        WordVocabulary.load(path)
    for no_path in (None, 3, ["a"], "a\0b", "https://host/vocabulary.json"):
        with pytest.raises(ElmoHelpersError, match=r"path"):
            WordVocabulary.load(no_path)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = tmp_path / "vocabulary.json"
    vocabulary = WordVocabulary(["naïve"])
    vocabulary.save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert WordVocabulary.load(path) == vocabulary


@settings(deadline=None)
@given(st.lists(st.text(max_size=3)), st.integers(1, 3), st.none() | st.integers(0, 5))
def test_every_running_word_is_counted_once(tokens, min_count, max_size):
    counts = Counter(tokens)
    vocabulary = WordVocabulary.from_counts(counts, min_count, max_size)
    assert vocabulary.counts.sum() == len(tokens)
    assert np.bincount(vocabulary.ids(tokens), minlength=len(vocabulary)).tolist() == vocabulary.counts.tolist()
    assert (np.diff(vocabulary.counts[4:]) <= 0).all()
    assert vocabulary.counts[4:].min(initial=min_count) >= min_count
    assert [vocabulary.id(word) for word in vocabulary] == list(range(len(vocabulary)))
    assert WordVocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict()))) == vocabulary


def test_rows_of_words_that_are_read_whole():
    ids = WordIds(WordVocabulary(["the", "cat"]))
    assert ids.encode(["the", "dog", "<S>", "</S>", "<UNK>", ""]).tolist() == [[4], [UNK], [BOS], [EOS], [UNK], [UNK]]
    assert ids.encode(["<pad>"]).tolist() == [[UNK]]  # a word of the text, and no padding
    assert ids.encode([]).shape == (0, 1)
    with pytest.raises(ElmoHelpersError, match=r"words\[1\] is None"):
        ids.encode(["the", None])


def test_counts_of_a_series_and_a_path_as_text(tmp_path):
    vocabulary = WordVocabulary.from_counts(pd.Series({"a": 3, "b": 1}), min_count=np.int64(2))
    assert vocabulary.words[4:] == ["a"]
    vocabulary.save(str(tmp_path / "v.json"))
    assert WordVocabulary.load(str(tmp_path / "v.json")) == vocabulary
    for wrong in ({"min_count": "2"}, {"min_count": 1.5}, {"max_size": 1.5}):
        with pytest.raises(ElmoHelpersError, match="expected a whole number"):
            WordVocabulary.from_counts({"a": 1}, **wrong)
