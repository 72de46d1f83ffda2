"""In which precision matrix products are computed, and where bfloat16 can be asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_helpers.checks import choice
from elmo_helpers.config import PRECISIONS
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.devices import check_has_numbers


def check_precision(precision: str, device: torch.device) -> str:
    """`precision`, if matrix products can be computed in it on `device`.

    The one place that decides it, for training, encoding, and both integrations.

    Args:
        precision: "fp32" or "bf16".
        device: Where the model is.

    Raises:
        ElmoHelpersError: There is no such precision, or the device has no instructions for it.
    """
    choice("precision", precision, PRECISIONS)
    if precision == "bf16" and not has_bf16(device):
        raise ElmoHelpersError(f"precision='bf16': {_without_bf16(device)}; use precision='fp32'.")
    return precision


def check_products(weight: Tensor) -> None:
    """Check that the device of `weight` has instructions for matrix products with it, see `product_dtype`.

    Raises:
        ElmoHelpersError: They are of bfloat16, and it has none; they are of one kind of half precision, and the weight
            of another; or the device holds no numbers.
    """
    check_has_numbers(weight.device)
    wanted = product_dtype(weight)
    if weight.dtype not in (wanted, torch.float32):
        raise ElmoHelpersError(
            f"The model is in {weight.dtype} and autocast asks for products in {wanted}: bring the model to float32 by "
            "model.float()."
        )
    if wanted == torch.bfloat16 and not has_bf16(weight.device):
        remedy = "bring the model to float32 by model.float()"
        if weight.dtype != torch.bfloat16:
            remedy = "compute outside of torch.autocast"
        raise ElmoHelpersError(f"Products in bfloat16: {_without_bf16(weight.device)}; {remedy}.")


def product_dtype(weight: Tensor) -> torch.dtype:
    """The dtype of matrix products with `weight`: that of autocast, where it is on, else its own."""
    kind = weight.device.type
    if weight.dtype == torch.float64 or not torch.is_autocast_enabled(kind):  # which leaves double precision alone
        return weight.dtype
    return torch.get_autocast_dtype(kind)


def has_bf16(device: torch.device) -> bool:
    """Whether `device` computes in bfloat16 itself: without it an LSTM fails, and products take 250 times as long."""
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


def products_in(precision: str, device: torch.device, *, keep_casts: bool = False) -> torch.autocast:
    """A context in which matrix products are of `precision`, whatever autocast the caller's own code has set.

    Args:
        precision: "fp32" or "bf16".
        device: Where the model is.
        keep_casts: Keep weights that were cast until the context ends. Only where nothing changes them within it:
            autocast does not see all that does.

    Raises:
        ElmoHelpersError: The device holds no numbers.
    """
    check_has_numbers(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=keep_casts)


def _without_bf16(device: torch.device) -> str:
    return f"this {'processor' if device.type == 'cpu' else 'GPU'} has no instructions for bfloat16"
