"""The products by oneDNN against float64 products of NumPy."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from elmo_helpers.model import linear as module
from elmo_helpers.model.linear import add_linear_, linear, rounded_up
from elmo_helpers.model.linear import product as matrix_product

SIZES = [(1, 1024, 1025), (2, 2048, 512), (33, 512, 2048), (0, 1024, 1024), (3, 5, 7)]


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> np.ndarray:
    total = x.double().numpy() @ weight.double().numpy().T
    return total if bias is None else total + bias.double().numpy()


@pytest.mark.parametrize(("n", "inner", "outer"), SIZES)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("context", [nullcontext, torch.no_grad, torch.inference_mode])
def test_it_is_the_product(n, inner, outer, with_bias, context):
    x, weight = numbers(n, inner), numbers(outer, inner, seed=1)
    bias = numbers(outer, seed=2) if with_bias else None
    with context():
        ours = linear(x, weight, bias)
    assert ours.shape == (n, outer)
    np.testing.assert_allclose(ours.numpy(), product(x, weight, bias), rtol=1e-4, atol=2e-4)


@torch.no_grad()
def test_it_takes_inputs_of_any_layout_and_more_dimensions():
    weight = numbers(1024, 1100, seed=1)
    x = numbers(1100, 6).t()
    np.testing.assert_allclose(linear(x, weight).numpy(), product(x, weight), rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(linear(x, weight.t().contiguous().t()).numpy(), product(x, weight), rtol=1e-4, atol=2e-4)
    cube = numbers(2, 3, 1100)
    np.testing.assert_allclose(linear(cube, weight).numpy(), product(cube, weight), rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize(("n", "inner", "outer"), SIZES)
@torch.no_grad()
def test_it_adds_in_place(n, inner, outer):
    x, weight, total = numbers(n, inner), numbers(outer, inner, seed=1), numbers(n, outer, seed=2)
    expected = total.double().numpy() + product(x, weight)
    assert add_linear_(total, x, weight) is total
    np.testing.assert_allclose(total.numpy(), expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("wanted", [(True, True, True), (True, False, False), (False, True, False)])
def test_the_gradient_flows_where_it_is_wanted(wanted):
    sizes = ((2, 3, 1024), (1025, 1024), (1025,))
    ours = [
        numbers(*size, seed=i).requires_grad_(want) for i, (size, want) in enumerate(zip(sizes, wanted, strict=True))
    ]
    theirs = [t.detach().double().requires_grad_(want) for t, want in zip(ours, wanted, strict=True)]
    weights = numbers(2, 3, 1025, seed=5)
    (linear(*ours) * weights).sum().backward()
    (torch.nn.functional.linear(*theirs) * weights).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(a.grad.double(), b.grad, rtol=1e-4, atol=2e-4)


def test_there_are_few_numbers_of_rows():
    numbers = [rounded_up(n) for n in range(5000)]
    assert all(n <= up <= 1.125 * n for n, up in enumerate(numbers))
    assert numbers[:17] == list(range(17))
    assert len({up for up in numbers if 1024 < up <= 2048}) == 8
    assert [rounded_up(n) for n in numbers] == numbers


@torch.no_grad()
def test_the_plain_product():
    for n, inner, outer in SIZES:
        a, b = numbers(n, inner), numbers(inner, outer, seed=1)
        wanted = a.double().numpy() @ b.double().numpy()
        np.testing.assert_allclose(matrix_product(a, b).numpy(), wanted, rtol=1e-4, atol=2e-4)


@torch.no_grad()
def test_autocast_keeps_its_dtype():
    x, weight = numbers(2, 1024), numbers(1024, 1024, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN")
@torch.no_grad()
def test_which_products_are_taken(monkeypatch):
    large, x = torch.zeros(1024, 1024), torch.zeros(2, 1024)
    assert module._by_onednn(x, large)
    assert not module._by_onednn(x, large[:10])
    assert not module._by_onednn(x.double(), large.double())
    assert not module._by_onednn(x.to("meta"), large)
    assert module._by_onednn(torch.zeros(40_000, 64), torch.zeros(16, 64))
    assert not module._by_onednn(torch.zeros(50, 64), torch.zeros(16, 64))
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not module._by_onednn(x, large)
