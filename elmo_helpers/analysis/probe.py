"""Learn on a task how much each layer counts (Peters et al. 2018, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from elmo_helpers.checks import number, numbers, positive, seed_number, whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.precision import products_in
from elmo_helpers.model.scalar_mix import ScalarMix
from elmo_helpers.model.sizes import within_memory


class MixClassifier(nn.Module):
    """A scalar mix of fixed layer vectors under a linear classifier: logits = W · (γ Σ_l s_l h^l) + b."""

    mix: ScalarMix
    linear: nn.Linear

    def __init__(self, n_layers: int, dim: int, n_classes: int) -> None:
        super().__init__()
        self.mix = ScalarMix(n_layers)
        self.linear = nn.Linear(dim, n_classes, dtype=torch.float32)

    def forward(self, layers: Tensor) -> Tensor:
        """(N, L, dim) float to logits (N, n_classes) float."""
        # W before the mix, which is the same sum in another order: for a few classes it takes a fraction of the work.
        of_layers = F.linear(layers, self.linear.weight)  # (N, L, n_classes)
        logits: Tensor = self.mix(of_layers.transpose(0, 1)) + self.linear.bias
        return logits

    @torch.no_grad()
    def predict(self, layers: NDArray[np.floating]) -> NDArray[np.int64]:
        """The most likely class of each row: (N, L, dim) float to (N,) int64.

        Raises:
            ElmoHelpersError: The layers are of another number or size than those it was made for, or a number is not
                finite.
        """
        weight = self.linear.weight
        layers, expected = checked_layers(layers), (len(self.mix.weights), self.linear.in_features)
        if layers.shape[1:] != expected:
            raise ElmoHelpersError(
                f"layers: expected (N, L, dim) with L and dim {expected}, as the classifier was made for, and got "
                f"{layers.shape}."
            )
        with products_in("fp32", weight.device):
            logits: Tensor = self(torch.tensor(layers, dtype=weight.dtype, device=weight.device))
        return logits.argmax(1).cpu().numpy()


@contextmanager
def learning_on_the_cpu(seed: int) -> Iterator[None]:
    """Learn on the CPU, in single precision and with gradients, whatever the caller's own code has set.

    What is drawn follows the seed, and the caller's random state is left as it was.
    """
    with (
        torch.device("cpu") as cpu,
        products_in("fp32", cpu),
        torch.inference_mode(False),
        torch.random.fork_rng(devices=[]),
    ):
        torch.default_generator.manual_seed(seed)  # and no GPU's
        yield


def checked_layers(layers: NDArray[np.floating]) -> NDArray[np.float32]:
    """The argument `layers` as (N, L, dim) finite float32.

    Raises:
        ElmoHelpersError: It has another shape, an axis L or dim of length 0, or a number that is not finite.
    """
    layers = numbers("layers", layers, "(N, L, dim) numbers")
    with np.errstate(over="ignore", under="ignore"):  # beyond float32 they are not finite
        found: NDArray[np.float32] = layers.astype(np.float32, copy=False)
    if found.ndim != 3 or not all(found.shape[1:]):
        raise ElmoHelpersError(f"layers: expected the shape (N, L, dim), and got {found.shape}.")
    if not np.isfinite(found).all():
        raise ElmoHelpersError("layers: expected finite numbers; encode the titles with a model that has learned.")
    return found


def learn_mix(
    layers: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    n_classes: int | None = None,
    epochs: int = 20,
    batch_size: int = 256,
    learning_rate: float = 0.01,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> MixClassifier:
    """Learn s, γ and a linear classifier together, by cross-entropy with AdamW; the layer vectors stay as they are.

    Args:
        layers: (N, L, dim) float32, as `Encoder.encode_layers` gives them.
        labels: (N,) int, the class of each row.
        n_classes: Classes; None: the highest label and one.
        epochs, batch_size, learning_rate, weight_decay, seed: Of the optimisation; the caller's random state is left
            as it was.

    Raises:
        ElmoHelpersError: The shapes do not fit together, a number is not finite or out of its range, or there is
            nothing to learn from.
    """
    n_classes = None if n_classes is None else whole_number("n_classes", n_classes, 1)
    epochs, batch_size = whole_number("epochs", epochs, 1), whole_number("batch_size", batch_size, 1)
    learning_rate = positive("learning_rate", learning_rate)
    weight_decay = number("weight_decay", weight_decay, "a number of at least 0")
    seed = seed_number("seed", seed)
    layers = numbers("layers", layers, "(N, L, dim) numbers")
    labels = numbers("labels", labels, "whole numbers, the class of each row", kinds="iub")
    if layers.ndim != 3 or labels.shape != layers.shape[:1] or not len(labels):
        raise ElmoHelpersError(
            f"layers and labels: expected shapes (N, L, dim) and (N,) with N at least 1, and got {layers.shape} and "
            f"{labels.shape}."
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or (n_classes is not None and highest >= n_classes):
        below = "" if n_classes is None else f", below n_classes={n_classes}"
        raise ElmoHelpersError(
            f"labels: expected whole numbers from 0{below}, and got {labels.dtype} from {lowest} to {highest}."
        )
    n_classes = highest + 1 if n_classes is None else n_classes
    layers = checked_layers(layers)
    of_weights = 4 * n_classes * layers.shape[2]  # bytes
    with within_memory(f"n_classes={n_classes}: a classifier of so many", of_weights), learning_on_the_cpu(seed):
        x, y = torch.tensor(layers), torch.from_numpy(labels.astype(np.int64))
        classifier = MixClassifier(layers.shape[1], layers.shape[2], n_classes)
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=learning_rate, weight_decay=weight_decay)
        for _ in range(epochs):
            for rows in torch.randperm(len(y)).split(batch_size):
                optimizer.zero_grad()
                F.cross_entropy(classifier(x[rows]), y[rows]).backward()
                optimizer.step()
    return classifier.eval()
