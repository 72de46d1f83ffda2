"""The table of token vectors: each word once, never more than there is room for."""

import numpy as np
import pytest
import torch

from elmo_helpers.encoding.word_vectors import WordVectors


def alone(model, word: str) -> np.ndarray:
    with torch.no_grad():
        return model.char_cnn(torch.from_numpy(model.character_vocabulary.encode([word], errors="skip")))[0].numpy()


def check(table: WordVectors, words: list[str]) -> None:
    vectors, rows = table.lookup(words)
    assert rows.dtype == np.int64
    found = vectors[torch.from_numpy(rows)].numpy()
    for word, vector in zip(words, found, strict=True):
        np.testing.assert_allclose(vector, alone(table.model, word), atol=1e-6)
    with torch.no_grad():
        boundaries = table.model.char_cnn(torch.from_numpy(table.model.character_vocabulary.boundary_rows)).numpy()
    np.testing.assert_allclose(vectors[:3].numpy(), boundaries, atol=1e-6)


def test_a_word_is_computed_once(toy_model):
    table = WordVectors(toy_model)
    check(table, ["the", "cat", "the", "dog"])
    check(table, ["dog", "bird", "the"])
    assert table.n_computed == 4
    check(table, [])
    assert len(table.lookup([]).vectors) == 3 + 4


def test_a_full_table_is_begun_anew(toy_model, rng):
    table = WordVectors(toy_model, max_words=10)
    words = [f"w{i}" for i in range(30)]
    for _ in range(50):
        check(table, rng.choice(words, rng.integers(1, 9)).tolist())
        assert len(table.lookup([]).vectors) <= 3 + 10
    computed = table.n_computed
    assert 30 < computed < 50 * 8
    check(table, words)  # more than there is room for, all of one call
    assert table.n_computed == computed + 30
    check(table, ["w1"])  # still there
    assert table.n_computed == computed + 30
    check(table, ["new"])
    assert len(table.lookup([]).vectors) == 3 + 1


def test_memory_is_bounded_and_grows_by_doubling(toy_model):
    table = WordVectors(toy_model, max_words=100)
    sizes = set()
    for i in range(500):
        table.lookup([f"w{i}"])
        sizes.add(len(table._table.room))
    assert max(sizes) == 103
    assert len(sizes) < 10


def test_what_was_looked_up_stays_when_the_table_is_begun_anew(toy_model):
    table = WordVectors(toy_model, max_words=3)
    known = table.lookup(["the", "cat"])
    before = known.vectors.clone()
    for i in range(20):
        table.lookup([f"w{i}"])
    assert torch.equal(known.vectors, before)


def test_an_interrupted_lookup_leaves_the_table_as_it_was(toy_model, monkeypatch):
    """Ctrl-C comes at any moment; here while words are spelled out, into a new table or an old one."""
    table = WordVectors(toy_model, max_words=4)
    for words in (["a"], ["b", "c"], ["d", "e", "f"]):
        with monkeypatch.context() as patch:
            patch.setattr(type(toy_model.char_cnn), "forward", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                table.lookup(words)
        check(table, words)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
