"""A softmax for another vocabulary: what it keeps, by the probabilities that it gives."""

import numpy as np
import pytest
import torch

from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, WordVocabulary
from elmo_helpers.config import CharCNNConfig
from elmo_helpers.model import adaptive_softmax
from elmo_helpers.model.softmax_transfer import with_vocabulary

CNN = CharCNNConfig(max_characters=12, embedding_dim=4, filters=((1, 8), (2, 8)))
WORDS = [f"w{i}" for i in range(60)]


@pytest.fixture(autouse=True)
def small_classes(monkeypatch):
    monkeypatch.setattr(adaptive_softmax, "_CUTOFFS", (20, 40))


def vocabulary(words: list[str], counts: list[int] | None = None) -> WordVocabulary:
    return WordVocabulary(words, counts or [1000 // (i + 1) for i in range(len(words))], (0, 50, 50, 9))


def model_of(softmax: str, words: WordVocabulary) -> BiLM:
    """A model that has learned something, so that its bias is not the log of its frequencies alone."""
    torch.manual_seed(0)
    model = BiLM(BiLMConfig(CNN, hidden_dim=16, softmax=softmax, n_negatives=5), words).eval()
    model.softmax.start_from_counts(torch.from_numpy(words.counts.copy()))
    with torch.no_grad():
        for parameter in model.softmax.parameters():
            parameter += torch.randn_like(parameter) / 2
    return model


def log_p(model: BiLM, hidden: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.softmax.log_probabilities(hidden).double().numpy()


@pytest.fixture
def hidden() -> torch.Tensor:
    return torch.randn(7, 16, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("softmax", ["full", "sampled", "adaptive"])
def test_the_same_words_and_counts_give_the_same_probabilities(softmax, hidden):
    model = model_of(softmax, vocabulary(WORDS))
    other = with_vocabulary(model, vocabulary(WORDS))
    np.testing.assert_allclose(log_p(other, hidden)[:, 1:], log_p(model, hidden)[:, 1:], atol=2e-5)


@pytest.mark.parametrize("softmax", ["full", "sampled", "adaptive"])
def test_all_else_is_copied(softmax):
    model = model_of(softmax, vocabulary(WORDS))
    other = with_vocabulary(model, vocabulary(WORDS[:30]))
    for name, weight in model.state_dict().items():
        if not name.startswith("softmax."):
            assert torch.equal(other.state_dict()[name], weight)
            assert other.state_dict()[name].data_ptr() != weight.data_ptr()
    assert len(model.vocabulary) == 64
    assert not other.training


@pytest.mark.parametrize("softmax", ["full", "sampled"])
def test_words_that_are_left_share_what_the_others_had(softmax, hidden):
    """With a third of the words, and none rarer than it was, probabilities are the old ones brought to sum 1."""
    model = model_of(softmax, vocabulary(WORDS))
    few = WORDS[3:23]
    counts = dict(zip(model.vocabulary.words, model.vocabulary.counts.tolist(), strict=True))
    other = with_vocabulary(model, WordVocabulary(few, [counts[word] for word in few], (0, 50, 50, 9)))
    ids = np.array([1, 2, 3, *model.vocabulary.ids(few)])
    expected = log_p(model, hidden)[:, ids]
    expected -= np.logaddexp.reduce(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(log_p(other, hidden)[:, 1:], expected, atol=2e-5)


def test_a_word_becomes_likelier_as_it_becomes_more_frequent(hidden):
    model = model_of("full", vocabulary(WORDS, [100] * 60))
    counts = np.full(60, 100)
    counts[5] = 300
    other = with_vocabulary(model, vocabulary(WORDS, counts.tolist()))
    before, after = log_p(model, hidden), log_p(other, hidden)
    np.testing.assert_allclose((after[:, 9] - after[:, 10]) - (before[:, 9] - before[:, 10]), np.log(3), atol=1e-5)


@pytest.mark.parametrize("softmax", ["full", "sampled", "adaptive"])
def test_new_words_begin_with_their_frequency(softmax):
    words = vocabulary(WORDS)
    model = BiLM(BiLMConfig(CNN, hidden_dim=16, softmax=softmax, n_negatives=5), words).eval()
    new = vocabulary([f"new{i}" for i in range(60)])
    other = with_vocabulary(model, new)
    p = np.exp(log_p(other, torch.zeros(1, 16))[0, 4:])
    if softmax == "adaptive":  # by class, whose own bias the old model has
        p, expected = p[:16], new.counts[4:20]
    else:
        expected = new.counts[4:]
    np.testing.assert_allclose(p / p.sum(), expected / expected.sum(), rtol=1e-4)


def test_a_word_that_comes_to_another_class_keeps_most_of_what_it_says(hidden):
    """In the order reversed, rare words are in the head, with all of their numbers, and frequent ones in a class."""
    model = model_of("adaptive", vocabulary(WORDS))
    other = with_vocabulary(model, vocabulary(WORDS[::-1]))
    many = torch.randn(500, 16, generator=torch.Generator().manual_seed(1))

    def scores(some: BiLM, words: list[str]) -> np.ndarray:
        found = log_p(some, many)[:, some.vocabulary.ids(words)]
        return found - found.mean(1, keepdims=True)

    into_head, into_class = WORDS[-16:], WORDS[:16]
    same = np.corrcoef(scores(other, into_head).ravel(), scores(model, into_head).ravel())[0, 1]
    assert same > 0.9
    moved = np.corrcoef(scores(other, into_class).ravel(), scores(model, into_class).ravel())[0, 1]
    fresh = with_vocabulary(model, vocabulary([f"new{i}" for i in range(60)]))
    scrambled = log_p(fresh, many)[:, 4:20]
    assert (
        moved
        > 0.3
        > abs(
            np.corrcoef((scrambled - scrambled.mean(1, keepdims=True)).ravel(), scores(model, into_class).ravel())[0, 1]
        )
    )


@pytest.mark.parametrize("n", [1, 10, 30, 60, 100])
def test_vocabularies_of_any_size(n, hidden):
    words = [*WORDS[10:], *(f"new{i}" for i in range(100))][:n]
    for softmax in ("full", "adaptive"):
        p = log_p(with_vocabulary(model_of(softmax, vocabulary(WORDS)), vocabulary(words)), hidden)
        np.testing.assert_allclose(np.exp(p).sum(1), 1, atol=1e-5)


def test_counts_that_are_not_known_leave_the_bias(hidden):
    """A published model's vocabulary has no counts."""
    model = model_of("full", WordVocabulary(WORDS))
    other = with_vocabulary(model, vocabulary(WORDS))
    np.testing.assert_allclose(log_p(other, hidden)[:, 1:], log_p(model, hidden)[:, 1:], atol=2e-5)


def test_words_out_of_order_are_refused_where_their_order_counts():
    model = model_of("adaptive", vocabulary(WORDS))
    with pytest.raises(ElmoHelpersError, match="falling count"):
        with_vocabulary(model, vocabulary(WORDS, list(range(1, 61))))


def test_a_model_without_a_softmax():
    model = BiLM(BiLMConfig(CNN, hidden_dim=16, softmax="none"), vocabulary(WORDS))
    assert with_vocabulary(model, vocabulary(["a"])).softmax is None
