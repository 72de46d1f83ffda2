"""The explorer of one word's spelling, without a browser: its numbers, and what it says to what is typed."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from elmo_helpers import BiLM, BiLMConfig, CharacterCNN, CharCNNConfig, TextConfig, WordVocabulary
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.display.widgets.character_explorer import CharacterExplorer
from elmo_helpers.errors import ElmoHelpersError

WORDS = ["nation", "nations", "motion", "cat", "cats", "1898", "the", "then"]
WRONG = ["", "   ", "two words", "naïve", "🙂", "\ud83d", "\t"]


def cnn_of(scheme: str = "tutorial", **settings) -> CharacterCNN:
    torch.manual_seed(0)
    config = CharCNNConfig(
        scheme=scheme, max_characters=10, **{"embedding_dim": 4, "filters": ((1, 3), (3, 8))} | settings
    )
    return CharacterCNN(config)


@pytest.fixture(params=["tutorial", "utf8"])
def cnn(request) -> CharacterCNN:
    return cnn_of(request.param)


def pictures(explorer: CharacterExplorer) -> list[bytes]:
    return [p.value for p in (explorer.spelling, explorer.responses_picture, explorer.neighbours_picture)]


def is_hidden(explorer: CharacterExplorer) -> list[bool]:
    shown = (explorer.spelling, explorer.responses_picture, explorer.neighbours_picture)
    return [p.layout.display == "none" for p in shown]


def spelled(cnn: CharacterCNN, word: str) -> list[int]:
    """A row of ids by its definition."""
    alphabet = " abcdefghijklmnopqrstuvwxyz0123456789"
    if cnn.config.scheme == "tutorial":
        return [alphabet.index(c) + 1 for c in word][:10]
    return [259, *[b + 1 for b in word.encode()[:8]], 260]


@pytest.mark.parametrize("word", ["nations", "natoin", "a", "extraordinarily"])
def test_ids_are_the_row_without_padding(cnn, word):
    assert CharacterExplorer(cnn, WORDS).ids(word).tolist() == spelled(cnn, word)


@pytest.mark.parametrize("word", ["nations", "natoin", "zzz"])
@pytest.mark.parametrize("n", [1, 3, 100])
def test_neighbours_are_those_that_numpy_finds(cnn, word, n):
    padding = cnn.padding_id
    rows = [spelled(cnn, w) + [padding] * (10 - len(spelled(cnn, w))) for w in [*WORDS, word]]
    with torch.no_grad():
        vectors = np.stack([cnn(torch.tensor([row]))[0].double().numpy() for row in rows])
    mean = vectors[:-1].mean(0)
    to = vectors[-1] - mean
    cosines = {
        w: (v - mean) @ to / np.linalg.norm(v - mean) / np.linalg.norm(to)
        for w, v in zip(WORDS, vectors, strict=False)
        if w != word
    }
    found = CharacterExplorer(cnn, WORDS).nearest(word, n)
    assert [w for w, _ in found] == sorted(cosines, key=cosines.get, reverse=True)[:n]
    np.testing.assert_allclose([c for _, c in found], [cosines[w] for w, _ in found], atol=1e-5)


@pytest.mark.parametrize("bank", [0, 1])
@pytest.mark.parametrize("word", ["nations", "a", "extraordinarily"])
def test_responses_are_those_of_a_batch_of_one(cnn, word, bank):
    responses, windows = CharacterExplorer(cnn, WORDS).responses(word, bank)
    row = spelled(cnn, word)
    padded = torch.tensor([row + [cnn.padding_id] * (10 - len(row))])
    with torch.no_grad():
        expected = cnn.filter_responses(cnn.embed(padded), bank)[0].numpy()
    n = len(windows)
    assert n == min(len(row) + 1, expected.shape[1])
    np.testing.assert_allclose(responses, expected[:, :n], atol=1e-6)
    # What is left out is padding alone, whose response is shown already.
    np.testing.assert_allclose(expected.max(1), responses.max(1), atol=1e-6)
    width = cnn.config.filters[bank][0]
    if cnn.config.scheme == "tutorial":
        written = (word[:10] + "·" * width)[: 10 + width]
        assert windows == [written.ljust(n + width, "·")[p : p + width] for p in range(n)]


def test_the_pictures_follow_the_controls():
    explorer = CharacterExplorer(cnn_of(), WORDS, word="Nation")
    assert explorer.word.value == "Nation"
    assert "nation" in explorer.spelling.tooltip, "lower-cased, as the training text was"
    assert is_hidden(explorer) == [False] * 3
    first = pictures(explorer)
    for png in first:
        assert plt.imread(io.BytesIO(png)).ndim == 3

    explorer.width.value = 0
    second = pictures(explorer)
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, True]
    assert "3 filters" in explorer.responses_picture.tooltip

    explorer.n_neighbours.value = 2
    third = pictures(explorer)
    assert [a == b for a, b in zip(second, third, strict=True)] == [True, True, False]
    assert all(w in explorer.neighbours_picture.tooltip for w, _ in explorer.nearest("nation", 2))

    explorer.word.value = "natoin"
    assert all(a != b for a, b in zip(third, pictures(explorer), strict=True))
    assert "is not one of" in explorer.note.value
    assert plt.get_fignums() == []


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("typed", WRONG)
def test_what_cannot_be_read_is_said_and_the_last_word_stays(typed):
    explorer = CharacterExplorer(cnn_of(), WORDS, word="nation")
    before, noted = pictures(explorer), explorer.note.value
    if typed:
        explorer.word.value = typed
    else:
        explorer.word.value = " "
        explorer.word.value = typed
    assert explorer.message.text
    assert "\n" not in explorer.message.text
    assert (pictures(explorer), explorer.note.value) == (before, noted)
    explorer.word.value = "cat"
    assert explorer.message.text == ""
    assert pictures(explorer) != before


@pytest.mark.parametrize("typed", ["naïve", "🙂", "日本", "don't", "$\\q$", "a" * 400])
def test_with_bytes_every_word_can_be_read(typed):
    explorer = CharacterExplorer(cnn_of("utf8"), WORDS)
    explorer.word.value = typed
    assert explorer.message.text == ""
    assert is_hidden(explorer) == [False] * 3


def test_a_word_is_normalised_as_the_training_text_was():
    as_is = CharacterExplorer(cnn_of("utf8"), WORDS, text=TextConfig("whitespace", lowercase=False), word=" Don’t ")
    assert "Don't" in as_is.spelling.tooltip
    assert "tokens" not in as_is.note.value
    lower = CharacterExplorer(cnn_of("utf8"), WORDS, text=TextConfig("en"), word="Don’t")
    assert "don't" in lower.spelling.tooltip
    assert "2 tokens" in lower.note.value


def test_a_long_word_is_read_as_far_as_the_model_reads():
    explorer = CharacterExplorer(cnn_of(), WORDS, word="extraordinarily")
    assert "first 10 characters" in explorer.note.value
    assert "first 10 characters" not in CharacterExplorer(cnn_of(), WORDS, word="extraordin").note.value


def test_nothing_is_shown_or_said_before_a_word_is_typed():
    explorer = CharacterExplorer(cnn_of(), WORDS)
    explorer.width.value = 0
    explorer.n_neighbours.value = 1
    assert is_hidden(explorer) == [True] * 3
    assert explorer.message.text == explorer.note.value == ""


def test_every_control_has_a_description():
    explorer = CharacterExplorer(cnn_of(), WORDS)
    assert all(control.description for control in (explorer.word, explorer.width, explorer.n_neighbours))


def test_one_word_has_no_neighbour_but_other_words_have_it():
    explorer = CharacterExplorer(cnn_of(), ["cat", "cat"], word="cat")
    assert explorer.nearest("cat", 5) == []
    assert [w for w, _ in explorer.nearest("dog", 5)] == ["cat"]
    assert explorer.message.text == ""


def test_a_model_is_explored_by_its_own_cnn_and_text(toy_corpus, toy_model):
    toy_model.text = TextConfig("whitespace", lowercase=False)
    explorer = CharacterExplorer(toy_model, toy_corpus.lexicon[3:])
    alone = CharacterExplorer(toy_model.char_cnn, toy_corpus.lexicon[3:], text=toy_model.text)
    assert explorer.nearest("birds", 3) == alone.nearest("birds", 3)
    explorer.word.value = "Bird"
    assert "'B'" in explorer.message.text, "upper case is not lowered, and outside of the table"
    assert toy_model.char_cnn.convolutions[0].weight.grad is None


def test_what_has_no_characters_or_no_words_is_refused():
    vocabulary = WordVocabulary(["cat", "dog"])
    config = BiLMConfig(char_cnn=WordEmbeddingConfig(len(vocabulary), 8), hidden_dim=8, n_layers=1)
    with pytest.raises(ElmoHelpersError, match="character CNN"):
        CharacterExplorer(BiLM(config, vocabulary), WORDS)
    for words in ([], "cat", [1]):
        with pytest.raises(ElmoHelpersError, match="words"):
            CharacterExplorer(cnn_of(), words)
    with pytest.raises(ElmoHelpersError, match="n_neighbours"):
        CharacterExplorer(cnn_of(), WORDS, n_neighbours=0)
