"""Of two processes that would write to one place, the second is refused, and a killed one holds up nobody."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.locks import only_one

HOLD = """
import sys
from pathlib import Path
from elmo_helpers import locks
if sys.argv[2] == "no locks":
    def refuse(*_):
        raise OSError({errno}, "No locks available")
    locks.fcntl.flock = refuse
with locks.only_one(Path(sys.argv[1]), "the output"):
    print("held", flush=True)
    sys.stdin.read()
""".replace("{errno}", str(errno.ENOLCK))


@pytest.fixture(params=["locks", "no locks"])
def kind(request, monkeypatch):
    """With locks, and on a file system that has none."""
    if request.param == "no locks":

        def refuse(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", refuse)
    return request.param


@pytest.fixture
def holder(tmp_path, kind):
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def taken(path):
    with only_one(path, "the output"):
        assert path.exists()


def test_one_after_the_other(tmp_path, kind):
    for _ in range(3):
        taken(tmp_path / "lock")
        assert not list(tmp_path.iterdir())


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path, holder):
    for _ in range(2):
        with pytest.raises(ElmoHelpersError, match="the output is being made by another process"):
            taken(tmp_path / "lock")
    holder.stdin.close()
    assert holder.wait() == 0
    assert not list(tmp_path.iterdir())
    taken(tmp_path / "lock")


def test_a_killed_process_holds_up_nobody(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    taken(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_the_same_process_is_refused_too(tmp_path, kind):
    refused = []

    def second():
        try:
            taken(tmp_path / "lock")
        except ElmoHelpersError as error:
            refused.append(error)

    with only_one(tmp_path / "lock", "the output"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_it_is_free_after_an_error(tmp_path, kind):
    with pytest.raises(ZeroDivisionError), only_one(tmp_path / "lock", "the output"):
        raise ZeroDivisionError
    taken(tmp_path / "lock")


@pytest.mark.parametrize("text", ["", "nonsense", "elsewhere 1", f"{socket.gethostname()} x", "\xff 3"])
def test_what_stands_in_a_file_that_nobody_holds(tmp_path, kind, text):
    (tmp_path / "lock").write_text(text, encoding="latin-1")
    taken(tmp_path / "lock")


def test_a_file_that_is_removed_between_opening_and_locking(tmp_path, monkeypatch):
    """Its holder removes it at its end: a lock on a file without a name would be seen by nobody."""
    flock, calls = fcntl.flock, []

    def late(handle, how):
        if not calls:
            (tmp_path / "lock").unlink()
        calls.append(handle)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_one(tmp_path / "lock", "the output"):
        assert (tmp_path / "lock").exists()
    assert len(calls) == 2


def test_a_lock_that_cannot_be_made(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("folder", "cannot be written"),
        ("none/lock", "cannot be written"),
        ("pipe", "a named pipe"),
    ):
        with pytest.raises(ElmoHelpersError, match=message):
            taken(tmp_path / name)
