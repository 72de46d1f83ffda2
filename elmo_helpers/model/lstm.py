"""LSTM layers with the projection and the clipping of the published models, alone or two directions side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elmo_helpers.model.kept import KeptFromWeights
from elmo_helpers.model.lstm_kernel import Clips, LSTMWeights, run_lstms
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
        self._kept = KeptFromWeights[LSTMWeights]()  # see `weights`
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
        if state is not None:
            state = state[0][None], state[1][None]
        (output,), states = run_layers([self], [x], lengths, state=state, return_states=return_states)
        return output, None if states is None else (states[0][0], states[1][0])

    @property
    def is_plain(self) -> bool:
        """Whether it has neither projection nor clipping, as PyTorch's own kernel wants it."""
        return self.weight_hr is None and self.cell_clip is None and self.projection_clip is None

    def fused(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """PyTorch's own kernel, the fastest where it can be used: outputs (B, T, H) and the last h and c, (B, H)."""
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
        return output, h[0], c[0]

    def weights(self) -> LSTMWeights:
        """The parameters; without a gradient on a CPU in the dtype of the products, and kept from call to call.

        For one sentence, casting weights there costs more than using them.
        """
        weights = LSTMWeights(self.weight_ih, self.weight_hh, self.bias, self.weight_hr)
        dtype = product_dtype(weights.ih)
        if torch.is_grad_enabled() or dtype == weights.ih.dtype or weights.ih.device.type != "cpu":
            return weights

        used = [w for w in weights if w is not None]
        return self._kept.get(used, dtype, lambda: weights.each(lambda w: w.detach().to(dtype)))


def run_layers(
    layers: Sequence[LSTMLayer],
    xs: Sequence[Tensor],
    lengths: Tensor,
    *,
    state: tuple[Tensor, Tensor] | None = None,
    return_states: bool = False,
) -> tuple[list[Tensor], tuple[Tensor, Tensor] | None]:
    """Run D layers of one size, which are independent of each other, on D inputs.

    Args:
        layers: The layers.
        xs: D of (B, T, input_dim) float, as `LSTMLayer.forward` takes them.
        lengths: (B,) int64, of all of them.
        state: h (D, B, P) and c (D, B, H) to start from; None: zeros. No gradient flows into them.
        return_states: Also give the states after each row's last real position.

    Returns:
        D outputs (B, T, P), of no meaning behind a row's length; and None, or the states h (D, B, P) and c (D, B, H).

    Raises:
        ElmoHelpersError: The device has no instructions for products in bfloat16, which autocast or the weights ask
            for.
    """
    one, n = layers[0], len(xs[0])
    check_products(one.weight_ih)
    if state is None:
        h = one.weight_ih.new_zeros(len(layers), n, one.output_dim)
        c = one.weight_ih.new_zeros(len(layers), n, one.hidden_dim)
    else:
        h, c = (s.detach().to(one.weight_ih.dtype) for s in state)
    # Padding stands at the end, where it cannot touch real outputs; but the fused kernel would run on through it, and
    # its final states would be those behind the padding.
    if one.is_plain and (not return_states or bool((lengths == xs[0].shape[1]).all())):
        results = [layer.fused(x, *start) for layer, x, *start in zip(layers, xs, h, c, strict=True)]
        outputs = [output for output, _, _ in results]
        h, c = (torch.stack(states) for states in ([h for _, h, _ in results], [c for _, _, c in results]))
    else:
        outputs, h, c = _stepwise(layers, xs, lengths, h, c)
    return outputs, (h, c) if return_states else None


class SideBySide(nn.Module):
    """`run_layers` as a module, so that it has hooks; without parameters of its own."""

    def forward(
        self,
        layers: Sequence[LSTMLayer],
        xs: Sequence[Tensor],
        lengths: Tensor,
        *,
        state: tuple[Tensor, Tensor] | None = None,
        return_states: bool = False,
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor] | None]:
        """Arguments and results are those of `run_layers`."""
        return run_layers(layers, xs, lengths, state=state, return_states=return_states)


def _stepwise(
    layers: Sequence[LSTMLayer], xs: Sequence[Tensor], lengths: Tensor, h: Tensor, c: Tensor
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Step by step over packed rows: longest rows first, so that a step works on the rows that still run."""
    packed = [pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False) for x in xs]
    _, batch_sizes, to_sorted, from_sorted = packed[0]
    output, h, c = run_lstms(
        [rows.data for rows in packed],
        batch_sizes.tolist(),
        (h[:, to_sorted], c[:, to_sorted]),
        [layer.weights() for layer in layers],
        Clips(layers[0].cell_clip, layers[0].projection_clip),
    )
    outputs = [
        pad_packed_sequence(
            PackedSequence(rows, batch_sizes, to_sorted, from_sorted), batch_first=True, total_length=xs[0].shape[1]
        )[0]
        for rows in output
    ]
    return outputs, h[:, from_sorted], c[:, from_sorted]


def within_lengths(lengths: Tensor, width: int) -> Tensor:
    """The positions before each length: (B,) int to (B, width) bool, where the lengths are."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def reverse_within_lengths(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row of (B, T, ...) within its own length (B,); what stands behind a length stays where it is."""
    positions = torch.arange(x.shape[1], device=x.device)
    lengths = lengths.to(x.device)[:, None]
    source = torch.where(positions < lengths, lengths - 1 - positions, positions)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], source]
