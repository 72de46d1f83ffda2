"""Which layers a component of another library gives, from what its settings can say: words and plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from elmo_helpers.checks import number, shown
from elmo_helpers.config import BiLMConfig
from elmo_helpers.encoding.selection import Selection
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.scalar_mix import ScalarMix

LAYERS = ("average", "top", "all")
_SMALLEST, _LARGEST = 1e-30, 1e30  # a weight, so that products with it stay within float32
_NO_SHARE = -1e4  # e to this power is 0 in float32, and it is finite, as a ScalarMix asks for


def check_layers(layers: Any, names: Sequence[str]) -> str | tuple[float, ...]:
    """What `layers` asks for, in one form whatever it came in: one of `names`, or weights.

    Raises:
        ElmoHelpersError: It is neither, a weight is below 0, or all are 0.
    """
    if isinstance(layers, str) and layers in names:
        return layers
    given = layers.tolist() if hasattr(layers, "tolist") else layers  # an array, a Series or a tensor
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise ElmoHelpersError(
            f"layers={shown(layers)}: expected one of {', '.join(names)}, or a list of weights, one a layer."
        )
    expected = f"a number from 0 to {_LARGEST:g}"
    weights = tuple(number("layers: a weight", weight, expected, 0, _LARGEST) for weight in given)
    if max(weights, default=0) < _SMALLEST:
        raise ElmoHelpersError(f"layers={shown(layers)}: expected at least one weight above 0 (and {_SMALLEST:g}).")
    return weights


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
    chosen = check_layers(layers, LAYERS)
    if isinstance(chosen, str):
        return Selection(level, chosen, pooling)
    n_layers = Selection(level, "average", pooling).n_layers(config)
    if len(chosen) != n_layers:
        raise ElmoHelpersError(
            f"layers={shown(list(chosen))}: expected {n_layers} weights for these vectors of the model, or one of "
            f"{', '.join(LAYERS)}."
        )
    # A mix has γ and shares of sum 1: here γ is the sum of the weights.
    mix = ScalarMix(n_layers, [math.log(w) if w else _NO_SHARE for w in chosen], trainable=False)
    mix.gamma.data.fill_(math.fsum(chosen))
    return Selection(level, "mix", pooling, mix)
