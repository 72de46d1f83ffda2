"""A tagger over layers that stay as they are: yes or no for each word, by a linear classifier."""

from __future__ import annotations

import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from elmo_helpers.analysis.probe import MixClassifier, checked_layers, learning_on_the_cpu
from elmo_helpers.checks import flag, numbers, seed_number, whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, whole_file
from elmo_helpers.model.precision import products_in
from elmo_helpers.model.storage import check_shapes, load_tensors, write_tensors

_LEARNING_RATE, _MIX_LEARNING_RATE = 0.01, 0.05  # the few shares may move faster than the many weights
_WEIGHT_DECAY = 1e-4
_BATCH_SIZE = 512
_MANY = 20_000  # words; with more of them an epoch has more steps, and fewer epochs do
_EPOCHS, _EPOCHS_OF_MANY = 60, 15
_CUTS = np.linspace(0.5, 0.995, 60)  # quantiles of the scores, of which one becomes the threshold
_BEYOND = float(np.finfo(np.float32).max)  # above it there is no score, above its negative each; finite, to be saved


class LinearTagger:
    """Scores of words by a linear classifier over standardised layers: w · Σ_l s_l (h^l − μ^l) / σ^l + b.

    μ^l and σ^l are the mean and the standard deviation of each number of layer l over the words it was fitted on, s
    the shares of a scalar mix (Peters et al. 2018, equation 1), learned with w and b, or all alike.

    Attributes:
        classifier: The mix, w and b.
        threshold: The score above which a word is tagged, see `best_threshold`, on the words that the tagger was
            fitted on. Where none of them was to be tagged, the tagger tags nothing.
    """

    classifier: MixClassifier
    threshold: float

    def __init__(self, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> None:
        """A tagger that has not learned; `LinearTagger.fit` makes one that has.

        Args:
            mean: μ, (L, dim) float32.
            deviation: σ, (L, dim) float32, above 0.
        """
        self._mean, self._deviation = mean, deviation
        n_layers, dim = mean.shape
        self.classifier = MixClassifier(n_layers, dim, 1)
        self.threshold = 0.0

    @classmethod
    def fit(
        cls,
        layers: NDArray[np.floating],
        labels: NDArray[np.integer],
        *,
        learn_shares: bool = True,
        epochs: int | None = None,
        seed: int = 0,
    ) -> LinearTagger:
        """Learn by cross-entropy with Adam; the layers stay as they are.

        Args:
            layers: (N, L, dim) float, the layers of N words, of all titles one behind the other. For one layer alone,
                hand over `layers[:, [l]]`; for the fixed mean, all of them and `learn_shares=False`.
            labels: (N,) int or bool: 1 where a word is to be tagged, else 0. Where none is, the tagger tags nothing.
            learn_shares: Learn how much each layer counts; False: all alike.
            epochs: How often the words are read; None: 60 times, and 15 times where there are more than 20,000.
            seed: Of the first weights and of the order; the caller's random state is left as it was.

        Raises:
            ElmoHelpersError: The shapes do not fit together, a label is neither 0 nor 1, a number is not finite, or
                there is nothing to learn from.
        """
        layers, labels = checked_layers(layers), numbers("labels", labels, "0 or 1 for each word", kinds="iub")
        learn_shares, seed = flag("learn_shares", learn_shares), seed_number("seed", seed)
        if labels.shape != layers.shape[:1] or not len(labels):
            raise ElmoHelpersError(
                f"layers and labels: expected shapes (N, L, dim) and (N,) with N at least 1, and got {layers.shape} "
                f"and {labels.shape}."
            )
        if not np.isin(labels, (0, 1)).all():
            raise ElmoHelpersError(f"labels: expected 0 or 1, and got numbers from {labels.min()} to {labels.max()}.")
        if epochs is None:
            epochs = _EPOCHS_OF_MANY if len(labels) > _MANY else _EPOCHS
        epochs = whole_number("epochs", epochs, 1)
        with learning_on_the_cpu(seed):
            mean = layers.mean(0)
            standardized = layers - mean  # the layers of many words take hundreds of megabytes: one copy, no more
            deviation = np.sqrt(np.einsum("nld,nld->ld", standardized, standardized) / len(layers)) + np.float32(1e-6)
            standardized /= deviation
            tagger = cls(mean, deviation)
            mix, linear = tagger.classifier.mix, tagger.classifier.linear
            mix.gamma.requires_grad_(False)  # w may have any length, so γ has nothing to add
            mix.weights.requires_grad_(learn_shares)
            groups = [
                {"params": list(linear.parameters()), "weight_decay": _WEIGHT_DECAY},
                {"params": [mix.weights], "lr": _MIX_LEARNING_RATE},
            ]
            optimizer = torch.optim.Adam(groups[: 2 if learn_shares else 1], lr=_LEARNING_RATE, fused=True)
            x, y = torch.from_numpy(standardized), torch.from_numpy(labels.astype(np.float32))
            for _ in range(epochs):
                for rows in torch.randperm(len(y)).split(_BATCH_SIZE):
                    optimizer.zero_grad()
                    logits = tagger.classifier(x.index_select(0, rows))[:, 0]
                    F.binary_cross_entropy_with_logits(logits, y[rows]).backward()
                    optimizer.step()
            tagger.classifier.eval()
            tagger.threshold = best_threshold(tagger._scores(x), labels)
        return tagger

    @property
    def shares(self) -> list[float]:
        """s: how much each layer counts, positive, of sum 1."""
        shares: list[float] = self.classifier.mix.shares.tolist()
        return shares

    def scores(self, layers: NDArray[np.floating]) -> NDArray[np.float32]:
        """The logit of each word: (N, L, dim) float to (N,) float32.

        Raises:
            ElmoHelpersError: The layers are others than those it was fitted on, or a number is not finite.
        """
        layers = checked_layers(layers)
        if layers.shape[1:] != self._mean.shape:
            raise ElmoHelpersError(
                f"layers: expected (N, L, dim) with L and dim {self._mean.shape}, as when it was fitted, and got "
                f"{layers.shape}."
            )
        with products_in("fp32", torch.device("cpu")):
            parts = np.array_split(layers, max(1, len(layers) // _BATCH_SIZE))  # each fits in a core's cache
            standardized = (torch.from_numpy((part - self._mean) / self._deviation) for part in parts)
            return np.concatenate([self._scores(x) for x in standardized])

    def predict(self, layers: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether the score of each word is above the threshold: (N, L, dim) float to (N,) bool.

        Raises:
            ElmoHelpersError: See `scores`.
        """
        return self.scores(layers) > self.threshold

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write μ, σ, w, b, the numbers behind the shares, and the threshold to one file of safetensors, whole or not.

        Raises:
            ElmoHelpersError: The file cannot be written.
        """
        tensors = self.classifier.state_dict() | {
            "mean": torch.from_numpy(self._mean),
            "deviation": torch.from_numpy(self._deviation),
            "threshold": torch.tensor(self.threshold, dtype=torch.float64),
        }
        with whole_file(path) as temporary:
            write_tensors(temporary, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LinearTagger:
        """Read what `save` wrote; the tagger scores as it did.

        Raises:
            ElmoHelpersError: The file is missing, damaged, or holds something else.
        """
        path = path_of("path", path)
        try:
            tensors = load_tensors(path)
        except (OSError, SafetensorError) as error:
            raise ElmoHelpersError(
                f"{path}: it cannot be read ({error}); name a file that LinearTagger.save wrote."
            ) from None
        shape = tuple(tensors["mean"].shape) if "mean" in tensors else ()
        if len(shape) != 2 or not all(shape):
            raise ElmoHelpersError(f"{path}: it holds no tagger; name a file that LinearTagger.save wrote.")
        n_layers, dim = shape
        with torch.device("cpu"):
            classifier = MixClassifier(n_layers, dim, 1)
        expected = {name: tuple(tensor.shape) for name, tensor in classifier.state_dict().items()}
        expected |= {"mean": shape, "deviation": shape, "threshold": ()}
        check_shapes(tensors, expected.items(), path, f"a tagger over {n_layers} layers of {dim} numbers asks")
        threshold = float(tensors.pop("threshold"))
        weights = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}  # none on the file
        finite = math.isfinite(threshold) and all(tensor.isfinite().all() for tensor in weights.values())
        if not finite or (weights["deviation"] <= 0).any():
            raise ElmoHelpersError(f"{path} is damaged: it holds numbers that no tagger has; save the tagger again.")
        tagger = cls(*(weights.pop(name).numpy() for name in ("mean", "deviation")))
        tagger.threshold = threshold
        classifier.load_state_dict(weights)
        tagger.classifier = classifier.eval()
        return tagger

    @torch.no_grad()
    def _scores(self, standardized: Tensor) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.classifier(standardized)[:, 0].numpy()
        return scores


def f1(found: NDArray[np.bool_], labels: NDArray[np.integer]) -> float:
    """2 · right / (tagged + to be tagged), both (N,), from 0 to 1; 0 where nothing is right."""
    right, tagged, wanted = (int(np.count_nonzero(x)) for x in (found & (labels == 1), found, labels == 1))
    return 2 * right / max(1, tagged + wanted)


def best_threshold(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Of the quantiles .5 to .995 of the scores, (N,), the first one above which F1 on the labels, (N,), is best.

    Where more than half of the labels are 1, the quantiles .5 to .005 and a number below any score follow; where none
    is 1, it is a number above any score.
    """
    share = np.mean(labels == 1)
    if not share:
        return _BEYOND
    cuts: NDArray[np.floating] = np.quantile(scores, _CUTS)
    if share > 0.5:
        cuts = np.concatenate([cuts, np.quantile(scores, 1 - _CUTS), [-_BEYOND]])
    return float(cuts[np.argmax([f1(scores > cut, labels) for cut in cuts])])
