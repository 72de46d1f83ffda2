"""The model card: what a model is, how it was trained and how to load it, as Markdown with the Hub's YAML header."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from elmo_helpers.config import BiLMConfig, TextConfig, WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, read_bytes, read_json
from elmo_helpers.model.sizes import parameters_of
from elmo_helpers.model.storage import is_model, read_model

CARD = "README.md"
_HEADER = """---
library_name: elmo_helpers
pipeline_tag: feature-extraction
tags:
- elmo
- bilm
- word-embeddings
- pytorch
---
"""
_MAX_ROWS = 12  # of the table of perplexities
_COLUMNS = {
    "step": "step",
    "epoch": "epoch",
    "tokens": "tokens read",
    "train_loss": "training loss",
    "forward": "forward",
    "backward": "backward",
    "perplexity": "mean",
}


@dataclass(frozen=True)
class Run:
    """What the directory of a run says about its training.

    Attributes:
        settings: Of the run, `TrainingConfig` as plain data.
        history: Rows of history.csv, in order; an empty cell is None.
        is_fine_tuned: Whether it began from another model.
    """

    settings: dict[str, Any]
    history: list[dict[str, float | None]]
    is_fine_tuned: bool

    @classmethod
    def read(cls, directory: str | os.PathLike[str], weights: dict[str, Tensor]) -> Self:
        """The run in `directory`, which has trained these weights.

        Raises:
            ElmoHelpersError: There is none, a file of it is damaged, or its model has other weights.
        """
        directory = path_of("run", directory)
        header = directory / "training" / "run.json"
        if not os.path.exists(header):
            raise ElmoHelpersError(f"run: {directory} holds no run: name the directory that `train` wrote to.")
        if not _are_equal(read_model(directory)[3], weights):
            raise ElmoHelpersError(
                f"run: the model in {directory} has other weights than this one, so its figures would not be true of "
                "it: name the run that made this model, or none."
            )
        data = read_json(header)
        if not isinstance(data, dict) or not isinstance(data.get("config"), dict):
            raise ElmoHelpersError(f"{header}: expected the settings of a run under 'config': name another run.")
        return cls(data["config"], _history(directory / "training" / "history.csv"), "new" not in str(data.get("kind")))

    @classmethod
    def find(cls, directory: Path, weights: dict[str, Tensor]) -> Self | None:
        """The run in `directory`; None where there is none, or it has trained other weights.

        Raises:
            ElmoHelpersError: A file of it is damaged.
        """
        if not os.path.exists(directory / "training" / "run.json") or not is_model(directory):
            return None
        return cls.read(directory, weights) if _are_equal(read_model(directory)[3], weights) else None


def model_card(name: str, config: BiLMConfig, text: TextConfig, n_words: int, run: Run | None = None) -> str:
    """The card of a model.

    Args:
        name: Its repository or directory, for the example.
        config: Its sizes.
        text: How the text that it was trained on was made into tokens.
        n_words: V, the words of its vocabulary.
        run: The run that trained it, if it is known.
    """
    name = name.encode(errors="replace").decode()  # the name of a directory need not be text
    sections = [_HEADER + f"\n# ELMo: {name}", _what(text), _how_to_load(config, name), _sizes(config, n_words)]
    if run is not None:
        sections += _training(run)
    sections.append(
        "## Licence\n\nThe owner of the model says here, and as `license:` in the header of this file, under which "
        "terms it may be used. The text that it was trained on may have terms of its own."
    )
    return "\n\n".join(sections) + "\n"


def _what(text: TextConfig) -> str:
    case = "in lower case" if text.lowercase else "in upper and lower case"
    return (
        "A bidirectional language model after [Peters et al. 2018](https://aclanthology.org/N18-1202/), whose layers "
        f"are vectors of words in context. It reads text {case}, cut into tokens by the tokenizer "
        f"`{text.tokenizer}`."
    )


def _how_to_load(config: BiLMConfig, name: str) -> str:
    return f"""## How to load it

```python
from elmo_helpers import BiLM, Encoder

encoder = Encoder(BiLM.from_pretrained({json.dumps(name, ensure_ascii=False)}))
vectors = encoder.encode(["Peace and friendship."], pooling="mean")  # (1, {2 * config.output_dim})
words = encoder.encode_tokens(["Peace and friendship."])[0].layers  # ({config.n_layers + 1}, words, \
{2 * config.output_dim})
```

The files are safetensors and JSON: reading them runs no code."""


def _sizes(config: BiLMConfig, n_words: int) -> str:
    cnn = config.char_cnn
    if isinstance(cnn, WordEmbeddingConfig):
        words = f"one vector for each of {cnn.n_words:,} words"
    else:
        filters = ", ".join(f"{count} of width {width}" for width, count in cnn.filters)
        words = f"from a character CNN ({cnn.scheme}, at most {cnn.max_characters} characters; {filters})"
    counts = {name: math.prod(shape) for name, shape in parameters_of(config, n_words)}
    n_softmax = sum(count for name, count in counts.items() if name.startswith("softmax."))
    softmax = "none" if config.softmax == "none" else f"{config.softmax}, over {n_words:,} words"
    rows = [
        ("token vector", f"{cnn.output_dim} wide, {words}"),
        ("LSTM layers of each direction", config.n_layers),
        ("LSTM cell", config.hidden_dim),
        ("LSTM output of one direction", config.output_dim),
        ("skip connections", "yes" if config.skip_connections else "no"),
        ("softmax", softmax),
        ("parameters", f"{sum(counts.values()):,}, of which {n_softmax:,} are the softmax's"),
    ]
    return "## Sizes\n\n" + _table(("", ""), rows)


def _training(run: Run) -> list[str]:
    settings = [(f"`{key}`", value) for key, value in run.settings.items() if value is not None]
    start = "from another model (fine-tuning)" if run.is_fine_tuned else "from fresh weights"
    sections = [f"## Training\n\nIt began {start}, with these settings:\n\n" + _table(("setting", "value"), settings)]
    if run.history:
        best = _best(run.history)
        rows = [
            [_shown(key, row.get(key)) for key in _COLUMNS] + ["this model" if i == best else ""]
            for i, row in enumerate(run.history)
            if i in _some(len(run.history), best)
        ]
        sections.append(
            "## Perplexity\n\nOn the validation text of the run, forward, backward, and the mean of both:\n\n"
            + _table((*_COLUMNS.values(), ""), rows)
        )
    return sections


def _best(history: list[dict[str, float | None]]) -> int:
    """The row whose model a run keeps: the lowest perplexity, or the last row where none was measured."""
    measured = [(row["perplexity"], i) for i, row in enumerate(history) if row.get("perplexity") is not None]
    return min(measured)[1] if measured else len(history) - 1


def _some(n: int, best: int) -> set[int]:
    """At most `_MAX_ROWS` of n rows, evenly apart, the last one and the best one among them."""
    if n <= _MAX_ROWS:
        return set(range(n))
    return {best, *(round(i * (n - 1) / (_MAX_ROWS - 2)) for i in range(_MAX_ROWS - 1))}


def _shown(key: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return {"step": "{:,.0f}", "tokens": "{:,.0f}", "epoch": "{:.2f}", "train_loss": "{:.3f}"}.get(
        key, "{:,.1f}"
    ).format(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _history(path: Path) -> list[dict[str, float | None]]:
    if not os.path.exists(path):
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig"))))
        return [{key: float(value) if value else None for key, value in row.items()} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise ElmoHelpersError(f"{path} is no table of numbers ({error}): restore it, or name another run.") from None


def _are_equal(some: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return some.keys() == others.keys() and all(torch.equal(some[name], others[name].cpu()) for name in some)
