"""What was taken out of a title is what the label says, and everything else stays."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.free_labels import CONFUSED, ONE_CLASS, TWO_CLASSES, commas, cut_words, one_spelling

WORDS = st.sampled_from(["on", "in", "the", "cat", ",", "."])
TITLES = st.lists(st.lists(WORDS, min_size=0, max_size=12), max_size=30)


def test_words_by_hand():
    title = "Don't pay 1,000.50 (or more), it’s a well-known trick…"
    assert cut_words(title) == [
        *["Don't", "pay", "1,000.50", "(", "or", "more", ")", ",", "it’s", "a", "well", "-", "known", "trick", "…"]
    ]
    assert cut_words("A CAT", lowercase=True) == ["a", "cat"]
    assert cut_words("  ") == []


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_as_figures_were_made_with(title):
    pattern = r"[A-Za-z]+(?:['’][A-Za-z]+)?|\d+(?:[.,]\d+)*|[^\sA-Za-z\d]"
    assert cut_words(title) == re.findall(pattern, title)


@given(st.text())
def test_nothing_but_spaces_is_lost(title):
    assert "".join(cut_words(title)) == re.sub(r"\s", "", title)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Café naïve", ["Café", "naïve"]),
        ("Iași, 1918", ["Iași", ",", "1918"]),
        ("l’été d'Ève", ["l’été", "d'Ève"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("Война и мир", ["Война", "и", "мир"]),
        ("हिन्दी", ["हिन्दी"]),
        ("yes\N{GRINNING FACE}no", ["yes", "\N{GRINNING FACE}", "no"]),
        ("\u0301a", ["\u0301", "a"]),
    ],
)
def test_words_of_any_letters_stay_whole(title, words):
    assert cut_words(title) == words


def test_pairs_are_different_words():
    pairs = [*TWO_CLASSES, *ONE_CLASS, *CONFUSED]
    assert (len(TWO_CLASSES), len(ONE_CLASS), len(CONFUSED)) == (5, 6, 7)
    assert all(first != second and cut_words(f"{first} {second}") == [first, second] for first, second in pairs)


def test_one_spelling_by_hand():
    titles = [
        ["they", "sat", "in", "the", "house"],
        ["they", "sat", "on", "the", "roof"],
        ["no", "such", "word", "is", "here"],
    ]
    examples = sorted(one_spelling(titles, ("in", "on")), key=lambda example: example.label)
    assert examples[0] == (["they", "sat", "in", "the", "house"], 2, 0)
    assert examples[1] == (["they", "sat", "in", "the", "roof"], 2, 1)


@given(TITLES, st.integers(0, 3))
def test_one_spelling_can_be_undone(titles, seed):
    examples = one_spelling(titles, ("in", "on"), shortest=2, longest=8, seed=seed)
    assert examples == one_spelling(titles, ("in", "on"), shortest=2, longest=8, seed=seed)
    assert sum(example.label for example in examples) * 2 == len(examples)
    left = [title for title in titles if 2 <= len(title) <= 8]
    for tokens, place, label in examples:
        assert tokens[place] == "in"
        left.remove([*tokens[:place], ("in", "on")[label], *tokens[place + 1 :]])  # each title at most once


def test_of_several_places_each_is_drawn():
    titles = [["on", "a", "b", "c", "on"]] * 200 + [["in", "a", "b", "c", "d"]] * 200
    places = [example.place for example in one_spelling(titles, ("in", "on")) if example.label]
    assert 70 < places.count(0) < 130
    assert set(places) == {0, 4}


def test_search_ends_after_so_many_titles():
    titles = [["in", "a", "b", "c", "d"], ["on", "a", "b", "c", "d"]] * 50
    examples = one_spelling(titles, ("in", "on"), most=20)
    assert 2 <= len(examples) <= 20
    assert examples != one_spelling(titles, ("in", "on"), most=20, seed=1)
    assert one_spelling(titles, ("in", "on"), most=1) == []  # which leaves nothing to balance it with


def test_what_is_balanced_comes_in_an_order_that_is_drawn():
    titles = [["in", "a", "b", "c", "d"], ["on", "a", "b", "c", "d"]] * 200
    labels = np.array([example.label for example in one_spelling(titles, ("in", "on"))])
    assert 30 < labels[:100].sum() < 70


@pytest.mark.parametrize("titles", [[], [["in"]], [["in", "a", "b", "c", "d"]], [["the", "cat", "sat", "there", "."]]])
def test_no_example_where_a_word_is_missing(titles):
    assert one_spelling(titles, ("in", "on")) == []


def test_other_cases_are_other_words():
    titles = [["In", "a", "b", "c", "d"], ["on", "a", "b", "c", "d"]]
    assert one_spelling(titles, ("in", "on")) == []


def test_commas_by_hand():
    title = [",", "so", ",", "they", "left", ",", ",", "again", "."]
    assert commas([title]) == [(["so", "they", "left", "again", "."], [1, 0, 1, 0, 0])]


@given(st.lists(st.sampled_from(["a", "b", ","]), max_size=12))
def test_commas_can_be_put_back(title):
    examples = commas([title], shortest=1, longest=12)
    if not [token for token in title if token != ","]:
        assert examples == []
        return
    ((tokens, labels),) = examples
    assert len(tokens) == len(labels)
    again = [part for token, label in zip(tokens, labels, strict=True) for part in [token, ","][: 1 + label]]
    once = [token for i, token in enumerate(title) if token != "," or (i and title[i - 1] != ",")]
    assert again == once[once[:1] == [","] :]


def test_titles_without_commas_are_kept_and_others_chosen_by_length():
    plain, short, long = ["a"] * 6, ["a", ",", "b", "c", "d"], ["a"] * 41
    assert commas([plain, short, long]) == [(plain, [0] * 6)]
    assert commas([]) == []
    assert commas([plain], most=0) == []
    assert commas([[","] * 6]) == []


def test_so_many_titles_are_drawn():
    titles = [[str(i)] * 6 for i in range(100)]
    some = [example.tokens[0] for example in commas(titles, most=10)]
    assert len(set(some)) == 10
    assert some == [example.tokens[0] for example in commas(titles, most=10)]
    assert some == [example.tokens[0] for example in commas(titles)][:10]
    assert some != [example.tokens[0] for example in commas(titles, most=10, seed=1)]


@pytest.mark.parametrize("pair", [("in",), ("in", "in"), ("in", ""), ("in", 3), "in", None, ("a", "b", "c")])
def test_pairs_that_are_none(pair):
    with pytest.raises(ElmoHelpersError, match=r"^pair"):
        one_spelling([], pair)


@pytest.mark.parametrize("task", [commas, lambda titles: one_spelling(titles, ("in", "on"))])
def test_titles_that_are_none(task):
    with pytest.raises(ElmoHelpersError, match="number 1 is 'in the'"):
        task([["a"], "in the"])
    with pytest.raises(ElmoHelpersError, match=r"^titles is one string"):
        task("in the")


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"most": 0.5}, {"shortest": 0}, {"longest": None}])
def test_numbers_that_are_none(wrong):
    for task in (commas, lambda titles, **given: one_spelling(titles, ("in", "on"), **given)):
        with pytest.raises(ElmoHelpersError, match=f"^{next(iter(wrong))}="):
            task([["a"]], **wrong)


def test_text_that_is_none():
    with pytest.raises(ElmoHelpersError, match=r"^title=None"):
        cut_words(None)
    with pytest.raises(ElmoHelpersError, match=r"^lowercase="):
        cut_words("a", lowercase="yes")
