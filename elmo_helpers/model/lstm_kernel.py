"""The time loop of LSTMs with projection and clipping, and its gradient, both written out.

Under autograd each step leaves some fifteen nodes, and each step's weight gradient is a product of its own. Here a
step is a few elementwise functions into memory that is there already, and the gradients of the weights are matrix
products over many steps. The two directions, which are independent of each other, take each step side by side: what is
elementwise is done once for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_helpers.model.linear import add_linear_, linear, product
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


def run_lstms(
    xs: Sequence[Tensor],
    batch_sizes: list[int],
    state: tuple[Tensor, Tensor],
    weights: Sequence[LSTMWeights],
    clips: Clips,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run D layers of one size over packed rows, as `pack_padded_sequence` makes them.

    Under autocast the matrix products, forward and backward, are of its dtype; cells, gates and outputs keep the
    state's dtype, and the gradients of the weights keep theirs. The gradient cannot be differentiated again.

    Args:
        xs: D of (N, input_dim) float; the rows of step 0, then those of step 1, and so on, longest sequence first.
        batch_sizes: Rows of each step, none more than in the step before; N together.
        state: h (D, B, P) and c (D, B, H) to start from, longest sequence first; no gradient flows into them.
        weights: The parameters of each layer.
        clips: The bounds of all of them.

    Returns:
        Outputs (D, N, P), in the order of the rows; h (D, B, P) and c (D, B, H) after each row's last step, longest
        sequence first.
    """
    kind = xs[0].device.type
    dtype = product_dtype(weights[0].ih)
    h, c = (s.detach() for s in state)
    flat = [*xs, *(w for each in weights for w in each)]
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in flat):
        run: Callable[..., tuple[Tensor, Tensor, Tensor]] = _LSTMs.apply
        return run(batch_sizes, h, c, clips, dtype, *flat)
    with torch.no_grad(), torch.autocast(kind, enabled=False):
        return _forward([x.to(dtype) for x in xs], batch_sizes, h, c, weights, clips)


class _Kept:
    """What backward needs of the steps; the last three in the dtype of the products."""

    def __init__(self) -> None:
        self.gates: list[Tensor] = []  # blocks of (D, rows, 4H): σ(i), σ(f), tanh(g), σ(o)
        self.cells: list[Tensor] = []  # blocks of (D, rows, H): c before clipping
        self.tanh_cells: list[Tensor] = []  # blocks of (D, rows, H): tanh(c), c after clipping
        self.hidden: list[Tensor] = []  # blocks of (D, rows, H): σ(o) · tanh(c)
        self.previous: list[Tensor] = []  # of each step (D, n, P): h_{t-1}
        self.projected: list[Tensor] = []  # of each step (D, n, P): W_hr (σ(o) · tanh(c)) before clipping


def _forward(
    xs: Sequence[Tensor],
    batch_sizes: list[int],
    h: Tensor,
    c: Tensor,
    weights: Sequence[LSTMWeights],
    clips: Clips,
    kept: _Kept | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the steps; the rows are in the dtype of the products, h and c in that of the cells."""
    dtype, n_layers, hidden_dim = xs[0].dtype, len(xs), c.shape[-1]
    weights = [each.each(lambda w: w.to(dtype)) for each in weights]
    output = c.new_empty(n_layers, len(xs[0]), h.shape[-1])
    h, c = h.clone(), c.clone()
    row = 0
    for sizes in _blocks(batch_sizes, n_layers * 4 * hidden_dim * c.element_size()):
        rows = slice(row, row + sum(sizes))
        row = rows.stop
        from_input = _side_by_side([linear(x[rows], w.ih, w.bias) for x, w in zip(xs, weights, strict=True)])
        gates = from_input if dtype == c.dtype else c.new_empty(from_input.shape)
        cells, tanh_cells = c.new_empty(2, *gates.shape[:2], hidden_dim)
        hidden = c.new_empty(cells.shape, dtype=dtype)
        if kept is not None:
            kept.gates.append(gates)
            kept.cells.append(cells)
            kept.tanh_cells.append(tanh_cells)
            kept.hidden.append(hidden)
        parts = (part.split(sizes, 1) for part in (from_input, gates, cells, tanh_cells, hidden, output[:, rows]))
        for z, gates_t, cell, tanh_cell, hidden_t, output_t in zip(*parts, strict=True):
            n = z.shape[1]
            previous = h[:, :n].to(dtype, copy=True)
            for i, w in enumerate(weights):
                add_linear_(z[i], previous[i], w.hh)
            if z is not gates_t:
                gates_t.copy_(z)
            _step(gates_t, c[:, :n], clips.cell, cell, tanh_cell)
            torch.mul(gates_t[..., 3 * hidden_dim :], tanh_cell, out=hidden_t)
            projected = hidden_t
            if weights[0].hr is not None:
                projected = _side_by_side(
                    [linear(x, cast("Tensor", w.hr)) for x, w in zip(hidden_t, weights, strict=True)]
                )
            output_t.copy_(projected)
            if clips.projection is not None and weights[0].hr is not None:
                output_t.clamp_(-clips.projection, clips.projection)
            h[:, :n] = output_t
            if kept is not None:
                kept.previous.append(previous)
                kept.projected.append(projected)
    return output, h, c


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """D of (n, m) as (D, n, m); one alone is not copied."""
    return parts[0][None] if len(parts) == 1 else torch.stack(list(parts))


def _step(gates: Tensor, c: Tensor, clip: float | None, cell: Tensor, tanh_cell: Tensor) -> None:
    """One step of n rows, in place.

    c_t = clamp(σ(f) · c_{t-1} + σ(i) · tanh(g), ± clip)

    Args:
        gates: (..., n, 4H), i, f, g, o; becomes σ(i), σ(f), tanh(g), σ(o).
        c: (..., n, H), c_{t-1}; becomes c_t.
        clip: The bound of c.
        cell: (..., n, H), receives c_t before clipping.
        tanh_cell: (..., n, H), receives tanh(c_t).
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    gates[..., : 2 * g.shape[-1]].sigmoid_()
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
        d_hidden: (..., n, H), of σ(o) · tanh(c_t); is used up.
        d_c: (..., n, H), of c_t from later steps; becomes that of c_{t-1}.
        gates: (..., n, 4H), as `_step` left them.
        cell: (..., n, H), c_t before clipping.
        tanh_cell: (..., n, H), tanh(c_t).
        before: (..., n, H), c_{t-1}.
        clip: The bound of c.
        d_gates: (..., n, 4H), receives the gradient of i, f, g, o before σ and tanh.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    d_i, d_f, d_g, d_o = d_gates.chunk(4, dim=-1)
    torch.mul(d_hidden, tanh_cell, out=d_o)
    d_c += _times_tanh_slope(d_hidden.mul_(o), tanh_cell)
    _stop_beyond(clip, d_c, cell)
    torch.mul(d_c, g, out=d_i)
    torch.mul(d_c, before, out=d_f)
    torch.mul(d_c, i, out=d_g)
    d_c *= f
    half = 2 * g.shape[-1]
    _times_sigmoid_slope(d_gates[..., :half], gates[..., :half])
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


class _LSTMs(torch.autograd.Function):
    """`run_lstms` with its gradient: back-propagation through time (Werbos 1990)."""

    @staticmethod
    def forward(
        ctx: Any, batch_sizes: list[int], h: Tensor, c: Tensor, clips: Clips, dtype: torch.dtype, *flat: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Arguments of `run_lstms`; `flat` are the rows and the parameters of the D layers, one layer after another."""
        n_layers = len(flat) // (1 + _N_WEIGHTS)
        xs = cast("tuple[Tensor, ...]", flat[:n_layers])
        ctx.batch_sizes, ctx.clips, ctx.x_dtype, ctx.kind = batch_sizes, clips, xs[0].dtype, h.device.type
        ctx.set_materialize_grads(False)
        kept = _Kept()
        with torch.autocast(ctx.kind, enabled=False):
            xs = tuple(x.to(dtype) for x in xs)
            result = _forward(xs, batch_sizes, h, c, _weights_of(flat[n_layers:]), clips, kept)
        previous = torch.cat(kept.previous, 1)
        projected = None if flat[-1] is None else torch.cat(kept.projected, 1)
        blocks = (*kept.gates, *kept.cells, *kept.tanh_cells, *kept.hidden)
        ctx.save_for_backward(*xs, *flat[n_layers:], c, previous, projected, *blocks)
        ctx.n_layers = n_layers
        return result

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_output: Tensor | None, d_h: Tensor | None, d_c: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        with torch.autocast(ctx.kind, enabled=False):
            return None, None, None, None, None, *_backward(ctx, d_output, d_h, d_c)


_N_WEIGHTS = len(LSTMWeights._fields)


def _weights_of(flat: Sequence[Tensor | None]) -> list[LSTMWeights]:
    """The parameters of each layer, out of those of all of them."""
    parts = [flat[start : start + _N_WEIGHTS] for start in range(0, len(flat), _N_WEIGHTS)]
    return [LSTMWeights(*cast("tuple[Tensor, Tensor, Tensor, Tensor | None]", part)) for part in parts]


def _backward(ctx: Any, d_output: Tensor | None, d_h: Tensor | None, d_c: Tensor | None) -> list[Tensor | None]:
    """The gradients of the rows of all layers, and of W_ih, W_hh, b and W_hr of each layer."""
    # Read once: hooks that keep them elsewhere or compute them anew, as checkpointing does, run at each reading.
    saved, n_layers = ctx.saved_tensors, ctx.n_layers
    xs, saved = saved[:n_layers], saved[n_layers:]
    weights, (c_0, previous, projected, *blocks) = (
        _weights_of(saved[: _N_WEIGHTS * n_layers]),
        saved[_N_WEIGHTS * n_layers :],
    )
    batch_sizes, clips, dtype = ctx.batch_sizes, ctx.clips, xs[0].dtype
    cut = _blocks(batch_sizes, n_layers * 4 * c_0.shape[-1] * c_0.element_size())
    hidden = blocks[-len(cut) :]
    of_each_step = [part for block, sizes in zip(blocks, cut * 4, strict=True) for part in block.split(sizes, 1)]
    t = len(batch_sizes)
    gates, cells, tanh_cells = of_each_step[:t], of_each_step[t : 2 * t], of_each_step[2 * t : 3 * t]

    wanted = ctx.needs_input_grad[5:]
    d_xs = [torch.empty_like(x, dtype=ctx.x_dtype) if want else None for x, want in zip(xs, wanted, strict=False)]
    flat = zip((w for each in weights for w in each), wanted[n_layers:], strict=True)
    d_flat = [torch.zeros_like(w) if w is not None and want else None for w, want in flat]
    d_w_ih, d_w_hh, d_bias, d_w_hr = (d_flat[i::_N_WEIGHTS] for i in range(_N_WEIGHTS))
    weights = [each.each(lambda w: w.to(dtype)) for each in weights]
    # A row that ends early keeps the gradient of its final state here until the loop comes to its last step.
    d_h = c_0.new_zeros(*c_0.shape[:2], weights[0].hh.shape[1]) if d_h is None else d_h.clone()
    d_c = torch.zeros_like(c_0) if d_c is None else d_c.clone()
    d_projected = None if projected is None else torch.empty_like(projected)  # as of W_hr
    d_hidden_0, d_gates_0 = torch.empty_like(c_0), torch.empty_like(gates[0])
    row = len(xs[0])
    # A product of another dtype cannot be added in place to the gradient, so there it is better to have only one.
    for sizes in reversed(cut if dtype == c_0.dtype else [batch_sizes]):
        rows = slice(row - sum(sizes), row)
        # Of the gates, in the dtype of the products.
        d_z = c_0.new_empty(n_layers, sum(sizes), 4 * c_0.shape[-1], dtype=dtype)
        for n in reversed(sizes):
            t, row = t - 1, row - n
            here, d_h_t, d_hidden = slice(row, row + n), d_h[:, :n], d_hidden_0[:, :n]
            if d_output is not None:
                d_h_t += d_output[:, here]
            if d_projected is None:
                d_hidden.copy_(d_h_t)
            else:
                _stop_beyond(clips.projection, d_h_t, projected[:, here])
                d_projected[:, here] = d_h_t
                for i, w in enumerate(weights):
                    d_hidden[i].copy_(product(d_projected[i, here], cast("Tensor", w.hr)))
            before = c_0 if t == 0 else cells[t - 1][:, :n]
            if t > 0 and clips.cell is not None:
                before = before.clamp(-clips.cell, clips.cell)
            d_z_t = d_z[:, row - rows.start :][:, :n]
            d_gates = d_z_t if dtype == c_0.dtype else d_gates_0[:, :n]
            _step_backward(d_hidden, d_c[:, :n], gates[t], cells[t], tanh_cells[t], before, clips.cell, d_gates)
            if d_gates is not d_z_t:
                d_z_t.copy_(d_gates)
            for i, w in enumerate(weights):
                if (d_b := d_bias[i]) is not None:
                    d_b += d_gates[i].sum(0)
                d_h_t[i].copy_(product(d_z_t[i], w.hh))
        for i, (x, d_x, w) in enumerate(zip(xs, d_xs, weights, strict=True)):
            if d_x is not None:
                d_x[rows] = product(d_z[i], w.ih)
            _add_product(d_w_ih[i], d_z[i], x[rows])
            _add_product(d_w_hh[i], d_z[i], previous[i, rows])
    if d_projected is not None:
        for part, block in zip(d_projected.split([block.shape[1] for block in hidden], 1), hidden, strict=True):
            for i, d_w in enumerate(d_w_hr):
                _add_product(d_w, part[i], block[i])
    return [*d_xs, *d_flat]


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
