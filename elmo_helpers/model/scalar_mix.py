"""The mix of layers that makes an ELMo vector (Peters et al. 2018, section 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from elmo_helpers.errors import ElmoHelpersError


class ScalarMix(nn.Module):
    """γ · Σ_l s_l · h_l with s = softmax(w), so that the s_l are positive and sum to 1 (equation 1 of section 3.2).

    w and γ are parameters, learned with the task that uses the vectors. At first w = 0 and γ = 1: the mean.
    """

    def __init__(
        self, n_layers: int, initial_weights: Sequence[float] | None = None, *, trainable: bool = True
    ) -> None:
        """A mix of `n_layers` layers; `initial_weights` are the w before the softmax.

        Raises:
            ElmoHelpersError: There are not as many weights as layers.
        """
        super().__init__()
        weights = torch.zeros(n_layers) if initial_weights is None else torch.as_tensor(initial_weights).float()
        if weights.shape != (n_layers,) or not weights.isfinite().all():
            raise ElmoHelpersError(f"initial_weights: expected {n_layers} finite numbers, and got {weights.tolist()}.")
        self.weights = nn.Parameter(weights.clone(), requires_grad=trainable)  # w
        self.gamma = nn.Parameter(torch.ones(()), requires_grad=trainable)  # γ

    @property
    def shares(self) -> Tensor:
        """s: (n_layers,) float, positive, of sum 1."""
        return self.weights.softmax(0)

    def forward(self, layers: Tensor) -> Tensor:
        """Mix (n_layers, ...) float to (...) float.

        Raises:
            ElmoHelpersError: The first axis is not n_layers long.
        """
        if len(layers) != len(self.weights):
            raise ElmoHelpersError(
                f"layers: expected {len(self.weights)} of them on the first axis, and got {len(layers)}."
            )
        return self.gamma * torch.tensordot(self.shares, layers, dims=1)
