"""Measured numbers with what they are uncertain by: percentile bounds of the bootstrap (Efron & Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 1000
SEED = 0
COUNTED, ABOVE = "counted words", "above counted words"  # the rival on titles, and by how much a layer is better


class Measured(NamedTuple):
    """Per cent, and the bounds within which 95 % of the resamples lie."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} ({self.low:.1f}–{self.high:.1f})"


class Record(NamedTuple):
    """One number of the evidence."""

    part: str  # pos, senses, free, commas
    task: str
    model: str  # whose layers were read; "" for a rival
    features: str  # what the classifier read
    labels: int | None  # sentences, titles or examples that had labels; None where nothing is learned by their number
    measured: Measured
    details: Mapping[str, object] = MappingProxyType({})  # what was chosen on dev, and further numbers


def share(right: NDArray[np.integer], total: NDArray[np.integer]) -> Measured:
    """Σ right / Σ total of units that are resampled whole: sentences, titles, or words with all their examples.

    Args:
        right: Of each unit, (n,).
        total: Of each unit, (n,).
    """
    return resampled([right, total], lambda right, total: right / total)


def f1(right: NDArray[np.integer], found: NDArray[np.integer], true: NDArray[np.integer]) -> Measured:
    """F1 over titles that are resampled whole; of each title (n,): right ones, those found, and those to be found."""
    return resampled([right, found, true], lambda right, found, true: 2 * right / np.maximum(1, found + true))


def resampled(counts: Sequence[NDArray], statistic: Callable[..., NDArray]) -> Measured:
    """A statistic of sums over units, (n,) each, and its bounds where units are drawn anew."""
    sums = np.stack([np.asarray(count, dtype=np.float64) for count in counts])
    n = sums.shape[1]
    drawn = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    return _measured(float(statistic(*sums.sum(1))), statistic(*(sums @ drawn.T)))


def over_pairs(values: Sequence[NDArray[np.integer]]) -> Measured:
    """The mean over pairs of words of the mean over each pair's test titles; pairs and titles are both drawn anew.

    Args:
        values: Of each pair, for each title (n,): 1 where it is right, else 0; or the difference of two such.
    """
    generator = np.random.default_rng(SEED)
    k = len(values)
    # A mean of drawn titles depends only on how often each value is drawn, and so do k draws of a pair at once.
    means = np.empty((k, N_RESAMPLES, k))
    for pair, of_pair in enumerate(values):
        kinds, counts = np.unique(of_pair, return_counts=True)
        drawn = generator.multinomial(len(of_pair), counts / len(of_pair), size=(N_RESAMPLES, k))
        means[pair] = drawn @ kinds / len(of_pair)
    pairs = generator.integers(k, size=(N_RESAMPLES, k))
    chosen = means[pairs, np.arange(N_RESAMPLES)[:, None], np.arange(k)]
    return _measured(float(np.mean([of_pair.mean() for of_pair in values])), chosen.mean(1))


def _measured(value: float, resamples: NDArray) -> Measured:
    low, high = np.percentile(resamples, (2.5, 97.5))
    return Measured(*(round(100 * float(number), 2) for number in (value, low, high)))
