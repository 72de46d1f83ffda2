"""Encoding that is killed at any moment and gone on with loses no row and doubles none; nor do several processes."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import read_output
import torch

from elmo_helpers.encoding.corpus_encoding import encode_file
from forked import run_together

ROWS, WINDOW = 3_000, 40


@pytest.fixture
def source(tmp_path) -> Path:
    rng = random.Random(0)
    words = ["the", "cat", "dog", "sat", "on", "mat", "a", "bird", "old", "man", "rain"] + [f"w{i}" for i in range(200)]
    lines = [" ".join(rng.choices(words, k=rng.randrange(10))) for _ in range(ROWS - 6)]
    lines = ["", "", *lines, lines[0], lines[0], "", ""]
    path = tmp_path / "titles.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def encode(model: str, source: str, output: str, resume: bool, options: dict) -> None:
    """One process of a run, to be killed."""
    torch.set_num_threads(1)
    encode_file(model, source, output, window=WINDOW, device="cpu", resume=resume, progress=False, **options)


def assert_same(output: Path, whole: Path) -> None:
    """The same rows; vectors to float rounding, since words may have been spelled out beside other words."""
    if output.suffix == ".parquet":
        a, b = (pq.read_table(path) for path in (output, whole))
        assert a.num_rows == ROWS
        assert a.schema.equals(b.schema, check_metadata=True)
        assert a.drop(["vector"]).equals(b.drop(["vector"]))
        np.testing.assert_allclose(*(read_output.title_vectors(path) for path in (output, whole)), atol=1e-6)
        return
    found, expected = (read_output.token_vectors(path) for path in (output, whole))
    assert len(found) == ROWS
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert read_output.sentence_to_index(output) == read_output.sentence_to_index(whole)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "options"),
    [("out.hdf5", {"level": "tokens", "layers": "all"}), ("out.parquet", {"level": "titles", "layers": "average"})],
    ids=["tokens", "titles"],
)
def test_killed_at_random_moments_and_gone_on_with(toy_model, source, tmp_path, name, options):
    toy_model.save(tmp_path / "model")
    arguments = (str(tmp_path / "model"), str(source))
    encode(*arguments, str(tmp_path / f"whole-{name}"), False, options)

    context = multiprocessing.get_context("forkserver")
    output, moments, killed, seen = tmp_path / name, random.Random(0), 0, set()
    parts = tmp_path / f"{name}.parts"
    while True:
        process = context.Process(target=encode, args=(*arguments, str(output), True, options))
        process.start()
        if killed < 6:
            wanted = len(list(parts.glob("rows-*.arrow"))) + moments.randrange(2, 12)
            while process.is_alive() and len(list(parts.glob("rows-*.arrow"))) < wanted:
                time.sleep(0.001)
        elif killed < 8:
            while process.is_alive() and not (parts / "output").exists():  # now it is made of the shards
                time.sleep(0.0001)
        if killed < 8:
            time.sleep(moments.uniform(0, 0.02))
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        if output.exists():  # killed after its last word
            continue
        now = {path.name for path in parts.glob("rows-*.arrow")}
        assert seen <= now, "a shard that was done stays done"
        seen = now
    assert killed >= 6, "the run was over before it had been killed often enough"
    assert_same(output, tmp_path / f"whole-{name}")
    assert {path.name for path in tmp_path.iterdir()} == {"titles.txt", "model", name, f"whole-{name}"}


def test_two_processes_make_what_one_makes(toy_model, source, tmp_path):
    toy_model.save(tmp_path / "model")
    options = {"level": "titles", "layers": "average"}
    encode(str(tmp_path / "model"), str(source), str(tmp_path / "one.parquet"), False, options)
    command = ["encode", "model", "titles.txt", "two.parquet", "--level", "titles", "--layers", "average"]
    command += ["--device", "cpu", "--window", str(WINDOW), "--no-progress"]
    done = run_together(2, tmp_path, *command)
    assert [process.code for process in done] == [0, 0], done
    assert_same(tmp_path / "two.parquet", tmp_path / "one.parquet")
    assert [len(process.out.splitlines()) for process in done] == [2, 0], "one process speaks"
    first, second = run_together(2, tmp_path, *command)
    assert (first.code, second.code) == (1, 1)
    assert "two.parquet is there already" in first.err
    assert "The main process has refused" in second.err
