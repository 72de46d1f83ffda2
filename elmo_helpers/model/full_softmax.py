"""The exact softmax over all words, in chunks of rows."""

import torch
from torch import Tensor, nn

from elmo_helpers.model.softmax_loss import SoftmaxLoss, chunked_loss


class FullSoftmax(nn.Module):
    """p(w | h) = exp(W_w·h + b_w) / Σ_v exp(W_v·h + b_v) over all words v but padding, exact.

    The scores of all rows together would not fit into memory (24,000 rows over 94,297 words are 9 GB), so a chunk
    of rows is worked on at a time, and its gradient is formed at once, while the scores are at hand.
    """

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, n_words: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_words, dim, dtype=torch.float32))  # (V, P)
        self.bias = nn.Parameter(torch.zeros(n_words, dtype=torch.float32))
        nn.init.normal_(self.weight, std=dim**-0.5)

    def start_from_counts(self, counts: Tensor) -> None:
        """Start the bias at the log of the words' frequencies, so that training starts from the unigram model.

        Args:
            counts: (V,) how often each word is to be predicted; words never seen count as once.
        """
        log_p = log_frequencies(counts).to(self.bias)
        with torch.no_grad():
            self.bias[1:] = log_p[1:]

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """log p of every word, (..., P) float to (..., V) float; -inf for padding."""
        scores = hidden @ self.weight.t() + self.bias
        scores[..., 0] = -torch.inf
        return scores.log_softmax(-1)

    def exact(self, hidden: Tensor, targets: Tensor) -> SoftmaxLoss:
        """The exact negative log-likelihood of the targets.

        Args:
            hidden: (N, P) float.
            targets: (N,) int64 vocabulary ids; not padding.
        """
        return chunked_loss(hidden, self.weight, self.bias, targets)

    def forward(self, hidden: Tensor, targets: Tensor) -> SoftmaxLoss:
        """The loss of training: here the exact one. Arguments and result as in `exact`."""
        return self.exact(hidden, targets)


def log_frequencies(counts: Tensor) -> Tensor:
    """log(c_w / Σ_v c_v), (V,) float64, of counts (V,); words never seen count as once, and padding is never said."""
    counts = counts.double().clamp(min=1)
    counts[0] = 0
    return (counts / counts.sum()).log()
