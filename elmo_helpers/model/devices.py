"""Where models lie."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_helpers.errors import ElmoHelpersError


def default_device() -> torch.device:
    """Where new tensors are to lie: on PyTorch's default device, unless that is "meta", whose tensors have no numbers.

    Code of the caller's own sets it for the process (`torch.set_default_device`) or for a block (`with torch.device`).
    """
    device = torch.get_default_device()
    return torch.device("cpu") if device.type == "meta" else device


def check_has_numbers(weight: Tensor) -> None:
    """Check that the model of which `weight` is one is no mere outline.

    Raises:
        ElmoHelpersError: It lies on the device "meta".
    """
    if weight.is_meta:
        raise ElmoHelpersError(
            "The model is on the device 'meta', where there are shapes and no numbers: load it, or build it outside of "
            "torch.device('meta')."
        )
