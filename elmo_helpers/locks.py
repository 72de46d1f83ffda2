"""One process at a time: what two of them write to one place at once is of neither."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, writing

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems say that cannot lock


class BeingMadeError(ElmoHelpersError):
    """Another process is making what is asked for: it may be there in a while."""


@contextmanager
def only_one(lock: Path, what: str | os.PathLike[str]) -> Iterator[None]:
    """Run a block that no other process runs at the same time with the same `lock`.

    The file is there as long as the block runs, and locked. The lock ends with the process, however that ends, so what
    a killed one has left holds up nobody. Where the file system has no locks, the file's text says who is at work, and
    only processes of the same machine see each other. Windows has neither, and there nothing is held up.

    Args:
        lock: A file for this purpose, in a directory that is there.
        what: What is being made, for the message.

    Raises:
        BeingMadeError: Another process, or another thread, is at it.
        ElmoHelpersError: The file cannot be written.
    """
    if sys.platform == "win32":
        yield
        return
    check_ordinary(lock)
    with writing(what):
        handle = _taken(lock)
    if handle is None:
        raise BeingMadeError(
            f"{what} is being made by another process, which holds {lock}: wait for its end, or name another place."
        )
    try:
        yield
    finally:
        with writing(what):
            lock.unlink(missing_ok=True)
        os.close(handle)


def _taken(lock: Path) -> int | None:
    """A handle on the file, which this process alone has; None where another one has it."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(handle)
                raise
            free = _claim(handle)
        if free and _is_still(lock, handle):
            return handle
        os.close(handle)
        if not free:
            return None


def _is_still(lock: Path, handle: int) -> bool:
    """Whether the file is there: who had it before may have removed it after it was opened here."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _claim(handle: int) -> bool:
    """Write into the file that this process has it, unless it says that a living process of this machine has."""
    here = socket.gethostname()
    host, _, process = os.pread(handle, 1000, 0).decode(errors="replace").rpartition(" ")
    if host == here and process.isdecimal() and _is_alive(int(process)):
        return False
    os.truncate(handle, 0)
    os.pwrite(handle, f"{here} {os.getpid()}".encode(), 0)
    return True


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks, and sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
