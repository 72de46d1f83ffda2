"""Matrix products of single precision on a CPU, without a gradient: by oneDNN instead of the BLAS.

`F.linear` calls MKL there, which is slow where a large matrix meets few rows: two to four times slower than oneDNN for
one to sixteen rows, and still 1.3 to 1.6 times for 64 (an AMD processor with AVX-512). In bfloat16 PyTorch takes oneDNN
by itself.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_LARGE = 1 << 20  # elements of a matrix; smaller ones stay in a core's cache, and there MKL is as fast


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b, as `F.linear` gives it: (..., in), (out, in) and (out,) to (..., out)."""
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    # The operator that torch.compile puts in the place of `F.linear`; it has no name in torch.nn.
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def add_linear_(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Add x Wᵀ to `total` in place: (n, out), (n, in) and (out, in)."""
    if not _by_onednn(x, weight):
        return total.addmm_(x, weight.t())
    return total.add_(linear(x, weight))


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and weight.numel() >= _LARGE
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )
