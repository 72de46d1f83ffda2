"""The loss of a softmax and its gradients, a chunk of rows at a time: of all words, or of a sample of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_helpers.model.linear import linear, product, rounded_up
from elmo_helpers.model.precision import product_dtype

# Scores held at one time, as near as whole rows allow: large enough that the matrix products run at full speed, small
# enough that the passes over the scores find them in the cache. A row is never cut, and fewer rows than this make the
# products slow, so a vocabulary of a million words takes 256 MB.
_CHUNK_SCORES = 2**21
_MIN_ROWS = 64
# Of float32 and bfloat16, exponentials of numbers up to this, and sums of any number of them, are far from both ends.
_SAFE = 60.0


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
        n = len(hidden)
        w_target = weight[targets]  # (N, P)
        z_target = torch.linalg.vecdot(hidden, w_target) + bias[targets]
        first = 1 if padding and negatives is None else 0  # the word of the first column
        if negatives is None:
            w, b, own = weight[first:], bias[first:], targets - first
        else:
            w, b = weight[negatives.ids], bias[negatives.ids] - negatives.log_expected
            z_target -= negatives.log_expected_targets
            place = torch.searchsorted(negatives.ids, targets).clamp_(max=len(w) - 1)
            own = torch.where(negatives.ids[place] == targets, place, -1)
        n_rows = rounded_up(max(_CHUNK_SCORES // max(len(w), 1), _MIN_ROWS))
        exponentials = _Exponentials(_filled(hidden, n_rows), w, b, _filled(z_target, n_rows), product_type)

        losses = torch.empty_like(z_target)
        if with_gradient:
            d_hidden, d_w_b = torch.empty_like(hidden), hidden.new_zeros(hidden.shape[1] + 1, len(w))
            d_target = torch.empty_like(z_target)
        for start in range(0, n, n_rows):
            rows = slice(start, min(start + n_rows, n))
            filled = slice(start, start + n_rows)
            e, shift = exponentials.of(filled), exponentials.shift[rows]
            hits = (own[rows] >= 0).nonzero()[:, 0]
            e[hits, own[rows][hits]] = 0
            e_t = (z_target[rows] - shift).exp_()
            e_sum = e.sum(1)[: len(e_t)] + e_t
            losses[rows] = e_sum.log() + shift - z_target[rows]
            if with_gradient:
                # p = e / e_sum, but dividing the narrow factors spares passes over the wide one.
                scale = 1 / e_sum[:, None]
                e_product = e.to(product_type)
                torch.mul(product(e_product, exponentials.w)[: len(e_t)], scale, out=d_hidden[rows])
                h_one = _filled(torch.cat([hidden[rows] * scale, scale], 1), n_rows).to(product_type)
                d_w_b += product(h_one.t().contiguous(), e_product)
                d_target[rows] = e_t * scale[:, 0] - 1
        if with_gradient:
            d_hidden.addcmul_(d_target[:, None], w_target)
            words, place = targets, targets  # the rows of the gradient, and each target's place among them
            columns: Tensor | slice = slice(first, None)  # of the words that were scored, among those rows
            n_words = len(weight)
            if negatives is not None:
                words, place = torch.cat([negatives.ids, targets]).unique(return_inverse=True)
                columns, place = place.split([len(w), len(targets)])
                n_words = len(words)
            d_w, d_b = weight.new_zeros(n_words, weight.shape[1]), bias.new_zeros(n_words)
            d_w[columns], d_b[columns] = d_w_b[:-1].t(), d_w_b[-1]
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


def _filled(rows: Tensor, n_rows: int) -> Tensor:
    """(N, ...) with zeros behind, so that the last chunk of `n_rows` has a number of rows as `linear` wants it."""
    rest = len(rows) % n_rows
    return torch.cat([rows, rows.new_zeros(rounded_up(rest) - rest, *rows.shape[1:])])


class _Exponentials:
    """exp(z - m) of the scores z = h·Wᵀ + b, a chunk of rows at a time; m is a row's shift.

    The shift stands in numerator and denominator alike, and is there so that no exponential overflows. It need not be
    the row's maximum, which is known only after a pass over all scores: by Cauchy and Schwarz no score is above
    |h| max |w| + max b, and it is enough to take away what that has above `_SAFE`. The sum does not vanish as long as
    the target's score, which is part of it, stays above -`_SAFE`; only where it would not, the maximum is looked for.
    """

    def __init__(self, hidden: Tensor, w: Tensor, b: Tensor, z_target: Tensor, product_type: torch.dtype) -> None:
        """Prepare N rows.

        Args:
            hidden: (N, P) float.
            w: (V, P) float.
            b: (V,) float.
            z_target: (N,) float, the score of each row's target.
            product_type: The dtype of the matrix products.
        """
        self.w, self.b, self.hidden = w.to(product_type), b, hidden.to(product_type)
        if len(w) == 0:
            self.shift = z_target
        else:
            bound = hidden.norm(dim=1) * w.norm(dim=1).amax() + b.amax()
            self.shift = (bound - _SAFE).clamp_(min=0)
            # float16 ends at 65,504: there no exponential may be above 1
            unknown = (z_target - self.shift < -_SAFE) | (torch.finfo(product_type).max < math.exp(_SAFE))
            for rows in unknown.nonzero()[:, 0].split(_MIN_ROWS):
                highest = torch.addmm(b, hidden[rows], w.t()).amax(1)
                self.shift[rows] = torch.maximum(highest, z_target[rows])
        self.folded = product_type == hidden.dtype
        if self.folded:  # bias and shift are two columns of the product, and no passes over the scores
            self.w_folded = torch.cat([w, b[:, None], torch.ones_like(b)[:, None]], 1)
            self.hidden_folded = torch.cat([hidden, torch.ones_like(z_target)[:, None], -self.shift[:, None]], 1)

    def of(self, rows: slice) -> Tensor:
        """Those of some rows, (n, V) float."""
        if self.folded:
            return linear(self.hidden_folded[rows], self.w_folded).exp_()
        z = torch.add(torch.mm(self.hidden[rows], self.w.t()), self.b)
        return z.sub_(self.shift[rows, None]).exp_()
