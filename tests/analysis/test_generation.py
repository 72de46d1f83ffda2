"""Titles that a model draws, against probabilities computed one context at a time."""

import numpy as np
import pytest
import torch
from scipy import stats

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, Generator, Scorer
from elmo_helpers.text.vocabulary import SPECIALS

N = 4000  # drawn titles


@pytest.fixture(params=["full", "adaptive", "sampled"])
def model(request) -> BiLM:
    """Fresh weights, made large, so that words and contexts differ."""
    torch.manual_seed(1)
    corpus = corpus_of(TOY_TITLES)
    config = BiLMConfig(BiLMConfig.preset("tiny").char_cnn, hidden_dim=8, softmax=request.param, n_negatives=5)
    model = BiLM(config, corpus.vocabulary, corpus.text).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3
    return model


def next_word(model: BiLM, words: list[str], backward: bool) -> np.ndarray:
    """p of every word that may follow `words` in reading order, by the scores of titles that go on in every way."""
    vocabulary = model.vocabulary.words[len(SPECIALS) :]
    titles = [[word, *words] if backward else [*words, word] for word in vocabulary]
    scores = Scorer(model).score([*titles, words])
    direction = "backward" if backward else "forward"
    p = [getattr(score, direction)[0 if backward else -1] for score in scores[:-1]]
    return np.exp([*p, getattr(scores[-1], f"{direction}_end")])  # the last one: the title ends


def expected_counts(p: np.ndarray, n: int) -> np.ndarray:
    return p / p.sum() * n


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (2.0, 4), (1.0, 1)])
def test_words_come_as_often_as_they_are_likely(model, backward, temperature, top_k):
    given = ["the", "old"]
    drawn = Generator(model).generate(
        N, **{"end" if backward else "beginning": given}, temperature=temperature, top_k=top_k, max_words=3, seed=5
    )
    assert all((title[-2:] if backward else title[:2]) == given for title in drawn)
    words = model.vocabulary.words[len(SPECIALS) :]
    found = np.zeros(len(words) + 1)
    for title in drawn:
        found[words.index(title[0 if backward else 2]) if len(title) == 3 else -1] += 1
    p = next_word(model, given, backward) ** (1 / temperature)
    if top_k is not None:
        p[p < np.sort(p)[-top_k]] = 0
        assert found[p == 0].sum() == 0
    expected = expected_counts(p, N)
    often = expected >= 5
    together = [np.append(x[often], x[~often].sum()) for x in (found, expected)]
    keep = together[1] > 0
    if keep.sum() > 1:
        assert stats.chisquare(together[0][keep], together[1][keep]).pvalue > 1e-3


def test_each_next_word_is_drawn_in_the_light_of_all_before(model):
    """The likeliest word, again and again, is that of a title scored from its beginning."""
    for backward in (False, True):
        (title,) = Generator(model).generate(1, **{"end" if backward else "beginning": "home"}, top_k=1, max_words=8)
        words = model.vocabulary.words[len(SPECIALS) :]
        for k in range(1, len(title)):
            p = next_word(model, title[-k:] if backward else title[:k], backward)
            assert words[p[:-1].argmax()] == (title[-k - 1] if backward else title[k])
        if len(title) < 8:
            assert next_word(model, title, backward).argmax() == len(words)


def test_backward_from_nothing_begins_with_the_last_word(model):
    drawn = Generator(model).generate(N, direction="backward", max_words=1, seed=2)
    words = model.vocabulary.words[len(SPECIALS) :]
    found = np.array([sum(title == [word] for title in drawn) for word in words] + [drawn.count([])])
    expected = expected_counts(next_word(model, [], backward=True), N)
    often = expected >= 5
    assert stats.chisquare(found[often], expected[often] / expected[often].sum() * found[often].sum()).pvalue > 1e-3


def test_a_gap_is_filled_by_both_directions(model):
    """With one word between, a round draws it from both directions at once."""
    drawn = Generator(model).fill_between("the old", "home", 1, N, rounds=1, seed=3)
    words = model.vocabulary.words[len(SPECIALS) :]
    scores = Scorer(model).score([["the", "old", word, "home"] for word in words])
    p = np.exp([score.forward[2] + score.backward[2] for score in scores]) / model.vocabulary.counts[len(SPECIALS) :]
    assert all(title[:2] == ["the", "old"] and title[3:] == ["home"] for title in drawn)
    found = np.array([sum(title[2] == word for title in drawn) for word in words])
    expected = expected_counts(p, N)
    often = expected >= 5
    together = [np.append(x[often], x[~often].sum()) for x in (found, expected)]
    keep = together[1] > 0
    assert keep.sum() > 1
    assert stats.chisquare(together[0][keep], together[1][keep]).pvalue > 1e-3


def test_several_words_in_a_gap_and_empty_ends(model):
    for title in Generator(model).fill_between("", "", 4, 3, rounds=2):
        assert len(title) == 4
        assert not {*title} & {*SPECIALS}
    assert Generator(model).fill_between("the", "dog", 2, 0) == []
    assert Generator(model).fill_between("the", "dog", 2, 5, seed=1) == Generator(model).fill_between(
        "the", "dog", 2, 5, seed=1
    )


def test_a_title_does_not_depend_on_what_was_drawn_beside_it_but_for_the_seed(toy_model):
    generator = Generator(toy_model)
    assert generator.generate(5, seed=7) == generator.generate(5, seed=7)
    assert generator.generate(5, seed=7) != generator.generate(5, seed=8)
    assert generator.generate(1, top_k=1) * 3 == generator.generate(3, top_k=1)
    assert generator.generate(5, direction="backward") != generator.generate(5)
    before = torch.random.get_rng_state()
    generator.generate(2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_many_titles_are_computed_in_blocks(toy_model, monkeypatch):
    """Each title needs a number for every word of the vocabulary: memory does not grow with their number."""
    generator, sizes = Generator(toy_model), []
    compute = type(toy_model.predictor).log_probabilities

    def watched(self, top):
        sizes.append(len(top))
        return compute(self, top)

    monkeypatch.setattr(type(toy_model.predictor), "log_probabilities", watched)
    for draw in (
        lambda n: generator.generate(n, max_words=4, seed=3),
        lambda n: generator.generate(n, end="home", max_words=4, seed=3),
        lambda n: generator.fill_between("the", "home", 2, n, rounds=1, seed=3),
    ):
        sizes.clear()
        many = draw(300)
        assert len(many) == 300
        assert max(sizes) == 256
        assert many[:256] == draw(256)
        assert many[256:] != many[:44]  # the same generator goes on


def test_the_smallest_temperature_is_the_likeliest_word(model):
    for settings in ({}, {"direction": "backward"}):
        found = Generator(model).generate(3, temperature=5e-324, max_words=5, **settings)
        assert found == Generator(model).generate(3, top_k=1, max_words=5, **settings)
    filled = Generator(model).fill_between("the", "home", 2, 3, temperature=5e-324)
    assert filled == Generator(model).fill_between("the", "home", 2, 3, top_k=1)


def test_lengths(toy_model):
    generator = Generator(toy_model)
    assert generator.generate(0) == []
    assert all(len(title) <= 3 for title in generator.generate(50, max_words=3))
    long = ["the", "old", "dog", "ran", "home"]
    assert generator.generate(2, beginning=long, max_words=3) == [long, long]
    (unheard,) = generator.generate(1, beginning=["never", "heard"])
    assert unheard[:2] == ["never", "heard"]


def test_boundaries_are_drawn_only_where_a_title_ends(model):
    for title in Generator(model).generate(200, max_words=6) + Generator(model).generate(200, end="home", max_words=6):
        assert not {*title} & {*SPECIALS}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": -1}, "n=-1"),
        ({"temperature": 0}, "temperature=0"),
        ({"top_k": 0}, "top_k=0"),
        ({"max_words": 0}, "max_words=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**64}, "seed=18446744073709551616"),
        ({"beginning": "the", "end": "dog"}, "fill_between draws what is between both"),
        ({"beginning": "the", "direction": "backward"}, "direction='backward': forward goes on from a beginning"),
        ({"end": "dog", "direction": "forward"}, "direction='forward'"),
        ({"direction": "both"}, "direction='both'"),
    ],
)
def test_wrong_settings(toy_model, settings, message):
    with pytest.raises(ElmoHelpersError, match=message):
        Generator(toy_model).generate(**{"n": 1, **settings})


def test_a_model_without_a_softmax():
    corpus = corpus_of(TOY_TITLES)
    config = BiLMConfig(BiLMConfig.preset("tiny").char_cnn, hidden_dim=8, softmax="none")
    with pytest.raises(ElmoHelpersError, match="no softmax"):
        Generator(BiLM(config, corpus.vocabulary))
