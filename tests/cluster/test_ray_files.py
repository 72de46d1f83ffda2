"""Files of titles on a small cluster of Ray: the same vectors as in one process, each row once, whatever dies."""

import csv
import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError
from elmo_helpers.encoding.corpus_encoding import encode_file
from elmo_helpers.integrations.ray_files import encode_on_ray

pytestmark = pytest.mark.filterwarnings("default")  # Ray has warnings of its own


@pytest.fixture(scope="module")
def model() -> BiLM:
    corpus = corpus_of(TOY_TITLES)
    torch.manual_seed(0)
    return BiLM(BiLMConfig.preset("tiny"), corpus.vocabulary, corpus.text).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A gzipped table, a table and a text file, with blank and repeated rows."""
    folder = tmp_path_factory.mktemp("titles")
    titles = [*TOY_TITLES, "", TOY_TITLES[0], "a word"]
    with gzip.open(folder / "a.csv.gz", "wt", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("date", "title"), *(("2000-01-01", title) for title in titles * 40)])
    with (folder / "b.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("title",), *((title,) for title in titles[:3])])
    (folder / "c.txt").write_text("".join(title + "\n" for title in titles), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """A head that computes nothing, so that a node can go, and two nodes of a core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


def rows_of(output: Path) -> dict[tuple[str, int], tuple[str, np.ndarray]]:
    """Title and vector by file and line; no row may be there twice."""
    rows = pq.read_table(output).to_pylist()
    found = {(Path(r["file"]).name, r["line"]): (r["title"], np.array(r["vector"], np.float32)) for r in rows}
    assert len(found) == len(rows)
    return found


def expected(model: BiLM, files: Path, folder: Path, **options) -> dict[tuple[str, int], tuple[str, np.ndarray]]:
    """What one process makes of each file."""
    found = {}
    for file in sorted(files.iterdir()):
        out = folder / f"{file.name}.parquet"
        encode_file(model, file, out, level="titles", progress=False, **options)
        for row in pq.read_table(out).to_pylist():
            found[file.name, row["line"]] = row["title"], np.array(row["vector"], np.float32)
    return found


def assert_same(found: dict, wanted: dict, atol: float) -> None:
    assert found.keys() == wanted.keys()
    for key, (title, vector) in wanted.items():
        assert found[key][0] == title
        np.testing.assert_allclose(found[key][1], vector, atol=atol)


@pytest.mark.parametrize(
    "options", [{"layers": "mix", "pooling": "mean"}, {"layers": "all"}, {"layers": "top", "dtype": "float16"}]
)
def test_rows_have_the_vectors_that_one_process_gives_them(model, files, cluster, tmp_path, options):
    out = tmp_path / "vectors"
    n = encode_on_ray(model, f"{files}/*", out, level="titles", progress=False, **options)
    found = rows_of(out)
    assert n == len(found)
    # In float16 a last bit may fall to the other side.
    atol = 1e-3 if options.get("dtype") == "float16" else 1e-6
    assert_same(found, expected(model, files, tmp_path, **options), atol)


def test_the_command_encodes_what_a_pattern_names(model, files, cluster, tmp_path):
    """In a process of its own, which joins the cluster that runs."""
    model.save(tmp_path / "model")
    command = [sys.executable, "-m", "elmo_helpers", "encode", str(tmp_path / "model"), f"{files}/[bc]*"]
    command += [str(tmp_path / "out"), "--ray", "--ray-address", cluster[0].address, "--level", "titles"]
    done = subprocess.run([*command, "--no-progress"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = rows_of(tmp_path / "out")
    assert f"{len(found)} rows; the vectors are in" in done.stdout
    assert {file for file, _ in found} == {"b.csv", "c.txt"}


def test_rows_of_a_part_are_in_the_order_of_their_file(model, files, cluster, tmp_path):
    encode_on_ray(model, f"{files}/a.csv.gz", tmp_path / "out", level="titles", progress=False)
    for part in (tmp_path / "out").glob("*.parquet"):
        lines = pq.read_table(part)["line"].to_pylist()
        assert lines == sorted(lines)


def test_a_broken_row_is_named_and_nothing_is_left(model, cluster, tmp_path):
    (tmp_path / "good.csv").write_text("title\none\n", encoding="utf-8")
    (tmp_path / "bad.csv").write_text('title\none\n"two\n', encoding="utf-8")
    with pytest.raises(ElmoHelpersError, match=r"bad\.csv.*line"):
        encode_on_ray(model, f"{tmp_path}/*.csv", tmp_path / "out", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "good.csv"]


def test_files_without_a_row_are_no_harm(model, files, cluster, tmp_path):
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    (tmp_path / "some.txt").write_text("the cat\n\n", encoding="utf-8")
    assert encode_on_ray(model, f"{tmp_path}/*.txt", tmp_path / "out", level="titles", progress=False) == 2
    assert {line for _, line in rows_of(tmp_path / "out")} == {0, 1}
    assert encode_on_ray(model, f"{tmp_path}/empty.txt", tmp_path / "none", level="titles", progress=False) == 0
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["_vectors.json"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"precision": "fp17"}, "precision"),  # which a worker finds
        ({"dtype": "float64"}, "dtype"),
        ({"workers": 0}, "workers"),
        ({"model": "nowhere"}, "nowhere"),
    ],
)
def test_what_is_wrong_with_an_option_is_told_and_nothing_is_left(model, files, cluster, tmp_path, option, said):
    given = {"model": model, "level": "titles", "progress": False} | option
    with pytest.raises(ElmoHelpersError, match=said):
        encode_on_ray(sources=f"{files}/b.csv", output=tmp_path / "out", **given)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_when_told(model, files, cluster, tmp_path):
    out = tmp_path / "out"
    encode_on_ray(model, f"{files}/b.csv", out, level="titles", progress=False)
    with pytest.raises(ElmoHelpersError, match="overwrite"):
        encode_on_ray(model, f"{files}/c.txt", out, level="titles", progress=False)
    assert {file for file, _ in rows_of(out)} == {"b.csv"}
    encode_on_ray(model, f"{files}/c.txt", out, level="titles", progress=False, overwrite=True)
    assert {file for file, _ in rows_of(out)} == {"c.txt"}


def long_input(folder: Path, n: int) -> Path:
    file = folder / "many.txt"
    words = ["the", "old", "man", "fed", "bird"]
    rng = np.random.default_rng(0)
    file.write_text("".join(" ".join(rng.choice(words, 12)) + "\n" for _ in range(n)), encoding="utf-8")
    return file


@pytest.mark.parametrize("what", ["worker", "node"])
def test_every_row_is_there_once_though_something_dies_in_mid_work(model, cluster, tmp_path, what):
    whole, nodes = cluster
    n = 60_000
    file = long_input(tmp_path, n)
    died = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not died:
            busy = [pid for pid in actors() if cpu_seconds(pid) > 2]
            if busy and what == "worker":
                os.kill(busy[0], signal.SIGKILL)
                died.append(busy[0])
            elif busy:
                whole.remove_node(nodes.pop(), allow_graceful=False)
                died.append("a node")
            time.sleep(0.1)

    thread = threading.Thread(target=kill)
    thread.start()
    count = encode_on_ray(model, str(file), tmp_path / "out", level="titles", progress=False)
    thread.join()
    if what == "node":
        nodes.append(whole.add_node(num_cpus=1))
    assert died, "nothing was at work for long enough"
    lines = pq.read_table(tmp_path / "out", columns=["line"])["line"].to_numpy()
    assert count == n
    assert np.array_equal(np.sort(lines), np.arange(n))


def actors() -> list[int]:
    """The processes that encode."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"ray::" in name and b"RayEncoder" in name:
                found.append(int(entry.name))
    return found


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
