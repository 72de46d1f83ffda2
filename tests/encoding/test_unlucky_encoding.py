"""Encoding beside another run of the same output, on a full disk, and on a file system without locks."""

import errno
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
import read_output

from conftest import TOY_TITLES
from elmo_helpers import ElmoHelpersError
from elmo_helpers.encoding import encoded_shards, output_files
from elmo_helpers.encoding.corpus_encoding import EncodedFile, encode_file

WINDOW = 4
OPTIONS = {
    "tokens.hdf5": {"level": "tokens"},
    "titles.h5": {"level": "titles"},
    "tokens.parquet": {"level": "tokens"},
}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "titles.txt"
    path.write_text("".join(f"{line}\n" for line in TOY_TITLES))
    return path


def encode(model, source, output, **options):
    return encode_file(model, source, output, device="cpu", progress=False, window=WINDOW, **options)


def assert_same(output, other):
    read = read_output.title_vectors if "titles" in output.name else read_output.token_vectors
    for found, expected in zip(read(output), read(other), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def during(monkeypatch, shard, act):
    """Do something while shard number `shard` is about to be written."""
    write = encoded_shards.ShardFiles.write

    def watched(self, k, rows):
        if k == shard:
            monkeypatch.undo()
            act()
        write(self, k, rows)

    monkeypatch.setattr(encoded_shards.ShardFiles, "write", watched)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_second_run_of_one_output_is_refused(toy_model, source, tmp_path, monkeypatch, name):
    refused = []

    def others():
        for how in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(ElmoHelpersError, match=f"{name} is being made by another process"):
                encode(toy_model, source, tmp_path / name, **OPTIONS[name], **how)
            refused.append(how)
        encode(toy_model, source, tmp_path / f"other-{name}", **OPTIONS[name])

    during(monkeypatch, 1, others)
    result = encode(toy_model, source, tmp_path / name, **OPTIONS[name])
    assert len(refused) == 3
    assert result.rows == len(TOY_TITLES)
    assert_same(tmp_path / name, tmp_path / f"other-{name}")
    assert {path.name for path in tmp_path.iterdir()} == {"titles.txt", name, f"other-{name}"}


def test_an_output_is_free_when_its_run_has_failed(toy_model, source, tmp_path, monkeypatch):
    def fail():
        raise KeyboardInterrupt

    during(monkeypatch, 1, fail)
    with pytest.raises(KeyboardInterrupt):
        encode(toy_model, source, tmp_path / "out.h5")
    assert encode(toy_model, source, tmp_path / "out.h5", resume=True).rows == len(TOY_TITLES)


# A full disk

LIMITED = """
import json, resource, signal, sys
from elmo_helpers import ElmoHelpersError
from elmo_helpers.encoding.corpus_encoding import encode_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit, level, *paths in json.loads(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        encode_file(*paths, level=level, window={window}, device="cpu", progress=False)
    except ElmoHelpersError as error:
        print(error)
""".replace("{window}", str(WINDOW))


def test_a_disk_that_is_full_at_the_end(toy_model, source, tmp_path):
    """HDF5 takes the whole process with it when it cannot write, unless it is kept from knowing."""
    source.write_text(source.read_text() * 10)
    toy_model.save(tmp_path / "model")
    runs = []
    for name, options in OPTIONS.items():
        encode(toy_model, source, tmp_path / f"whole-{name}", **options)
        limit = (tmp_path / f"whole-{name}").stat().st_size // 2  # enough for each shard
        runs.append((limit, options["level"], *(str(tmp_path / other) for other in ("model", source.name, name))))
    done = subprocess.run([sys.executable, "-c", LIMITED, json.dumps(runs)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for (name, options), line in zip(OPTIONS.items(), done.stdout.splitlines(), strict=True):
        output = tmp_path / name
        assert line.startswith(f"{output} cannot be written (")
        assert line.endswith("File too large): mend that, and go on with --resume.")
        left = {path.name for path in output.with_name(f"{name}.parts").iterdir()}
        assert left == {"run.json", *(f"rows-{k:08}.arrow" for k in range(30))}, "what is half written takes no room"
        assert encode(toy_model, source, output, resume=True, **options).rows == 120
        assert_same(output, tmp_path / f"whole-{name}")


def test_what_would_fail_at_the_end_fails_at_the_beginning(toy_model, source, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise sqlite3.OperationalError("unable to open database file")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", refuse)
        patch.setattr(encoded_shards.ShardFiles, "write", lambda *_: pytest.fail("work was begun"))
        with pytest.raises(ElmoHelpersError, match=r"out\.h5 cannot be written \(unable to open database file\)"):
            encode(toy_model, source, tmp_path / "out.h5")
    assert encode(toy_model, source, tmp_path / "out.h5").rows == len(TOY_TITLES), "nothing is left of it"
    assert {path.name for path in tmp_path.iterdir()} == {"titles.txt", "out.h5"}


# A file system without locks


@pytest.mark.parametrize("name", OPTIONS)
def test_without_locks(toy_model, source, tmp_path, monkeypatch, name):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    encode(toy_model, source, tmp_path / name, **OPTIONS[name])
    assert encode(toy_model, source, tmp_path / name, resume=True, **OPTIONS[name]) == EncodedFile(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"titles.txt", name}


def test_an_output_that_another_program_has_locked_is_read(toy_model, source, tmp_path):
    encode(toy_model, source, tmp_path / "out.h5")
    with (tmp_path / "out.h5").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"), h5py.File(tmp_path / "out.h5"):
            pass
        assert output_files.read_header(tmp_path / "out.h5")["level"] == "tokens"
        encode(toy_model, source, tmp_path / "out.h5", overwrite=True)


# What lies in the way


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nowhere"])
def test_a_shard_that_is_no_file_is_made(toy_model, source, tmp_path, monkeypatch, kind):
    """It must not count as done, which would be noticed when all others are."""

    def fail():
        raise KeyboardInterrupt

    during(monkeypatch, 1, fail)
    with pytest.raises(KeyboardInterrupt):
        encode(toy_model, source, tmp_path / "out.h5")
    shard = tmp_path / "out.h5.parts" / "rows-00000002.arrow"
    make(kind, shard)
    if kind == "folder":
        with pytest.raises(ElmoHelpersError, match=r"out\.h5 cannot be written \(Is a directory\)"):
            encode(toy_model, source, tmp_path / "out.h5", resume=True)
        shard.rmdir()
    assert encode(toy_model, source, tmp_path / "out.h5", resume=True).rows == len(TOY_TITLES)


def make(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}], ids=["new", "resume", "overwrite"])
@pytest.mark.parametrize("kind", ["pipe", "link to nowhere", "link to a folder"])
def test_parts_that_are_no_directory(toy_model, source, tmp_path, kind, how):
    parts = tmp_path / "out.h5.parts"
    if kind == "link to a folder":  # removing it would remove what lies elsewhere
        (tmp_path / "elsewhere").mkdir()
        parts.symlink_to("elsewhere")
    else:
        make(kind, parts)
    with pytest.raises(ElmoHelpersError, match=r"out\.h5\.parts holds something else"):
        encode(toy_model, source, tmp_path / "out.h5", **how)
    assert os.path.lexists(parts)


def test_an_input_that_is_a_pipe_is_refused(toy_model, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = threading.Event()

    def watch():
        if not done.wait(20):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
    with pytest.raises(ElmoHelpersError, match="pipe is a named pipe"):
        encode(toy_model, tmp_path / "pipe", tmp_path / "out.h5")
    done.set()
