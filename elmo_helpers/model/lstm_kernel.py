"""The time loop of an LSTM with projection and clipping, and its gradient, both written out.

Under autograd each step leaves some fifteen nodes, and each step's weight gradient is a product of its own. Here a
step is a few elementwise functions into memory that is there already, and the gradients of the weights are matrix
products over many steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_helpers.model.linear import add_linear_, linear
from elmo_helpers.model.precision import product_dtype

# Gates of many steps lie side by side, but no more bytes than this: larger blocks are given back to the system when
# they are freed (32 MiB is glibc's limit), and touching new ones costs more than the work on them.
_BLOCK = 30 << 20


class LSTMWeights(NamedTuple):
    """The parameters of a layer; gates in the order i, f, g, o."""

    ih: Tensor  # (4H, input_dim)
    hh: Tensor  # (4H, P)
    bias: Tensor  # (4H,)
    hr: Tensor | None  # (P, H); None: no projection, P = H

    def each(self, change: Callable[[Tensor], Tensor]) -> LSTMWeights:
        """What `change` makes of each of them."""
        hr = None if self.hr is None else change(self.hr)
        return LSTMWeights(change(self.ih), change(self.hh), change(self.bias), hr)


class Clips(NamedTuple):
    """Bounds of the cell and of the projected output; None: no bound."""

    cell: float | None = None
    projection: float | None = None


def run_lstm(
    x: Tensor, batch_sizes: list[int], state: tuple[Tensor, Tensor], weights: LSTMWeights, clips: Clips
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a layer over packed rows, as `pack_padded_sequence` makes them.

    Under autocast the matrix products, forward and backward, are of its dtype; cells, gates and outputs keep the
    state's dtype, and the gradients of the weights keep theirs. The gradient cannot be differentiated again.

    Args:
        x: (N, input_dim) float; the rows of step 0, then those of step 1, and so on, longest sequence first.
        batch_sizes: Rows of each step, none more than in the step before; N together.
        state: h (B, P) and c (B, H) to start from, longest sequence first; no gradient flows into them.
        weights: The parameters.
        clips: The bounds.

    Returns:
        Outputs (N, P), in the order of x; h (B, P) and c (B, H) after each row's last step, longest sequence first.
    """
    kind = x.device.type
    dtype = product_dtype(weights.ih)
    h, c = (s.detach() for s in state)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *weights)):
        run: Callable[..., tuple[Tensor, Tensor, Tensor]] = _LSTM.apply
        return run(x, *weights, h, c, batch_sizes, clips, dtype)
    with torch.no_grad(), torch.autocast(kind, enabled=False):
        return _forward(x.to(dtype), batch_sizes, h, c, weights, clips)


class _Kept:
    """What backward needs of the steps; the last three in the dtype of the products."""

    def __init__(self) -> None:
        self.gates: list[Tensor] = []  # blocks of (rows, 4H): σ(i), σ(f), tanh(g), σ(o)
        self.cells: list[Tensor] = []  # blocks of (rows, H): c before clipping
        self.tanh_cells: list[Tensor] = []  # blocks of (rows, H): tanh(c), c after clipping
        self.previous: list[Tensor] = []  # of each step (n, P): h_{t-1}
        self.hidden: list[Tensor] = []  # blocks of (rows, H): σ(o) · tanh(c)
        self.projected: list[Tensor] = []  # of each step (n, P): W_hr (σ(o) · tanh(c)) before clipping


def _forward(
    x: Tensor,
    batch_sizes: list[int],
    h: Tensor,
    c: Tensor,
    weights: LSTMWeights,
    clips: Clips,
    kept: _Kept | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the steps; x is in the dtype of the products, h and c in that of the cells."""
    w_ih, w_hh, bias, w_hr = weights.each(lambda w: w.to(x.dtype))
    hidden_dim = c.shape[1]
    output = c.new_empty(len(x), h.shape[1])
    h, c = h.clone(), c.clone()
    row = 0
    for sizes in _blocks(batch_sizes, 4 * hidden_dim * c.element_size()):
        rows = slice(row, row + sum(sizes))
        row = rows.stop
        from_input = linear(x[rows], w_ih, bias)
        gates = from_input if x.dtype == c.dtype else c.new_empty(from_input.shape)
        cells, tanh_cells = c.new_empty(2, len(gates), hidden_dim)
        hidden = x.new_empty(len(gates), hidden_dim)
        if kept is not None:
            kept.gates.append(gates)
            kept.cells.append(cells)
            kept.tanh_cells.append(tanh_cells)
            kept.hidden.append(hidden)
        parts = (part.split(sizes) for part in (from_input, gates, cells, tanh_cells, hidden, output[rows]))
        for z, gates_t, cell, tanh_cell, hidden_t, output_t in zip(*parts, strict=True):
            n = len(z)
            previous = h[:n].to(x.dtype, copy=True)
            add_linear_(z, previous, w_hh)
            if z is not gates_t:
                gates_t.copy_(z)
            _step(gates_t, c[:n], clips.cell, cell, tanh_cell)
            torch.mul(gates_t[:, 3 * hidden_dim :], tanh_cell, out=hidden_t)
            projected = hidden_t if w_hr is None else linear(hidden_t, w_hr)
            output_t.copy_(projected)
            if w_hr is not None and clips.projection is not None:
                output_t.clamp_(-clips.projection, clips.projection)
            h[:n] = output_t
            if kept is not None:
                kept.previous.append(previous)
                kept.projected.append(projected)
    return output, h, c


def _step(gates: Tensor, c: Tensor, clip: float | None, cell: Tensor, tanh_cell: Tensor) -> None:
    """One step of n rows, in place.

    c_t = clamp(σ(f) · c_{t-1} + σ(i) · tanh(g), ± clip)

    Args:
        gates: (n, 4H), i, f, g, o; becomes σ(i), σ(f), tanh(g), σ(o).
        c: (n, H), c_{t-1}; becomes c_t.
        clip: The bound of c.
        cell: (n, H), receives c_t before clipping.
        tanh_cell: (n, H), receives tanh(c_t).
    """
    i, f, g, o = gates.chunk(4, dim=1)
    gates[:, : 2 * g.shape[1]].sigmoid_()
    g.tanh_()
    o.sigmoid_()
    torch.mul(f, c, out=cell).addcmul_(i, g)
    if clip is None:
        c.copy_(cell)
    else:
        torch.clamp(cell, -clip, clip, out=c)
    # tanh(z) = 2 σ(2z) - 1: on a CPU, PyTorch's tanh takes five times as long as its σ. Near 0 it is exact to about
    # 1e-7 and not to the last digit, which is enough here; above, in tanh(g), such errors would add up in c.
    torch.mul(c, 2, out=tanh_cell).sigmoid_().mul_(2).sub_(1)


def _step_backward(
    d_hidden: Tensor,
    d_c: Tensor,
    gates: Tensor,
    cell: Tensor,
    tanh_cell: Tensor,
    before: Tensor,
    clip: float | None,
    d_gates: Tensor,
) -> None:
    """The gradient of `_step`, in place.

    Args:
        d_hidden: (n, H), of σ(o) · tanh(c_t); is used up.
        d_c: (n, H), of c_t from later steps; becomes that of c_{t-1}.
        gates: (n, 4H), as `_step` left them.
        cell: (n, H), c_t before clipping.
        tanh_cell: (n, H), tanh(c_t).
        before: (n, H), c_{t-1}.
        clip: The bound of c.
        d_gates: (n, 4H), receives the gradient of i, f, g, o before σ and tanh.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    d_i, d_f, d_g, d_o = d_gates.chunk(4, dim=1)
    torch.mul(d_hidden, tanh_cell, out=d_o)
    d_c += _times_tanh_slope(d_hidden.mul_(o), tanh_cell)
    _stop_beyond(clip, d_c, cell)
    torch.mul(d_c, g, out=d_i)
    torch.mul(d_c, before, out=d_f)
    torch.mul(d_c, i, out=d_g)
    d_c *= f
    half = 2 * g.shape[1]
    _times_sigmoid_slope(d_gates[:, :half], gates[:, :half])
    _times_tanh_slope(d_g, g)
    _times_sigmoid_slope(d_o, o)


def _blocks(batch_sizes: list[int], row_bytes: int) -> list[list[int]]:
    """Cut the steps into runs of at most `_BLOCK` bytes, or of one step."""
    blocks: list[list[int]] = []
    free = 0
    for n in batch_sizes:
        if not blocks or n * row_bytes > free:
            blocks.append([])
            free = _BLOCK
        blocks[-1].append(n)
        free -= n * row_bytes
    return blocks


class _LSTM(torch.autograd.Function):
    """`run_lstm` with its gradient: back-propagation through time (Werbos 1990)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        bias: Tensor,
        w_hr: Tensor | None,
        h: Tensor,
        c: Tensor,
        batch_sizes: list[int],
        clips: Clips,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.batch_sizes, ctx.clips, ctx.x_dtype, ctx.kind = batch_sizes, clips, x.dtype, x.device.type
        ctx.set_materialize_grads(False)
        kept = _Kept()
        with torch.autocast(ctx.kind, enabled=False):
            x = x.to(dtype)
            result = _forward(x, batch_sizes, h, c, LSTMWeights(w_ih, w_hh, bias, w_hr), clips, kept)
        previous = torch.cat(kept.previous)
        projected = None if w_hr is None else torch.cat(kept.projected)
        blocks = (*kept.gates, *kept.cells, *kept.tanh_cells, *kept.hidden)
        ctx.save_for_backward(w_ih, w_hh, w_hr, x, c, previous, projected, *blocks)
        return result

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_output: Tensor | None, d_h: Tensor | None, d_c: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        with torch.autocast(ctx.kind, enabled=False):
            return *_backward(ctx, d_output, d_h, d_c), None, None, None, None, None


def _backward(ctx: Any, d_output: Tensor | None, d_h: Tensor | None, d_c: Tensor | None) -> tuple[Tensor | None, ...]:
    """The gradients of x, W_ih, W_hh, b and W_hr."""
    # Read once: hooks that keep them elsewhere or compute them anew, as checkpointing does, run at each reading.
    w_ih, w_hh, w_hr, x, c_0, previous, projected, *blocks = ctx.saved_tensors
    batch_sizes, clips = ctx.batch_sizes, ctx.clips
    cut = _blocks(batch_sizes, 4 * c_0.shape[1] * c_0.element_size())
    hidden = blocks[-len(cut) :]
    of_each_step = [part for block, sizes in zip(blocks, cut * 4, strict=True) for part in block.split(sizes)]
    t = len(batch_sizes)
    gates, cells, tanh_cells = of_each_step[:t], of_each_step[t : 2 * t], of_each_step[2 * t : 3 * t]

    want_x, *want_weights = ctx.needs_input_grad[:5]
    d_x = torch.empty_like(x, dtype=ctx.x_dtype) if want_x else None
    d_w_ih, d_w_hh, d_bias, d_w_hr = (
        torch.zeros_like(w) if wanted else None
        for w, wanted in zip((w_ih, w_hh, w_ih[:, 0], w_hr), want_weights, strict=True)
    )
    w_ih, w_hh = w_ih.to(x.dtype), w_hh.to(x.dtype)
    # A row that ends early keeps the gradient of its final state here until the loop comes to its last step.
    d_h = c_0.new_zeros(len(c_0), w_hh.shape[1]) if d_h is None else d_h.clone()
    d_c = torch.zeros_like(c_0) if d_c is None else d_c.clone()
    d_projected = None  # as of W_hr
    if w_hr is not None:
        w_hr, d_projected = w_hr.to(x.dtype), torch.empty_like(projected)
    d_hidden_0, d_gates_0 = torch.empty_like(c_0), torch.empty_like(gates[0])
    row = len(x)
    # A product of another dtype cannot be added in place to the gradient, so there it is better to have only one.
    for sizes in reversed(cut if x.dtype == c_0.dtype else [batch_sizes]):
        rows = slice(row - sum(sizes), row)
        d_z = x.new_empty(sum(sizes), 4 * c_0.shape[1])  # of the gates, in the dtype of the products
        for n in reversed(sizes):
            t, row = t - 1, row - n
            here, d_h_t, d_hidden = slice(row, row + n), d_h[:n], d_hidden_0[:n]
            if d_output is not None:
                d_h_t += d_output[here]
            if d_projected is None:
                d_hidden.copy_(d_h_t)
            else:
                _stop_beyond(clips.projection, d_h_t, projected[here])
                d_projected[here] = d_h_t
                d_hidden.copy_(torch.mm(d_projected[here], w_hr))
            before = c_0 if t == 0 else cells[t - 1][:n]
            if t > 0 and clips.cell is not None:
                before = before.clamp(-clips.cell, clips.cell)
            d_z_t = d_z[row - rows.start :][:n]
            d_gates = d_z_t if x.dtype == c_0.dtype else d_gates_0[:n]
            _step_backward(d_hidden, d_c[:n], gates[t], cells[t], tanh_cells[t], before, clips.cell, d_gates)
            if d_gates is not d_z_t:
                d_z_t.copy_(d_gates)
            if d_bias is not None:
                d_bias += d_gates.sum(0)
            d_h_t.copy_(torch.mm(d_z_t, w_hh))
        if d_x is not None:
            d_x[rows] = torch.mm(d_z, w_ih)
        _add_product(d_w_ih, d_z, x[rows])
        _add_product(d_w_hh, d_z, previous[rows])
    if d_projected is not None:
        for part, block in zip(d_projected.split([len(block) for block in hidden]), hidden, strict=True):
            _add_product(d_w_hr, part, block)
    return d_x, d_w_ih, d_w_hh, d_bias, d_w_hr


def _times_sigmoid_slope(gradient: Tensor, y: Tensor) -> Tensor:
    """Multiply in place by the derivative of y = σ(z), y (1 - y)."""
    product: Tensor = torch.ops.aten.sigmoid_backward.grad_input(gradient, y, grad_input=gradient)
    return product


def _times_tanh_slope(gradient: Tensor, y: Tensor) -> Tensor:
    """Multiply in place by the derivative of y = tanh(z), 1 - y²."""
    product: Tensor = torch.ops.aten.tanh_backward.grad_input(gradient, y, grad_input=gradient)
    return product


def _stop_beyond(bound: float | None, gradient: Tensor, z: Tensor) -> None:
    """The gradient of clamp(z, ± bound), in place: it passes where |z| ≤ bound."""
    if bound is not None:
        z = z.to(gradient.dtype)
        # PyTorch gives the gradient of `hardtanh` a function in place, but that stops at the bounds, too: so they are
        # moved to the next number.
        last = torch.tensor(bound, dtype=z.dtype, device="cpu")
        end = torch.nextafter(last, torch.full_like(last, torch.inf)).item()
        torch.ops.aten.hardtanh_backward.grad_input(gradient, z, -end, end, grad_input=gradient)


def _add_product(total: Tensor | None, a: Tensor, b: Tensor) -> None:
    """Add aᵀ b to `total`, if that is wanted."""
    if total is not None:
        if total.dtype == a.dtype:
            total.addmm_(a.t(), b)
        else:
            total += torch.mm(a.t(), b)
