"""A model on disk: safetensors for the weights, JSON for the rest. Reading it runs no code.

config.json         format, BiLMConfig, TextConfig
vocabulary.json     the words that the model predicts
model.safetensors   the weights
"""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from elmo_helpers.config import BiLMConfig, TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import holds_format, read_json, whole_directory, write_json
from elmo_helpers.text.vocabulary import WordVocabulary

FORMAT = "elmo_helpers model 1"
FILES = ("config.json", "vocabulary.json", "model.safetensors")  # the first one is the mark of a whole model


def write_model(
    directory: str | os.PathLike,
    config: BiLMConfig,
    text: TextConfig,
    vocabulary: WordVocabulary,
    weights: dict[str, Tensor],
) -> None:
    """Write all that a model is to `directory`, whole or not at all."""
    with whole_directory(directory, header="config.json", format_name=FORMAT) as path:
        write_json(path / "config.json", {"format": FORMAT, "model": config.to_dict(), "text": text.to_dict()})
        vocabulary.save(path / "vocabulary.json")
        save_file({name: w.detach().cpu().contiguous() for name, w in weights.items()}, path / "model.safetensors")


def is_model(directory: str | os.PathLike) -> bool:
    """Whether `write_model` has written to `directory`."""
    return holds_format(Path(directory) / FILES[0], FORMAT)


def read_model(directory: str | os.PathLike) -> tuple[BiLMConfig, TextConfig, WordVocabulary, dict[str, Tensor]]:
    """Read what `write_model` wrote.

    Raises:
        ElmoHelpersError: A file is missing or damaged.
    """
    directory = Path(directory)
    config_path = directory / "config.json"
    config = read_json(config_path)
    if not isinstance(config, dict) or config.get("format") != FORMAT or not {"model", "text"} <= set(config):
        raise ElmoHelpersError(
            f"{config_path}: expected format {FORMAT!r} with settings for model and text; "
            "name a directory that BiLM.save wrote."
        )
    try:
        model_config, text_config = BiLMConfig.from_dict(config["model"]), TextConfig.from_dict(config["text"])
    except ElmoHelpersError as error:
        raise ElmoHelpersError(f"{config_path}: {error}") from None
    return model_config, text_config, WordVocabulary.load(directory / "vocabulary.json"), _read_weights(directory)


def _read_weights(directory: Path) -> dict[str, Tensor]:
    path = directory / "model.safetensors"
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: check the directory's name, or save the model again.") from None
    except (OSError, SafetensorError) as error:
        raise ElmoHelpersError(f"{path} is damaged ({error}): restore it, or save the model again.") from None


def check_weights(weights: dict[str, Tensor], expected: dict[str, Tensor], directory: str | os.PathLike) -> None:
    """Check that weights have the names and shapes that the configuration asks for.

    Raises:
        ElmoHelpersError: One is missing, is too many, has another shape, is no floating-point tensor, or is not finite.
    """
    for name in sorted(expected.keys() | weights.keys()):
        wanted = f"float {tuple(expected[name].shape)}" if name in expected else "nothing of that name"
        found = "nothing of that name"
        if name in weights:
            kind = "float" if weights[name].is_floating_point() else str(weights[name].dtype)
            found = f"{kind} {tuple(weights[name].shape)}"
        if found != wanted:
            raise ElmoHelpersError(
                f"{Path(directory) / 'model.safetensors'}: {name}: found {found}, and config.json and vocabulary.json "
                f"ask for {wanted}: the files do not belong together."
            )
        if not weights[name].isfinite().all():
            raise ElmoHelpersError(
                f"{Path(directory) / 'model.safetensors'}: {name} holds numbers that are not finite: restore the file, "
                "or train the model again at a lower learning rate."
            )
