"""The adaptive softmax against probabilities put together by hand."""

import pytest
import torch

from elmo_helpers.model import adaptive_softmax
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax


@pytest.fixture
def softmax(monkeypatch) -> AdaptiveSoftmax:
    monkeypatch.setattr(adaptive_softmax, "_CUTOFFS", (5, 12, 500))
    torch.manual_seed(0)
    return AdaptiveSoftmax(31, 8)


def test_log_probabilities_by_hand(softmax):
    """p(w) of the head; p(class) · p(w | class) beyond it; ids are one higher, since padding is no word."""
    h = torch.randn(8)
    head = (softmax.words.head.weight @ h + softmax.words.head.bias).softmax(0)
    expected = [0.0, *head[:5].tolist()]
    for i, tail in enumerate(softmax.words.tail):
        inside = (tail[1].weight @ (tail[0].weight @ h) + tail[1].bias).softmax(0)
        expected += (head[5 + i] * inside).tolist()
    torch.testing.assert_close(softmax.log_probabilities(h).exp(), torch.tensor(expected))
    assert len(expected) == 31


def test_loss_is_the_exact_likelihood(softmax):
    hidden, targets = torch.randn(3, 9, 8), torch.randint(1, 31, (3, 9))
    log_p = softmax.log_probabilities(hidden)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(3, 9))
    expected = -log_p.gather(-1, targets[..., None]).sum()
    torch.testing.assert_close(softmax(hidden.flatten(0, 1), targets.flatten()).total, expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(softmax(hidden.flatten(0, 1), targets.flatten()).total, expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize("words", [range(1, 31), range(1, 6), range(20, 31)], ids=["all", "frequent", "rare"])
def test_loss_and_gradients_are_those_of_torchs_module(softmax, words):
    """Also where no target is in some of the classes: then those have no gradient but zero."""
    softmax = softmax.double()
    for tail in softmax.words.tail:
        torch.nn.init.normal_(tail[1].bias)
    hidden = torch.randn(40, 8, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor(words)[torch.randint(0, len(words), (40,))]
    leaves = [hidden, *softmax.parameters()]
    ours, theirs = softmax(hidden, targets), softmax.words(hidden, targets - 1).output
    torch.testing.assert_close(ours.rows, -theirs.detach())
    gradients = torch.autograd.grad(ours.total, leaves)
    expected = torch.autograd.grad(-theirs.sum(), leaves, allow_unused=True, materialize_grads=True)
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_start_from_counts_is_the_unigram_model(softmax):
    counts = torch.arange(31, 0, -1)
    counts[30] = 0  # never seen, and counted as once
    softmax.start_from_counts(counts)
    p = softmax.log_probabilities(torch.zeros(8)).exp()
    expected = counts.clamp(min=1).float()
    expected[0] = 0
    torch.testing.assert_close(p, expected / expected.sum())


@pytest.mark.parametrize("n_words", [4, 5, 2001, 2002])
def test_small_vocabularies(n_words):
    softmax = AdaptiveSoftmax(n_words, 4)
    p = softmax.log_probabilities(torch.randn(4)).exp()
    assert p.shape == (n_words,)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)


def test_no_prediction_at_all(softmax):
    hidden = torch.randn(0, 8, requires_grad=True)
    loss = softmax(hidden, torch.zeros(0, dtype=torch.long)).total
    loss.backward()
    assert loss.item() == 0
