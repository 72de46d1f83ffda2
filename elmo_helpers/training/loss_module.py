"""The loss as a module, and which of its gradients are dense."""

from __future__ import annotations

from torch import Tensor, nn

from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.streams import StreamBatch


class LossModule(nn.Module):
    """The loss as a module's forward, through which several processes can share their gradients.

    Only what has dense gradients is registered: the rows of a sampled softmax are shared apart.
    """

    def __init__(self, model: BiLM) -> None:
        super().__init__()
        self._model = (model,)  # in a tuple it is no submodule
        dense = [model.char_cnn, model.forward_layers, model.backward_layers]
        self.dense = nn.ModuleList(dense if has_row_gradients(model) else [*dense, model.predictor])

    def forward(self, batch: Batch | StreamBatch, state: LSTMState | None) -> tuple[Tensor, LSTMState | None]:
        """The summed loss of both directions, and the LSTMs' state afterwards."""
        loss, state = batch.loss(self._model[0], state)
        return loss.total, state


def has_row_gradients(model: BiLM) -> bool:
    """Whether the softmax's gradients are sparse in their rows."""
    return isinstance(model.softmax, SampledSoftmax) and model.softmax.sparse
