"""The softmax over the vocabulary, shared by both directions."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Rows of the hidden matrix whose scores are held at one time. 256 rows of 12,000 scores are 12 MB: large enough that
# the matrix products run at full speed, small enough that the passes over the scores find them in the cache.
_CHUNK_ROWS = 256


class FullSoftmax(nn.Module):
    """p(w | h) = exp(W_w·h + b_w) / Σ_v exp(W_v·h + b_v) over all words v but padding, exact.

    The scores of all rows together would not fit into memory (24,000 rows over 94,297 words are 9 GB), so a chunk
    of rows is worked on at a time, and its gradient is formed at once, while the scores are at hand.
    """

    def __init__(self, n_words: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_words, dim))  # (V, P)
        self.bias = nn.Parameter(torch.zeros(n_words))
        nn.init.normal_(self.weight, std=dim**-0.5)

    def start_from_counts(self, counts: Tensor) -> None:
        """Start the bias at the log of the words' frequencies, so that training starts from the unigram model.

        Args:
            counts: (V,) how often each word is to be predicted; words never seen count as once.
        """
        counts = counts.to(self.bias).clamp(min=1)
        counts[0] = 0  # padding is never predicted
        with torch.no_grad():
            self.bias[1:] = (counts[1:] / counts.sum()).log()

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """log p of every word, (..., P) float to (..., V) float; -inf for padding."""
        scores = hidden @ self.weight.t() + self.bias
        scores[..., 0] = -torch.inf
        return scores.log_softmax(-1)

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The negative log-likelihood of the targets, summed.

        Args:
            hidden: (N, P) float.
            targets: (N,) int64 vocabulary ids; not padding.

        Returns:
            Scalar float, in nats.
        """
        return _NegativeLogLikelihood.apply(hidden, self.weight, self.bias, targets, torch.is_grad_enabled())


class _NegativeLogLikelihood(torch.autograd.Function):
    """Σ_n [log Σ_v exp(z_nv) - z_n,target] for z = hidden·Wᵀ + b, in chunks of rows, gradients formed on the way.

    With p the softmax of z, the gradients are dz = p - onehot(target), dhidden = dz·W, dW = dzᵀ·hidden, db = Σ_n dz.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, targets, with_gradient):
        total = hidden.new_zeros((), dtype=torch.float64)
        scores = hidden.new_empty(min(_CHUNK_ROWS, len(hidden)), len(weight))
        if with_gradient:
            d_hidden, d_weight, d_bias = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(bias)
            ones = hidden.new_ones(len(scores))
        for start in range(0, len(hidden), _CHUNK_ROWS):
            rows = hidden[start : start + _CHUNK_ROWS]
            target = targets[start : start + _CHUNK_ROWS, None]
            z = torch.mm(rows, weight.t(), out=scores[: len(rows)]).add_(bias)
            z[:, 0] = -torch.inf
            z_target = z.gather(1, target)
            z_max = z.amax(1, keepdim=True)  # subtracted, so that no exponential overflows
            z.sub_(z_max).exp_()
            z_sum = z.sum(1, keepdim=True)
            total += (z_sum.log() + z_max - z_target).sum(dtype=torch.float64)
            if with_gradient:
                # p = z / z_sum, but dividing the narrow factors spares passes over the wide one.
                torch.mm(z, weight, out=d_hidden[start : start + _CHUNK_ROWS])
                d_hidden[start : start + _CHUNK_ROWS] /= z_sum
                d_weight.addmm_(z.t(), rows / z_sum)
                d_bias.addmv_(z.t(), ones[: len(rows)] / z_sum[:, 0])
        if with_gradient:
            d_hidden -= weight[targets]
            d_weight.index_add_(0, targets, hidden, alpha=-1)
            d_bias -= torch.bincount(targets, minlength=len(bias))
            ctx.save_for_backward(d_hidden, d_weight, d_bias)
        return total.to(hidden.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return *(gradient * d for d in ctx.saved_tensors), None, None
