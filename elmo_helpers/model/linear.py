"""Matrix products of single precision on a CPU: by oneDNN instead of the BLAS.

PyTorch calls MKL there, which is slow where a large matrix meets few rows, two to four times slower than oneDNN for one
to sixteen rows, and 1.1 to 1.5 times on large products (an AMD processor, with AVX-512 and without). In bfloat16
PyTorch takes oneDNN by itself. The product aᵀ b stays MKL's: oneDNN is reached by an operator that copies what is
transposed on the left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_MUCH_WORK = 1 << 25  # multiplications of a product; with fewer, to call oneDNN costs more than it saves
# Elements of a matrix that is read from memory, or from a cache that all cores share, however few the rows are.
_LARGE = 1 << 19


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b, as `F.linear` gives it: (..., in), (out, in) and (out,) to (..., out).

    Its gradient cannot be differentiated again.
    """
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        run: Callable[..., Tensor] = _Linear.apply
        return run(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    n = len(rows)
    if missing := rounded_up(n) - n:
        rows = F.pad(rows, (0, 0, 0, missing))
    # The operator that torch.compile puts in the place of `F.linear`; it has no name in torch.nn.
    result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return result[:n].view(*x.shape[:-1], -1)


def add_linear_(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Add x Wᵀ to `total` in place: (n, out), (n, in) and (out, in); without a gradient."""
    if not _by_onednn(x, weight):
        return total.addmm_(x, weight.t())
    return total.add_(linear(x, weight))


def product(a: Tensor, b: Tensor) -> Tensor:
    """A matrix product, (n, k) and (k, m) to (n, m); without a gradient."""
    return linear(a, b.t()) if _by_onednn(a, b.t()) else torch.mm(a, b)


def rounded_up(n: int) -> int:
    """A number of rows from `n` on, of which there are eight from one power of two to the next.

    oneDNN writes a program for each new shape, which takes half a millisecond and stays, in the midst of the memory
    that is given back around it. So products have few shapes.
    """
    step = 1 << max(n.bit_length() - 4, 0)
    return -(-n // step) * step


class _Linear(torch.autograd.Function):
    """`linear` with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        want_x, want_weight, want_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        d_x = product(rows, weight).view(x.shape) if want_x else None
        d_weight = torch.mm(rows.t(), x.reshape(-1, x.shape[-1])) if want_weight else None
        return d_x, d_weight, rows.sum(0) if want_bias else None


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    n = weight.numel()
    return (
        (n >= _LARGE or n * (x.numel() // max(x.shape[-1], 1)) >= _MUCH_WORK)
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )
