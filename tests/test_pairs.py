"""notebooks/jupytext.toml and pairs.py: whatever the times of a pair, JupyterLab opens it, and no edit is lost."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupytext import AsyncTextFileContentsManager
from nbformat.sign import MemorySignatureStore, NotebookNotary

import build
import pairs
from small_notebooks import FOLDER, NAMES

DAY = 86400
NOTEBOOK = """\
# %% [markdown]
# # A title

# %% tags=["parameters"]
COUNT = 3


# %%
def double(number: int) -> int:
    return 2 * number


print(double(COUNT))
"""


class Lab:
    """How JupyterLab, started in the directory `root`, opens and saves a notebook."""

    def __init__(self, root: Path) -> None:
        notary = NotebookNotary(store_factory=MemorySignatureStore, secret=b"of these tests")
        self.root, self.manager = root, AsyncTextFileContentsManager(root_dir=str(root), notary=notary)

    def open(self, path: Path) -> nbformat.NotebookNode:
        return asyncio.run(self.manager.get(str(path.relative_to(self.root))))["content"]

    def save(self, path: Path, notebook: nbformat.NotebookNode) -> None:
        model = {"type": "notebook", "format": "json", "content": notebook}
        asyncio.run(self.manager.save(model, str(path.relative_to(self.root))))


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "a clone" / "notebooks"
    folder.mkdir(parents=True)
    shutil.copy(FOLDER / "jupytext.toml", folder)
    return folder


@pytest.fixture
def lab(folder) -> Lab:
    return Lab(folder)


@pytest.fixture
def pair(folder) -> Path:
    """The .py of a pair in step, both of one time."""
    path = folder / "01_try.py"
    path.write_text(NOTEBOOK, encoding="utf-8")
    nbformat.write(pairs.read_notebook(path), path.with_suffix(".ipynb"))
    make_ipynb_newer(path, 0)
    return path


def make_ipynb_newer(path: Path, seconds: float) -> None:
    now = time.time() - 2 * DAY
    os.utime(path, (now, now))
    os.utime(path.with_suffix(".ipynb"), (now + seconds, now + seconds))


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def edit_ipynb(path: Path, source: str) -> None:
    """What an editor does that knows of .ipynb alone."""
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    notebook.cells[1].source = source
    nbformat.write(notebook, path.with_suffix(".ipynb"))


@pytest.mark.parametrize("seconds", [-DAY, -5, 0, 5, DAY])
def test_every_notebook_opens_whichever_file_is_newer(folder, seconds):
    for name in NAMES:
        for ending in (".py", ".ipynb"):
            shutil.copy(FOLDER / f"{name}{ending}", folder)
        make_ipynb_newer(folder / f"{name}.py", seconds)
    for lab in (Lab(folder), Lab(folder.parent)):  # as by make lab, and at the root of the clone
        for name in NAMES:
            written = nbformat.read(folder / f"{name}.ipynb", as_version=4)
            for ending in (".py", ".ipynb"):
                opened = lab.open(folder / f"{name}{ending}")
                assert cells(opened) == cells(written)
                assert [cell.get("outputs") for cell in opened.cells] == [cell.get("outputs") for cell in written.cells]
    assert pairs.main(folder) == 0


@pytest.mark.parametrize("ending", [".py", ".ipynb"])
@pytest.mark.parametrize("name", NAMES)
def test_saving_what_was_opened_leaves_the_py_as_it_was(folder, lab, name, ending):
    for each in (".py", ".ipynb"):
        shutil.copy(FOLDER / f"{name}{each}", folder)
    path = folder / f"{name}{ending}"
    make_ipynb_newer(path.with_suffix(".py"), DAY)
    lab.save(path, lab.open(path))
    assert path.with_suffix(".py").read_bytes() == (FOLDER / f"{name}.py").read_bytes()


@pytest.mark.parametrize("seconds", [-DAY, 0, DAY])
def test_an_edit_of_the_py_is_what_lab_shows_next(pair, lab, seconds):
    pair.write_text(NOTEBOOK.replace("COUNT = 3", "COUNT = 4"), encoding="utf-8")
    make_ipynb_newer(pair, seconds)
    for ending in (".py", ".ipynb"):
        assert lab.open(pair.with_suffix(ending)).cells[1].source == "COUNT = 4"


@pytest.mark.parametrize(("ending", "seconds"), [(".ipynb", DAY), (".py", -DAY)])
def test_an_edit_in_lab_is_kept_in_both_files_and_by_the_next_build(pair, lab, ending, seconds):
    build.build(pair, timeout=60)
    make_ipynb_newer(pair, seconds)
    opened = lab.open(pair.with_suffix(ending))
    opened.cells[1].source = "COUNT = 4"
    lab.save(pair.with_suffix(ending), opened)
    edited = NOTEBOOK.replace("COUNT = 3", "COUNT = 4")
    assert pair.read_text(encoding="utf-8") == edited
    assert nbformat.read(pair.with_suffix(".ipynb"), as_version=4).cells[1].source == "COUNT = 4"

    assert pairs.edited_alone(pair) == ""
    build.build(pair, timeout=60)
    assert pair.read_text(encoding="utf-8") == edited
    built = nbformat.read(pair.with_suffix(".ipynb"), as_version=4)
    assert cells(lab.open(pair.with_suffix(ending))) == cells(built) == cells(pairs.read_notebook(pair))
    assert built.cells[2].outputs[0].text == "8\n"


def test_an_ipynb_that_was_edited_alone_is_named(pair, capsys):
    edit_ipynb(pair, "COUNT = 5")
    make_ipynb_newer(pair, DAY)
    assert pairs.main(pair.parent) == 1
    assert "01_try.ipynb is newer than 01_try.py and holds other cells" in capsys.readouterr().err
    make_ipynb_newer(pair, -DAY)  # the .py was edited after it, and is what counts
    assert pairs.main(pair.parent) == 0
    assert capsys.readouterr().err == ""


def test_what_is_said_to_do_keeps_the_one_or_the_other(pair, lab):
    for command, kept in [("jupytext", "COUNT = 5"), ("touch", "COUNT = 3")]:
        pair.write_text(NOTEBOOK, encoding="utf-8")
        edit_ipynb(pair, "COUNT = 5")
        make_ipynb_newer(pair, DAY)
        (said,) = [line.strip() for line in pairs.edited_alone(pair).splitlines() if command in line]
        words = [sys.executable if word == ".venv/bin/python" else word for word in said.split()]
        subprocess.run(words, check=True, cwd=pair.parent.parent, capture_output=True)
        assert pairs.edited_alone(pair) == ""
        assert lab.open(pair).cells[1].source == kept
        assert pair.read_text(encoding="utf-8").replace(kept, "COUNT = 3") == NOTEBOOK


def test_outputs_and_blank_lines_are_no_edit(pair):
    notebook = nbformat.read(pair.with_suffix(".ipynb"), as_version=4)
    notebook.cells[1].source += "\n"
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="6\n")]
    notebook.metadata.language_info.version = "3.11.0"
    nbformat.write(notebook, pair.with_suffix(".ipynb"))
    make_ipynb_newer(pair, DAY)
    assert pairs.edited_alone(pair) == ""


@pytest.mark.parametrize("content", [None, "", "<<<<<<< ours", "[]"])
def test_what_is_no_notebook_holds_no_edit(pair, content):
    pair.with_suffix(".ipynb").unlink()
    if content is not None:
        pair.with_suffix(".ipynb").write_text(content)
        make_ipynb_newer(pair, DAY)
    assert pairs.edited_alone(pair) == ""
