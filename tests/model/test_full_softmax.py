"""The chunked softmax against probabilities written out, and its own gradients against differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from elmo_helpers.model import softmax_loss
from elmo_helpers.model.full_softmax import FullSoftmax


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


@pytest.mark.parametrize("n", [1, 7, 40, 59, 100])  # one row, a part of a chunk, one chunk, more of them
def test_loss_and_gradients(softmax, monkeypatch, n):
    monkeypatch.setattr(softmax_loss, "_CHUNK_SCORES", 40 * 22)
    monkeypatch.setattr(softmax_loss, "_MIN_ROWS", 1)
    hidden = torch.randn(n, 5, requires_grad=True)
    targets = torch.randint(1, 23, (n,))
    leaves = (hidden, softmax.weight, softmax.bias)
    loss, expected = softmax(hidden, targets).total, written_out(softmax, hidden, targets)
    torch.testing.assert_close(loss, expected)
    rows = softmax(hidden, targets).rows
    torch.testing.assert_close(rows, -softmax.log_probabilities(hidden).gather(1, targets[:, None])[:, 0].detach())
    assert not rows.requires_grad
    ours = torch.autograd.grad(loss * 0.3, leaves)
    theirs = torch.autograd.grad(expected * 0.3, leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("factor", [1, 20, 300, 3000])
@pytest.mark.parametrize("offset", [0, 500, -500])
def test_scores_far_apart_neither_overflow_nor_vanish(softmax, factor, offset):
    with torch.no_grad():
        softmax.bias.mul_(factor).add_(offset)
    hidden = (torch.randn(40, 5) * factor).requires_grad_()
    targets = torch.randint(1, 23, (40,))
    exact = FullSoftmax(23, 5).double()
    exact.load_state_dict(softmax.state_dict())
    hidden_64 = hidden.detach().double().requires_grad_()
    ours, theirs = softmax(hidden, targets), written_out(exact, hidden_64, targets)
    torch.testing.assert_close(ours.total.double(), theirs, rtol=2e-6, atol=1e-4)
    assert ours.rows.isfinite().all()
    ours.total.backward()
    theirs.backward()
    for a, b in ((hidden, hidden_64), (softmax.weight, exact.weight), (softmax.bias, exact.bias)):
        assert (a.grad - b.grad).norm() < 1e-3 * b.grad.norm()


def test_gradients_by_differences():
    torch.manual_seed(0)
    softmax = FullSoftmax(9, 4).double()
    hidden = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(1, 9, (6,))
    assert torch.autograd.gradcheck(
        lambda h, w, b: torch.func.functional_call(softmax, {"weight": w, "bias": b}, (h, targets)).total,
        (hidden, softmax.weight, softmax.bias),
    )


def test_same_value_without_gradient(softmax):
    hidden, targets = torch.randn(10, 5), torch.randint(1, 23, (10,))
    with torch.no_grad():
        value = softmax(hidden, targets).total
    assert not value.requires_grad
    torch.testing.assert_close(value, softmax(hidden, targets).total.detach())


def test_huge_scores_stay_finite(softmax):
    hidden = 1e4 * torch.randn(10, 5)
    assert torch.isfinite(softmax(hidden, torch.randint(1, 23, (10,))).total)


def test_no_prediction_at_all(softmax):
    hidden = torch.randn(0, 5, requires_grad=True)
    loss = softmax(hidden, torch.zeros(0, dtype=torch.long)).total
    loss.backward()
    assert loss.item() == 0
    assert softmax.weight.grad.abs().sum() == 0


def test_log_probabilities(softmax):
    hidden, targets = torch.randn(4, 5), torch.tensor([1, 5, 22, 7])
    log_p = softmax.log_probabilities(hidden)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(4))
    assert (log_p[:, 0] == -math.inf).all()
    torch.testing.assert_close(-log_p.gather(1, targets[:, None]).sum(), softmax(hidden, targets).total)


def test_start_from_counts_is_the_unigram_model():
    softmax = FullSoftmax(6, 3)
    softmax.start_from_counts(torch.tensor([99, 1, 2, 0, 3, 4]))
    p = softmax.log_probabilities(torch.zeros(3)).exp()
    torch.testing.assert_close(p, torch.tensor([0, 1, 2, 1, 3, 4]) / 11)


def test_bf16_products_are_close():
    """In bfloat16 a score has 8 bits, so loss and gradients are off by a little."""
    torch.manual_seed(0)
    softmax = FullSoftmax(500, 32)
    hidden, targets = torch.randn(300, 32, requires_grad=True), torch.randint(1, 500, (300,))
    leaves = (hidden, softmax.weight, softmax.bias)
    exact = softmax(hidden, targets).total
    with torch.autocast("cpu", torch.bfloat16):
        rounded = softmax(hidden, targets).total
    assert rounded.dtype == torch.float32
    assert 0 < abs(rounded - exact) < 1e-3 * exact
    for a, b in zip(torch.autograd.grad(rounded, leaves), torch.autograd.grad(exact, leaves), strict=True):
        assert (a - b).norm() < 0.02 * b.norm()


class _Largest(TorchDispatchMode):
    """The most numbers that one operator gave."""

    n = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **kwargs or {})
        if isinstance(result, torch.Tensor):
            self.n = max(self.n, result.numel())
        return result


def test_memory_does_not_grow_with_the_rows(monkeypatch):
    """The scores of all rows at once would be 40 times what is held."""
    monkeypatch.setattr(softmax_loss, "_CHUNK_SCORES", 96 * 999)
    softmax = FullSoftmax(1000, 4)
    with _Largest() as largest:
        softmax(torch.randn(4000, 4), torch.randint(1, 1000, (4000,)))
    assert largest.n == 96 * 999
