"""The stream of vectors: each title as if it were alone, in order, a window at a time."""

import itertools
from dataclasses import replace

import by_hand
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import TOY_TITLES, corpus_of, needs_bf16
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, Encoder, ScalarMix
from elmo_helpers.encoding import encoder as encoder_module
from elmo_helpers.encoding import windows
from elmo_helpers.encoding.selection import LAYERS, LEVELS, POOLINGS, Selection

EDGES = ["", *TOY_TITLES, "the cat sat on the mat", "", "the " * 400, "zebra \N{PILE OF POO} mat", ""]


def check(model: BiLM, encoded, titles, **selection) -> None:
    encoded = list(encoded)
    assert len(encoded) == len(titles)
    for title, found in zip(titles, encoded, strict=True):
        words = title.split() if isinstance(title, str) else title
        expected = by_hand.vectors(model, words, **selection)
        assert found.tokens == words
        assert found.vectors.dtype == np.float32
        assert found.vectors.shape == expected.shape
        np.testing.assert_allclose(found.vectors, expected, atol=1e-6)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("level", LEVELS)
def test_each_title_as_if_it_were_alone(toy_model, level, pooling, layers):
    n = 2 if (level, pooling) == ("titles", "states") else 3
    weights = [0.5, -1.0, 2.0][:n]
    mix = ScalarMix(n, weights)
    with torch.no_grad():
        mix.gamma.fill_(1.5)
    encoder = Encoder(toy_model, mix, batch_tokens=20)
    encoded = encoder.encode_iter(iter(EDGES), level, layers, pooling, window=5)
    check(toy_model, encoded, EDGES, level=level, layers=layers, pooling=pooling, weights=weights, gamma=1.5)


def test_a_mix_that_is_not_named_is_the_mean(toy_model):
    for level in LEVELS:
        mixed, mean = (Encoder(toy_model).encode_iter(TOY_TITLES, level, layers) for layers in ("mix", "average"))
        for a, b in zip(mixed, mean, strict=True):
            np.testing.assert_array_equal(a.vectors, b.vectors)


@settings(max_examples=30, deadline=None)
@given(
    titles=st.lists(st.lists(st.text(max_size=14), max_size=6), max_size=12),
    window=st.integers(1, 13),
    batch_tokens=st.integers(1, 40),
    max_words=st.integers(1, 20),
)
def test_any_titles_windows_batches_and_tables(titles, window, batch_tokens, max_words):
    torch.manual_seed(0)
    corpus = corpus_of(TOY_TITLES, scheme="utf8")
    cnn = replace(BiLMConfig.preset("tiny").char_cnn, scheme="utf8")
    model = BiLM(replace(BiLMConfig.preset("tiny"), char_cnn=cnn, softmax="full"), corpus.vocabulary).eval()
    encoder = Encoder(model, batch_tokens=batch_tokens)
    encoded = encoder.encode_iter(titles, "tokens", "all", window=window, max_words=max_words)
    check(model, encoded, titles, level="tokens", layers="all")


def test_a_model_with_projection_and_clipping(toy_corpus):
    torch.manual_seed(0)
    tiny = BiLMConfig.preset("tiny")
    config = replace(
        tiny,
        char_cnn=replace(tiny.char_cnn, projection_dim=6),
        hidden_dim=12,
        projection_dim=6,
        cell_clip=0.1,
        projection_clip=0.05,
        skip_connections=True,
    )
    model = BiLM(config, toy_corpus.vocabulary, toy_corpus.text).eval()
    titles = [title.split() for title in EDGES]
    check(model, Encoder(model).encode_iter(titles, layers="all"), titles, level="titles", layers="all")


def test_a_stream_without_end_is_read_a_window_ahead(toy_model):
    taken = []

    def titles():
        for i in itertools.count():
            taken.append(i)
            yield ["dog"] * (i % 5)

    encoded = Encoder(toy_model).encode_iter(titles(), window=7)
    for i, title in enumerate(itertools.islice(encoded, 20)):
        assert len(title.tokens) == i % 5
        assert len(taken) <= (i // 7 + 1) * 7 + 2
    assert taken == list(range(22)), "three windows, and the title that ends the last one"


def test_a_window_ends_early_where_its_vectors_are_many(toy_model, monkeypatch):
    sizes = []
    of_window = windows._encode_window
    monkeypatch.setattr(windows, "_MAX_NUMBERS", 3 * 16 * 10)  # ten tokens of three layers
    monkeypatch.setattr(windows, "_encode_window", lambda *a: sizes.append([len(t) for t in a[0]]) or of_window(*a))
    titles = [["dog"] * n for n in (4, 6, 1, 30, 0, 0, 9, 2)]
    check(toy_model, Encoder(toy_model).encode_iter(titles, "tokens", "all"), titles, level="tokens", layers="all")
    assert sizes == [[4, 6], [1], [30], [0, 0, 9], [2]]


def test_batches_have_a_number_of_tokens_or_of_titles(toy_model, monkeypatch):
    sizes = []
    run = windows._vectors
    monkeypatch.setattr(windows, "_vectors", lambda *args: sizes.append(args[2].shape) or run(*args))
    titles = [["dog"] * n for n in (2, 2, 2, 2, 2, 100, 0)]
    list(Encoder(toy_model, batch_tokens=8).encode_iter(titles))
    assert sizes == [(1, 2), (2, 4), (2, 4), (1, 4), (1, 102)]
    sizes.clear()
    list(Encoder(toy_model, batch_size=4).encode_iter(titles))
    assert sizes == [(1, 2), (4, 4), (1, 4), (1, 102)]


def test_batches_have_few_different_sizes(toy_model, monkeypatch):
    shapes = set()
    run = windows._vectors
    monkeypatch.setattr(windows, "_vectors", lambda *args: shapes.add(args[2].shape) or run(*args))
    both = [["the", "cat"], ["cat", "dog"]]
    expected = [by_hand.vectors(toy_model, title, level="titles", layers="all") for title in both]
    for n in range(1, 65):
        encoded = list(Encoder(toy_model).encode_iter((both * n)[:n], layers="all"))
        assert [title.tokens for title in encoded] == (both * n)[:n]
        for i, title in enumerate(encoded):
            np.testing.assert_allclose(title.vectors, expected[i % 2], atol=1e-6, strict=True)
    assert {size for size, _ in shapes} == {*range(1, 9), *range(10, 17, 2), *range(20, 33, 4), *range(40, 65, 8)}


def test_each_word_is_spelled_out_once(toy_model):
    spelled = []
    toy_model.char_cnn.register_forward_hook(lambda module, args, output: spelled.append(len(args[0])))
    list(Encoder(toy_model).encode_iter(TOY_TITLES * 3, window=4))
    assert sum(spelled) == 3 + len({word for title in TOY_TITLES for word in title.split()})


@needs_bf16
def test_bf16_is_near_and_not_the_same(toy_model):
    for level, layers in itertools.product(LEVELS, LAYERS):
        full, half = (
            [t.vectors for t in Encoder(toy_model, precision=p).encode_iter(TOY_TITLES, level, layers)]
            for p in ("fp32", "bf16")
        )
        assert all(v.dtype == np.float32 for v in half)
        assert any((a != b).any() for a, b in zip(full, half, strict=True))
        for a, b in zip(full, half, strict=True):
            np.testing.assert_allclose(a, b, atol=0.02)


def test_without_bf16_it_is_refused_before_anything_runs(toy_model, without_bf16):
    with pytest.raises(
        ElmoHelpersError, match="precision='bf16': this processor has no instructions for bfloat16; use"
    ):
        Encoder(toy_model, precision="bf16")


def test_a_title_that_is_kept_does_not_keep_its_batch(toy_model):
    assert all(title.vectors.base is None for title in Encoder(toy_model).encode_iter(TOY_TITLES))


def test_bad_arguments_are_refused_at_once(toy_model):
    encoder = Encoder(toy_model, ScalarMix(3))
    for arguments, said in (
        ({"level": "words"}, "level='words': expected one of tokens, titles"),
        ({"layers": "best"}, "layers='best': expected one of all, top, average, mix"),
        ({"pooling": "sum"}, "pooling='sum'"),
        ({"layers": "top", "window": 0}, "window=0"),
        ({"layers": "top", "max_words": 0}, "max_words=0"),
        ({"layers": "mix"}, "mix: expected weights of 2 layers for these vectors, and got 3"),
    ):
        with pytest.raises(ElmoHelpersError, match=said):
            encoder.encode_iter(TOY_TITLES, **arguments)
    with pytest.raises(ElmoHelpersError, match="got one string; pass"):
        encoder.encode_iter("the old dog", "tokens")
    with pytest.raises(ElmoHelpersError, match="precision='half': expected one of fp32, bf16"):
        Encoder(toy_model, precision="half")
    with pytest.raises(ElmoHelpersError, match="batch_tokens=0"):
        Encoder(toy_model, batch_tokens=0)
    with pytest.raises(ElmoHelpersError, match="mix=3: expected a ScalarMix"):
        Selection(mix=3)
    for refuses in (Encoder, lambda model, mix: Selection(mix=mix)):
        with pytest.raises(ElmoHelpersError, match="layer_norm makes a vector depend on the other titles"):
            refuses(toy_model, ScalarMix(2, layer_norm=True))


def test_a_bad_title_is_refused_when_its_turn_comes(toy_model):
    encoded = Encoder(toy_model).encode_iter(iter([["a"], ["b"], "c d"]), window=1)
    assert next(encoded).tokens == ["a"]
    with pytest.raises(ElmoHelpersError, match="number 2 is 'c d': expected a string or a list of tokens"):
        list(encoded)


def test_raw_titles_are_cut_into_blocks_in_order(toy_model, monkeypatch):
    monkeypatch.setattr(encoder_module, "_BLOCK", 3)
    check(toy_model, Encoder(toy_model).encode_iter(iter(EDGES), layers="all"), EDGES, level="titles", layers="all")
    taken = []
    titles = (taken.append(title) or title for title in itertools.cycle(TOY_TITLES))
    next(Encoder(toy_model).encode_iter(titles, window=2))
    assert len(taken) <= 6
    with pytest.raises(ElmoHelpersError, match=r"titles: number 7 is 'x\\ud800', which holds half a character"):
        list(Encoder(toy_model).encode_iter(["a"] * 7 + ["x\ud800"]))
