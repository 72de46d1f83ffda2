"""What TensorBoard's projector is given, read back as it reads it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.integrations.projector import write_projector

text_format = pytest.importorskip("google.protobuf.text_format")
projector_config = pytest.importorskip("tensorboard.plugins.projector.projector_config_pb2")


def read(directory) -> dict:
    """Each name's vectors and lines of labels, by the configuration, as the projector finds them."""
    text = (directory / "projector_config.pbtxt").read_text(encoding="utf-8")
    found = {}
    for embedding in text_format.Parse(text, projector_config.ProjectorConfig()).embeddings:
        lines = (directory / embedding.metadata_path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        found[embedding.tensor_name.rpartition(":")[0]] = (
            np.loadtxt(directory / embedding.tensor_path, delimiter="\t", ndmin=2, dtype=np.float32),
            [line.split("\t") for line in lines if line.strip()],  # it skips blank lines
        )
    return found


def test_one_column_has_no_header(tmp_path, rng):
    vectors = rng.normal(size=(3, 4)).astype(np.float32)
    place = write_projector(tmp_path / "new", vectors, ["a", "b", "a"])
    ((name, (read_vectors, rows)),) = read(tmp_path / "new").items()
    assert name == "vectors"
    np.testing.assert_array_equal(read_vectors, vectors)
    assert rows == [["a"], ["b"], ["a"]]
    assert sorted(path.name for path in place.iterdir()) == ["metadata.tsv", "tensors.tsv"]
    assert not list((tmp_path / "new").glob(".*"))


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_several_columns_have_one(tmp_path, kind):
    dates = pd.to_datetime(pd.Series(["1801-12-08", None]))
    write_projector(tmp_path, np.eye(2), kind({"title": ["one", "two"], "date": dates, "n": [1, 2]}))
    _, rows = read(tmp_path)["vectors"]
    assert rows == [["title", "date", "n"], ["one", "1801-12-08", "1"], ["two", "(none)", "2"]]


@pytest.mark.parametrize("columns", [1, 2])
def test_every_label_stays_on_the_line_of_its_vector(tmp_path, columns):
    """Tabs, ends of lines and blanks would shift all labels after them."""
    labels = ["a\tb", "", " \n ", None, "x\r\ny\u2028z", "\N{PILE OF POO}", "\ud800", float("nan"), "last"]
    expected = ["a b", "(none)", "(none)", "(none)", "x y z", "\N{PILE OF POO}", "?", "(none)", "last"]
    write_projector(tmp_path, np.zeros((9, 2)), {f"c{i}": labels for i in range(columns)})
    _, rows = read(tmp_path)["vectors"]
    assert rows[columns > 1 :] == [[text] * columns for text in expected]


def test_several_sets_in_one_directory_and_one_that_is_replaced(tmp_path):
    write_projector(tmp_path, np.zeros((2, 3)), ["a", "b"], name="titles/all")
    write_projector(tmp_path, np.ones((1, 5)), ["c"], name="words")
    write_projector(tmp_path, np.full((1, 3), 2.0), ["d"], name="titles/all")
    found = read(tmp_path)
    assert list(found) == ["words", "titles/all"]
    assert found["titles/all"][0].tolist() == [[2, 2, 2]]
    assert found["titles/all"][1] == [["d"]]
    assert found["words"][0].tolist() == [[1] * 5]
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize(
    ("vectors", "labels", "name", "message"),
    [
        (np.zeros(3), ["a"] * 3, "x", r"vectors: expected \(N, dim\)"),
        (np.zeros((0, 3)), [], "x", r"vectors: expected \(N, dim\)"),
        (np.array([["a"]]), ["a"], "x", "vectors: expected"),
        ([[0.0], [0.0, 1.0]], ["a", "b"], "x", "vectors: expected"),
        (None, ["a"], "x", "vectors: expected"),
        (np.zeros((1, 3)), np.array("a"), "x", "got a ndarray"),
        (np.array([[0.0], [np.inf]]), ["a", "b"], "x", "row 1 holds a number that is not finite"),
        (np.zeros((2, 3)), ["a"], "x", "expected 2, one a vector, and got 1"),
        (np.zeros((2, 3)), "ab", "x", "got one string"),
        (np.zeros((2, 3)), {"a", "b"}, "x", "got a set"),
        (np.zeros((2, 3)), None, "x", "got a NoneType"),
        (np.zeros((2, 3)), {"title": "ab"}, "x", "'title', and got one string"),
        (np.zeros((1, 3)), ["a"], "x" * 300, "at most 60"),
        (np.zeros((1, 3)), {}, "x", "expected columns"),
        (np.zeros((1, 3)), ["a"], "..", "name='..'"),
        (np.zeros((1, 3)), ["a"], "a\nb", "name="),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, vectors, labels, name, message):
    with pytest.raises(ElmoHelpersError, match=message):
        write_projector(tmp_path / "new", vectors, labels, name=name)
    assert not (tmp_path / "new").exists()


def test_a_configuration_that_is_none_is_named_and_kept(tmp_path):
    (tmp_path / "projector_config.pbtxt").write_text("no configuration")
    with pytest.raises(ElmoHelpersError, match=r"projector_config\.pbtxt is no projector configuration"):
        write_projector(tmp_path, np.zeros((1, 3)), ["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["projector_config.pbtxt"]


def test_a_file_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ElmoHelpersError, match="cannot be written"):
        write_projector(tmp_path / "file", np.zeros((1, 3)), ["a"])


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ElmoHelpersError, match="pip install tensorboard"):
        write_projector(tmp_path / "new", np.zeros((1, 3)), ["a"])
    assert not (tmp_path / "new").exists()


def test_where_the_disk_fails_the_old_set_stays_whole(tmp_path, monkeypatch):
    place = write_projector(tmp_path, np.ones((3, 2)), list("abc"))
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    rename = Path.rename

    def failing(path, target):
        if Path(target) == place:
            monkeypatch.undo()  # the old one can be put back
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ElmoHelpersError, match="No space left"):
        write_projector(tmp_path, np.zeros((2, 2)), list("xy"))
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


@pytest.mark.parametrize("directory", [None, 3, b"runs", ["runs"], "a\0b", "https://host/runs"])
def test_what_is_no_directory(directory):
    with pytest.raises(ElmoHelpersError, match=r"^directory"):
        write_projector(directory, np.zeros((1, 3)), ["a"])


def test_a_full_disk_is_one_sentence(tmp_path):
    """In a process of its own, where TensorBoard's thread would be heard, too."""
    places = {limit: write_projector(tmp_path / str(limit), np.ones((3, 2)), list("abc")) for limit in (0, 5000)}
    before = {path: path.read_bytes() for place in places.values() for path in place.iterdir()}
    program = f"""
import resource, signal
import numpy as np
from elmo_helpers import ElmoHelpersError
from elmo_helpers.integrations.projector import write_projector
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in {list(places)}:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_projector(f"{tmp_path}/{{limit}}", np.zeros((5000, 2)), ["x"] * 5000)
    except ElmoHelpersError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for limit, line in zip(places, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{tmp_path / str(limit)} cannot be written (File too large)")
    assert {path: path.read_bytes() for place in places.values() for path in place.iterdir()} == before


def test_a_configuration_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "projector_config.pbtxt")
    with pytest.raises(ElmoHelpersError, match=r"projector_config\.pbtxt is a named pipe"):
        write_projector(tmp_path, np.zeros((1, 3)), ["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["projector_config.pbtxt"]
