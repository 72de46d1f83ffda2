import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CHARACTERS, CharacterVocabulary

ORIGINAL = " abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}"  # as in the tutorial, "-" twice
BOTH = [CharacterVocabulary("tutorial", 12), CharacterVocabulary("utf8", 12)]


def spell_tutorial(word: str, length: int) -> list[int]:
    """The original's way: a dictionary filled one character at a time."""
    table = {"": 0}
    for character in ORIGINAL:
        table.setdefault(character, len(table))
    ids = [table[character] for character in word if character in table][:length]
    return ids + [0] * (length - len(ids))


def spell_utf8(word: str, length: int) -> list[int]:
    """The published mapping, one byte at a time, with its ids of training raised by 1."""
    if word in ("<S>", "</S>"):
        raw = [258, 256 if word == "<S>" else 257, 259]
    else:
        raw = [258, *word.encode("utf-8", "ignore")[: length - 2], 259]
    return [i + 1 for i in raw + [260] * (length - len(raw))]


def test_the_table_is_the_originals():
    assert len(CHARACTERS) == 69
    assert list(CHARACTERS) == list(dict.fromkeys(ORIGINAL))
    assert CharacterVocabulary().encode(list(CHARACTERS))[:, 0].tolist() == list(range(1, 70))


@pytest.mark.parametrize(
    ("scheme", "size", "dtype", "padding"), [("tutorial", 72, np.uint8, 0), ("utf8", 262, np.int16, 261)]
)
def test_sizes(scheme, size, dtype, padding):
    vocabulary = CharacterVocabulary(scheme, 20)
    rows = vocabulary.encode(["a", "abc"])
    assert (vocabulary.size, vocabulary.dtype, vocabulary.padding_id) == (size, dtype, padding)
    assert rows.shape == (2, 20)
    assert rows.dtype == vocabulary.boundary_rows.dtype == dtype
    assert rows[0, -1] == padding


def test_rows_as_written_in_the_format():
    assert CharacterVocabulary("tutorial", 5).encode(["cab"]).tolist() == [[4, 2, 3, 0, 0]]
    assert CharacterVocabulary("utf8", 7).encode(["é!"]).tolist() == [
        [259, 0xC3 + 1, 0xA9 + 1, ord("!") + 1, 260, 261, 261]
    ]


def test_boundary_rows():
    assert CharacterVocabulary("tutorial", 4).boundary_rows.tolist() == [[0, 0, 0, 0], [70, 0, 0, 0], [71, 0, 0, 0]]
    assert CharacterVocabulary("utf8", 5).boundary_rows.tolist() == [
        [0, 0, 0, 0, 0],
        [259, 257, 260, 261, 261],
        [259, 258, 260, 261, 261],
    ]


def test_a_text_token_that_reads_like_a_boundary():
    utf8 = CharacterVocabulary("utf8", 9)
    assert np.array_equal(utf8.encode(["<S>", "x", "</S>"])[::2], utf8.boundary_rows[1:])
    assert utf8.encode(["<UNK>"]).tolist() == [spell_utf8("<UNK>", 9)]
    assert utf8.encode(["<pad>"]).any()
    with pytest.raises(ElmoHelpersError, match="'S'"):
        CharacterVocabulary("tutorial").encode(["<S>"])


@pytest.mark.parametrize("length", [3, 4, 30])
def test_long_words_are_cut(length):
    word = "abcdefghij" * 10
    assert CharacterVocabulary("tutorial", length).encode([word]).tolist() == [spell_tutorial(word, length)]
    row = CharacterVocabulary("utf8", length).encode([word])[0]
    assert row[-1] == 260
    assert (row[1:-1] < 257).all()


def test_a_cut_inside_a_character_is_decoded_without_it():
    vocabulary = CharacterVocabulary("utf8", 5)  # room for three bytes
    assert vocabulary.decode(vocabulary.encode(["éé"])[0]) == "é"


def test_a_character_outside_the_table():
    vocabulary = CharacterVocabulary("tutorial", 5)
    with pytest.raises(ElmoHelpersError, match=r"'zürich' holds 'ü'.*errors='skip'"):
        vocabulary.encode(["bern", "zürich", "genève"])
    assert vocabulary.encode(["zürich", "😀", "ab\0c"], errors="skip").tolist() == [
        spell_tutorial("zrich", 5),
        [0] * 5,
        spell_tutorial("abc", 5),
    ]


def test_a_character_that_is_skipped_makes_room():
    vocabulary = CharacterVocabulary("tutorial", 3)
    assert vocabulary.decode(vocabulary.encode(["äöüabcd"], errors="skip")[0]) == "abc"


@pytest.mark.parametrize("vocabulary", BOTH)
def test_no_words_and_empty_words(vocabulary):
    assert vocabulary.encode([]).shape == (0, 12)
    rows = vocabulary.encode(["", "a", ""])
    assert [vocabulary.decode(row) for row in rows] == ["", "a", ""]
    assert vocabulary.encode([""]).shape == (1, 12)


@pytest.mark.parametrize("vocabulary", BOTH)
def test_decode_names_boundaries_and_padding(vocabulary):
    assert [vocabulary.decode(row) for row in vocabulary.boundary_rows] == ["", "<S>", "</S>"]
    assert vocabulary.decode(vocabulary.encode(["cat"])[0].tolist()) == "cat"


@pytest.mark.parametrize(
    "row",
    [[-1, 0], [72], [[1, 2]], [[1], [1, 2]], 3, None, "cat", b"cat", [1.5], [float("nan")], [None], [2**70], {1: 2}],
    ids=repr,
)
def test_decode_refuses_what_is_no_row(row):
    with pytest.raises(ElmoHelpersError, match="from 0 to 71"):
        CharacterVocabulary("tutorial").decode(row)


@given(st.lists(st.text(CHARACTERS)), st.integers(3, 40))
@settings(deadline=None)
def test_tutorial_agrees_with_the_original(words, length):
    rows = CharacterVocabulary("tutorial", length).encode(words)
    assert rows.tolist() == [spell_tutorial(word, length) for word in words]
    assert [CharacterVocabulary("tutorial", length).decode(row) for row in rows] == [word[:length] for word in words]


@given(st.lists(st.text(st.characters())), st.integers(3, 40))  # surrogates and NUL included
@settings(deadline=None)
def test_any_text_is_spelled(words, length):
    utf8 = CharacterVocabulary("utf8", length).encode(words)
    assert utf8.tolist() == [spell_utf8(word, length) for word in words]
    tutorial = CharacterVocabulary("tutorial", length).encode(words, errors="skip")
    assert tutorial.tolist() == [spell_tutorial(word, length) for word in words]


@given(st.lists(st.text(max_size=10)))
@settings(deadline=None)
def test_utf8_round_trip(words):
    vocabulary = CharacterVocabulary("utf8", 42)  # ten characters of at most four bytes, and two marks
    assert [vocabulary.decode(row) for row in vocabulary.encode(words)] == words


@given(st.lists(st.text(), min_size=1), st.data())
@settings(deadline=None)
def test_a_row_depends_on_its_word_alone(words, data):
    vocabulary = CharacterVocabulary("utf8", 16)
    i = data.draw(st.integers(0, len(words) - 1))
    assert np.array_equal(vocabulary.encode(words)[i], vocabulary.encode([words[i]])[0])


@pytest.mark.parametrize("vocabulary", BOTH)
def test_dictionary_round_trip(vocabulary):
    data = json.loads(json.dumps(vocabulary.to_dict()))
    assert CharacterVocabulary.from_dict(data) == vocabulary
    assert hash(CharacterVocabulary.from_dict(data)) == hash(vocabulary)


def test_equality():
    assert CharacterVocabulary("utf8", 12) != CharacterVocabulary("utf8", 13)
    assert CharacterVocabulary("utf8", 12) != CharacterVocabulary("tutorial", 12)
    assert CharacterVocabulary() != "tutorial"
    assert repr(CharacterVocabulary("utf8", 50)) == "CharacterVocabulary(scheme='utf8', max_characters=50)"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"scheme": "utf8"}, "max_characters"),
        (["utf8", 50], "max_characters"),
        ({"scheme": "latin", "max_characters": 50}, "tutorial, utf8"),
        ({"scheme": "utf8", "max_characters": "50"}, "whole number"),
        ({"scheme": "utf8", "max_characters": True}, "whole number"),
        ({"scheme": "tutorial", "max_characters": 2}, "at least 3"),
        ({"scheme": "tutorial", "max_characters": 30, "characters": "abc"}, "other characters"),
    ],
)
def test_damaged_dictionaries(data, message):
    with pytest.raises(ElmoHelpersError, match=message):
        CharacterVocabulary.from_dict(data)


@pytest.mark.parametrize("vocabulary", BOTH)
def test_words_in_any_container_in_order(vocabulary):
    expected = vocabulary.encode(["the", "cat"]).tolist()
    for words in (("the", "cat"), iter(["the", "cat"]), np.array(["the", "cat"]), pd.Series(["the", "cat"], [5, 5])):
        assert vocabulary.encode(words).tolist() == expected


@pytest.mark.parametrize("vocabulary", BOTH)
@pytest.mark.parametrize("word", [None, float("nan"), 3, b"cat", ["cat"], pd.NA], ids=repr)
def test_something_that_is_no_word_is_named_by_its_place(vocabulary, word):
    for words in (["the", word], pd.Series(["the", word])):
        with pytest.raises(ElmoHelpersError, match=r"words\[1\] is .*: expected a string"):
            vocabulary.encode(words, errors="skip")


@pytest.mark.parametrize("words", [None, 3, b"cat", {"cat"}, {"cat": 1}, np.array("cat"), pd.DataFrame({"cat": [1]})])
def test_what_is_no_list_of_words(words):
    with pytest.raises(ElmoHelpersError, match=r"words is .*: expected a list of words"):
        CharacterVocabulary("utf8").encode(words)


@pytest.mark.parametrize(("words", "errors", "message"), [("cat", "strict", "one string"), (["cat"], "ignore", "skip")])
def test_wrong_arguments(words, errors, message):
    with pytest.raises(ElmoHelpersError, match=message):
        CharacterVocabulary().encode(words, errors)
