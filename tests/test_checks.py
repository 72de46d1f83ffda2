"""What people hand over, and what a message says of it."""

import math
from collections import Counter, deque
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from elmo_helpers.checks import instance, items, number, numbers, seed_number, shown, whole_number, word_list
from elmo_helpers.errors import ElmoHelpersError

SENTENCE = ["the", "cat"]


@pytest.mark.parametrize(
    "sentence",
    [
        SENTENCE,
        tuple(SENTENCE),
        deque(SENTENCE),
        iter(SENTENCE),
        map(str, SENTENCE),
        (word for word in SENTENCE),
        {1: "the", 2: "cat"}.values(),
        np.array(SENTENCE),
        np.array(SENTENCE, dtype=object),
        pd.Series(SENTENCE, index=[7, 7]),
        pd.Series(SENTENCE, dtype="category"),
        pd.Index(SENTENCE),
    ],
    ids=lambda sentence: type(sentence).__name__,
)
def test_a_sentence_is_whatever_has_words_in_order(sentence):
    assert word_list("sentence", sentence) == SENTENCE


@pytest.mark.parametrize(
    "sentence",
    [
        None,
        3,
        float("nan"),
        "the cat",
        b"the cat",
        bytearray(b"the"),
        {"the", "cat"},
        {"the": 1},
        Counter(SENTENCE),
        {"the": 1}.keys(),
        np.array("the"),
        pd.NA,
        pd.DataFrame({"word": SENTENCE}),
    ],
    ids=lambda sentence: type(sentence).__name__,
)
def test_what_has_no_words_in_order_is_no_sentence(sentence):
    with pytest.raises(ElmoHelpersError, match=r"^titles\[3\] .*: expected a list of words"):
        word_list("titles[3]", sentence)


@pytest.mark.parametrize("word", [None, 1790, float("nan"), b"the", ["the"], pd.NA, np.int64(3), np.bytes_(b"the")])
def test_a_word_that_is_none_is_named_by_its_place(word):
    for sentence in (["the", word], iter(["the", word])):
        with pytest.raises(ElmoHelpersError, match=r"^sentence\[1\] is .*: expected a string\."):
            word_list("sentence", sentence)


def test_an_error_of_ones_own_generator_is_ones_own():
    def broken():
        yield "the"
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        items("titles", broken(), "a list")


@pytest.mark.parametrize(
    "value",
    [np.zeros((300, 200)), pd.DataFrame({"title": ["a\nb"] * 99}), "a\nb" * 999, list(range(10_000)), object()],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_on_one_short_line(value):
    assert len(shown(value)) < 80
    assert len(shown(value).splitlines()) == 1
    with pytest.raises(ElmoHelpersError) as caught:
        whole_number("batch_size", value, 1)
    assert str(caught.value) == f"batch_size={shown(value)}: expected a whole number of at least 1."


def test_an_array_is_shown_by_its_shape():
    assert shown(np.zeros((2, 3), np.float32)) == "ndarray (2, 3) of float32"
    assert shown(pd.Series([1, 2])) == "Series (2,) of int64"
    assert shown(np.int64(-1)) == "np.int64(-1) (int64)"


@pytest.mark.parametrize("value", [1, 0.5, np.float16(0.5), np.float64(0.5), np.int8(1), Fraction(1, 2)], ids=repr)
def test_numbers_of_any_type(value):
    assert number("dropout", value, "a share", 0, 1e30) == float(value)


@pytest.mark.parametrize(
    "value", ["1", None, True, np.bool_(True), math.nan, -math.inf, 10**400, -(10**400), 1j, 2, np.float16(2)], ids=str
)
def test_what_is_no_number_within_the_bounds(value):
    with pytest.raises(ElmoHelpersError, match=r"^dropout=.*: expected a share\.$"):
        number("dropout", value, "a share", 0, 1)


def test_arrays_of_numbers():
    for value in ([1, 2], (1.5, 2), np.arange(2), pd.Series([1, 2]), range(2), 3):
        assert numbers("vectors", value, "numbers").shape == np.shape(value)
    for value in (None, "12", ["1"], [1, None], [[1], [1, 2]], {1, 2}, {1: 2}, iter([1]), [1j], [True], object()):
        with pytest.raises(ElmoHelpersError, match=r"^vectors: expected numbers, and got "):
            numbers("vectors", value, "numbers")
    assert numbers("labels", [True], "labels", kinds="b").tolist() == [True]


def test_an_instance():
    assert instance("mix", 3, int, "a number") == 3
    with pytest.raises(ElmoHelpersError, match=r"^mix='3': expected a number\.$"):
        instance("mix", "3", int, "a number")


def test_seeds_are_what_pytorch_takes():
    for value in (0, np.int64(7), np.uint64(2**64 - 1), 2**64 - 1):
        assert seed_number("seed", value) == int(value)
        assert type(seed_number("seed", value)) is int
        torch.Generator("cpu").manual_seed(seed_number("seed", value))
    for wrong in (-1, np.int8(-1), 2**64, 10**100, True, 1.0, None, "1"):
        with pytest.raises(ElmoHelpersError, match=r"^seed=.*: expected a whole number from 0 to 2\^64 − 1\.$"):
            seed_number("seed", wrong)
