"""The table of token vectors: each word once, never more than there is room for."""

import numpy as np
import torch

from elmo_helpers.encoding.word_vectors import WordVectors


def alone(model, word: str) -> np.ndarray:
    with torch.no_grad():
        return model.char_cnn(torch.from_numpy(model.character_vocabulary.encode([word], errors="skip")))[0].numpy()


def check(table: WordVectors, words: list[str]) -> None:
    rows = table.rows(words)
    assert rows.dtype == np.int64
    found = table.vectors[torch.from_numpy(rows)].numpy()
    for word, vector in zip(words, found, strict=True):
        np.testing.assert_allclose(vector, alone(table.model, word), atol=1e-6)
    with torch.no_grad():
        boundaries = table.model.char_cnn(torch.from_numpy(table.model.character_vocabulary.boundary_rows)).numpy()
    np.testing.assert_allclose(table.vectors[:3].numpy(), boundaries, atol=1e-6)


def test_a_word_is_computed_once(toy_model):
    table = WordVectors(toy_model)
    check(table, ["the", "cat", "the", "dog"])
    check(table, ["dog", "bird", "the"])
    assert table.n_computed == 4
    check(table, [])
    assert len(table.vectors) == 3 + 4


def test_a_full_table_is_begun_anew(toy_model, rng):
    table = WordVectors(toy_model, max_words=10)
    words = [f"w{i}" for i in range(30)]
    for _ in range(50):
        check(table, rng.choice(words, rng.integers(1, 9)).tolist())
        assert len(table.vectors) <= 3 + 10
    computed = table.n_computed
    assert 30 < computed < 50 * 8
    check(table, words)  # more than there is room for, all of one call
    assert table.n_computed == computed + 30
    check(table, ["w1"])  # still there
    assert table.n_computed == computed + 30
    check(table, ["new"])
    assert len(table.vectors) == 3 + 1


def test_memory_is_bounded_and_grows_by_doubling(toy_model):
    table = WordVectors(toy_model, max_words=100)
    sizes = set()
    for i in range(500):
        table.rows([f"w{i}"])
        sizes.add(len(table._table))
    assert max(sizes) == 103
    assert len(sizes) < 10
