"""Scores of words and fills of gaps, against probabilities computed one context at a time."""

import math

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, evaluate
from elmo_helpers.analysis.scoring import Scorer
from elmo_helpers.training.batching import Batch


def log_p(model: BiLM, words: list[str], direction: int, position: int) -> torch.Tensor:
    """log p of every word at a position of `<S> words </S>`, from a sentence of its own that is cut there."""
    if direction == 0:
        kept, read = words[: position - 1], position - 1
    else:
        kept, read = words[position:], 1
    batch = Batch.of_words([kept], model.character_vocabulary, model.vocabulary, errors="skip")
    with torch.no_grad():
        top = model(batch.characters, batch.tokens, batch.lengths).layers[-1][0]
    half = model.config.output_dim
    # The forward output at the last kept word has read nothing of what was cut; backward likewise at the first one.
    hidden = top[read, :half] if direction == 0 else top[read, half:]
    return model.softmax.log_probabilities(hidden).detach()


@pytest.fixture(params=["full", "adaptive", "sampled"])
def model(request) -> BiLM:
    torch.manual_seed(1)
    config = BiLMConfig.preset("tiny")
    corpus = corpus_of(TOY_TITLES)
    return BiLM(
        BiLMConfig(**{**config.__dict__, "softmax": request.param, "n_negatives": 5}), corpus.vocabulary, corpus.text
    ).eval()


def test_each_word_scores_as_computed_from_its_context_alone(model):
    titles = ["the cat sat", "", "home", "an unheard dog ran home on the mat"]
    scores = Scorer(model, batch_size=3).score(titles)
    for title, score in zip(titles, scores, strict=True):
        words = title.split()
        ids = model.vocabulary.ids(words)
        assert score.tokens == words
        np.testing.assert_array_equal(score.unknown, ids == 3)
        for i, word_id in enumerate(ids):
            assert score.forward[i] == pytest.approx(float(log_p(model, words, 0, i + 1)[word_id]), abs=1e-5)
            assert score.backward[i] == pytest.approx(float(log_p(model, words, 1, i + 1)[word_id]), abs=1e-5)
        assert score.forward_end == pytest.approx(float(log_p(model, words, 0, len(words) + 1)[2]), abs=1e-5)
        assert score.backward_end == pytest.approx(float(log_p(model, words, 1, 0)[1]), abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_titles_that_begin_or_end_alike_score_as_alone(model, batch_size):
    words = ["the", "cat", "sat", "on", "the", "mat"]
    titles = [[*words[:k], ",", *words[k:]] for k in range(1, len(words) + 1)]
    titles += [words, words[:2], words[4:], [*words, "</S>"], ["<S>", *words], ["</S>"], [], words, ["the"] * 6]
    scores = Scorer(model, batch_size).score(titles)
    for title, score in zip(titles, scores, strict=True):
        ids = [1, *model.vocabulary.ids(title), 2]
        forward = [float(log_p(model, title, 0, i)[ids[i]]) for i in range(1, len(ids))]
        backward = [float(log_p(model, title, 1, i)[ids[i]]) for i in range(len(ids) - 1)]
        np.testing.assert_allclose([*score.forward, score.forward_end], forward, atol=1e-5)
        np.testing.assert_allclose([score.backward_end, *score.backward], backward, atol=1e-5)


def test_log_probability_of_a_title_is_the_mean_of_both_directions(model):
    words = ["the", "cat", "sat", "on", "the", "mat"]
    ids = [1, *model.vocabulary.ids(words), 2]  # <S> words </S>
    forward = sum(float(log_p(model, words, 0, i)[ids[i]]) for i in range(1, len(ids)))
    backward = sum(float(log_p(model, words, 1, i)[ids[i]]) for i in range(len(ids) - 1))
    score = Scorer(model).score([words])[0]
    assert score.log_probability == pytest.approx((forward + backward) / 2, abs=1e-4)


def test_perplexity_is_that_of_evaluate(toy_corpus, toy_model):
    found, expected = Scorer(toy_model).perplexity(TOY_TITLES), evaluate(toy_model, toy_corpus)
    assert found.n_predictions == expected.n_predictions
    assert found.oov_rate == expected.oov_rate
    assert found.forward == pytest.approx(expected.forward, rel=1e-5)
    assert found.backward == pytest.approx(expected.backward, rel=1e-5)


@pytest.mark.parametrize(("before", "after"), [("the cat", "on the mat"), ("", "sat"), ("the", ""), ("", "")])
def test_fills_are_what_each_word_would_score_in_the_gap(model, before, after):
    left, right = before.split(), after.split()
    scorer = Scorer(model)
    words = model.vocabulary.words[4:]
    scored = scorer.score([[*left, word, *right] for word in words])
    forward = np.array([s.forward[len(left)] for s in scored])
    backward = np.array([s.backward[len(left)] for s in scored])
    both = forward + backward
    both = both - math.log(np.exp(both).sum())
    for direction, expected in (("forward", forward), ("backward", backward), ("both", both)):
        found = scorer.fill(f"{before} ___ {after}", n=1000, direction=direction)
        assert sorted(f.word for f in found) == sorted(words)
        for fill in found:
            assert fill.log_probability == pytest.approx(expected[words.index(fill.word)], abs=1e-5)
        assert [f.log_probability for f in found] == sorted((f.log_probability for f in found), reverse=True)
        assert scorer.fill([*left, "?", *right], n=3, direction=direction, gap="?") == found[:3]


def test_what_cannot_be_scored(toy_model, toy_corpus):
    scorer = Scorer(toy_model)
    for title, times in (("the cat", 0), ("___ sat ___", 2)):
        with pytest.raises(ElmoHelpersError, match=f"'___' once in it, and found it {times} times"):
            scorer.fill(title)
    with pytest.raises(ElmoHelpersError, match="direction='up'"):
        scorer.fill("a ___", direction="up")
    with pytest.raises(ElmoHelpersError, match="n=0"):
        scorer.fill("a ___", n=0)
    with pytest.raises(ElmoHelpersError, match="titles: there is none"):
        scorer.perplexity([])
    config = BiLMConfig(**{**toy_model.config.__dict__, "softmax": "none"})
    with pytest.raises(ElmoHelpersError, match="no softmax"):
        Scorer(BiLM(config, toy_corpus.vocabulary))


def test_scores_are_equal_to_themselves_alone(toy_model):
    one, two = Scorer(toy_model).score(["the cat sat", "the cat sat"])
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_more_underscores_are_the_same_gap(toy_model):
    scorer = Scorer(toy_model)
    wanted = scorer.fill("the ___ sat")
    for line in ("____", "______", "_" * 20):
        assert scorer.fill(f"the {line} sat") == wanted
        assert scorer.fill(["the", line, "sat"]) == wanted
        with pytest.raises(ElmoHelpersError, match="found it 2 times"):
            scorer.fill(f"the {line} sat {line}")
    for title in ("the __ sat", ["the", "__", "sat"], ["the", "a____", "sat"]):
        with pytest.raises(ElmoHelpersError, match="found it 0 times"):
            scorer.fill(title)
    assert scorer.fill("the .* sat", gap=".*") == wanted  # another gap is taken by its letters
