"""What a `BiLM` gives: layers, losses, and what its LSTMs remember."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from elmo_helpers.errors import ElmoHelpersError


@dataclass(eq=False)  # `==` of tensors is no truth value
class BiLMOutput:
    """What the model knows of a batch.

    Attributes:
        layers: (L + 1, B, T, 2P) float; layer 0 is the token vector, twice side by side where it is P wide; the
            others are [forward; backward]. Zero where there is padding.
        mask: (B, T) bool, True at real positions, boundaries included.
        hidden_states: (L, B, 2P) float or None: [forward; backward] h of every LSTM layer at its end of reading,
            which is `</S>` for the forward direction and `<S>` for the backward one.
        cell_states: (L, B, 2H) float or None: the cells c at the same place.
    """

    layers: Tensor
    mask: Tensor
    hidden_states: Tensor | None = None
    cell_states: Tensor | None = None

    @property
    def states(self) -> tuple[Tensor, Tensor]:
        """`hidden_states` and `cell_states`.

        Raises:
            ElmoHelpersError: They were not asked for.
        """
        if self.hidden_states is None or self.cell_states is None:
            raise ElmoHelpersError("The final states were not asked for: call the model with return_states=True.")
        return self.hidden_states, self.cell_states


class BiLMLoss(NamedTuple):
    """Losses in nats, summed over predictions; in evaluation mode exact negative log-likelihoods.

    Attributes:
        total: Scalar, of both directions, through which the gradient flows.
        forward: Scalar float64, of the forward direction, without gradient.
        backward: Scalar float64, of the backward direction, without gradient.
        n_predictions: Of one direction: a title of n words is n + 1 predictions.
    """

    total: Tensor
    forward: Tensor
    backward: Tensor
    n_predictions: int

    @property
    def mean(self) -> Tensor:
        """Nats per prediction, the mean of both directions: what training makes small."""
        return self.total / (2 * self.n_predictions)


class LSTMState(NamedTuple):
    """What the LSTMs remember of B streams; direction 0 is forward, 1 backward.

    Attributes:
        h: (2, L, B, P) float.
        c: (2, L, B, H) float.
    """

    h: Tensor
    c: Tensor
