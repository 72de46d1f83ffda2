"""The sampled softmax against the full one, and its draws against the law that they follow."""

import copy
import math

import numpy as np
import pytest
import torch

from elmo_helpers import ElmoHelpersError
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.model.softmax_loss import Negatives, chunked_loss

V, P, N = 40, 6, 25


def problem(n_negatives: int, n_words: int = V):
    torch.manual_seed(0)
    softmax = SampledSoftmax(n_words, P, n_negatives).double()
    torch.nn.init.normal_(softmax.bias)
    hidden = torch.randn(N, P, dtype=torch.float64, requires_grad=True)
    return softmax, hidden, torch.randint(1, n_words, (N,))


def loss_and_gradients(softmax, hidden, targets):
    loss = softmax(hidden, targets).total
    return loss, torch.autograd.grad(loss, (hidden, softmax.weight, softmax.bias))


def test_all_words_as_negatives_is_the_full_softmax():
    softmax, hidden, targets = problem(V - 1)
    full = FullSoftmax(V, P).double()
    full.load_state_dict(softmax.state_dict())
    loss, gradients = loss_and_gradients(softmax, hidden, targets)
    expected, expected_gradients = loss_and_gradients(full, hidden, targets)
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_mean_gradient_over_many_draws_points_to_the_full_one():
    softmax, hidden, targets = problem(25)
    cosines = []
    for n_draws in (1, 400):
        draws = [loss_and_gradients(softmax, hidden, targets)[1] for _ in range(n_draws)]
        mean = [torch.stack(parts).mean(0).flatten() for parts in zip(*draws, strict=True)]
        full = loss_and_gradients(softmax.eval(), hidden, targets)[1]
        softmax.train()
        cosines.append([torch.cosine_similarity(a, b.flatten(), dim=0).item() for a, b in zip(mean, full, strict=True)])
    single, many = cosines
    assert min(many) > 0.995
    assert all(a < b for a, b in zip(single, many, strict=True))


def test_the_sum_over_the_sample_estimates_the_sum_over_all_words():
    """Without bias, as Horvitz and Thompson's estimator is."""
    softmax, hidden, _ = problem(12)
    scores = (hidden[0] @ softmax.weight.t() + softmax.bias).detach().numpy()
    truth = np.exp(scores[1:]).sum()
    estimates = []
    for _ in range(4000):
        ids, log_expected = softmax.draw()
        estimates.append(np.exp(scores[ids] - log_expected[ids]).sum())
    error = np.std(estimates) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth) < 4 * error
    assert error < 0.02 * truth


def test_loss_by_hand_with_hits_left_out():
    """A target that is drawn too counts once, with its own correction."""
    softmax, hidden, _ = problem(5)
    ids = torch.tensor([1, 2, 7, 9, 30])
    log_expected = torch.randn(V, dtype=torch.float64)
    targets = torch.tensor([7, 8] + [30] * (N - 2))
    loss = chunked_loss(
        hidden, softmax.weight, softmax.bias, targets, Negatives(ids, log_expected[ids], log_expected[targets])
    ).total
    total = 0.0
    for h, target in zip(hidden.detach().numpy(), targets.tolist(), strict=True):
        words = sorted({*ids.tolist(), target})
        z = np.array([softmax.weight[w].detach().numpy() @ h + softmax.bias[w].item() for w in words])
        z -= log_expected.numpy()[words]
        total += np.log(np.exp(z).sum()) - z[words.index(target)]
    assert loss.item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_gradients_by_differences(monkeypatch, chunk):
    monkeypatch.setattr("elmo_helpers.model.softmax_loss._CHUNK_SCORES", 5 * chunk)
    monkeypatch.setattr("elmo_helpers.model.softmax_loss._MIN_ROWS", 1)
    softmax, hidden, targets = problem(5)
    ids, log_expected = softmax.draw()
    log_expected = torch.from_numpy(log_expected)
    negatives = Negatives(torch.from_numpy(ids), log_expected[ids], log_expected[targets])
    assert torch.autograd.gradcheck(
        lambda h, w, b: chunked_loss(h, w, b, targets, negatives).total, (hidden, softmax.weight, softmax.bias)
    )


def test_draws_follow_the_log_uniform_law():
    """One word drawn at a time comes as often as p says; several are distinct and as often there as expected."""
    law = np.array([math.log((r + 2) / (r + 1)) / math.log(V) for r in range(V - 1)])
    assert law.sum() == pytest.approx(1)
    single = SampledSoftmax(V, P, 1)
    seen = np.bincount([single.draw()[0][0] for _ in range(20_000)], minlength=V)[1:]
    assert np.abs(seen - 20_000 * law).max() < 5 * math.sqrt(20_000 * law[0])

    several = SampledSoftmax(V, P, 10)
    seen, expected = np.zeros(V), np.zeros(V)
    for _ in range(5000):
        ids, log_expected = several.draw()
        assert len(ids) == len(set(ids.tolist())) == 10
        assert ids.min() >= 1
        assert (np.diff(ids) > 0).all()
        seen[ids] += 1
        expected[1:] += np.exp(log_expected[1:])
    assert np.abs(seen - expected)[1:].max() < 5 * math.sqrt(5000) / 2


def test_exact_outside_of_training():
    softmax, hidden, targets = problem(5)
    full = FullSoftmax(V, P).double()
    full.load_state_dict(softmax.state_dict())
    assert softmax(hidden, targets).total != full(hidden, targets).total
    assert softmax.exact(hidden, targets).total == full(hidden, targets).total
    assert softmax.eval()(hidden, targets).total == full(hidden, targets).total
    assert torch.equal(softmax.log_probabilities(hidden), full.log_probabilities(hidden))


def test_seed_and_copy():
    def draws(softmax):
        return [softmax.draw()[0].tolist() for _ in range(3)]

    torch.manual_seed(5)
    one = SampledSoftmax(V, P, 7)
    torch.manual_seed(5)
    same, twin = SampledSoftmax(V, P, 7), copy.deepcopy(one)
    torch.manual_seed(6)
    other = SampledSoftmax(V, P, 7)
    assert draws(one) == draws(same) == draws(twin)
    assert draws(one) != draws(other)


def test_too_few_words():
    with pytest.raises(ElmoHelpersError, match=r"n_negatives=40: the vocabulary has only 39 words.*softmax='full'"):
        SampledSoftmax(V, P, V)


def test_no_prediction_at_all():
    softmax = SampledSoftmax(V, P, 5)
    hidden = torch.randn(0, P, requires_grad=True)
    loss = softmax(hidden, torch.zeros(0, dtype=torch.long)).total
    loss.backward()
    assert loss.item() == 0
    assert softmax.weight.grad.abs().sum() == 0


def test_sparse_gradients_are_the_same_gradients():
    softmax, hidden, targets = problem(5)
    twin = copy.deepcopy(softmax)
    twin.sparse = True
    dense = loss_and_gradients(softmax, hidden, targets)[1]
    sparse = loss_and_gradients(twin, hidden, targets)[1]
    for ours, theirs in zip(sparse[1:], dense[1:], strict=True):
        assert ours.is_sparse
        assert ours.is_coalesced()
        assert ours.values().shape[0] < V - 1
        torch.testing.assert_close(ours.to_dense(), theirs)
