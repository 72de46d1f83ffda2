"""options.json of the published models, and the configuration that it stands for."""

from __future__ import annotations

from typing import Any

from elmo_helpers.checks import choice, flag, number, positive, whole_number
from elmo_helpers.config import BiLMConfig, CharCNNConfig, TextConfig, WordEmbeddingConfig, word_length
from elmo_helpers.errors import ElmoHelpersError

FORMAT = "elmo_helpers published ELMo 1"  # in files that we wrote, so that we know which ones may be replaced
_TRAINING_IDS, _INFERENCE_IDS = 261, 262  # without and with the id of masked positions
_PUBLISHED_DROPOUT = 0.1


def config_of(options: object, *, cnn_projection: bool, lstm_projection: bool, n_words: int | None) -> BiLMConfig:
    """The configuration that options of a published model stand for.

    Some models of equal widths have a projection and some do not, which only their weights tell.

    Args:
        options: What options.json holds.
        cnn_projection: Whether the weights have a projection behind the highways.
        lstm_projection: Whether they have one in the LSTM cells.
        n_words: Rows of the word vectors of a word-level model, without padding; None: it reads characters.

    Raises:
        ElmoHelpersError: An option is missing or wrong; the message names it.
    """
    options = options if isinstance(options, dict) else {}
    lstm = _section(options, "lstm")
    dim = whole_number("lstm.dim", _value(lstm, "lstm", "dim"), 1)
    width = lstm.get("projection_dim")
    width = dim if width is None else whole_number("lstm.projection_dim", width, 1)
    if width != dim and not lstm_projection:
        raise ElmoHelpersError(
            f"lstm.projection_dim={width}: the weights have no projection (W_P_0), so expected lstm.dim, {dim}."
        )
    tokens: CharCNNConfig | WordEmbeddingConfig
    if n_words is not None:
        tokens = WordEmbeddingConfig(n_words + 1, width)
    else:
        tokens = _char_cnn(_section(options, "char_cnn"), width, cnn_projection)
    return BiLMConfig(
        char_cnn=tokens,
        n_layers=whole_number("lstm.n_layers", _value(lstm, "lstm", "n_layers"), 1),
        hidden_dim=dim,
        projection_dim=width if lstm_projection else None,
        cell_clip=_clip(lstm, "cell_clip"),
        projection_clip=_clip(lstm, "proj_clip"),
        skip_connections=flag("lstm.use_skip_connections", _value(lstm, "lstm", "use_skip_connections")),
        dropout=number("dropout", options.get("dropout", _PUBLISHED_DROPOUT), "a share from 0 to 0.99", 0, 0.99),
        n_negatives=whole_number("n_negative_samples_batch", options.get("n_negative_samples_batch", 8192), 1),
    )


def _char_cnn(cnn: dict[str, Any], width: int, projection: bool) -> CharCNNConfig:
    if cnn.get("n_characters", _INFERENCE_IDS) not in (_TRAINING_IDS, _INFERENCE_IDS):
        raise ElmoHelpersError(
            f"char_cnn.n_characters={cnn['n_characters']!r}: expected {_TRAINING_IDS} (as written by the original "
            f"trainer) or {_INFERENCE_IDS}."
        )
    pairs = _value(cnn, "char_cnn", "filters")
    if not isinstance(pairs, list) or not pairs or not all(isinstance(f, list) and len(f) == 2 for f in pairs):
        raise ElmoHelpersError(f"char_cnn.filters={pairs!r:.80}: expected a list of [width, count].")
    sizes = [whole_number("char_cnn.filters", n, 1) for pair in pairs for n in pair]
    filters = tuple(zip(sizes[::2], sizes[1::2], strict=True))
    n_filters = sum(count for _, count in filters)
    if n_filters != width and not projection:
        raise ElmoHelpersError(
            f"char_cnn.filters have {n_filters} filters together: the weights have no projection (CNN_proj), so "
            f"expected as many as lstm.projection_dim, {width}."
        )
    embedding = _section(cnn, "embedding", "char_cnn.")
    widest = max(width for width, _ in filters)
    longest = word_length(
        "char_cnn.max_characters_per_token", _value(cnn, "char_cnn", "max_characters_per_token"), max(4, widest)
    )
    return CharCNNConfig(
        scheme="utf8",
        max_characters=longest,
        embedding_dim=whole_number("char_cnn.embedding.dim", _value(embedding, "char_cnn.embedding", "dim"), 1),
        filters=filters,
        n_highway=whole_number("char_cnn.n_highway", cnn.get("n_highway", 0), 0),
        projection_dim=width if projection else None,
        activation=choice("char_cnn.activation", _value(cnn, "char_cnn", "activation"), ("relu", "tanh")),
    )


def _clip(lstm: dict[str, Any], key: str) -> float | None:
    """A bound; 0 and null mean none, as in the original trainer."""
    value = lstm.get(key)
    none = value is None or (value == 0 and not isinstance(value, bool))
    return None if none else positive(f"lstm.{key}", value)


def text_of(options: object) -> TextConfig:
    """How raw titles become tokens: what our own files say; else spaCy's rules, with case, as published."""
    if isinstance(options, dict) and "text" in options:
        return TextConfig.from_dict(options["text"])
    return TextConfig(lowercase=False)


def options_of(config: BiLMConfig, text: TextConfig) -> dict[str, Any]:
    """What options.json says of a model, ready for inference.

    Raises:
        ElmoHelpersError: The format cannot say something that the model is; the message names it.
    """
    width = config.output_dim
    tokens = config.char_cnn
    of_characters = {} if isinstance(tokens, WordEmbeddingConfig) else {"char_cnn": _char_cnn_options(tokens)}
    if tokens.output_dim != width:
        raise ElmoHelpersError(
            f"The token vector is {tokens.output_dim} wide and one LSTM direction {width}, which the published format "
            f"cannot say: train a model with char_cnn.projection_dim={width}."
        )
    return {
        "format": FORMAT,
        "bidirectional": True,
        "dropout": config.dropout,
        "n_negative_samples_batch": config.n_negatives,
        "text": text.to_dict(),
        "lstm": {
            "use_skip_connections": config.skip_connections,
            "projection_dim": width,
            "cell_clip": config.cell_clip,
            "proj_clip": config.projection_clip,
            "dim": config.hidden_dim,
            "n_layers": config.n_layers,
        },
        **of_characters,
    }


def _char_cnn_options(cnn: CharCNNConfig) -> dict[str, Any]:
    if cnn.scheme != "utf8":
        raise ElmoHelpersError(
            f"char_cnn.scheme={cnn.scheme!r}: the published format knows only 'utf8'; train a model on a corpus of "
            "CharacterVocabulary('utf8', 50)."
        )
    return {
        "activation": cnn.activation,
        "filters": [list(pair) for pair in cnn.filters],
        "n_highway": cnn.n_highway,
        "embedding": {"dim": embedding_dim_of(cnn)},
        "n_characters": _INFERENCE_IDS,
        "max_characters_per_token": cnn.max_characters,
    }


def embedding_dim_of(cnn: CharCNNConfig) -> int:
    """E, the width of the character vectors.

    Raises:
        ElmoHelpersError: There are none.
    """
    if cnn.embedding_dim is None:
        raise ElmoHelpersError(
            "char_cnn.embedding_dim=None: the published format has learned character vectors and no one-hot ones; "
            "train a model with a number, such as 16."
        )
    return cnn.embedding_dim


def _section(options: object, name: str, inside: str = "") -> dict[str, Any]:
    section = options.get(name) if isinstance(options, dict) else None
    if not isinstance(section, dict):
        raise ElmoHelpersError(f"{inside}{name} is missing or no object: expected the options of a published ELMo.")
    return section


def _value(section: dict[str, Any], name: str, key: str) -> Any:
    if key not in section:
        raise ElmoHelpersError(f"{name}.{key} is missing: expected the options of a published ELMo.")
    return section[key]
