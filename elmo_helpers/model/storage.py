"""A model on disk: safetensors for the weights, JSON for the rest. Reading it runs no code.

config.json         format, BiLMConfig, TextConfig
vocabulary.json     the words that the model predicts
model.safetensors   the weights
"""

import errno
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from elmo_helpers.config import BiLMConfig, TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import MEND, check_ordinary, holds_format, path_of, read_json, whole_directory, write_json
from elmo_helpers.model.sizes import parameters_of, within_memory
from elmo_helpers.pretrained.shipped import model_directory, shipped_models
from elmo_helpers.text.vocabulary import WordVocabulary

FORMAT = "elmo_helpers model 1"
FILES = ("config.json", "vocabulary.json", "model.safetensors")  # the first one is the mark of a whole model
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def write_model(
    directory: str | os.PathLike[str],
    config: BiLMConfig,
    text: TextConfig,
    vocabulary: WordVocabulary,
    weights: Mapping[str, Tensor],
    *,
    remedy: str = MEND,
) -> None:
    """Write all that a model is to `directory`, whole or not at all; `remedy` says what to do where that fails."""
    with whole_directory(directory, header="config.json", format_name=FORMAT, remedy=remedy) as path:
        write_json(path / "config.json", {"format": FORMAT, "model": config.to_dict(), "text": text.to_dict()})
        write_json(path / "vocabulary.json", vocabulary.to_dict())
        write_tensors(path / "model.safetensors", weights)


def is_model(directory: str | os.PathLike[str]) -> bool:
    """Whether `write_model` has written to `directory`."""
    return holds_format(Path(directory) / FILES[0], FORMAT)


def read_model(directory: str | os.PathLike[str]) -> tuple[BiLMConfig, TextConfig, WordVocabulary, dict[str, Tensor]]:
    """Read what `write_model` wrote to a directory, or a model that ships, by its name.

    Raises:
        ElmoHelpersError: A file is missing or damaged, the files do not belong together, or are too large for memory.
    """
    directory = model_directory(path_of("directory", directory))
    if not os.path.lexists(directory):
        raise ElmoHelpersError(
            f"{directory}: there is no such directory, nor does a model of that name ship; check the name, or take "
            f"one that ships: {', '.join(shipped_models())}."
        )
    config_path, weights_path = directory / "config.json", directory / "model.safetensors"
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
    vocabulary = WordVocabulary.load(directory / "vocabulary.json")
    try:
        weights = load_tensors(weights_path)
    except FileNotFoundError:
        raise ElmoHelpersError(
            f"{weights_path} is missing: check the directory's name, or save the model again."
        ) from None
    except (OSError, SafetensorError) as error:
        raise ElmoHelpersError(f"{weights_path} is damaged ({error}): restore it, or save the model again.") from None
    asked = parameters_of(model_config, len(vocabulary))
    check_shapes(weights, asked, weights_path, "config.json and vocabulary.json ask")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise ElmoHelpersError(
                f"{weights_path}: {name} holds numbers that are not finite: restore the file, or train the model again "
                "at a lower learning rate."
            )
    return model_config, text_config, vocabulary, weights


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors.

    Raises:
        OSError: The file cannot be written; safetensors' own error is no OSError, and is one here.
    """
    try:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors that `write_tensors` wrote; their numbers stay on disk, memory-mapped, until they are looked at.

    Raises:
        ElmoHelpersError: It is no ordinary file, or is too large for memory.
        OSError: It is missing, is a directory, or cannot be read.
        SafetensorError: It is damaged.
    """
    check_ordinary(path)
    if path.is_dir():  # safetensors would say that there is no such device
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
    with within_memory(f"{path}"):
        tensors = load_file(path)
    with within_memory(f"{path}", sum(t.nbytes for t in tensors.values())):
        return tensors


def check_shapes(
    weights: Mapping[str, Tensor],
    expected: Iterable[tuple[str, tuple[int, ...]]],
    file: str | os.PathLike[str],
    who_asks: str,
) -> None:
    """Check that the weights in a file have the names and shapes that a configuration asks for.

    Args:
        weights: By name; none of their numbers is looked at.
        expected: Names and shapes, which are gone through up to the first that is wrong.
        file: Its name, for messages.
        who_asks: What says so, for messages, such as "config.json asks".

    Raises:
        ElmoHelpersError: One is missing, is too many, has another shape, or is no floating-point tensor.
    """
    left = dict(weights)

    def compare(name: str, tensor: Tensor | None, shape: tuple[int, ...] | None) -> None:
        found = wanted = "nothing of that name"
        if tensor is not None:
            found = f"{'float' if tensor.dtype in _FLOATS else tensor.dtype} {tuple(tensor.shape)}"
        if shape is not None:
            wanted = f"float {shape}"
        if found != wanted:
            raise ElmoHelpersError(
                f"{file}: {name}: found {found}, and {who_asks} for {wanted}: the files do not belong together."
            )

    for name, shape in expected:
        compare(name, left.pop(name, None), shape)
    for name, tensor in left.items():
        compare(name, tensor, None)
