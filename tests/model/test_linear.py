"""The products by oneDNN against float64 products of NumPy."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from elmo_helpers.model import linear as module
from elmo_helpers.model.linear import add_linear_, linear

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


def test_the_gradient_flows_where_it_is_wanted():
    x, weight = numbers(2, 1024).requires_grad_(), numbers(1024, 1024, seed=1).requires_grad_()
    linear(x, weight).sum().backward()
    torch.testing.assert_close(x.grad, weight.detach().sum(0).expand(2, -1), rtol=1e-4, atol=2e-4)
    torch.testing.assert_close(weight.grad, x.detach().sum(0).expand(1024, -1), rtol=1e-4, atol=2e-4)


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
    with torch.enable_grad():
        assert not module._by_onednn(x, large)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not module._by_onednn(x, large)
