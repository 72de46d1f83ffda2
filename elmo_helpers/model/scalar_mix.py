"""The mix of layers that makes an ELMo vector (Peters et al. 2018, section 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from elmo_helpers.errors import ElmoHelpersError


class ScalarMix(nn.Module):
    """γ · Σ_l s_l · h_l with s = softmax(w), so that the s_l are positive and sum to 1 (equation 1 of section 3.2).

    w and γ are parameters, learned with the task that uses the vectors. At first w = 0 and γ = 1: the mean.

    With `layer_norm` each layer is first brought to mean 0 and variance 1 over all its real elements in the batch, so
    that a vector depends on what else is in the batch.
    """

    def __init__(
        self,
        n_layers: int,
        initial_weights: Sequence[float] | None = None,
        *,
        trainable: bool = True,
        layer_norm: bool = False,
    ) -> None:
        """A mix of `n_layers` layers; `initial_weights` are the w before the softmax.

        Raises:
            ElmoHelpersError: There are not as many weights as layers.
        """
        super().__init__()
        weights = torch.zeros(n_layers) if initial_weights is None else torch.as_tensor(initial_weights).float()
        if weights.shape != (n_layers,) or not weights.isfinite().all():
            raise ElmoHelpersError(f"initial_weights: expected {n_layers} finite numbers, and got {weights.tolist()}.")
        self.layer_norm = layer_norm
        # One vector and no ParameterList: data parallelism copies the parameters of a module, and of no list in it.
        self.weights = nn.Parameter(weights.clone(), requires_grad=trainable)  # w
        self.gamma = nn.Parameter(torch.ones(()), requires_grad=trainable)  # γ

    @property
    def shares(self) -> Tensor:
        """s: (n_layers,) float, positive, of sum 1."""
        return self.weights.softmax(0)

    def forward(self, layers: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix (n_layers, ...) float to (...) float.

        Args:
            layers: (n_layers, ..., width) float.
            mask: (...) bool, True where there is no padding, which layer normalisation does not count; None: none is.

        Raises:
            ElmoHelpersError: The first axis is not n_layers long.
        """
        if len(layers) != len(self.weights):
            raise ElmoHelpersError(
                f"layers: expected {len(self.weights)} of them on the first axis, and got {len(layers)}."
            )
        if self.layer_norm:
            layers = torch.stack([_normalized(layer, mask) for layer in layers])
        return self.gamma * torch.tensordot(self.shares, layers, dims=1)


def _normalized(layer: Tensor, mask: Tensor | None) -> Tensor:
    """(x - mean) / √(variance + 1e-12), both over all elements (..., width) at which the mask (...) is True."""
    real = layer if mask is None else layer[mask]
    mean = real.mean()
    variance = (real - mean).square().mean()
    return (layer - mean) / (variance + 1e-12).sqrt()
