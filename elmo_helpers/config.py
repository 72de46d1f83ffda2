"""What a model and a training run are made of, as frozen dataclasses, and the presets by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from elmo_helpers.errors import ElmoHelpersError


def _from_dict(cls: type, data: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    if not isinstance(data, dict) or set(data) - known:
        unknown = sorted(set(data) - known) if isinstance(data, dict) else type(data).__name__
        raise ElmoHelpersError(f"{cls.__name__}: unknown settings {unknown}; expected some of {sorted(known)}.")
    try:
        return cls(**data)
    except TypeError as error:
        raise ElmoHelpersError(f"{cls.__name__}: a value has the wrong type ({error}).") from None


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ElmoHelpersError(f"{name}={value!r}: expected one of {', '.join(choices)}.")


def _at_least(name: str, value: int, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ElmoHelpersError(f"{name}={value!r}: expected a whole number of at least {minimum}.")


@dataclass(frozen=True)
class TextConfig:
    """How raw titles become tokens; kept with a corpus and with every model trained on it."""

    tokenizer: str = "en"  # "en": spaCy's blank English; "whitespace"; or an installed pipeline's name
    lowercase: bool = True  # the original lower-cases; False keeps case, which `tutorial` characters lack

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as stored in JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TextConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ElmoHelpersError: A key is unknown.
        """
        return _from_dict(cls, data)


@dataclass(frozen=True)
class CharCNNConfig:
    """The character CNN (Peters et al. 2018, section 3.4 after Kim et al. 2016)."""

    scheme: str = "tutorial"  # "tutorial": the 69 characters of the original; "utf8": the 261 published ids
    max_characters: int = 30  # C: characters kept of a word, its marks included
    embedding_dim: int | None = None  # E: learned character vectors; None: one-hot, as in the original
    filters: tuple[tuple[int, int], ...] = ((2, 32), (3, 32), (4, 32), (5, 32))  # (width, count)
    n_highway: int = 1
    projection_dim: int | None = None  # None: the token vector is the highway's output, F wide
    activation: str = "relu"  # of the convolutions, "relu" or "tanh"; the highway is always relu

    def __post_init__(self) -> None:
        try:
            # JSON gives lists; a frozen config is compared and hashed, so it keeps tuples.
            object.__setattr__(self, "filters", tuple((int(width), int(count)) for width, count in self.filters))
        except (TypeError, ValueError):
            raise ElmoHelpersError(f"filters={self.filters!r}: expected pairs of (width, count).") from None
        _choice("scheme", self.scheme, ("tutorial", "utf8"))
        _choice("activation", self.activation, ("relu", "tanh"))
        _at_least("n_highway", self.n_highway, 0)
        if not self.filters or min(min(pair) for pair in self.filters) < 1:
            raise ElmoHelpersError(f"filters={self.filters}: expected pairs of (width, count), each at least 1.")
        widest = max(width for width, _ in self.filters)
        _at_least("max_characters", self.max_characters, max(widest, 4))
        for name in ("embedding_dim", "projection_dim"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)

    @property
    def n_filters(self) -> int:
        """F, the width of all filters side by side."""
        return sum(count for _, count in self.filters)

    @property
    def output_dim(self) -> int:
        """D, the width of a token vector."""
        return self.projection_dim or self.n_filters


@dataclass(frozen=True)
class BiLMConfig:
    """The bidirectional language model (Peters et al. 2018, section 3.1)."""

    char_cnn: CharCNNConfig = field(default_factory=CharCNNConfig)
    n_layers: int = 2  # L, LSTM layers of each direction
    hidden_dim: int = 64  # H, LSTM cell
    projection_dim: int | None = None  # P, LSTM output of one direction; None: no projection, P = H
    cell_clip: float | None = None  # the cell state is kept within ± this
    projection_clip: float | None = None  # the projected output is kept within ± this
    skip_connections: bool = False  # layers above the first add their input to their output
    dropout: float = 0.2  # on the input of every LSTM layer and on the top output

    def __post_init__(self) -> None:
        if isinstance(self.char_cnn, dict):
            object.__setattr__(self, "char_cnn", _from_dict(CharCNNConfig, self.char_cnn))
        for name in ("n_layers", "hidden_dim"):
            _at_least(name, getattr(self, name), 1)
        if self.projection_dim is not None:
            _at_least("projection_dim", self.projection_dim, 1)
        for name in ("cell_clip", "projection_clip"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ElmoHelpersError(f"{name}={getattr(self, name)}: expected a number above 0, or None.")
        if not 0 <= self.dropout < 1:
            raise ElmoHelpersError(f"dropout={self.dropout}: expected a share of at least 0 and below 1.")
        if self.char_cnn.output_dim not in (self.output_dim, 2 * self.output_dim):
            raise ElmoHelpersError(
                f"The token vector is {self.char_cnn.output_dim} wide and one LSTM direction {self.output_dim}: to be "
                f"mixed with the LSTM layers it must be {self.output_dim} or {2 * self.output_dim} wide, so set "
                f"char_cnn.projection_dim={self.output_dim}."
            )

    @property
    def output_dim(self) -> int:
        """P, the width of one direction's output."""
        return self.projection_dim or self.hidden_dim

    @classmethod
    def preset(cls, name: str) -> BiLMConfig:
        """The configuration of that name: tutorial, small, medium, original or tiny.

        Raises:
            ElmoHelpersError: There is no preset of that name.
        """
        _choice("preset", name, tuple(PRESETS))
        return PRESETS[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as stored in config.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BiLMConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ElmoHelpersError: A key is unknown, or a value is out of its range.
        """
        return _from_dict(cls, data)


@dataclass(frozen=True)
class TrainingConfig:
    """One training run; the defaults are the original's where it had any."""

    epochs: int = 2
    batch_size: int = 64  # B, titles in a batch
    learning_rate: float = 1e-3  # Adam's, after the warm-up
    warmup_steps: int = 0  # steps over which the rate rises in a straight line from 0
    final_learning_rate: float | None = None  # the rate falls to this along a cosine; None: it stays
    gradient_clip: float | None = 5.0  # the norm of all gradients together is kept below this
    unigram_bias: bool = True  # a fresh softmax starts from the words' frequencies, not from equal ones
    seed: int = 0  # of initial weights, shuffling and dropout

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _at_least(name, getattr(self, name), 1)
        _at_least("warmup_steps", self.warmup_steps, 0)
        if not self.learning_rate > 0:
            raise ElmoHelpersError(f"learning_rate={self.learning_rate}: expected a number above 0.")
        if self.final_learning_rate is not None and not 0 <= self.final_learning_rate <= self.learning_rate:
            raise ElmoHelpersError(
                f"final_learning_rate={self.final_learning_rate}: expected a number from 0 to learning_rate, "
                f"{self.learning_rate}, or None."
            )
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ElmoHelpersError(f"gradient_clip={self.gradient_clip}: expected a number above 0, or None.")


_PUBLISHED_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))


def _published(hidden_dim: int, projection_dim: int, n_highway: int) -> BiLMConfig:
    """A model of the sizes published with Peters et al. (2018)."""
    return BiLMConfig(
        char_cnn=CharCNNConfig(
            scheme="utf8",
            max_characters=50,
            embedding_dim=16,
            filters=_PUBLISHED_FILTERS,
            n_highway=n_highway,
            projection_dim=projection_dim,
        ),
        hidden_dim=hidden_dim,
        projection_dim=projection_dim,
        cell_clip=3.0,
        projection_clip=3.0,
        skip_connections=True,
        dropout=0.1,
    )


PRESETS: dict[str, BiLMConfig] = {
    "tutorial": BiLMConfig(),
    "small": _published(1024, 128, 1),
    "medium": _published(2048, 256, 1),
    "original": _published(4096, 512, 2),
    "tiny": BiLMConfig(
        char_cnn=CharCNNConfig(max_characters=12, embedding_dim=4, filters=((1, 4), (2, 8), (3, 4))),
        hidden_dim=8,
        dropout=0.0,
    ),
}
