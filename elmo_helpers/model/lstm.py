"""One LSTM layer in one direction, with the projection and the clipping of the published models."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elmo_helpers.model.kept import KeptFromWeights
from elmo_helpers.model.lstm_kernel import Clips, LSTMWeights, run_lstm
from elmo_helpers.model.precision import check_products, product_dtype


class LSTMLayer(nn.Module):
    """An LSTM that reads each row of a batch from its first to its last real position.

    i, f, g, o = W_ih x_t + W_hh h_{t-1} + b        (Hochreiter & Schmidhuber 1997; gates in PyTorch's order)
    c_t = clamp(σ(f) · c_{t-1} + σ(i) · tanh(g), ± cell_clip)
    h_t = clamp(W_hr (σ(o) · tanh(c_t)), ± projection_clip)      (Sak et al. 2014; without W_hr where P = H)

    The forget gate's bias starts at 1 (Jozefowicz et al. 2015), everything else of the bias at 0.
    """

    hidden_dim: int
    output_dim: int
    cell_clip: float | None
    projection_clip: float | None
    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias: nn.Parameter
    weight_hr: nn.Parameter | None

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        projection_dim: int | None = None,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
    ) -> None:
        super().__init__()
        output_dim = projection_dim or hidden_dim
        self.hidden_dim, self.output_dim = hidden_dim, output_dim
        self.cell_clip, self.projection_clip = cell_clip, projection_clip
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_dim, input_dim, dtype=torch.float32))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_dim, output_dim, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(4 * hidden_dim, dtype=torch.float32))
        self.weight_hr = None
        if projection_dim:
            self.weight_hr = nn.Parameter(torch.empty(projection_dim, hidden_dim, dtype=torch.float32))
        self._kept = KeptFromWeights[LSTMWeights]()  # see `_for_inference`
        self._initialize()

    def _initialize(self) -> None:
        # Glorot over input and state together, as one matrix (input + output, 4H): the published recipe.
        limit = (6 / (self.weight_ih.shape[1] + self.output_dim + 4 * self.hidden_dim)) ** 0.5
        nn.init.uniform_(self.weight_ih, -limit, limit)
        nn.init.uniform_(self.weight_hh, -limit, limit)
        with torch.no_grad():
            self.bias[self.hidden_dim : 2 * self.hidden_dim] = 1
        if self.weight_hr is not None:
            nn.init.xavier_uniform_(self.weight_hr)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor,
        *,
        state: tuple[Tensor, Tensor] | None = None,
        return_states: bool = False,
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Run the layer.

        Args:
            x: (B, T, input_dim) float; what stands behind a row's length is not read into its real positions.
            lengths: (B,) int64, real positions of each row, at least 1, on the CPU.
            state: h (B, P) and c (B, H) to start from; None: zeros. No gradient flows into them, so that carrying
                them from one part of a text to the next is truncated back-propagation.
            return_states: Also give the states after each row's last real position.

        Returns:
            Outputs (B, T, P), of no meaning behind a row's length; and None, or the states h (B, P) and c (B, H).

        Raises:
            ElmoHelpersError: The device has no instructions for products in bfloat16, which autocast or the weights
                ask for.
        """
        check_products(self.weight_ih)
        if state is None:
            h = self.weight_ih.new_zeros(x.shape[0], self.output_dim)
            c = self.weight_ih.new_zeros(x.shape[0], self.hidden_dim)
        else:
            h, c = (s.detach().to(self.weight_ih.dtype) for s in state)
        plain = self.weight_hr is None and self.cell_clip is None and self.projection_clip is None
        # Padding stands at the end, where it cannot touch real outputs; but the fused kernel would run on through it,
        # and its final states would be those behind the padding.
        if plain and (not return_states or bool((lengths == x.shape[1]).all())):
            output, states = self._fused(x, h, c)
        else:
            output, states = self._stepwise(x, lengths, h, c)
        return output, states if return_states else None

    def _fused(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """PyTorch's own kernel, the fastest where it can be used."""
        dtype = product_dtype(self.weight_ih)
        # The kernel wants a second bias, which the published files have not.
        weights = [w.to(dtype) for w in (self.weight_ih, self.weight_hh, self.bias, torch.zeros_like(self.bias))]
        if x.is_cuda:  # cuDNN wants them one behind the other, and warns where it has to copy them itself
            together = torch.cat([w.flatten() for w in weights])
            weights = [
                part.view_as(w) for part, w in zip(together.split([w.numel() for w in weights]), weights, strict=True)
            ]
        x, h, c = (t.to(dtype) for t in (x, h[None], c[None]))
        # Autocast would cast them behind the choice of a kernel, and to float16 for one that many processors lack.
        with torch.autocast(x.device.type, enabled=False):
            output, h, c = torch.lstm(x, (h, c), weights, True, 1, 0.0, self.training, False, True)
        return output, (h[0], c[0])

    def _stepwise(self, x: Tensor, lengths: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Step by step over packed rows: longest rows first, so that a step works on the rows that still run."""
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        weights = LSTMWeights(self.weight_ih, self.weight_hh, self.bias, self.weight_hr)
        if not torch.is_grad_enabled():
            weights = self._for_inference(weights)
        output, h, c = run_lstm(
            packed.data,
            packed.batch_sizes.tolist(),
            (h[packed.sorted_indices], c[packed.sorted_indices]),
            weights,
            Clips(self.cell_clip, self.projection_clip),
        )
        rows = PackedSequence(output, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        output, _ = pad_packed_sequence(rows, batch_first=True, total_length=x.shape[1])
        return output, (h[packed.unsorted_indices], c[packed.unsorted_indices])

    def _for_inference(self, weights: LSTMWeights) -> LSTMWeights:
        """The weights in the dtype of the products, on a CPU kept from call to call.

        For one sentence, casting weights there costs more than using them.
        """
        dtype = product_dtype(weights.ih)
        if dtype == weights.ih.dtype or weights.ih.device.type != "cpu":
            return weights

        used = [w for w in weights if w is not None]
        return self._kept.get(used, dtype, lambda: weights.each(lambda w: w.detach().to(dtype)))


def within_lengths(lengths: Tensor, width: int) -> Tensor:
    """The positions before each length: (B,) int to (B, width) bool, where the lengths are."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def reverse_within_lengths(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row of (B, T, ...) within its own length (B,); what stands behind a length stays where it is."""
    positions = torch.arange(x.shape[1], device=x.device)
    lengths = lengths.to(x.device)[:, None]
    source = torch.where(positions < lengths, lengths - 1 - positions, positions)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], source]
