"""Which layers a component of another library gives, from what its settings can say: words and plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from elmo_helpers.checks import choice, number
from elmo_helpers.config import BiLMConfig
from elmo_helpers.encoding.selection import Selection
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.scalar_mix import ScalarMix

_SMALLEST, _LARGEST = 1e-30, 1e30  # a weight, so that products with it stay within float32
_NO_SHARE = -1e4  # e to this power is 0 in float32, and it is finite, as a ScalarMix asks for


def check_layers(layers: Any, names: Sequence[str]) -> None:
    """Check that `layers` is one of `names`, or weights.

    Raises:
        ElmoHelpersError: It is neither, a weight is below 0, or all are 0.
    """
    layers = _plain(layers)
    if isinstance(layers, str | bytes) or not isinstance(layers, Sequence):
        if layers not in names:
            raise ElmoHelpersError(
                f"layers={layers!r}: expected one of {', '.join(names)}, or a list of weights, one a layer."
            )
        return
    expected = f"a number from 0 to {_LARGEST:g}"
    weights = [number("layers: a weight", weight, expected, 0, _LARGEST) for weight in layers]
    if max(weights, default=0) < _SMALLEST:
        raise ElmoHelpersError(f"layers={list(layers)!r}: expected at least one weight above 0 (and {_SMALLEST:g}).")


def selection_of(level: str, layers: str | Sequence[float], config: BiLMConfig, pooling: str = "mean") -> Selection:
    """The selection that the settings ask for.

    Args:
        level, pooling: See `Selection`.
        layers: "average", "top", "all", or weights w_l of Σ_l w_l h^l, as many as there are layers. Those of a learned
            `ScalarMix` are `(mix.gamma * mix.shares).tolist()`.
        config: The model's.

    Raises:
        ElmoHelpersError: A setting is of the wrong kind, or there are not as many weights as layers.
    """
    check_layers(layers, ("average", "top", "all"))
    layers = _plain(layers)
    if isinstance(layers, str):
        return Selection(level, choice("layers", layers, ("average", "top", "all")), pooling)
    plain = Selection(level, "average", pooling)
    if len(layers) != plain.n_layers(config):
        raise ElmoHelpersError(
            f"layers={list(layers)!r}: expected {plain.n_layers(config)} weights for these vectors of the model, or "
            "'average' or 'top'."
        )
    # A mix has γ and shares of sum 1: here γ is the sum of the weights.
    mix = ScalarMix(len(layers), [math.log(w) if w else _NO_SHARE for w in layers], trainable=False)
    mix.gamma.data.fill_(math.fsum(layers))
    return Selection(level, "mix", pooling, mix)


def _plain(layers: Any) -> Any:
    """An array as a list of Python's numbers; anything else as it is."""
    return layers.tolist() if isinstance(layers, np.ndarray) else layers
