"""What is typed into the fields of a training run, as values: each checked by itself, with one sentence where wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from elmo_helpers.config import BiLMConfig, CharCNNConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.training.config import TrainingConfig

_LARGEST = 1_000_000  # of a size, far above any use; its parameters can still be counted
_DEEPEST = 100  # layers, each of which is made before they are counted


def parse_filters(text: str) -> tuple[tuple[int, int], ...]:
    """The filters in a text such as "2:32 3:32", as (width, count).

    Raises:
        ElmoHelpersError: A part of it is something else, or there is none.
    """
    pairs = []
    for part in text.replace(",", " ").split():
        width, colon, count = part.partition(":")
        sizes = [int(size) if size.isdecimal() and len(size) <= len(str(_LARGEST)) else 0 for size in (width, count)]
        if not (colon and all(0 < size <= _LARGEST for size in sizes)):
            raise ElmoHelpersError(
                f"filters: {part!r:.40} is no width:count of two whole numbers from 1 to {_LARGEST:,}; write them as "
                "2:32 3:32."
            )
        pairs.append((sizes[0], sizes[1]))
    if not pairs:
        raise ElmoHelpersError("filters: write at least one width:count, such as 2:32 3:32.")
    return tuple(pairs)


def _whole(name: str, largest: int = _LARGEST) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text.strip())
        except ValueError:
            raise ElmoHelpersError(f"{name}: {text.strip()!r:.40} is no whole number.") from None
        if value > largest:
            raise ElmoHelpersError(f"{name}: {text.strip()!r:.40} is more than a model can have here, {largest:,}.")
        return value

    return parse


def _whole_or_none(name: str) -> Callable[[str], int | None]:
    return lambda text: (_whole(name)(text) or None) if text.strip() else None


def _number(name: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text.strip())
        except ValueError:
            raise ElmoHelpersError(f"{name}: {text.strip()!r} is no number, such as 0.5 or 1e-3.") from None
        if value - value != 0:  # infinity, or no number at all
            raise ElmoHelpersError(f"{name}: expected a finite number, and got {text.strip()!r}.")
        return value

    return parse


# By the name of a field; all but filters and budget are names of settings.
PARSERS: dict[str, Callable[[str], Any]] = {
    "filters": parse_filters,
    "embedding_dim": _whole_or_none("embedding_dim"),
    "n_highway": _whole("n_highway", _DEEPEST),
    "hidden_dim": _whole("hidden_dim"),
    "projection_dim": _whole_or_none("projection_dim"),
    "n_layers": _whole("n_layers", _DEEPEST),
    "dropout": _number("dropout"),
    "learning_rate": _number("learning_rate"),
    "batch_size": _whole("batch_size"),
    "budget": _number("budget"),
}
_KINDS = {
    **dict.fromkeys(("embedding_dim", "n_highway"), CharCNNConfig),
    **dict.fromkeys(("hidden_dim", "projection_dim", "n_layers", "dropout"), BiLMConfig),
    **dict.fromkeys(("learning_rate", "batch_size"), TrainingConfig),
}


def check_alone(name: str, value: Any) -> None:
    """Ask the configuration about one value; what it says of how that fits the others is for later.

    Raises:
        ElmoHelpersError: The value is out of its range.
    """
    try:
        _KINDS[name](**{name: value})
    except ElmoHelpersError as error:
        if str(error).startswith(name):
            raise


def field_of(error: str) -> str:
    """The field that an error of both configurations together belongs under."""
    if error.startswith("final_learning_rate"):  # which has no field, and bounds the one that has
        return "learning_rate"
    if error.startswith("n_negatives"):  # only a sampled softmax draws them
        return "softmax"
    return next((name for name in (*PARSERS, "softmax") if error.startswith(name)), "preset")
