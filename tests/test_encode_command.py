"""The command encode: what it passes on, what it prints, and how it ends."""

import inspect
import subprocess
import sys

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import TOY_TITLES
from elmo_helpers import Encoder, ScalarMix
from elmo_helpers.__main__ import app
from elmo_helpers.encoding import corpus_encoding
from elmo_helpers.encoding.corpus_encoding import EncodedFile, encode_file
from elmo_helpers.integrations import ray_data, ray_files


def run(*arguments: object):
    """What the command did; an exception that is not an exit is raised."""
    result = CliRunner().invoke(app, ["encode", *map(str, arguments)], env={"COLUMNS": "100"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(*arguments: object) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture
def calls(monkeypatch):
    """The arguments with which `encode_file` is called; nothing is encoded."""
    found = []

    def spy(*args, **kwargs):
        found.append((args, kwargs))
        return EncodedFile(args[2], 1234, 56789)

    monkeypatch.setattr(corpus_encoding, "encode_file", spy)
    return found


def test_the_defaults_are_the_librarys(calls):
    assert run("model", "titles.csv", "out.h5").exit_code == 0
    [(args, given)] = calls
    assert [str(path) for path in args] == ["model", "titles.csv", "out.h5"]
    parameters = inspect.signature(encode_file).parameters.values()
    assert given == {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}


def test_everything_is_passed_on(calls):
    options = ["--level", "titles", "--layers", "mix", "--mix-weights", "-1,2.5, 0", "--mix-gamma", "-2"]
    options += ["--pooling", "mean", "--dtype", "float16", "--precision", "bf16", "--pretokenized"]
    options += ["--batch-tokens", 7, "--window", 8, "--max-words", 9, "--resume", "--device", "cpu", "--no-progress"]
    result = run("model", "titles.txt", "out.parquet", *options)
    [(_, given)] = calls
    mix = given.pop("mix")
    assert mix.weights.tolist() == [-1, 2.5, 0]
    assert mix.gamma.item() == -2
    assert given == {
        "level": "titles",
        "layers": "mix",
        "pooling": "mean",
        "dtype": "float16",
        "precision": "bf16",
        "pretokenized": True,
        "batch_tokens": 7,
        "window": 8,
        "max_words": 9,
        "device": "cpu",
        "resume": True,
        "overwrite": False,
        "progress": False,
    }
    assert result.stdout == "1,234 rows of 56,789 words\nthe vectors are in out.parquet\n"
    assert run("model", "titles.txt", "out.h5", "--overwrite").exit_code == 0
    assert calls[1][1]["overwrite"]


def test_for_real(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    (tmp_path / "titles.txt").write_text("\n".join(TOY_TITLES))
    arguments = [tmp_path / "model", tmp_path / "titles.txt", tmp_path / "out.h5", "--device", "cpu", "--no-progress"]
    arguments += ["--level", "titles", "--layers", "mix", "--mix-weights", "0.5,-1"]
    result = run(*arguments)
    n_words = sum(len(title.split()) for title in TOY_TITLES)
    assert result.stdout == f"12 rows of {n_words} words\nthe vectors are in {tmp_path / 'out.h5'}\n"
    assert result.stderr == ""
    with h5py.File(tmp_path / "out.h5") as file:
        expected = Encoder(toy_model, ScalarMix(2, [0.5, -1])).encode(TOY_TITLES)
        np.testing.assert_allclose(file["vectors"][()], expected, atol=1e-6)
    assert "is there already" in error_of(*arguments)
    assert run(*arguments, "--resume").stdout == f"the vectors are in {tmp_path / 'out.h5'}\n"
    assert "mix" in error_of(*arguments, "--resume", "--mix-weights", "0.5,1")


def test_refusals(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    (tmp_path / "t.txt").write_text("a\n")
    start = [tmp_path / "model", tmp_path / "t.txt", tmp_path / "out.h5"]
    assert "--mix-weights '': expected a number a layer" in error_of(*start, "--layers", "mix")
    assert "--mix-weights '1;2': expected a number" in error_of(*start, "--layers", "mix", "--mix-weights", "1;2")
    assert "are of --layers mix, and got --layers all" in error_of(*start, "--mix-weights", "1,2,3")
    assert "are of --layers mix, and got --layers top" in error_of(*start, "--layers", "top", "--mix-gamma", "2")
    assert "--mix-gamma=nan" in error_of(*start, "--layers", "mix", "--mix-weights", "1,2,3", "--mix-gamma", "nan")
    for gamma in ("1e39", "-1e39", "inf"):
        mixed = error_of(*start, "--layers", "mix", "--mix-weights", "1,2,3", "--mix-gamma", gamma)
        assert f"--mix-gamma={float(gamma)}: expected a number that float32 holds" in mixed
    assert "--mix-weights=[1.0, 2.0, inf]: expected" in error_of(*start, "--layers", "mix", "--mix-weights", "1,2,inf")
    assert "weights of 3 layers" in error_of(*start, "--layers", "mix", "--mix-weights", "1,2")
    assert "there is no such directory" in error_of(tmp_path / "none", *start[1:])
    assert "none.txt is missing" in error_of(start[0], tmp_path / "none.txt", start[2])
    assert "ends in .hdf5 or .h5" in error_of(*start[:2], tmp_path / "out.txt")
    assert "--ray-address and --ray-workers are of --ray" in error_of(*start, "--ray-workers", 2)
    assert "--resume and --ray: expected one" in error_of(*start, "--ray", "--resume")
    assert "Missing argument" in run("model").stderr
    assert not (tmp_path / "out.h5").exists()


def test_on_ray_the_same_options_are_passed_on(monkeypatch):
    found = []

    def spy(*args, **kwargs):
        found.append((args, kwargs))
        return 1234

    monkeypatch.setattr(ray_files, "encode_on_ray", spy)
    options = ["--level", "titles", "--layers", "average", "--pooling", "mean", "--dtype", "float16", "--overwrite"]
    result = run("model", "titles/*.csv", "out", *options, "--ray", "--ray-address", "host:6379", "--ray-workers", 3)
    assert result.stdout == "1,234 rows; the vectors are in out\n"
    [(args, given)] = found
    assert [str(argument) for argument in args] == ["model", "titles/*.csv", "out"]
    assert (given.pop("address"), given.pop("workers"), given.pop("overwrite")) == ("host:6379", 3, True)
    known = inspect.signature(ray_data.RayEncoder).parameters
    assert set(given) - {"progress"} <= set(known)
    assert (given["level"], given["layers"], given["pooling"], given["dtype"]) == (
        "titles",
        "average",
        "mean",
        "float16",
    )


def test_without_ray_it_is_told_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'elmo_helpers[ray]'" in error_of(
        "english-titles", tmp_path / "*.csv", tmp_path / "out", "--ray"
    )


def test_ctrl_c_says_how_to_go_on(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus_encoding, "encode_file", interrupted)
    monkeypatch.setattr(sys, "argv", ["elmo_helpers", "encode", "model", "my titles.txt", "out.h5", "--resume"])
    result = run("model", "my titles.txt", "out.h5", "--resume")
    assert result.exit_code == 130
    assert result.stderr == "Stopped; to go on: python -m elmo_helpers encode model 'my titles.txt' out.h5 --resume\n"
    monkeypatch.setenv("RANK", "1")
    assert run("model", "my titles.txt", "out.h5").output == ""


def test_help_and_mistakes_do_not_load_pytorch(tmp_path):
    program = "import sys, runpy\ntry:\n    runpy.run_module('elmo_helpers', run_name='__main__')\n"
    program += "finally:\n    assert not {'torch', 'pandas', 'h5py', 'pyarrow'} & set(sys.modules)"
    for arguments, code in ((["encode", "--help"], 0), (["encode", "m", "i", "o.h5", "--mix-weights", "1"], 1)):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert (done.returncode, done.stderr.count("Traceback")) == (code, 0), done.stderr
