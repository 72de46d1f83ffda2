"""The explorer of a title's two directions, without a browser: its numbers, and what it says to what is typed."""

import math
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, Scorer, TextConfig
from elmo_helpers.display.widgets import direction_explorer
from elmo_helpers.display.widgets.direction_explorer import DirectionExplorer

TITLE = "The old man fed the bird"


def model_of(scheme: str = "tutorial", **settings) -> BiLM:
    corpus = corpus_of(TOY_TITLES, scheme=scheme)
    config = BiLMConfig.preset("tiny")
    torch.manual_seed(0)
    cnn = replace(config.char_cnn, scheme=scheme, max_characters=12)
    return BiLM(replace(config, char_cnn=cnn, **settings), corpus.vocabulary, corpus.text).eval()


@pytest.fixture(params=["full", "adaptive"])
def model(request) -> BiLM:
    return model_of(softmax=request.param)


def state(explorer: DirectionExplorer) -> tuple:
    return (
        explorer.strip.value,
        explorer.likely.value,
        explorer.detail.value,
        explorer.words.options,
        explorer.words.value,
    )


def chosen_probabilities(explorer: DirectionExplorer) -> list[float]:
    return [float(p) for p in re.findall(r"p = ([\d.e+-]+)<", explorer.detail.value)]


def test_the_strip_shows_the_scores(model, monkeypatch):
    drawn = []
    plot = direction_explorer.plot_surprise
    monkeypatch.setattr(
        direction_explorer, "plot_surprise", lambda scores, **of: drawn.append(plot(scores, **of)) or drawn[-1]
    )
    DirectionExplorer(model, TITLE)
    (scores,) = Scorer(model).score([TITLE])
    numbers = np.ma.filled(drawn[0].images[0].get_array(), np.nan)
    np.testing.assert_allclose(numbers[0, 1:-1] * -math.log(2), scores.forward, rtol=1e-5)
    np.testing.assert_allclose(numbers[1, 1:-1] * -math.log(2), scores.backward, rtol=1e-5)
    assert numbers[0, -1] * -math.log(2) == pytest.approx(scores.forward_end, rel=1e-5)
    assert numbers[1, 0] * -math.log(2) == pytest.approx(scores.backward_end, rel=1e-5)
    assert drawn[0].images[0].get_clim()[1] == pytest.approx(math.log2(len(model.vocabulary) - 1))


@pytest.mark.usefixtures("undrawn")
def test_each_word_has_a_button_of_its_own(model):
    explorer = DirectionExplorer(model, TITLE)
    labels = [label for label, _ in explorer.words.options]
    assert len(set(labels)) == 6, "“the” stands there twice"
    assert [label.split()[1] for label in labels] == TITLE.lower().split()
    assert explorer.words.layout.display is None


@pytest.mark.usefixtures("undrawn")
def test_the_chosen_word_shows_both_of_its_probabilities(model):
    explorer = DirectionExplorer(model, TITLE)
    (scores,) = Scorer(model).score([TITLE])
    for i in (0, 2, 5):
        explorer.words.value = i
        expected = [math.exp(scores.forward[i]), math.exp(scores.backward[i])]
        assert chosen_probabilities(explorer) == pytest.approx(expected, rel=0.05)
        assert f"word {i + 1} of 6" in explorer.detail.value


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("i", [0, 2, 5])
def test_likely_words_are_sorted_and_share_less_than_all(model, i):
    explorer = DirectionExplorer(model, TITLE, n_words=5)
    explorer.words.value = i
    words = TITLE.lower().split()
    words[i] = "___"
    for direction in ("forward", "backward", "both"):
        fills = explorer.likely_words(direction)
        p = np.exp([fill.log_probability for fill in fills])
        assert len(fills) == 5
        assert p.sum() < 1
        assert (np.diff(p) <= 0).all()
        assert (p > 0).all()
        assert fills == Scorer(model).fill(" ".join(words), 5, direction=direction)
        assert all(fill.word in explorer.likely.tooltip for fill in fills)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("word", ["bird", "cat"])
def test_likely_words_do_not_depend_on_the_word_that_stands_there(model, word):
    explorer = DirectionExplorer(model, f"the old man fed the {word}")
    explorer.words.value = 5
    expected = Scorer(model).fill("the old man fed the ___", explorer.n_words.value)
    assert explorer.likely_words("both") == expected


@pytest.mark.usefixtures("undrawn")
def test_what_a_word_scores_is_what_it_is_given_among_the_likely_ones(model):
    explorer = DirectionExplorer(model, TITLE, n_words=20)
    (scores,) = Scorer(model).score([TITLE])
    found = 0
    for i, word in [(0, "the"), (3, "fed"), (5, "bird")]:
        explorer.words.value = i
        for direction in ("forward", "backward"):
            p = {fill.word: fill.log_probability for fill in explorer.likely_words(direction)}
            if word in p:
                found += 1
                assert p[word] == pytest.approx(float(getattr(scores, direction)[i]), abs=1e-5)
    assert found


def test_the_pictures_follow_the_controls(model):
    explorer = DirectionExplorer(model, TITLE)
    first = state(explorer)
    explorer.words.value = 2
    second = state(explorer)
    assert all(a != b for a, b in zip(first[:3], second[:3], strict=True))
    explorer.n_words.value = 2
    third = state(explorer)
    assert third[0] == second[0]
    assert third[1] != second[1]
    explorer.title.value = "The old cat ran"
    assert explorer.words.value == 2, "the place stays chosen"
    explorer.title.value = "home"
    assert explorer.words.value == 0
    assert len(explorer.words.options) == 1
    assert "home" in explorer.detail.value
    assert plt.get_fignums() == []


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("typed", [" ", "\t", "word " * 400, "x" * 100_000, "the 🙂", "naïve", "日本", "\ud83d", ""])
def test_what_cannot_be_read_is_said_and_the_last_title_stays(typed):
    explorer = DirectionExplorer(model_of(), TITLE)
    before = state(explorer)
    explorer.title.value = typed
    assert explorer.message.text
    assert "\n" not in explorer.message.text
    assert state(explorer) == before
    explorer.words.value = 3  # the last title can still be looked at
    assert "word 4 of 6" in explorer.detail.value
    explorer.title.value = "the dog ran home"
    assert explorer.message.text == ""
    assert len(explorer.words.options) == 4


@pytest.mark.parametrize("typed", ["the 🙂", "日本", "$\\q$ $5$", "___ ___", "<b>", "x" * 300, "<unk>"])
def test_with_bytes_every_title_can_be_read(typed):
    explorer = DirectionExplorer(model_of("utf8"))
    explorer.title.value = typed
    assert explorer.message.text == ""
    assert len(explorer.words.options) == len(typed.split())
    assert "<b>" not in explorer.detail.value.replace("<b>p =", "")


@pytest.mark.usefixtures("undrawn")
def test_an_unknown_word_is_said_to_be_one(model):
    explorer = DirectionExplorer(model, "the unheard cat")
    assert "vocabulary" not in explorer.detail.value
    explorer.words.value = 1
    assert "vocabulary" in explorer.detail.value
    p = chosen_probabilities(explorer)
    explorer.title.value = "the unthought cat"
    assert chosen_probabilities(explorer)[0] == p[0], "forward has not read it, and knows no unknown words apart"


def test_a_title_is_cut_as_the_training_text_was():
    model = model_of("utf8")
    model.text = TextConfig("en", lowercase=False)
    explorer = DirectionExplorer(model, " Don’t ")
    assert [label for label, _ in explorer.words.options] == ["1 Do", "2 n't"]


def test_nothing_is_shown_or_said_before_a_title_is_typed(model):
    explorer = DirectionExplorer(Scorer(model))
    explorer.n_words.value = 1
    assert explorer.strip.layout.display == explorer.likely.layout.display == explorer.words.layout.display == "none"
    assert explorer.message.text == explorer.detail.value == ""


def test_every_control_has_a_description(model):
    explorer = DirectionExplorer(model)
    assert all(control.description for control in (explorer.title, explorer.words, explorer.n_words))


@pytest.mark.usefixtures("undrawn")
def test_a_saved_model_is_loaded_and_one_without_a_softmax_refused(tmp_path, model):
    model.save(tmp_path / "model")
    assert state(DirectionExplorer(tmp_path / "model", TITLE))[2:] == state(DirectionExplorer(model, TITLE))[2:]
    with pytest.raises(ElmoHelpersError, match="softmax"):
        DirectionExplorer(model_of(softmax="none"))
    with pytest.raises(ElmoHelpersError, match="n_words"):
        DirectionExplorer(model, n_words=0)
