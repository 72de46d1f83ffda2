"""A word's occurrences, against the vectors of each title by itself."""

import numpy as np
import pandas as pd
import pytest

from conftest import TOY_TITLES
from elmo_helpers import ElmoHelpersError, Encoder
from elmo_helpers.analysis.occurrences import find_occurrences

TITLES = [title.split() for title in [*TOY_TITLES, "", "home home"]]


def by_hand(word: str) -> list[tuple[int, int]]:
    return [(row, at) for row in range(len(TITLES)) for at in range(len(TITLES[row])) if TITLES[row][at] == word]


@pytest.mark.parametrize("word", ["the", "home", "fed"])
def test_each_occurrence_has_the_vectors_of_its_title(toy_model, word):
    found = find_occurrences(Encoder(toy_model), TITLES, word)
    places = by_hand(word)
    assert list(zip(found.rows.tolist(), found.places.tolist(), strict=True)) == places
    assert found.n_found == len(found) == len(places)
    for i, (row, at) in enumerate(places):
        alone = Encoder(toy_model).encode_tokens([TITLES[row]])[0].layers[:, at]
        np.testing.assert_allclose(found.layers[:, i], alone, atol=1e-6)
        around = ["<S>", *TITLES[row], "</S>"]
        assert (found.before[i], found.after[i]) == (around[at], around[at + 2])
        assert " ".join(found.line(i)).split() == TITLES[row]


def test_of_too_many_some_are_drawn_in_order(toy_model):
    drawn = [find_occurrences(Encoder(toy_model), TITLES, "the", limit=4, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0].n_found == len(by_hand("the"))
    places = [list(zip(found.rows.tolist(), found.places.tolist(), strict=True)) for found in drawn]
    assert len(places[0]) == 4
    assert places[0] == sorted(places[0])
    assert set(places[0]) <= set(by_hand("the"))
    assert places[0] == places[1]
    assert places[0] != places[2]


def test_progress_is_told_to_the_end(toy_model):
    told = []
    find_occurrences(Encoder(toy_model), TITLES, "home", told=lambda *x: told.append(x))
    n = len({row for row, _ in by_hand("home")})
    assert told == [(i + 1, n) for i in range(n)]


def test_a_word_that_does_not_occur(toy_model):
    found = find_occurrences(Encoder(toy_model), TITLES, "\N{PILE OF POO}")
    assert (len(found), found.n_found, found.before, found.after) == (0, 0, [], [])
    assert found.layers.shape == (3, 0, 16)


def test_limit_is_checked(toy_model):
    with pytest.raises(ElmoHelpersError, match="limit=0"):
        find_occurrences(Encoder(toy_model), TITLES, "the", limit=0)


def test_titles_of_a_shuffled_series_are_taken_in_its_order(toy_model):
    series = pd.Series(TITLES).sample(frac=1, random_state=1)
    found, wanted = (find_occurrences(Encoder(toy_model), titles, "the") for titles in (series, series.tolist()))
    assert found.titles == wanted.titles
    np.testing.assert_array_equal(found.layers, wanted.layers)


def test_seed_is_checked(toy_model):
    with pytest.raises(ElmoHelpersError, match="seed=-1"):
        find_occurrences(Encoder(toy_model), TITLES, "the", seed=-1)


@pytest.mark.parametrize("wrong", ["the cat", None, 3])
def test_a_title_that_is_no_list_of_tokens_is_named(toy_model, wrong):
    with pytest.raises(ElmoHelpersError, match="titles: number 1"):
        find_occurrences(Encoder(toy_model), [["the"], wrong], "the")


def test_titles_of_arrays_are_taken_as_lists_are(toy_model):
    encoder = Encoder(toy_model)
    found, wanted = (find_occurrences(encoder, titles, "the") for titles in (map(np.array, TITLES), TITLES))
    assert found.titles == wanted.titles
    np.testing.assert_array_equal(found.layers, wanted.layers)
    table = np.array([["the", "cat"], ["a", "dog"]])
    assert find_occurrences(encoder, table, np.str_("the")).titles == [["the", "cat"]]
    with pytest.raises(ElmoHelpersError, match="titles: number 0"):
        find_occurrences(encoder, [table], "the")


def test_the_encoder_and_the_word_are_checked(toy_model):
    for wrong in (None, toy_model, "english-titles"):
        with pytest.raises(ElmoHelpersError, match=r"^encoder=.*: expected an Encoder"):
            find_occurrences(wrong, TITLES, "the")
    for wrong in (None, 3, b"the", ["the"]):
        with pytest.raises(ElmoHelpersError, match=r"^word=.*: expected a string"):
            find_occurrences(Encoder(toy_model), TITLES, wrong)
