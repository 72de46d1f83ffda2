"""The notebooks: their form, the committed outputs, and a run of each with small values."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import torch

from elmo_helpers.model.precision import has_bf16
from pairs import NAME, number_of
from small_data import write_titles
from small_notebooks import FOLDER, NAMES, build, parameters_of, small_parameters, source_of

HEADINGS = ["What you will be able to do", "Recap", "Exercises", "Where to go next", "Versions"]
MAX_LINES, MAX_PARAMETERS, MAX_LETTERS = 18, 12, 88  # of a code cell, of the cell of parameters, of a line
# Words of prose and code cells: what a reader can take in at a sitting.
MOST = {
    "01_preprocess": (1200, 35),
    "02_char_embedding": (1600, 35),
    "03_bilm": (2200, 45),
    "04_train_encode": (1800, 40),
    "05_what_layers_know": (2000, 40),
}
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
        assert sorted(path.stem for path in FOLDER.glob(f"*{suffix}") if NAME.fullmatch(path.stem)) == NAMES


@each_notebook
def test_pair_is_in_step(name):
    cells = [
        [(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in (source_of(name), committed(name))
    ]
    assert cells[0] == cells[1], f"{name}: run `make notebooks ARGS={name}`"


@each_notebook
def test_committed_notebook_ran_from_top_to_bottom(name):
    notebook = committed(name)
    assert [cell.id for cell in notebook.cells] == [
        f"{number_of(FOLDER / name)}-{n:03d}" for n in range(len(notebook.cells))
    ]
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
    for cell in source_of(name).cells:
        if cell.cell_type == "code":
            lines = cell.source.split("\n")
            most = MAX_PARAMETERS if "parameters" in cell.metadata.get("tags", []) else MAX_LINES
            assert len(lines) <= most, f"cell {cell.id}"
            assert [line for line in lines if len(line) > MAX_LETTERS] == [], f"cell {cell.id}"


@each_notebook
def test_a_section_shows_at_most_one_check(name):
    """The others are in the tests: a reader wants the lesson."""
    checks = [0]
    for cell in source_of(name).cells:
        if cell.cell_type == "markdown":
            checks += [0] * len(re.findall(r"^## ", cell.source, flags=re.M))
        else:
            checks[-1] += sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))
    assert max(checks) <= 1


@each_notebook
def test_prose_and_cells_are_no_more_than_can_be_read_at_a_sitting(name):
    cells = source_of(name).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    words = len(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S).split())
    most_words, most_cells = MOST.get(name, (1500, 40))
    assert words <= most_words
    assert sum(cell.cell_type == "code" for cell in cells) <= most_cells


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
    precision = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    training = {"warmup_steps": 5, "feed": "streams", "batch_size": 16, "optimizer": "adamw", "precision": precision}
    run("04_train_encode", tmp_path, CHANGES={"softmax": "adaptive"}, TRAINING=training)
