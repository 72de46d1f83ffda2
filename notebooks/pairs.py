"""A notebook is a pair: the .py that people edit, and the .ipynb that is written from it, with outputs.

    python notebooks/pairs.py    # says which .ipynb an editor has saved alone, and what to do

JupyterLab saves both files, the .py last (jupytext.toml). Other editors save the .ipynb alone, and what is typed there
would be lost where the .ipynb is next written from the .py.
"""

import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}
NAME = re.compile(r"(?P<number>\d\d|appendix_[a-z])_\w+")  # of a notebook, without its ending
COPYING = 2  # seconds: so far apart may copying a pair, or a file system of coarse times, put its files


def sources(directory: Path) -> list[Path]:
    """The .py of every notebook, in order: NN_name.py of the core, then appendix_X_name.py."""
    return [path for path in sorted(directory.glob("*.py")) if NAME.fullmatch(path.stem)]


def number_of(path: Path) -> str:
    """What a notebook is called for short: "05", or "appendix_a"."""
    match = NAME.fullmatch(path.stem)
    return match["number"] if match else path.stem


def read_notebook(path: Path) -> NotebookNode:
    """Read a percent-format .py as a notebook without outputs, with the ids and metadata that it is written with."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{number_of(path)}-{number:03d}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
    return notebook


def read_ipynb(path: Path) -> NotebookNode | None:
    """Read a .ipynb; None where it is missing or is no notebook: it cannot be compared then, and is replaced."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception:  # nbformat has many
        return None


def edited_alone(path: Path) -> str:
    """What to do where the .ipynb beside `path` (a .py) is newer and holds other cells; "" where all is well."""
    written = path.with_suffix(".ipynb")
    notebook = read_ipynb(written)
    if notebook is None or written.stat().st_mtime <= path.stat().st_mtime + COPYING:
        return ""
    if _typed(notebook) == _typed(read_notebook(path)):
        return ""
    pair = f"{path.parent.name}/{path.stem}"
    return (
        f"{written.name} is newer than {path.name} and holds other cells, as where an editor has saved it alone. What "
        f"is built and what JupyterLab shows are the cells of the .py. To put those of the .ipynb in their place, run\n"
        f"    .venv/bin/python -m jupytext --to py:percent {pair}.ipynb\n"
        f"and to go on with those of the .py, run\n"
        f"    touch {pair}.py"
    )


def _typed(notebook: NotebookNode) -> list[tuple[str, str, list[str]]]:
    """What a person types into a notebook, as far as a .py holds it: kind, text and tags of each cell."""
    return [(cell.cell_type, cell.source.strip(), cell.metadata.get("tags", [])) for cell in notebook.cells]


def main(directory: Path = HERE) -> int:
    """Say what there is to do; 0 where there is nothing."""
    problems = [problem for path in sources(directory) if (problem := edited_alone(path))]
    if problems:
        print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
