"""The names of the models that ship, which stand wherever the directory of a model does."""

import os
import warnings
from pathlib import Path

DEFAULT_MODEL = "english-titles"  # where nobody names another one
_FOLDER = Path(__file__).parent


def shipped_models() -> list[str]:
    """The names of the models that ship with the library."""
    return sorted(header.parent.name for header in _FOLDER.glob("*/config.json"))


def model_directory(directory: Path) -> Path:
    """The directory of a model that is named by its path, or by its name if it is one that ships.

    A directory of that very name in the working directory goes first, and a warning says so.
    """
    if os.fspath(directory) not in shipped_models():
        return directory
    if os.path.isdir(directory):
        warnings.warn(
            f"{directory}: the directory of that name is read, and not the model that ships with elmo_helpers; to read "
            "that one, rename the directory.",
            stacklevel=2,
        )
        return directory
    return _FOLDER / directory
