"""The loss of a softmax and its gradients, a chunk of rows at a time: of all words, or of a sample of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_helpers.model.precision import product_dtype

# Scores held at one time, as near as whole rows allow: large enough that the matrix products run at full speed, small
# enough that the passes over the scores find them in the cache. A row is never cut, and fewer rows than this make the
# products slow, so a vocabulary of a million words takes 256 MB.
_CHUNK_SCORES = 2**22
_MIN_ROWS = 64


class Negatives(NamedTuple):
    """Words drawn for one step, and the log of how often each word was to be expected among them.

    Attributes:
        ids: (n,) int64, distinct vocabulary ids, rising.
        log_expected: (n,) float, log of the expected count of each of them.
        log_expected_targets: (N,) float, the same of each row's target.
    """

    ids: Tensor
    log_expected: Tensor
    log_expected_targets: Tensor


class SoftmaxLoss(NamedTuple):
    """A loss over N predictions.

    Attributes:
        total: Scalar float, in nats: the sum, through which the gradient flows.
        rows: (N,) float, in nats: each prediction's part, without gradient, for counting.
    """

    total: Tensor
    rows: Tensor


def chunked_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    negatives: Negatives | None = None,
    *,
    padding: bool = True,
    sparse: bool = False,
) -> SoftmaxLoss:
    """Σ_n [log(exp z_n,t + Σ_v≠t exp z_nv) - z_n,t] for z = hidden·Wᵀ + b and each row's target t.

    Over all words v, or over the negatives alone; then z is lowered by the log of each word's expected count,
    which makes the sum over the sample an estimate of the sum over all words (Jean et al. 2015, section 3). A negative
    that is a row's own target is left out of that row.

    Under autocast the matrix products are done in its type; all sums are in float32 at least.

    Args:
        hidden: (N, P) float.
        weight: (V, P) float.
        bias: (V,) float.
        targets: (N,) int64; not padding.
        negatives: Words to sum over; None: all.
        padding: Word 0 is padding, and left out of the sum over all words.
        sparse: With negatives, make the gradients of weight and bias sparse in their rows, as `nn.Embedding` can.
    """
    device = hidden.device.type
    product_type = product_dtype(weight)
    chunks: Callable[..., tuple[Tensor, Tensor]] = _ChunkedLoss.apply
    with torch.autocast(device, enabled=False):
        loss = chunks(
            hidden.to(weight.dtype),
            weight,
            bias,
            targets,
            negatives,
            padding,
            sparse,
            product_type,
            torch.is_grad_enabled(),
        )
    return SoftmaxLoss(*loss)


class _ChunkedLoss(torch.autograd.Function):
    """Gradients are formed on the way, while a chunk's scores are at hand.

    With p_v = exp z_v / Σ: dz_v = p_v for v ≠ t, dz_t = p_t - 1, dhidden = dz·W, dW = dzᵀ·hidden, db = Σ_n dz. The
    target's part is computed apart from the others', in full precision, since p_t - 1 is the larger one.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        negatives: Negatives | None,
        padding: bool,
        sparse: bool,
        product_type: torch.dtype,
        with_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        if negatives is None:
            columns, w, b = targets, weight, bias
            if padding:
                b = bias.clone()
                b[0] = -torch.inf
        else:
            w, b = weight[negatives.ids], bias[negatives.ids] - negatives.log_expected
            place = torch.searchsorted(negatives.ids, targets).clamp_(max=len(w) - 1)
            columns = torch.where(negatives.ids[place] == targets, place, -1)
        w_target = weight[targets]  # (N, P)
        z_target = torch.linalg.vecdot(hidden, w_target) + bias[targets]
        if negatives is not None:
            z_target -= negatives.log_expected_targets

        n_rows = min(max(_CHUNK_SCORES // max(len(w), 1), _MIN_ROWS), len(hidden))
        w_product, hidden_product = w.to(product_type), hidden.to(product_type)
        scores = hidden.new_empty(n_rows, len(w))
        products = scores if product_type == hidden.dtype else scores.new_empty(scores.shape, dtype=product_type)
        losses = torch.empty_like(z_target)
        if with_gradient:
            d_hidden, d_w, d_b = torch.empty_like(hidden), torch.zeros_like(w), torch.zeros_like(b)
            d_target = torch.empty_like(z_target)
        for start in range(0, len(hidden), max(n_rows, 1)):
            rows = slice(start, start + n_rows)
            h = hidden_product[rows]
            z = torch.mm(h, w_product.t(), out=products[: len(h)])
            z = torch.add(z, b, out=scores[: len(h)])
            own = columns[rows]
            hits = (own >= 0).nonzero()[:, 0]
            z[hits, own[hits]] = -torch.inf
            z_t = z_target[rows, None]
            z_max = torch.maximum(z.amax(1, keepdim=True), z_t)  # subtracted, so that no exponential overflows
            e = z.sub_(z_max).exp_()
            e_t = (z_t - z_max).exp_()
            e_sum = e.sum(1, keepdim=True) + e_t
            losses[rows] = (e_sum.log() + z_max - z_t)[:, 0]
            if with_gradient:
                # p = e / e_sum, but dividing the narrow factors spares passes over the wide one.
                e = products[: len(h)].copy_(e) if products is not scores else e
                d_hidden[rows] = torch.mm(e, w_product)
                d_hidden[rows] /= e_sum
                h_scaled = (hidden[rows] / e_sum).to(product_type)
                if products is scores:
                    d_w.addmm_(e.t(), h_scaled)
                else:
                    d_w += torch.mm(e.t(), h_scaled)
                d_b.addmv_(scores[: len(h)].t(), 1 / e_sum[:, 0])
                d_target[rows] = (e_t / e_sum - 1)[:, 0]
        if with_gradient:
            d_hidden.addcmul_(d_target[:, None], w_target)
            words, place = targets, targets  # the rows of the gradient, and each target's place among them
            if negatives is not None:
                words, place = torch.cat([negatives.ids, targets]).unique(return_inverse=True)
                drawn, place = place.split([len(w), len(targets)])
                d_w = w.new_zeros(len(words), w.shape[1]).index_copy_(0, drawn, d_w)
                d_b = b.new_zeros(len(words)).index_copy_(0, drawn, d_b)
            d_w.index_add_(0, place, d_target[:, None] * hidden)
            d_b.index_add_(0, place, d_target)
            ctx.save_for_backward(d_hidden, d_w, d_b, words)
            ctx.shape, ctx.sampled, ctx.sparse = weight.shape, negatives is not None, sparse
        ctx.mark_non_differentiable(losses)
        return losses.sum(dtype=torch.float64).to(hidden.dtype), losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight, d_bias, words = ctx.saved_tensors
        d_hidden, d_weight, d_bias = (d * gradient for d in (d_hidden, d_weight, d_bias))
        if ctx.sampled:
            d_weight, d_bias = (
                torch.sparse_coo_tensor(
                    words[None], d, (ctx.shape[0], *d.shape[1:]), is_coalesced=True, check_invariants=False
                )
                if ctx.sparse
                else d.new_zeros(ctx.shape[0], *d.shape[1:]).index_copy_(0, words, d)
                for d in (d_weight, d_bias)
            )
        return d_hidden, d_weight, d_bias, None, None, None, None, None, None
