"""Batches: every title once, little padding, and the characters and targets of its own words."""

import numpy as np
import pytest
import torch

from conftest import corpus_of
from elmo_helpers import ElmoHelpersError
from elmo_helpers.text.vocabulary import BOS, EOS, PAD, UNK
from elmo_helpers.training.batching import Batch, MixedBatches, TitleBatches, length_buckets, n_title_batches


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(("n", "size"), [(0, 4), (1, 4), (1000, 7), (64, 64)])
def test_every_title_is_in_exactly_one_batch(rng, n, size, seed):
    lengths = rng.integers(1, 40, n)
    batches = length_buckets(lengths, size, None if seed is None else np.random.default_rng(seed))
    assert all(0 < len(b) <= size for b in batches)
    assert sorted(np.concatenate([np.empty(0, int), *batches])) == list(range(n))


def test_batches_hold_similar_lengths(rng):
    lengths = rng.integers(1, 40, 5000)
    padding = [
        sum((lengths[b].max() - lengths[b]).sum() for b in batches)
        for batches in (length_buckets(lengths, 32, rng), np.array_split(rng.permutation(5000), 156))
    ]
    assert padding[0] < 0.1 * padding[1]


def test_same_generator_same_batches_and_epochs_differ(rng):
    lengths = rng.integers(1, 40, 500)
    one, same = np.random.default_rng(5), np.random.default_rng(5)
    first, again = length_buckets(lengths, 16, one), length_buckets(lengths, 16, same)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    second = length_buckets(lengths, 16, one)
    assert not all(len(a) == len(b) and (a == b).all() for a, b in zip(first, second, strict=True))


def test_batch_spells_and_targets_its_own_words(toy_corpus):
    indices = np.array([5, 10, 0])
    batch = Batch.of(toy_corpus, indices)
    characters, vocabulary = toy_corpus.character_vocabulary, toy_corpus.vocabulary
    assert len(batch.characters) == len(np.unique(batch.characters.numpy(), axis=0)), "each distinct word once"
    for row, i in enumerate(indices):
        words = toy_corpus.words(i)
        n = len(words) + 2
        assert batch.lengths[row] == n
        spelled = batch.characters[batch.tokens[row, :n]].numpy()
        np.testing.assert_array_equal(spelled[1:-1], characters.encode(words))
        np.testing.assert_array_equal(spelled[[0, -1]], characters.boundary_rows[1:])
        assert batch.targets[row, :n].tolist() == vocabulary.ids(["<S>", *words, "</S>"]).tolist()
        assert (batch.targets[row, n:] == 0).all()


def test_words_of_no_corpus_are_read_as_those_of_a_corpus(toy_corpus):
    indices = np.array([5, 10, 0])
    expected = Batch.of(toy_corpus, indices)
    titles = [toy_corpus.words(i) for i in indices]
    batch = Batch.of_words(titles, toy_corpus.character_vocabulary, toy_corpus.vocabulary)
    assert torch.equal(batch.lengths, expected.lengths)
    assert torch.equal(batch.targets, expected.targets)
    assert torch.equal(batch.characters[batch.tokens], expected.characters[expected.tokens])


def test_words_that_cannot_be_spelled_or_predicted(toy_corpus):
    characters, vocabulary = toy_corpus.character_vocabulary, toy_corpus.vocabulary
    with pytest.raises(ElmoHelpersError, match="é"):
        Batch.of_words([["café"]], characters, vocabulary)
    batch = Batch.of_words([["café"], []], characters, vocabulary, errors="skip")
    np.testing.assert_array_equal(batch.characters[batch.tokens[0, 1]], characters.encode(["caf"])[0])
    assert batch.targets.tolist() == [[BOS, UNK, EOS], [BOS, EOS, PAD]]
    assert Batch.of_words([], characters, vocabulary).tokens.shape == (0, 0)


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_batches_of_a_corpus(toy_corpus, batch_size):
    """Every title once, with the numbers that the loop divides by; in the corpus's own order where asked for."""
    for batches in (
        TitleBatches(toy_corpus, batch_size, np.random.default_rng(0)),
        TitleBatches(toy_corpus, batch_size, by_length=False),
    ):
        assert len(batches) == n_title_batches(len(toy_corpus), batch_size)
        titles = []
        for k in range(len(batches)):
            batch = batches.batch(k)
            assert batches.n_tokens(k) == int(batch.lengths.sum())
            assert batches.n_predictions(k) == int((batch.lengths - 1).sum())
            parts = [batches.batch(k, slice(rank, None, 3)) for rank in range(3)]
            assert sum(len(part.lengths) for part in parts if part is not None) == len(batch.lengths)
            titles += batches.rows[k].tolist()
        assert sorted(titles) == list(range(len(toy_corpus)))
    assert titles == sorted(titles)


def test_mixed_batches_are_those_of_all_shards_in_one_order():
    titles = [f"{'a ' * (i % 7)}{i}" for i in range(120)]
    shards = [TitleBatches(corpus_of(part), 4, by_length=False) for part in (titles[:50], titles[50:90], titles[90:])]
    mixed = MixedBatches(shards, np.random.default_rng(0))
    assert len(mixed) == sum(map(len, shards))

    def content(batches, k):
        batch = batches.batch(k)
        part = batches.batch(k, slice(1, None, 2))
        rows = batch.characters[batch.tokens].numpy().tobytes()
        return rows, len(part.lengths), batches.n_tokens(k), batches.n_predictions(k), batches.describe(k)

    expected = [content(shard, k) for shard in shards for k in range(len(shard))]
    found = [content(mixed, k) for k in range(len(mixed))]
    assert sorted(found) == sorted(expected)
    first_half = set(found[: len(found) // 2])
    assert first_half & set(expected[:5])  # of the first shard
    assert first_half & set(expected[-5:])  # and of the last one
