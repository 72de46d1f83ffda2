"""Write notebooks/pictures: each widget of the notebooks in use, for readers who have no kernel.

    make pictures               # of all notebooks: runs them in JupyterLab, which takes minutes
    make pictures ARGS="03"     # of one

They depend on the fonts of the machine, so no test compares their bytes.
"""

import argparse
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, sync_playwright

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "notebooks")]

from lab import copy_checkout, jupyterlab  # noqa: E402
from opened import Notebook, wait_until  # noqa: E402

from elmo_helpers.files import whole_file  # noqa: E402

FOLDER = HERE.parent.parent / "notebooks" / "pictures"
COLOURS = 256  # of a picture: with fewer, the colours of two groups become one
SETTLING = 3  # seconds after the last reaction

# What takes minutes and is not to be seen in the pictures, made short.
SHORT = {"04_train_encode": {"FINE_TUNE_STEPS": 2}}

Use = Callable[[Notebook], Locator]  # uses a widget, and says which part of the page to show


def minimum_count(notebook: Notebook) -> Locator:
    slider = notebook.slider("min. count")
    notebook.press(slider, *["ArrowRight"] * 3)
    return notebook.around(slider)


def one_title(notebook: Notebook) -> Locator:
    slider = notebook.slider("title")
    notebook.press(slider, "ArrowRight")
    return notebook.around(slider)


def spelling(notebook: Notebook) -> Locator:
    word = notebook.field("Word")
    notebook.type(word, "railroading")
    return notebook.around(word)


def what_is_read(notebook: Notebook) -> Locator:
    position = notebook.slider("Position t")
    notebook.press(position, "ArrowLeft")
    return notebook.around(position)


def directions(notebook: Notebook) -> Locator:
    title = notebook.field("Title", 1)
    notebook.type(title, "We must keep the peace with all nations.")
    area = notebook.around(title)
    fifth = area.get_by_role("button", name="5 peace", exact=True)
    notebook.waits_for(lambda: fifth.count() == 1, "a button for each word")
    notebook.press(fifth, "Enter")
    return area


def panel(notebook: Notebook) -> Locator:
    budget = notebook.field("Budget")
    area = notebook.around(budget)
    status = area.get_by_role("status")
    notebook.type(budget, "1")
    notebook.waits_for(lambda: re.search(r"Time: .*\d", area.inner_text()), "the time that it will take")
    notebook.press(notebook.button("Train"), "Enter")
    wait_until("a run has ended", lambda: "finished" in status.inner_text(), 600, notebook.page)
    wait_until("it draws its curves", lambda: notebook.pictures(area), 120, notebook.page)
    return area


def contexts(notebook: Notebook) -> Locator:
    word = notebook.field("Word")
    notebook.press(notebook.slider("Occurrence"), "ArrowRight")
    return notebook.around(word)


def search(notebook: Notebook) -> Locator:
    title = notebook.field("Title")
    notebook.type(title, "The state of our union is strong.")
    return notebook.around(title)


def shares(notebook: Notebook) -> Locator:
    slider = notebook.slider("Layer 0")
    notebook.press(slider, *["ArrowRight"] * 4)
    return notebook.around(slider)


USES: dict[str, dict[str, Use]] = {
    "01_preprocess": {"01_min_count": minimum_count, "01_title": one_title},
    "02_char_embedding": {"02_character_explorer": spelling},
    "03_bilm": {"03_reads": what_is_read, "03_directions": directions},
    "04_train_encode": {"04_contexts": contexts, "04_title_search": search, "04_training_panel": panel},
    "appendix_c_periods": {"appendix_c_periods_map": shares},
}


def take(name: str, address: str, browser: Browser) -> Iterator[tuple[str, bytes]]:
    """Run a notebook in JupyterLab, use its widgets, and yield name and PNG of each picture."""
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    notebook = Notebook(context.new_page(), address, name)
    notebook.run_all(seconds=3600)
    if errors := notebook.texts("error"):
        raise SystemExit(f"{name} ends in an error: {errors[0][:500]}")
    for picture, use in USES[name].items():
        area = use(notebook)
        notebook.page.wait_for_timeout(SETTLING * 1000)
        notebook.waits_for(notebook.is_idle, "the kernel is idle")
        yield picture, with_few_colours(area.screenshot())
    notebook.shut_down()
    context.close()


def with_few_colours(png: bytes) -> bytes:
    """The same picture with a palette."""
    small = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Read the arguments, and take the pictures notebook by notebook."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="for instance 03 or appendix_c; default: all")
    wanted = parser.parse_args().names
    names = [name for name in USES if not wanted or any(name.startswith(start) for start in wanted)]
    if not names:
        parser.error(f"there is no such notebook; there are {', '.join(USES)}")
    with tempfile.TemporaryDirectory() as folder:
        copy_checkout(Path(folder), SHORT)
        with jupyterlab(Path(folder)) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for name in names:
                for picture, png in take(name, address, browser):
                    FOLDER.mkdir(exist_ok=True)
                    with whole_file(FOLDER / f"{picture}.png") as temporary:
                        temporary.write_bytes(png)
                    print(f"{picture}.png, {len(png) / 1000:.0f} kB", flush=True)
            browser.close()


if __name__ == "__main__":
    main()
