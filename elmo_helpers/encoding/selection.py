"""Which vectors are made of a title: of its words or of all of it, of which layers, pooled and mixed how."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_helpers.checks import choice
from elmo_helpers.config import BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm_outputs import BiLMOutput
from elmo_helpers.model.scalar_mix import ScalarMix

LEVELS = ("tokens", "titles")
LAYERS = ("all", "top", "average", "mix")
POOLINGS = ("states", "mean", "max")


@dataclass(frozen=True)
class Selection:
    """The vectors that are asked for.

    Attributes:
        level: "tokens": one vector a word; "titles": one a title, see `pooling`.
        layers: "all": each layer by itself; "top": the last one; "average": their mean; "mix": γ Σ_l s_l h^l by `mix`.
        pooling: Of titles. "states": h^l = [h_n^l ; c_n^l], hidden and cell state of both directions of LSTM layer l
            at their end of reading; "mean", "max": over the words of the title, without boundaries, in each of the
            L + 1 layers; a title without a word is a vector of zeros.
        mix: Of "mix"; None: all layers alike, γ = 1.
    """

    level: str = "titles"
    layers: str = "mix"
    pooling: str = "states"
    mix: ScalarMix | None = None

    def __post_init__(self) -> None:
        choice("level", self.level, LEVELS)
        choice("layers", self.layers, LAYERS)
        choice("pooling", self.pooling, POOLINGS)
        check_mix(self.mix)

    @property
    def of_states(self) -> bool:
        """Whether the LSTMs' final states are read, in place of their outputs."""
        return self.level == "titles" and self.pooling == "states"

    def n_layers(self, config: BiLMConfig) -> int:
        """How many layers there are: L of states, L + 1 of outputs."""
        return config.n_layers if self.of_states else config.n_layers + 1

    def dim(self, config: BiLMConfig) -> int:
        """The width of a vector: 2P + 2H of states, 2P of outputs."""
        return 2 * config.output_dim + (2 * config.hidden_dim if self.of_states else 0)

    def vector_shape(self, config: BiLMConfig) -> tuple[int, ...]:
        """The shape of what one title (or, of tokens, one word) has: (dim,), or (n_layers, dim) of "all"."""
        return (self.n_layers(config), self.dim(config)) if self.layers == "all" else (self.dim(config),)

    def check(self, config: BiLMConfig) -> None:
        """Check that the mix has as many layers as there are.

        Raises:
            ElmoHelpersError: It has others.
        """
        n = self.n_layers(config)
        if self.layers == "mix" and self.mix is not None and len(self.mix.weights) != n:
            raise ElmoHelpersError(
                f"mix: expected weights of {n} layers for these vectors, and got {len(self.mix.weights)}."
            )

    def of(self, output: BiLMOutput) -> Tensor:
        """The vectors of a batch of titles that are all of one length.

        Args:
            output: The model's; with final states where `of_states`.

        Returns:
            Float32. "titles": (B, dim), or (B, n_layers, dim) of "all"; "tokens": (B, n, dim), or (B, n_layers, n,
            dim) of "all", where n is the number of words.
        """
        # (L, B, 2P + 2H), or (L + 1, B, n, 2P)
        layers = torch.cat(output.states, -1) if self.of_states else output.layers[:, :, 1:-1]
        layers = layers.float()
        if self.level == "titles" and not self.of_states:
            if layers.shape[2] == 0:
                layers = layers.new_zeros(*layers.shape[:2], layers.shape[3])
            else:
                layers = layers.mean(2) if self.pooling == "mean" else layers.amax(2)
        if self.layers == "all":
            return layers.transpose(0, 1)
        if self.layers == "top":
            return layers[-1]
        if self.layers == "average" or self.mix is None:
            return layers.mean(0)
        with torch.no_grad():
            mixed: Tensor = copy.deepcopy(self.mix).to(layers)(layers)
        return mixed


def check_mix(mix: object) -> None:
    """Check that `mix` is one that gives each title a vector of its own, or None.

    Raises:
        ElmoHelpersError: It is something else.
    """
    if mix is None:
        return
    if not isinstance(mix, ScalarMix):
        raise ElmoHelpersError(f"mix={mix!r:.60}: expected a ScalarMix, or None.")
    if mix.layer_norm:
        raise ElmoHelpersError(
            "mix: a ScalarMix with layer_norm makes a vector depend on the other titles of its batch; use one without."
        )
