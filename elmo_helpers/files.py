"""Reading ordinary files, and writing files and directories whole or not at all."""

import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from elmo_helpers.checks import shown
from elmo_helpers.errors import ElmoHelpersError

MEND = "mend that, or name another path"  # what to do where something cannot be written
_is_address = re.compile("[a-z][a-z0-9+.-]+:/", re.IGNORECASE).match  # a letter alone is a drive of Windows


def path_of(name: str, value: object) -> Path:
    """The path that was handed over as the argument `name`.

    Raises:
        ElmoHelpersError: It is no path that a file can have, is empty, or an address.
    """
    if not isinstance(value, str | os.PathLike) or not _can_be_a_name(value):
        raise ElmoHelpersError(f"{name}={shown(value)}: expected the path of a file or directory.")
    given = os.fspath(value)
    if not given:
        raise ElmoHelpersError(f"{name}='': the name is empty; expected the path of a file or directory.")
    if _is_address(given):
        raise ElmoHelpersError(f"{name}: {given} is an address, and nothing is fetched: name a path on this machine.")
    return Path(given)


@contextmanager
def whole_file(path: str | os.PathLike[str], *, remedy: str = MEND) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes `path`'s place only if the block succeeds.

    Args:
        path: Of the file.
        remedy: What to do where it cannot be written, for the message.

    Raises:
        ElmoHelpersError: There is something at `path` that is no ordinary file, or it cannot be written.
    """
    path = Path(os.path.realpath(path_of("path", path)))
    with writing(path, remedy):
        if path.exists() and not path.is_file():
            raise ElmoHelpersError(f"{path} is no ordinary file, and a file is to be written there: name another path.")
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
def whole_directory(
    path: str | os.PathLike[str],
    *,
    header: str,
    format_name: str,
    is_ours: Callable[[str], object] = lambda name: False,
    remedy: str = MEND,
) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; it takes `path`'s place only if the block succeeds.

    A directory that is there already is replaced only if it is empty, or if its JSON file `header` says under "format"
    that it is a `format_name`; whatever else a person has put there is kept.

    Args:
        path: Of the directory.
        header: The name of the JSON file by which a directory is known.
        format_name: What it says under "format".
        is_ours: Whether a file of that name goes with the directory that is replaced, and is not kept.
        remedy: What to do where it cannot be written, for the message.

    Raises:
        ElmoHelpersError: `path` is a file, or a directory that this library did not write, or cannot be written.
    """
    path = Path(os.path.realpath(path_of("directory", path)))
    with writing(path, remedy):
        if path.exists() and not path.is_dir():
            raise ElmoHelpersError(f"{path} is a file, and a directory is to be written there: name another path.")
        if path.is_dir() and any(path.iterdir()) and not holds_format(path / header, format_name):
            raise ElmoHelpersError(
                f"{path} holds other files and no {header} of a {format_name}, so it is left as it is: name an empty "
                "or a new directory."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield temporary
            # Temporary directories, and the files of some writers, are private to their owner; finished ones are not.
            temporary.chmod(0o777 & ~_umask())
            for inside in temporary.rglob("*"):
                inside.chmod((0o777 if inside.is_dir() else 0o666) & ~_umask())
            exchange(temporary, path, is_ours)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def holds_format(header: Path, format_name: str) -> bool:
    """Whether `header` is a JSON file that says "format": `format_name`."""
    try:
        data = read_json(header)
    except ElmoHelpersError:
        return False
    return isinstance(data, dict) and data.get("format") == format_name


def exchange(new: Path, path: Path, is_ours: Callable[[str], object] = lambda name: False) -> None:
    """Put a directory in the place of `path`, with all that only `path` has, but for files whose names `is_ours`."""
    if not path.exists():
        new.rename(path)
        return
    for other in path.iterdir():
        if not os.path.lexists(new / other.name) and not is_ours(other.name):
            if other.is_dir() and not other.is_symlink():
                shutil.copytree(other, new / other.name, symlinks=True, copy_function=_link)
            else:
                _link(other, new / other.name)
    old = new.with_name(new.name + "-old")
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def _link(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give a file one more name: nothing is copied, and a pipe or a device stays what it is."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):  # this file system has no links
        check_ordinary(source)
        shutil.copy2(source, target, follow_symlinks=False)


@contextmanager
def writing(path: str | os.PathLike[str], remedy: str = MEND) -> Iterator[None]:
    """Run a block that writes to `path`; what the operating system refuses ends in one sentence.

    Raises:
        ElmoHelpersError: The block has raised an OSError.
    """
    try:
        yield
    except OSError as error:
        # Some libraries' errors have several lines and no `strerror`.
        why = " ".join((error.strerror or str(error)).split())
        raise ElmoHelpersError(f"{path} cannot be written ({why:.200}): {remedy}.") from error


def write_json(path: str | os.PathLike[str], data: object) -> None:
    """Write `data` as UTF-8 JSON, readable by people."""
    text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    # A name of a file that is no UTF-8 text, or was read under another locale, is written by JSON's escapes.
    Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")


def read_json(path: str | os.PathLike[str]) -> object:
    """Read a UTF-8 JSON file.

    Raises:
        ElmoHelpersError: The file is missing, or is not JSON.
    """
    return parse_json(read_bytes(path), path)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """All of a file.

    Raises:
        ElmoHelpersError: It is missing, is no ordinary file, or cannot be read.
    """
    with open_ordinary(path) as file:
        try:
            if os.fstat(file.fileno()).st_size > memory():
                raise _too_large(path)
            return file.read()
        except OSError as error:
            raise ElmoHelpersError(f"{path} cannot be read ({error.strerror}): name a file that can.") from None
        except MemoryError:
            raise _too_large(path) from None


def open_ordinary(path: str | os.PathLike[str]) -> BufferedReader:
    """The bytes of a file, open for reading.

    Raises:
        ElmoHelpersError: It is missing, is no ordinary file, or cannot be read.
    """
    path = path_of("path", path)
    check_ordinary(path)
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: check its name, or make it again.") from None
    except OSError as error:
        raise ElmoHelpersError(f"{path} cannot be read ({error.strerror}): name a file that can.") from None


def parse_json(data: bytes, name: str | os.PathLike[str]) -> object:
    """What UTF-8 JSON says, with or without a byte order mark before it.

    Args:
        data: The bytes of a file.
        name: The file's, for messages.

    Raises:
        ElmoHelpersError: It is something else.
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ElmoHelpersError(f"{name} is not UTF-8 JSON ({error}): restore it, or make it again.") from None
    except MemoryError:
        raise _too_large(name) from None


def _too_large(name: str | os.PathLike[str]) -> ElmoHelpersError:
    return ElmoHelpersError(f"{name} needs more memory than there is: restore it, or name another.")


def memory() -> float:
    """Bytes of memory that this machine has; infinite where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return math.inf


def check_ordinary(path: str | os.PathLike[str], *, open_pipe: bool = False) -> None:
    """Check that what is at `path`, if anything is, is an ordinary file: a pipe or a device may be waited for for ever.

    Args:
        path: Of a file that is to be read.
        open_pipe: Let pass what the shell has opened for this process: /dev/stdin, and /dev/fd/63 of `<(command)`.
            Only for what is read once, from its beginning to its end.

    Raises:
        ElmoHelpersError: It is a pipe, a device or a socket.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # whoever opens it will say so
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    given = os.path.abspath(os.fspath(path))
    if open_pipe and not stat.S_ISBLK(mode) and given.startswith(("/dev/stdin", "/dev/fd/", "/proc/self/fd/")):
        return
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a disk"}
    raise ElmoHelpersError(
        f"{path} is {kinds.get(stat.S_IFMT(mode), 'something else')}, and an ordinary file is expected there: name one."
    )


def _can_be_a_name(value: str | os.PathLike[str]) -> bool:
    try:
        return isinstance(os.fspath(value), str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half a character
        return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
