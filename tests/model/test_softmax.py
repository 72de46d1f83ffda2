"""The chunked softmax against probabilities written out, and its own gradients against differences."""

import math

import pytest
import torch
import torch.nn.functional as F

from elmo_helpers.model import softmax as softmax_module
from elmo_helpers.model.softmax import FullSoftmax


def written_out(softmax: FullSoftmax, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Without the padding row: cross-entropy over the words 1 … V - 1."""
    scores = hidden @ softmax.weight[1:].t() + softmax.bias[1:]
    return F.cross_entropy(scores, targets - 1, reduction="sum")


@pytest.fixture
def softmax() -> FullSoftmax:
    torch.manual_seed(0)
    softmax = FullSoftmax(23, 5)
    torch.nn.init.normal_(softmax.bias)
    return softmax


@pytest.mark.parametrize("n", [1, 7, 8, 20])  # one row, a part of a chunk, one chunk, several
def test_loss_and_gradients(softmax, monkeypatch, n):
    monkeypatch.setattr(softmax_module, "_CHUNK_ROWS", 8)
    hidden = torch.randn(n, 5, requires_grad=True)
    targets = torch.randint(1, 23, (n,))
    leaves = (hidden, softmax.weight, softmax.bias)
    loss, expected = softmax(hidden, targets), written_out(softmax, hidden, targets)
    torch.testing.assert_close(loss, expected)
    ours = torch.autograd.grad(loss * 0.3, leaves)
    theirs = torch.autograd.grad(expected * 0.3, leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_gradients_by_differences():
    torch.manual_seed(0)
    softmax = FullSoftmax(9, 4).double()
    hidden = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(1, 9, (6,))
    assert torch.autograd.gradcheck(
        lambda h, w, b: torch.func.functional_call(softmax, {"weight": w, "bias": b}, (h, targets)),
        (hidden, softmax.weight, softmax.bias),
    )


def test_same_value_without_gradient(softmax):
    hidden, targets = torch.randn(10, 5), torch.randint(1, 23, (10,))
    with torch.no_grad():
        value = softmax(hidden, targets)
    assert not value.requires_grad
    torch.testing.assert_close(value, softmax(hidden, targets).detach())


def test_huge_scores_stay_finite(softmax):
    hidden = 1e4 * torch.randn(10, 5)
    assert torch.isfinite(softmax(hidden, torch.randint(1, 23, (10,))))


def test_no_prediction_at_all(softmax):
    hidden = torch.randn(0, 5, requires_grad=True)
    loss = softmax(hidden, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert softmax.weight.grad.abs().sum() == 0


def test_log_probabilities(softmax):
    hidden, targets = torch.randn(4, 5), torch.tensor([1, 5, 22, 7])
    log_p = softmax.log_probabilities(hidden)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(4))
    assert (log_p[:, 0] == -math.inf).all()
    torch.testing.assert_close(-log_p.gather(1, targets[:, None]).sum(), softmax(hidden, targets))


def test_start_from_counts_is_the_unigram_model():
    softmax = FullSoftmax(6, 3)
    softmax.start_from_counts(torch.tensor([99, 1, 2, 0, 3, 4]))
    p = softmax.log_probabilities(torch.zeros(3)).exp()
    torch.testing.assert_close(p, torch.tensor([0, 1, 2, 1, 3, 4]) / 11)
