"""A softmax that is trained on a sample of the words: the published recipe for large vocabularies."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.softmax_loss import Negatives, SoftmaxLoss, chunked_loss


class SampledSoftmax(FullSoftmax):
    """A full softmax whose training loss sums over the target and over `n_negatives` words drawn at each step.

    The words are drawn by a log-uniform law, p(r) = log((r + 2) / (r + 1)) / log(V) for the rank r = 0, 1, … of a word
    by falling count, without repetition: all distinct, from one draw a step for all rows. Their scores are lowered by
    the log of their expected counts (Jean et al. 2015, section 3). In evaluation mode, and in `exact` and
    `log_probabilities`, it is the full softmax.

    The loss of training is an estimate and lower than the exact one, most of all while little has been learned: the
    two are not to be compared.
    """

    n_negatives: int
    sparse: bool
    word_probabilities: NDArray[np.float64]
    generator: np.random.Generator

    def __init__(self, n_words: int, dim: int, n_negatives: int) -> None:
        """A softmax over `n_words` words with padding, that draws `n_negatives` of them.

        Raises:
            ElmoHelpersError: There are not as many words as are to be drawn.
        """
        super().__init__(n_words, dim)
        n_to_draw = n_words - 1  # padding is no word
        if n_negatives > n_to_draw:
            raise ElmoHelpersError(
                f"n_negatives={n_negatives}: the vocabulary has only {n_to_draw} words to draw from; draw fewer, or "
                "choose softmax='full'."
            )
        self.n_negatives = n_negatives
        self.sparse = False  # whether the gradients of its parameters are sparse in their rows
        ranks = np.arange(n_to_draw)
        self.word_probabilities = np.log1p(1 / (ranks + 1)) / np.log(n_to_draw + 1)  # (V - 1,) float64, of ids 1 …
        self.generator = np.random.default_rng(torch.initial_seed() % 2**63)  # of the draws; also set by a resumed run

    @np.errstate(all="ignore")  # small numbers may become 0, whatever the caller has set
    def draw(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Draw the words of one step.

        Each word r gets a waiting time E_r / p(r), with E_r exponential, and the first n are taken, as if words were
        drawn one by one and repetitions thrown away. Given the time τ at which the next one would have come, each
        word is there with the probability 1 - exp(-p(r) τ): its expected count, with which sums over the sample are
        unbiased (Duffield, Lund & Thorup 2007).

        Returns:
            ids: (n,) rising vocabulary ids.
            log_expected: (V,) log of the expected count of every word; NaN for padding.
        """
        log_expected = np.zeros(len(self.word_probabilities) + 1)
        log_expected[0] = np.nan
        if self.n_negatives == len(self.word_probabilities):
            return np.arange(1, self.n_negatives + 1), log_expected  # all words, each of them for certain
        times = self.generator.standard_exponential(len(self.word_probabilities)) / self.word_probabilities
        end = np.partition(times, self.n_negatives)[self.n_negatives]
        log_expected[1:] = np.log(-np.expm1(-self.word_probabilities * end))
        return np.flatnonzero(times < end) + 1, log_expected

    def forward(self, hidden: Tensor, targets: Tensor) -> SoftmaxLoss:
        """The sampled loss in training mode; the exact one in evaluation mode. Arguments as in `exact`."""
        if not self.training:
            return self.exact(hidden, targets)
        drawn, expected = self.draw()
        ids = torch.from_numpy(drawn).to(targets.device)
        log_expected = torch.from_numpy(expected).to(hidden.device, self.bias.dtype)
        negatives = Negatives(ids, log_expected[ids], log_expected[targets])
        return chunked_loss(hidden, self.weight, self.bias, targets, negatives, sparse=self.sparse)
