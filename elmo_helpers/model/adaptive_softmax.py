"""A softmax in two steps, first among frequent words and classes of rare ones: exact, and cheap for many words."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elmo_helpers.model.full_softmax import log_frequencies
from elmo_helpers.model.softmax_loss import SoftmaxLoss, chunked_loss

_CUTOFFS = (2000, 10_000, 50_000)  # ranks by falling count at which the classes of rarer words begin
SHRINK = 2.0  # each class has vectors of 1/2, 1/4, 1/8 of P numbers


class AdaptiveSoftmax(nn.Module):
    """p(w | h) = p(w) for a frequent word, p(class) · p(w | class) for a rarer one (Grave et al. 2017), exact.

    Parameters and probabilities are those of `torch.nn.AdaptiveLogSoftmaxWithLoss`, with a bias for every word, over
    all words but padding. They must be by falling count: the 2,000 first are scored each time, the others only where
    one of them is the target. The loss is computed in chunks that fit the cache, each of which forms its gradient at
    once.
    """

    words: nn.AdaptiveLogSoftmaxWithLoss

    def __init__(self, n_words: int, dim: int) -> None:
        super().__init__()
        n = n_words - 1  # padding is no word
        self.words = nn.AdaptiveLogSoftmaxWithLoss(
            dim, n, cutoffs_of(n_words), SHRINK, head_bias=True, dtype=torch.float32
        )
        for tail, (_, scores) in zip(self.words.tail, self._classes(), strict=True):
            # With a bias, which PyTorch leaves out, a rare word's frequency is not left to its few numbers.
            with_bias = nn.Linear(scores.in_features, scores.out_features, dtype=torch.float32)
            nn.init.zeros_(with_bias.bias)
            tail.register_module("1", with_bias)

    def start_from_counts(self, counts: Tensor) -> None:
        """Start the bias at the log of the words' frequencies, so that training starts from the unigram model.

        Args:
            counts: (V,) how often each word is to be predicted; words never seen count as once.
        """
        p = log_frequencies(counts).exp()[1:]
        edges = self.words.cutoffs
        classes = [p[first:end] for first, end in pairwise(edges)]
        with torch.no_grad():
            self.words.head.bias.copy_(torch.cat([p[: edges[0]], torch.stack([c.sum() for c in classes])]).log())
            for (_, scores), inside in zip(self._classes(), classes, strict=True):
                scores.bias.copy_((inside / inside.sum()).log())

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """log p of every word, (..., P) float to (..., V) float; -inf for padding."""
        with torch.autocast(hidden.device.type, enabled=False):
            log_p = self.words.log_prob(hidden.to(self.words.head.weight.dtype).reshape(-1, hidden.shape[-1]))
        return nn.functional.pad(log_p, (1, 0), value=-torch.inf).view(*hidden.shape[:-1], -1)

    def exact(self, hidden: Tensor, targets: Tensor) -> SoftmaxLoss:
        """The exact negative log-likelihood of the targets.

        Args:
            hidden: (N, P) float.
            targets: (N,) int64 vocabulary ids; not padding.
        """
        ids, edges = targets - 1, [0, *self.words.cutoffs]
        in_head, classes = ids, []
        for i, ((narrow, scores), (first, end)) in enumerate(zip(self._classes(), pairwise(edges[1:]), strict=True)):
            rows = ((ids >= first) & (ids < end)).nonzero()[:, 0]
            in_head = in_head.index_fill(0, rows, edges[1] + i)
            inside = chunked_loss(narrow(hidden[rows]), scores.weight, scores.bias, ids[rows] - first, padding=False)
            classes.append((rows, inside))
        head = chunked_loss(hidden, self.words.head.weight, self.words.head.bias, in_head, padding=False)
        losses = head.rows
        for rows, inside in classes:
            losses = losses.index_add(0, rows, inside.rows)
        return SoftmaxLoss(head.total + sum(inside.total for _, inside in classes), losses)

    def forward(self, hidden: Tensor, targets: Tensor) -> SoftmaxLoss:
        """The loss of training: here the exact one. Arguments and result as in `exact`."""
        return self.exact(hidden, targets)

    def _classes(self) -> list[tuple[nn.Linear, nn.Linear]]:
        """Of each class of rarer words: from P numbers to a part of them, and from there to the words' scores."""
        return [cast("tuple[nn.Linear, nn.Linear]", tuple(tail.children())) for tail in self.words.tail]


def cutoffs_of(n_words: int) -> list[int]:
    """The ranks, among `n_words` words with padding, at which the classes of rarer words begin."""
    n = n_words - 1
    return [cutoff for cutoff in _CUTOFFS if cutoff < n] or [max(1, n // 2)]
