"""Training runs as rows of a table, and their configurations as code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from elmo_helpers.config import BiLMConfig
from elmo_helpers.display.widgets.tables import table_html
from elmo_helpers.display.widgets.training_estimate import duration
from elmo_helpers.display.widgets.training_run import TrainingRun
from elmo_helpers.training.config import TrainingConfig

_HEADINGS = ("run", "preset", "what differs from it", "parameters", "best perplexity", "tokens/s", "time", "state")
_ALIGNED = "llwrrrrw"
_NOT_SHOWN = ("log_every", "scheme", "max_characters")  # without a part in the result, or the corpus's own


def differences(run: TrainingRun) -> dict[str, Any]:
    """The settings of a run that are not those of its preset, by name."""
    theirs = {name: value for config in run.base for name, value in _flat(config).items()}
    ours = {**_flat(run.model_config), **_flat(run.training_config)}
    return {name: value for name, value in ours.items() if theirs.get(name) != value}


def table_of_runs(runs: Sequence[TrainingRun]) -> str:
    """An HTML table with a row for each run."""
    rows = [[run.name, *_cells(run)] for run in runs]
    return table_html(_HEADINGS, rows, _ALIGNED, caption="Runs of this panel; perplexity on the validation titles")


def code_of(model: BiLMConfig, training: TrainingConfig) -> str:
    """Python that makes both configurations, with all settings that are not the defaults."""
    names = ", ".join(sorted({"BiLMConfig", type(model.char_cnn).__name__, "TrainingConfig", "train"}))
    return "\n".join(
        [
            f"from elmo_helpers import {names}",
            "",
            f"model_config = {_call(model)}",
            f"training_config = {_call(training)}",
            "# result = train(corpus, model_config, training_config, validation=validation)",
        ]
    )


def _cells(run: TrainingRun) -> Iterator[str]:
    changed = [f"{name.removeprefix('char_cnn.')} = {_plain(value)}" for name, value in differences(run).items()]
    perplexity, speed = run.best_perplexity, run.tokens_per_second
    yield run.preset
    yield ", ".join(changed) or "nothing"
    yield f"{run.n_parameters:,}"
    yield "–" if perplexity is None else f"{perplexity:,.1f}"
    yield "–" if speed is None else f"{speed:,.0f}"
    yield duration(run.progress.seconds)
    yield run.failure or run.state


def _flat(config: Any) -> dict[str, Any]:
    """The fields of a configuration, those of one inside it among them."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            flat |= {f"{field.name}.{name}": inner for name, inner in _flat(value).items()}
        elif field.name not in _NOT_SHOWN:
            flat[field.name] = value
    return flat


def _plain(value: Any) -> str:
    if isinstance(value, tuple):  # filters, as they are typed
        return " ".join(f"{width}:{count}" for width, count in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _call(config: Any, indent: str = "") -> str:
    """A configuration as a call with the arguments that are not the defaults, one a line."""
    inner, lines = indent + "    ", []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if value != default:
            text = _call(value, inner) if dataclasses.is_dataclass(value) else _literal(value)
            lines.append(f"{inner}{field.name}={text},")
    name = type(config).__name__
    return "\n".join([f"{name}(", *lines, f"{indent})"]) if lines else f"{name}()"
