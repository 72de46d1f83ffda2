"""What a model knows of the gaps between words, for what stands there or should: commas, missing words, borders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import numbers
from elmo_helpers.errors import ElmoHelpersError


def gap_layers(layers: NDArray[np.floating]) -> NDArray[np.floating]:
    """The layers of the gap behind each word of a title: g_k^l = [→h_k^l ; ←h_{k+1}^l].

    The forward half is that of the word before the gap, which has read all up to the gap; the backward half is that of
    the word behind it, which has read all from there on. From these two, in the top layer, the language models predict
    what comes next and what came before, so they say what could stand between. A word's own layers, [→h_k ; ←h_k],
    know both sides too, but their backward half has read the word itself last, and is made to predict the one before.
    Layer 0 has no directions: its halves are the same numbers twice, or, of a token vector 2P wide, its two halves.

    Args:
        layers: (L + 1, n, 2P) float, of the n words of one title, as `Encoder.encode_tokens` gives them.

    Returns:
        (L + 1, n, 2P) of the same dtype; behind the last word, the backward half is zeros.

    Raises:
        ElmoHelpersError: The shape is another.
    """
    layers = numbers("layers", layers, "the layers of one title's words", kinds="f")
    if layers.ndim != 3 or layers.shape[2] % 2:
        raise ElmoHelpersError(f"layers: expected shape (L + 1, n, 2P), of one title, and got {layers.shape}.")
    half = layers.shape[2] // 2
    gaps = layers.copy()
    gaps[:, :-1, half:] = layers[:, 1:, half:]
    gaps[:, -1:, half:] = 0
    return gaps
