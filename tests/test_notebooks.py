"""The four notebooks: their form, the committed outputs, and a run of each with small values."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

from elmo_helpers.model.precision import has_bf16
from small_data import write_titles
from small_notebooks import FOLDER, NAMES, build, parameters_of, small_parameters, source_of

HEADINGS = ["What you will be able to do", "Recap", "Exercises", "Where to go next", "Versions"]
MAX_LINES = 25
TIMEOUT = 120  # seconds a cell may take with small values

each_notebook = pytest.mark.parametrize("name", NAMES)


def committed(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def headings(notebook: nbformat.NotebookNode) -> list[tuple[int, str]]:
    """Level and text of every heading, fenced code left out."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [(len(marks), words.strip()) for marks, words in re.findall(r"^(#+) (.+)$", text, flags=re.M)]


def test_these_are_all_the_notebooks():
    for suffix in (".py", ".ipynb"):
        assert sorted(path.stem for path in FOLDER.glob(f"[0-9]*{suffix}")) == NAMES


@each_notebook
def test_pair_is_in_step(name):
    cells = [
        [(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in (source_of(name), committed(name))
    ]
    assert cells[0] == cells[1], f"{name}: run `make notebooks ARGS={name}`"


@each_notebook
def test_committed_notebook_ran_from_top_to_bottom(name):
    notebook = committed(name)
    assert [cell.id for cell in notebook.cells] == [f"{name[:2]}-{n:03d}" for n in range(len(notebook.cells))]
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert dict(notebook.metadata) == build.METADATA
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


@each_notebook
def test_committed_notebook_is_free_of_noise(name):
    assert build.noise(committed(name)) == []


@each_notebook
def test_one_cell_of_parameters_holds_plain_literals(name):
    assert parameters_of(name)


@each_notebook
def test_code_cells_are_short(name):
    long = [(cell.id, cell.source.count("\n") + 1) for cell in source_of(name).cells if cell.cell_type == "code"]
    assert [cell for cell in long if cell[1] > MAX_LINES] == []


@each_notebook
def test_frame_of_the_notebook(name):
    notebook = source_of(name)
    found = headings(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert found[0][0] == 1
    assert [text for level, text in found if level == 1] == [found[0][1]], "one title"
    frame = [text for level, text in found if level == 2 and text in HEADINGS]
    assert frame == HEADINGS


def run(name: str, folder: Path, **parameters: object) -> nbformat.NotebookNode:
    """Run a notebook with small values and all of its data in `folder`."""
    write_titles(folder / "title_text.csv", per_document=4)
    return build.run_notebook(FOLDER / f"{name}.py", small_parameters(name, folder) | parameters, timeout=TIMEOUT)


@pytest.mark.long
@pytest.mark.notebook
@each_notebook
def test_notebook_runs_with_small_values(name, tmp_path):
    """Each in a directory of its own: a notebook runs alone, whatever the others have or have not made."""
    notebook = run(name, tmp_path)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.long
@pytest.mark.notebook
def test_training_in_another_way_runs_to_the_end_too(tmp_path):
    """What the comments in the cell of parameters offer, so far as it goes together."""
    other = {"SOFTMAX": "adaptive", "FEED": "streams", "BATCH_SIZE": 16, "OPTIMIZER": "adamw"}
    precision = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    run("04_train_encode", tmp_path, PRECISION=precision, **other)
