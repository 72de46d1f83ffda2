"""Optimisers of rows against dense ones, and the learning rate against the formula."""

import math
from dataclasses import replace

import pytest
import torch

from conftest import vocabulary_of
from elmo_helpers import BiLM, BiLMConfig, TrainingConfig
from elmo_helpers.training.optimization import RowOptimizer, clip_gradients, learning_rate, optimizers_of

V, P = 12, 3


def sparse(words: list[int], generator: torch.Generator) -> torch.Tensor:
    values = torch.randn(len(words), P, generator=generator)
    return torch.sparse_coo_tensor([words], values, (V, P), check_invariants=True).coalesce()


@pytest.mark.parametrize(
    ("config", "dense"),
    [
        (
            TrainingConfig(optimizer="adagrad", initial_accumulator=0.7),
            lambda p: torch.optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.7),
        ),
        (TrainingConfig(optimizer="sgd"), lambda p: torch.optim.SGD(p, lr=0.1)),
        (TrainingConfig(optimizer="adam"), lambda p: torch.optim.SparseAdam(p, lr=0.1)),
    ],
    ids=["adagrad", "sgd", "adam"],
)
def test_rows_are_updated_as_by_torch(config, dense):
    """Adagrad and SGD as their dense selves; Adam as torch's SparseAdam. Rows come often, rarely and never."""
    torch.manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(V, P))
    theirs = torch.nn.Parameter(ours.detach().clone())
    rows, reference = RowOptimizer([ours], config), dense([theirs])
    rows.param_groups[0]["lr"] = 0.1
    generator = torch.Generator().manual_seed(1)
    for words in ([1, 2, 5], [2, 3], [2, 5, 11], [7], [2, 11]):
        ours.grad = sparse(words, generator)
        theirs.grad = ours.grad.clone() if config.optimizer == "adam" else ours.grad.to_dense()
        untouched = ours.detach().clone()
        rows.step()
        reference.step()
        torch.testing.assert_close(ours, theirs)
        others = [w for w in range(V) if w not in words]
        assert torch.equal(ours[others], untouched[others])


@pytest.mark.parametrize(("weight_decay", "momentum", "n"), [(0.0, 0.0, 2), (0.1, 0.0, 1), (0.0, 0.9, 1)])
def test_rows_where_nothing_moves_the_others(weight_decay, momentum, n):
    model = BiLM(BiLMConfig.preset("tiny"), vocabulary_of(30))
    assert len(optimizers_of(model, TrainingConfig())) == 1
    model = BiLM(replace(model.config, softmax="sampled", n_negatives=5), vocabulary_of(30))
    config = TrainingConfig(optimizer="sgd", weight_decay=weight_decay, momentum=momentum)
    optimizers = optimizers_of(model, config)
    assert len(optimizers) == n
    assert model.softmax.sparse == (n == 2)
    assert sum(len(o.param_groups[0]["params"]) for o in optimizers) == len(list(model.parameters()))


def test_learning_rate():
    config = TrainingConfig(learning_rate=0.4, warmup_steps=3, final_learning_rate=0.1)
    rates = [learning_rate(config, step, 11, 0.0, 0) for step in range(11)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[3:] == pytest.approx([0.1 + 0.3 * (1 + math.cos(math.pi * k / 7)) / 2 for k in range(8)])
    assert learning_rate(config, 5, 11, 0.0, 2) == pytest.approx(rates[5] / 4)
    assert learning_rate(config, 5, None, 0.5, 0) == pytest.approx(0.25)
    assert learning_rate(config, 5, 11, 1.0, 0) == pytest.approx(0.1), "the bound that is nearer its end leads"
    assert learning_rate(TrainingConfig(learning_rate=0.4), 10**9, None, 0.0, 0) == 0.4


def test_clipping_scales_all_gradients_alike():
    torch.manual_seed(0)
    dense, rows = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(V, P))
    dense.grad, rows.grad = torch.randn(4), sparse([3, 8], torch.Generator())
    before = torch.cat([dense.grad, rows.grad.values().flatten()])
    assert clip_gradients([dense, rows], 1e9).item() == pytest.approx(before.norm().item())
    assert torch.equal(torch.cat([dense.grad, rows.grad.values().flatten()]), before)
    clip_gradients([dense, rows], 0.5)
    after = torch.cat([dense.grad, rows.grad.values().flatten()])
    torch.testing.assert_close(after, before / before.norm() * 0.5, rtol=1e-4, atol=1e-6)
