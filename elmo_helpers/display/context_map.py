"""A map of a word's occurrences: two principal components, and clusters that keep their colours from map to map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import ThreadpoolController

from elmo_helpers.checks import whole_number
from elmo_helpers.display.style import shortened
from elmo_helpers.errors import ElmoHelpersError

MAX_CLUSTERS = 6  # as many colours as are told apart on white
_TOO_LARGE = 1e16  # the sum of many squares stays within float32
_EQUAL = 1e-4  # of the largest number: vectors that differ by less are one, but for rounding
_BETTER = 0.95  # of the former clusters' squared distances: then new clusters are worth another colouring
_SHOWN_LETTERS = 14  # of a word in the name of a cluster


@dataclass(frozen=True)
class ContextMap:
    """Where each of n occurrences is drawn, and in which cluster.

    Attributes:
        points: (n, 2) float32, the first two principal components.
        explained: The share of the vectors' variance that the two hold; 1 where all vectors are the same.
        clusters: (n,) int64, from 0.
    """

    points: NDArray[np.float32]
    explained: float
    clusters: NDArray[np.int64]


def mix_layers(
    layers: NDArray[np.float32], shares: Sequence[float] | NDArray[np.floating], gamma: float = 1.0
) -> NDArray[np.float32]:
    """γ Σ_l s_l h_l, as `ScalarMix` computes it, with the shares given by themselves.

    Args:
        layers: (L + 1, n, dim) float32.
        shares: L + 1 numbers of at least 0, not all 0; they are divided by their sum.
        gamma: γ.

    Returns:
        (n, dim) float32.

    Raises:
        ElmoHelpersError: There are not as many shares as layers, one is negative, or all are 0.
    """
    parts = np.asarray(shares, dtype=np.float64)
    if parts.shape != layers.shape[:1]:
        raise ElmoHelpersError(f"shares: expected {len(layers)}, one a layer, and got {parts.size}.")
    if not (parts >= 0).all() or not 0 < parts.sum() < np.inf:
        raise ElmoHelpersError("shares: all are 0, or one is below it: raise one above 0.")
    return np.tensordot((gamma * parts / parts.sum()).astype(np.float32), layers, 1)


def map_contexts(
    vectors: NDArray[np.floating], n_clusters: int, former: ContextMap | None = None, *, seed: int = 0
) -> ContextMap:
    """Project vectors to a plane by PCA, and cluster them, whole as they are, by k-means.

    With a former map of the same occurrences, axes point the way they did, and clusters keep their numbers. The former
    clusters are moved on to the new vectors, unless clusters found afresh fit clearly better: k-means finds another
    one of several about equally good partitions each time, and the colours would jump with every small step.

    Args:
        vectors: (n, dim) float, n at least 1.
        n_clusters: From 1 to 6; there are fewer where fewer vectors are distinct.
        former: The map before, or None.
        seed: Of the starts of k-means.

    Raises:
        ElmoHelpersError: `n_clusters` or `seed` is another number, or `vectors` holds none, or one that is too large.
    """
    if whole_number("n_clusters", n_clusters, 1) > MAX_CLUSTERS:
        raise ElmoHelpersError(f"n_clusters={n_clusters}: expected at most {MAX_CLUSTERS}.")
    seed = whole_number("seed", seed, 0)
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or not vectors.size or not np.abs(vectors).max() < _TOO_LARGE:
        raise ElmoHelpersError(f"vectors: expected (n, dim) numbers between ± {_TOO_LARGE:g}, and got others.")
    # Some thousand rows are soon done by one thread; several would wait for each other, and add in another order.
    with _threads().limit(limits=1):
        return _map(vectors, n_clusters, former, seed)


def name_clusters(
    clusters: NDArray[np.int64], before: Sequence[str], after: Sequence[str], word: str, n_phrases: int = 2
) -> list[str]:
    """A name for each cluster: the short phrases around the word that are most typical of it.

    A phrase is the word with the one before it, the one after it, or both. Typical is one whose share within the
    cluster is furthest above its share in the others; one that holds another, or is held by it, says nothing new.

    Args:
        clusters: (n,) int64, from 0.
        before: The word before each occurrence.
        after: The word after each.
        word: The word itself.
        n_phrases: How many phrases to name at most.

    Returns:
        Names such as "1 (34): “the state of” 62% · “state and” 9%", with the number of the cluster, its size, and which
        share of it has the phrase.
    """
    sizes = np.bincount(clusters)
    named: list[list[str]] = [[] for _ in sizes]
    of_each = [_phrases(*beside, word) for beside in zip(before, after, strict=True)]
    distinct, ids = np.unique([" ".join(phrase) for phrases in of_each for phrase in phrases], return_inverse=True)
    counts = np.zeros((len(sizes), len(distinct)))
    np.add.at(counts, (np.repeat(clusters, 3), ids), 1)
    inside = counts / np.maximum(sizes, 1)[:, None]
    outside = (counts.sum(0) - counts) / np.maximum(len(clusters) - sizes, 1)[:, None]
    for i, row in enumerate(np.argsort(outside - inside, axis=1, kind="stable")):
        chosen: list[str] = []
        for j in row:
            phrase = str(distinct[j])
            if len(chosen) == n_phrases or inside[i, j] <= outside[i, j]:
                break
            if not any(f" {phrase} " in f" {other} " or f" {other} " in f" {phrase} " for other in chosen):
                chosen.append(phrase)
                named[i].append(f"“{phrase}” {inside[i, j]:.0%}")
    return [f"{i + 1} ({sizes[i]:,}): {' · '.join(phrases) or 'nothing typical'}" for i, phrases in enumerate(named)]


def _phrases(before: str, after: str, word: str) -> tuple[tuple[str, ...], ...]:
    """The word with what stands before it, behind it, and on both sides."""
    first, word, last = (shortened(part, _SHOWN_LETTERS) for part in (before, word, after))
    return (first, word), (word, last), (first, word, last)


def _project(centred: NDArray[np.floating]) -> tuple[NDArray[np.float32], float]:
    """The first two principal components, (n, 2), and the share of the variance that they hold."""
    # By the (dim, dim) table of products: of many rows, that is far quicker than their singular values.
    values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    total = values.sum()
    directions = directions[:, ::-1][:, :2]
    directions *= np.where(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])] < 0, -1, 1)
    points = np.zeros((len(centred), 2), dtype=np.float32)
    points[:, : directions.shape[1]] = centred @ directions
    return points, float(values[-2:].sum() / total) if total > 0 else 1.0


def _map(vectors: NDArray[np.floating], n_clusters: int, former: ContextMap | None, seed: int) -> ContextMap:
    centred = vectors - vectors.mean(0)
    size = np.abs(vectors).max()
    if np.abs(centred).max() <= _EQUAL * size:
        centred = np.zeros_like(centred)
    # Clusters do not depend on γ, so that numbers of any size are brought to the same one.
    scaled = centred / (np.abs(centred).max() or 1)
    n_distinct = len({row.tobytes() for row in np.round(scaled / _EQUAL).astype(np.int32)})
    points, explained = _project(centred)
    clusters = np.zeros(len(vectors), dtype=np.int64)
    if former is not None and len(former.points) == len(points):
        points *= np.where((points * former.points).sum(0) < 0, -1, 1).astype(points.dtype)
        clusters = former.clusters
    return ContextMap(points, explained, _cluster(scaled, min(n_clusters, n_distinct), clusters, seed))


def _cluster(vectors: NDArray[np.floating], n: int, former: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The number of each vector's cluster: as many of the former numbers stay as can."""
    if n <= 1:
        return np.zeros(len(vectors), dtype=np.int64)
    found = KMeans(n, n_init=3, random_state=seed).fit(vectors)
    labels: NDArray[np.int64] = found.labels_.astype(np.int64)
    members = np.eye(max(n, former.max() + 1), dtype=vectors.dtype)[former]  # (n, clusters), 1 where one is in it
    sizes = members.sum(0)
    if len(sizes) == n and sizes.all():
        moved = KMeans(n, init=members.T @ vectors / sizes[:, None], n_init=1).fit(vectors)
        if found.inertia_ >= _BETTER * moved.inertia_:
            labels = moved.labels_.astype(np.int64)
            return labels
    common = np.eye(n)[labels].T @ members[:, :n]
    new, number = linear_sum_assignment(-common)
    numbers = np.empty(n, dtype=np.int64)
    numbers[new] = number
    return numbers[labels]


@cache
def _threads() -> ThreadpoolController:
    """Of the thread pools of this process; looked for once, which takes longer than to cluster."""
    return ThreadpoolController()
