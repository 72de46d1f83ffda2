"""The mix of layers that makes an ELMo vector (Peters et al. 2018, section 3.2)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elmo_helpers.checks import flag, shown, whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.devices import default_device


class ScalarMix(nn.Module):
    """γ · Σ_l s_l · h_l with s = softmax(w), so that the s_l are positive and sum to 1 (equation 1 of section 3.2).

    w and γ are parameters, learned with the task that uses the vectors. At first w = 0 and γ = 1: the mean.

    With `layer_norm` each layer is first brought to mean 0 and variance 1 over all its real elements in the batch, so
    that a vector depends on what else is in the batch.
    """

    layer_norm: bool
    weights: nn.Parameter
    gamma: nn.Parameter

    def __init__(
        self,
        n_layers: int,
        initial_weights: Sequence[float] | NDArray[np.floating] | Tensor | None = None,
        *,
        trainable: bool = True,
        layer_norm: bool = False,
    ) -> None:
        """A mix of `n_layers` layers; `initial_weights` are the w before the softmax.

        Raises:
            ElmoHelpersError: There are not as many weights as layers, or an argument is of the wrong kind.
        """
        super().__init__()
        n_layers, trainable = whole_number("n_layers", n_layers, 1), flag("trainable", trainable)
        self.layer_norm = flag("layer_norm", layer_norm)
        given = np.zeros(n_layers) if initial_weights is None else initial_weights
        weights = mix_weights("initial_weights", given, n_layers)
        # One vector and no ParameterList: data parallelism copies the parameters of a module, and of no list in it.
        device = default_device()
        self.weights = nn.Parameter(weights.to(device), requires_grad=trainable)  # w
        self.gamma = nn.Parameter(torch.ones((), dtype=torch.float32, device=device), requires_grad=trainable)  # γ

    @property
    def shares(self) -> Tensor:
        """s: (n_layers,) float, positive, of sum 1."""
        return self.weights.softmax(0)

    def forward(self, layers: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix (n_layers, ...) float to (...), of the dtype of the layers or, under autocast, of its products.

        Args:
            layers: (n_layers, ..., width) float.
            mask: (...) bool, True where there is no padding, which layer normalisation does not count; None: none is.

        Raises:
            ElmoHelpersError: The first axis is not n_layers long, or the shapes do not fit together.
        """
        n_layers = len(self.weights)
        if not isinstance(layers, Tensor) or not layers.is_floating_point() or layers.shape[:1] != (n_layers,):
            raise ElmoHelpersError(
                f"layers: expected {n_layers} of them on the first axis of a tensor of floats, and got {shown(layers)}."
            )
        if mask is not None and (not isinstance(mask, Tensor) or mask.shape != layers.shape[1:-1]):
            expected = tuple(layers.shape[1:-1])
            raise ElmoHelpersError(f"mask: expected a tensor of the shape {expected}, and got {shown(mask)}.")
        if self.layer_norm:
            layers = torch.stack([_normalized(layer, mask) for layer in layers])
        mixed: Tensor = torch.tensordot(self.shares.to(layers.dtype), layers, dims=1)
        return self.gamma * mixed


def mix_weights(name: str, weights: Sequence[float] | NDArray[np.floating] | Tensor, n_layers: int) -> Tensor:
    """What was handed over as the argument `name`: the w before the softmax, as (n_layers,) float32.

    Raises:
        ElmoHelpersError: They are not as many finite numbers.
    """
    try:
        numbers = np.asarray(weights.tolist() if isinstance(weights, Tensor) else weights)
    except (TypeError, ValueError, RuntimeError):  # lists of different lengths, a tensor without numbers
        numbers = np.empty(0)
    if numbers.shape == (n_layers,) and numbers.dtype.kind in "iuf":
        with np.errstate(over="ignore", under="ignore"):  # beyond float32 they are not finite
            found = torch.from_numpy(numbers.astype(np.float32))
        if found.isfinite().all():
            return found
    raise ElmoHelpersError(f"{name}={shown(weights)}: expected {n_layers} finite numbers, one a layer.")


def _normalized(layer: Tensor, mask: Tensor | None) -> Tensor:
    """(x - mean) / √(variance + 1e-12), both over all elements (..., width) at which the mask (...) is True."""
    # Squares of half precision, and 1e-12, would leave its range.
    wide = layer.to(torch.promote_types(layer.dtype, torch.float32))
    real = wide if mask is None else wide[mask.bool()]
    mean = real.mean()
    variance = (real - mean).square().mean()
    return ((wide - mean) / (variance + 1e-12).sqrt()).to(layer.dtype)
