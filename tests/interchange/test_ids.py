"""Ids of whatever people call a batch of sentences, for the published models and for any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest
import spacy
import torch
from comparing import assert_close, refused
from reference import write_random_model

from elmo_helpers import BiLM, Elmo, Encoder, batch_to_ids, load_official

SENTENCES = [["the", "cat", "sat"], ["home"], [], ["naïve", "🦜", "<S>", "日" * 20]]


CONTAINERS = {
    "tuples": lambda: tuple(map(tuple, SENTENCES)),
    "a generator": lambda: (words for words in SENTENCES),
    "a map": lambda: map(list, SENTENCES),
    "an iterator": lambda: iter(SENTENCES),
    "iterators": lambda: [iter(words) for words in SENTENCES],
    "a generator of maps": lambda: (map(str, words) for words in SENTENCES),
    "generators": lambda: [(word for word in words) for words in SENTENCES],
    "arrays": lambda: [np.array(words, dtype=str) for words in SENTENCES],
    "series": lambda: [pd.Series(words, index=[9] * len(words), dtype="str") for words in SENTENCES],
    "a series": lambda: pd.Series(SENTENCES, index=[5] * len(SENTENCES)),
    "an array of lists": lambda: np.array([*SENTENCES, None], dtype=object)[:-1],
    "values of a dictionary": lambda: dict(enumerate(SENTENCES)).values(),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_sentences_in_any_container_that_has_an_order(kind):
    """What can be gone through only once is gone through once."""
    assert torch.equal(batch_to_ids(CONTAINERS[kind]()), batch_to_ids(SENTENCES))


def test_a_table_of_words():
    words = [["the", "cat"], ["a", "dog"]]
    assert torch.equal(batch_to_ids(np.array(words)), batch_to_ids(words))


def test_no_sentence():
    for batch in ([], (), iter([]), map(str.split, []), np.array([]), pd.Series([], dtype=object)):
        ids = batch_to_ids(batch)
        assert (ids.shape, ids.dtype) == ((0, 0, 50), torch.int64)


DOC = spacy.blank("en")("A cat.")
NOT_SENTENCES = {
    "a number": ([[1]], ["batch[0][0] is 1:"]),
    "bytes": ([["a"], ["b", b"c"]], ["batch[1][1] is b'c'"]),
    "a year": ([["in", 1790, float("nan")]], ["batch[0][1] is 1790"]),
    "not a number": (iter([["in", float("nan")]]), ["batch[0][1] is nan"]),
    "None": ([["a", None]], ["batch[0][1] is None"]),
    "nested": ([[["a"]]], ["batch[0][0] is ['a']"]),
    "None in an array": (np.array([["a", None]], dtype=object), ["batch[0][1] is None"]),
    "a missing row": (pd.Series([["a"], None, ["b"]]), ["batch[1] is None"]),
    "a missing row of another index": (pd.Series([["a"], float("nan")], index=[7, 8]), ["batch[1] is nan"]),
    "words": (["a", "b"], ["batch[0] is one string, 'a'", "list of words"]),
    "bytes as a sentence": ([["a"], b"bc"], ["batch[1] is b'bc'"]),
    "a set": ([["a"], {"b", "c"}], ["batch[1] is {"]),
    "a dictionary": ([["a"], {"b": 1}], ["batch[1] is {'b': 1}"]),
    "one string": ("a sentence", ["batch is one string", "list of sentences"]),
    "nothing": (None, ["batch is None", "list of sentences"]),
    "one number": (3, ["batch is 3"]),
    "a dictionary of sentences": ({"a": ["b"]}, ["batch is {"]),
    "a table": (pd.DataFrame({"title": [["a"]]}), ["batch is", "DataFrame"]),
    "a tensor": (torch.zeros(2, 3), ["batch[0][0] is"]),
    "an array without axes": (np.array("a"), ["batch is"]),
    "a document": (DOC, ["batch[0] is A (Token)", "[token.text for token in sentence]"]),
    "documents": ([DOC], ["batch[0][0] is A (Token)", "[token.text for token in sentence]"]),
}


@pytest.mark.parametrize("kind", NOT_SENTENCES)
def test_what_is_no_batch_of_sentences(toy_model, kind):
    batch, names = NOT_SENTENCES[kind]
    if isinstance(batch, Iterator):
        batch = list(batch)
        with refused(*names):
            batch_to_ids(iter(batch))
    with refused(*names):
        batch_to_ids(batch)
    with refused(*names):
        Elmo(None, None, 1, module=toy_model).batch_to_ids(batch)
    if not isinstance(batch, torch.Tensor):  # which would be ids there
        with refused(*(name.replace("batch", "sentences") for name in names)):
            Elmo(None, None, 1, module=toy_model, stateful=True).warm_up(batch)


def mean_of_layers(model: BiLM, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
    return [title.layers.mean(0) for title in Encoder(model).encode_tokens(sentences)]


def vectors_of(output: dict) -> list[np.ndarray]:
    """The vectors of the words of each sentence."""
    pairs = zip(output["elmo_representations"][0], output["mask"], strict=True)
    return [vectors[mask].detach().numpy() for vectors, mask in pairs]


@pytest.mark.parametrize(
    ("options", "width"), [({"word_level": 12}, 1), ({"max_characters": 12}, 12), ({"max_characters": 50}, 50)]
)
def test_ids_of_a_model_are_those_that_it_reads(tmp_path, rng, options, width):
    sentences = [["the", "cat", "unheard-of", "<pad>", "<UNK>", "", "<S>"], ["home"], ["日" * 20, "naïve", "🦜"]]
    write_random_model(tmp_path, rng, **options)
    model = load_official(tmp_path)
    elmo = Elmo(None, None, 1, module=model).eval()
    ids = elmo.batch_to_ids(iter(sentences))
    assert (ids.shape, ids.dtype) == ((3, 7, width), torch.int64)
    assert elmo.batch_to_ids([]).shape == (0, 0, width)
    assert_close(vectors_of(elmo(ids)), mean_of_layers(model, sentences), tolerance=1e-6)
    if width == 50:
        assert torch.equal(ids, batch_to_ids(sentences))
    else:
        with refused("inputs", f"(..., T, {width})", "elmo.batch_to_ids"):
            elmo(batch_to_ids(sentences))


def test_ids_of_the_original_characters(toy_model):
    sentences = [["the", "cat"], ["The", "dog🦜", "ran"]]
    elmo = Elmo(None, None, 1, module=toy_model).eval()
    assert_close(vectors_of(elmo(elmo.batch_to_ids(sentences))), mean_of_layers(toy_model, sentences), tolerance=1e-6)
    for word in ("🦜", ""):  # its row would be all zeros, as that of padding
        with refused(repr(word), "padding"):
            elmo.batch_to_ids([["the", word, "cat"]])


def test_any_model_is_warmed_up_by_words_and_by_its_ids(tmp_path, rng, toy_model):
    write_random_model(tmp_path, rng, word_level=12)
    for model in (load_official(tmp_path), toy_model):
        elmo = Elmo(None, None, 1, module=model, stateful=True).eval()
        sentences = [["the", "cat", "sat"], ["home"]]
        ids = elmo.batch_to_ids(sentences)
        cold = elmo(ids)["elmo_representations"][0]
        for before in (sentences, iter(sentences), ids):
            elmo.reset_states()
            elmo.warm_up(before)
            warm = elmo(ids)["elmo_representations"][0]
            assert (cold - warm).abs().max() > 1e-3
        for wrong in (ids[0], ids[..., 0]):
            with refused("sentences", "(N, T, C)"):
                elmo.warm_up(wrong)


def test_a_module_of_ones_own_has_no_ids_here():
    module = torch.nn.Linear(2, 2)
    module.num_layers = 2
    with refused("module"):
        Elmo(None, None, 1, module=module).batch_to_ids([["a"]])
