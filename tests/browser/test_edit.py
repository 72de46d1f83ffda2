"""The way of a person who changes a notebook: build, open in JupyterLab, edit, save, build again."""

from pathlib import Path

import nbformat
from opened import Notebook

import build

LINE = "MIN_COUNT = 2"


def test_an_edit_is_saved_in_both_files_and_kept_by_the_next_build(browser, address, checkout, screenshots):
    folder = checkout / "notebooks"
    source, written = folder / "01_preprocess.py", folder / "01_preprocess.ipynb"
    assert build.main(["01"], directory=folder) == 0  # as it was opened last, it may hold widgets of another kernel
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    notebook = Notebook(context.new_page(), address, "01_preprocess")
    notebook.waits_for(lambda: notebook.pictures(), "the figures that the build has drawn")
    parameters = notebook.code("MIN_COUNT = 3")
    notebook.type_at_the_end(parameters, LINE)
    notebook.save()
    typed = source.read_text(encoding="utf-8")
    assert f"\n{LINE}\n" in typed
    assert parameters_of(written).endswith(f"\n{LINE}")
    notebook.page.screenshot(path=screenshots / "edited.png")

    assert build.main(["01"], directory=folder) == 0
    assert source.read_text(encoding="utf-8") == typed
    built = nbformat.read(written, as_version=4)
    assert parameters_of(written).endswith(f"\n{LINE}")
    assert all(cell.execution_count for cell in built.cells if cell.cell_type == "code")

    notebook.reload()
    notebook.waits_for(lambda: LINE in notebook.code("MIN_COUNT = 3").inner_text(), "the line in JupyterLab")
    assert notebook.complaints == []
    notebook.shut_down()
    context.close()


def parameters_of(written: Path) -> str:
    """The source of the cell tagged `parameters`."""
    cells = nbformat.read(written, as_version=4).cells
    return next(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
