"""Where models lie."""

from __future__ import annotations

import torch

from elmo_helpers.errors import ElmoHelpersError


def default_device() -> torch.device:
    """Where new tensors are to lie: on PyTorch's default device, unless that is "meta", whose tensors have no numbers.

    Code of the caller's own sets it for the process (`torch.set_default_device`) or for a block (`with torch.device`).
    """
    device = torch.get_default_device()
    return torch.device("cpu") if device.type == "meta" else device


def check_has_numbers(device: torch.device) -> None:
    """Check that a model on `device` is no mere outline of one.

    Raises:
        ElmoHelpersError: The device is "meta".
    """
    if device.type == "meta":
        raise ElmoHelpersError(
            "The model is on the device 'meta', where there are shapes and no numbers: load it, or build it outside of "
            "torch.device('meta')."
        )
