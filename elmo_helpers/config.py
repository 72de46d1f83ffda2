"""What text and a model are made of, as frozen dataclasses, and the models' presets by name."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from elmo_helpers.checks import choice, flag, number, positive, shown, whole_number
from elmo_helpers.errors import ElmoHelpersError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")

PRECISIONS = ("fp32", "bf16")  # of matrix products; `elmo_helpers.model.precision` knows where bf16 is to be had
MAX_CHARACTERS = 10_000  # of a word; no weight depends on their number, so nothing else would stop a wrong one


def word_length(name: str, value: Any, minimum: int) -> int:
    """`value` as the number of characters that are kept of a word.

    Raises:
        ElmoHelpersError: It is no whole number from `minimum` to `MAX_CHARACTERS`.
    """
    length = whole_number(name, value, minimum)
    if length > MAX_CHARACTERS:
        raise ElmoHelpersError(f"{name}={length}: expected a whole number of at most {MAX_CHARACTERS}.")
    return length


def from_plain_data(cls: type[Config], data: object) -> Config:
    """A configuration of the class `cls` from what `dataclasses.asdict` made of one.

    Raises:
        ElmoHelpersError: A key is unknown, or a value is out of its range.
    """
    known = {f.name for f in dataclasses.fields(cls)}
    if not isinstance(data, dict) or set(data) - known:
        unknown = sorted(set(data) - known) if isinstance(data, dict) else type(data).__name__
        raise ElmoHelpersError(f"{cls.__name__}: unknown settings {unknown}; expected some of {sorted(known)}.")
    try:
        return cls(**data)
    except TypeError as error:
        raise ElmoHelpersError(f"{cls.__name__}: a value has the wrong type ({error}).") from None


def set_checked(config: Any, **values: Any) -> None:
    """Put the checked values into a frozen dataclass."""
    for name, value in values.items():
        object.__setattr__(config, name, value)


@dataclass(frozen=True)
class TextConfig:
    """How raw titles become tokens; kept with a corpus and with every model trained on it."""

    tokenizer: str = "en"  # "en": spaCy's blank English; "whitespace"; or an installed pipeline's name
    lowercase: bool = True  # the original lower-cases; False keeps case, which `tutorial` characters lack

    def __post_init__(self) -> None:
        if not isinstance(self.tokenizer, str):
            raise ElmoHelpersError(
                f"tokenizer={shown(self.tokenizer)}: expected 'en', 'whitespace' or a pipeline's name."
            )
        set_checked(self, lowercase=flag("lowercase", self.lowercase))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as stored in JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TextConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ElmoHelpersError: A key is unknown.
        """
        return from_plain_data(cls, data)


@dataclass(frozen=True)
class CharCNNConfig:
    """The character CNN (Peters et al. 2018, section 3.4 after Kim et al. 2016)."""

    scheme: str = "tutorial"  # "tutorial": the 69 characters of the original; "utf8": the 261 published ids
    max_characters: int = 30  # C: characters kept of a word, its marks included
    embedding_dim: int | None = None  # E: learned character vectors; None: one-hot, as in the original
    filters: tuple[tuple[int, int], ...] = ((2, 32), (3, 32), (4, 32), (5, 32))  # (width in characters, count)
    n_highway: int = 1  # highway layers behind the filters
    projection_dim: int | None = None  # D: the highway's output is projected to this; None: it is the vector, F wide
    activation: str = "relu"  # of the convolutions, "relu" or "tanh"; the highway is always relu

    def __post_init__(self) -> None:
        choice("scheme", self.scheme, ("tutorial", "utf8"))
        choice("activation", self.activation, ("relu", "tanh"))
        try:
            # JSON gives lists; a frozen config is compared and hashed, so it keeps tuples.
            pairs = tuple((width, count) for width, count in self.filters)
        except (TypeError, ValueError):
            pairs = ()
        if not pairs:
            raise ElmoHelpersError(f"filters={shown(self.filters)}: expected pairs of (width, count).")
        filters = tuple(tuple(whole_number("filters: width or count", n, 1) for n in pair) for pair in pairs)
        widest = max(width for width, _ in filters)
        optional = {
            name: whole_number(name, getattr(self, name), 1)
            for name in ("embedding_dim", "projection_dim")
            if getattr(self, name) is not None
        }
        set_checked(
            self,
            filters=filters,
            max_characters=word_length("max_characters", self.max_characters, max(widest, 4)),
            n_highway=whole_number("n_highway", self.n_highway, 0),
            **optional,
        )

    @property
    def n_filters(self) -> int:
        """F, the width of all filters side by side."""
        return sum(count for _, count in self.filters)

    @property
    def output_dim(self) -> int:
        """D, the width of a token vector."""
        return self.projection_dim or self.n_filters


@dataclass(frozen=True)
class WordEmbeddingConfig:
    """A vector for each word of the vocabulary, in the place of a character CNN; all other words share `<UNK>`'s."""

    n_words: int  # V, the specials and padding included
    dim: int  # D

    def __post_init__(self) -> None:
        set_checked(self, n_words=whole_number("n_words", self.n_words, 4), dim=whole_number("dim", self.dim, 1))

    @property
    def output_dim(self) -> int:
        """D, the width of a token vector."""
        return self.dim


@dataclass(frozen=True)
class BiLMConfig:
    """The bidirectional language model (Peters et al. 2018, section 3.1)."""

    char_cnn: CharCNNConfig | WordEmbeddingConfig = field(default_factory=CharCNNConfig)  # from a token to its vector
    n_layers: int = 2  # L, LSTM layers of each direction
    hidden_dim: int = 64  # H, LSTM cell
    projection_dim: int | None = None  # P, LSTM output of one direction; None: no projection, P = H
    cell_clip: float | None = None  # the cell state is kept within ± this
    projection_clip: float | None = None  # the projected output is kept within ± this
    skip_connections: bool = False  # layers above the first add their input to their output
    dropout: float = 0.2  # on the input of every LSTM layer and on the top output
    softmax: str = "auto"  # full, sampled (exact outside of training), adaptive; auto: by the vocabulary's size; none
    n_negatives: int = 8192  # words that a sampled softmax draws at each step of training

    def __post_init__(self) -> None:
        if isinstance(self.char_cnn, dict):
            kind = WordEmbeddingConfig if "n_words" in self.char_cnn else CharCNNConfig
            set_checked(self, char_cnn=from_plain_data(kind, self.char_cnn))
        if not isinstance(self.char_cnn, CharCNNConfig | WordEmbeddingConfig):
            raise ElmoHelpersError(
                f"char_cnn={shown(self.char_cnn)}: expected a CharCNNConfig, or a WordEmbeddingConfig."
            )
        if self.projection_dim is not None:
            set_checked(self, projection_dim=whole_number("projection_dim", self.projection_dim, 1))
        set_checked(
            self,
            n_layers=whole_number("n_layers", self.n_layers, 1),
            hidden_dim=whole_number("hidden_dim", self.hidden_dim, 1),
            cell_clip=positive("cell_clip", self.cell_clip, or_none=True),
            projection_clip=positive("projection_clip", self.projection_clip, or_none=True),
            skip_connections=flag("skip_connections", self.skip_connections),
            dropout=number("dropout", self.dropout, "a share of at least 0 and below 1", 0, math.nextafter(1, 0)),
            softmax=choice("softmax", self.softmax, ("auto", "full", "sampled", "adaptive", "none")),
            n_negatives=whole_number("n_negatives", self.n_negatives, 1),
        )
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
        return PRESETS[choice("preset", name, tuple(PRESETS))]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as stored in config.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BiLMConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ElmoHelpersError: A key is unknown, or a value is out of its range.
        """
        return from_plain_data(cls, data)


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
