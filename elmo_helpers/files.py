"""Writing files and directories whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elmo_helpers.errors import ElmoHelpersError


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes `path`'s place only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes the file private to its owner; a finished file gets the usual permissions.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: str | os.PathLike, *, marker: str) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; it takes `path`'s place only if the block succeeds.

    A directory that is there already is replaced only if it is empty or holds the file `marker`, by which this
    library knows a directory of its own; whatever else a person has put there is kept.

    Raises:
        ElmoHelpersError: `path` is a file, or a directory that this library did not write.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ElmoHelpersError(f"{path} is a file, and a directory is to be written there: name another path.")
    if path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
        raise ElmoHelpersError(
            f"{path} holds other files and no {marker}, so it is left as it is: name an empty or a new directory."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        # Temporary directories, and the files of some writers, are private to their owner; finished ones are not.
        temporary.chmod(0o777 & ~_umask())
        for file in temporary.iterdir():
            file.chmod(0o666 & ~_umask())
        old = temporary.with_name(temporary.name + "-old")
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        if old.exists():
            for other in old.iterdir():
                if not (path / other.name).exists():
                    other.rename(path / other.name)
            shutil.rmtree(old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, data: object) -> None:
    """Write `data` as UTF-8 JSON, readable by people."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> object:
    """Read a UTF-8 JSON file.

    Raises:
        ElmoHelpersError: The file is missing, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: check the directory's name, or make it again.") from None
    except ValueError as error:
        raise ElmoHelpersError(f"{path} is not UTF-8 JSON ({error}): restore it, or make it again.") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
