"""Write each notebook's .ipynb from its .py: executed in a fresh kernel, and free of noise.

    python notebooks/build.py                 # 01 to 05
    python notebooks/build.py 02 appendix_a   # these two
    python notebooks/build.py all             # the appendices, too

01 makes the corpus that the others read, so it comes first; then as many run at once as there are cores and memory, the
last ones first, since they take longest. Each has one thread to compute with: two notebooks on a core each are done
sooner than one after the other on both, and sums come out equal on any number of cores.

A .ipynb takes its place only when every cell has run without an error, a warning or anything else on
stderr. An unchanged notebook builds to the same bytes: cells have fixed ids, and what differs from run to
run (timings, widgets, metadata inside figures) is left out. What a cell tagged `readme-NAME` shows, a figure or
JSON, is also written to readme/NAME.png or readme/NAME.json, for the README.

A .ipynb that an editor has saved alone (see pairs.py) is not written over; what to do is said before anything runs.
"""

from __future__ import annotations

import argparse
import ast
import base64
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path

import joblib
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.output_widget import OutputWidget
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import memory, whole_file
from pairs import METADATA, edited_alone, number_of, read_ipynb, read_notebook, sources

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FIRST = "01"  # makes the corpus that the others read
MEMORY = 7e9  # bytes for each notebook that runs at once with others; 05 takes most of it
TIMEOUT = 1800  # seconds a cell may take; training on the default corpus is the longest
WIDGET = "application/vnd.jupyter.widget-view+json"
# Parts of a PNG that hold text or times and no picture; matplotlib writes its version there.
PNG_NOISE = {b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf"}
README_TAG = "readme-"
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/~])/(?:home|root|Users|tmp|var|usr|opt|mnt|private)/\S+"  # a path that starts at the root
    rf"|(?<![\w.:/~]){re.escape(str(ROOT))}(?![\w-])"  # this clone, wherever it lies
    r"|\b[A-Z]:\\\w\S*"  # a drive letter
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(Exception):
    """A notebook cannot be written; the message names it and shows the cell."""


class _WidgetOutput(OutputWidget):
    """What is shown inside a widget: left out, but for errors and warnings, which go to the cell and fail it.

    nbclient would also send it back to the kernel, and can then miss the kernel's answer and wait for ever
    (https://github.com/jupyter/nbclient/issues/312).
    """

    def output(self, outs: list[NotebookNode], msg: dict, display_id: str | None, cell_index: int) -> None:
        output = output_from_msg(msg)
        if output.output_type == "error" or output.get("name") == "stderr":
            outs.append(output)

    def sync_state(self) -> None:
        pass


def run_notebook(path: Path, parameters: dict | None = None, *, timeout: int = TIMEOUT) -> NotebookNode:
    """Run the notebook at `path` (a .py) in a fresh kernel, in its own directory, and return it with its outputs.

    `parameters` are put in a cell right after the one tagged `parameters`, each as a plain literal, and may
    only name what is assigned there. `timeout` is in seconds, for each cell.

    Raises:
        NotebookError: A cell failed, took too long, or wrote to stderr (a warning does).
        ValueError: `parameters` do not fit the notebook.
    """
    path = Path(path)
    notebook = read_notebook(path)
    if parameters:
        _insert_parameters(notebook, parameters, path)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # the kernel says at each start that it talks over TCP
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.widget_registry["@jupyter-widgets/output"]["OutputModel"] = _WidgetOutput
    with tempfile.TemporaryDirectory() as profile:
        environment = os.environ | {
            "IPYTHONDIR": profile,  # a person's own settings of IPython do not reach the figures
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
            "PYTHONHASHSEED": "0",
            "TQDM_DISABLE": "1",  # bars of text; those of a notebook are widgets, which clean() leaves out
        }
        with client.setup_kernel(env=environment):
            for number, cell in enumerate(notebook.cells):
                _run_cell(client, cell, number, path)
    return notebook


def clean(notebook: NotebookNode) -> NotebookNode:
    """Leave out of an executed notebook what differs from run to run or needs a kernel to be seen; in place."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        # A widget without a kernel is an empty box, so only the static figure beside it is kept.
        cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
        cell.outputs = _merge_streams(cell.outputs)
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _strip_png(output.data["image/png"])
    return notebook


def noise(notebook: NotebookNode) -> list[str]:
    """Say what in an executed notebook would not be the same for another person, or is no result; [] when clean."""
    found = ["the notebook holds the state of widgets"] if "widgets" in notebook.metadata else []
    for cell in notebook.cells:
        for name, text in _texts(cell):
            if name in ("stderr", "error"):
                found.append(f"cell {cell.id} shows an error or a warning: {text.strip()[:200]}")
            if path := ABSOLUTE_PATH.search(text):
                found.append(f"cell {cell.id} shows an absolute path in its {name}: {path.group()}")
            if address := ADDRESS.search(text):
                found.append(f"cell {cell.id} shows a memory address in its {name}: {address.group()}")
        if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", [])):
            found.append(f"cell {cell.id} shows a widget")
        if set(cell.metadata) - {"tags"}:
            found.append(f"cell {cell.id} has metadata beside its tags: {sorted(cell.metadata)}")
    return found


def build(path: Path, *, timeout: int = TIMEOUT) -> str:
    """Run the notebook at `path` (a .py), write the .ipynb beside it whole or not at all, and say what changed.

    Raises:
        NotebookError: A cell failed or its outputs are not clean, or an editor has saved the .ipynb alone; it is left
            as it was.
    """
    made_from = path.stat()  # before it is read: what is typed while the notebook runs is newer than the .ipynb
    notebook = clean(run_notebook(path, timeout=timeout))
    if complaints := noise(notebook):
        raise NotebookError("\n".join([f"{path.name} is not written:", *complaints]))
    nbformat.validate(notebook)
    if problem := edited_alone(path):
        raise NotebookError(problem)
    target = path.with_suffix(".ipynb")
    content = (nbformat.writes(notebook) + "\n").encode("utf-8")
    readme = {path.parent / "readme" / name: shown for name, shown in readme_files(notebook).items()}
    if not target.exists():
        change = "new"
    elif target.read_bytes() == content:
        change = "unchanged"
    else:
        change = _difference(target, notebook)
    with whole_file(target) as temporary:
        temporary.write_bytes(content)
        # As old as its .py, which is not touched, for people have it open: whoever goes by times takes the .py's cells.
        os.utime(temporary, ns=(made_from.st_mtime_ns, made_from.st_mtime_ns))
    for file, shown in readme.items():
        if not file.is_file() or file.read_bytes() != shown:
            file.parent.mkdir(exist_ok=True)
            with whole_file(file) as temporary:
                temporary.write_bytes(shown)
    return change


def readme_files(notebook: NotebookNode) -> dict[str, bytes]:
    """Name and content of what the README shows of an executed notebook: its cells tagged `readme-NAME`.

    Raises:
        NotebookError: Such a cell shows neither one figure nor JSON.
    """
    files = {}
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if not tag.startswith(README_TAG):
                continue
            name = tag.removeprefix(README_TAG)
            figures = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
            printed = "".join(text for kind, text in _texts(cell) if kind == "stdout")
            if len(figures) == 1:
                files[f"{name}.png"] = base64.b64decode(figures[0])
            elif not figures and _is_json(printed):
                files[f"{name}.json"] = printed.encode("utf-8")
            else:
                raise NotebookError(f"cell {cell.id} is tagged {tag}, and shows neither one figure nor JSON.")
    return files


def main(arguments: Sequence[str] | None = None, directory: Path = HERE) -> int:
    """Build the notebooks that are named, or the core; 0 when every one was written."""
    parser = argparse.ArgumentParser(description="Run the notebooks and write each .ipynb from its .py.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="for instance 02, appendix_a or 02_char_embedding; all: every one; default: the core",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=max(1, int(min(joblib.cpu_count(), memory() / MEMORY))),
        metavar="N",
        help="notebooks that run at once (default: as many as this machine has cores and memory for, %(default)s)",
    )
    parser.add_argument("--timeout", type=int, default=TIMEOUT, metavar="SECONDS", help="for each cell (%(default)s)")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: expected 1 or more")
    there = sources(directory)
    if not there:
        parser.error(f"there is no notebook (NN_name.py) in {directory.name}/")
    wanted = {name.removesuffix(".py").removesuffix(".ipynb") for name in (Path(n).name for n in options.names)}
    names = {path: {path.stem, number_of(path), "all"} for path in there}
    for name in sorted(wanted):
        if not any(name in of_path for of_path in names.values()):
            parser.error(f"there is no notebook {name}; there are {', '.join(path.stem for path in there)}")
    chosen = [path for path in there if (names[path] & wanted if wanted else path.name[0].isdigit())]
    if problems := [problem for path in chosen if (problem := edited_alone(path))]:
        print("\n".join(problems), file=sys.stderr)
        return 1
    alone = [path for path in chosen if number_of(path) == FIRST]
    others = [path for path in reversed(chosen) if path not in alone]
    for paths in (alone, others):
        failed = False
        for built in _build_all(paths, options.jobs, options.timeout):
            print(f"{built.name}.ipynb {built.change or 'failed'}, {built.seconds:.1f} s", flush=True)
            if built.problem:
                print(f"\n{built.problem}\n", file=sys.stderr, flush=True)
                failed = True
        if failed:
            return 1
    return 0


@dataclass(frozen=True)
class Built:
    """What came of a notebook: what changed in its .ipynb, or else the problem; and how long it took."""

    name: str
    change: str
    problem: str
    seconds: float


def _built(path: Path, timeout: int) -> Built:
    start, change, problem = time.perf_counter(), "", ""
    try:
        change = build(path, timeout=timeout)
    except (NotebookError, ElmoHelpersError) as error:
        problem = str(error)
    return Built(path.stem, change, problem, time.perf_counter() - start)


def _build_all(paths: Sequence[Path], jobs: int, timeout: int) -> Iterator[Built]:
    """Build notebooks, `jobs` of them at once, and none any more once one has failed; each as soon as it is done."""
    waiting, fine = list(paths), True
    if min(jobs, len(paths)) <= 1:
        while waiting and fine:
            print(f"running {waiting[0].stem}", flush=True)
            built = _built(waiting.pop(0), timeout)
            fine = not built.problem
            yield built
        return
    running: set[Future[Built]] = set()
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with ProcessPoolExecutor(jobs, get_context("spawn")) as workers:
            try:
                while running or (waiting and fine):
                    while waiting and fine and len(running) < jobs:
                        print(f"running {waiting[0].stem}", flush=True)
                        running.add(workers.submit(_built, waiting.pop(0), timeout))
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for built in (future.result() for future in done):
                        fine = fine and not built.problem
                        yield built
            except BaseException:  # stopped by a person, or by make: the notebooks must not go on alone
                for worker in active_children():
                    worker.terminate()
                raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _insert_parameters(notebook: NotebookNode, parameters: dict, path: Path) -> None:
    places = [n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    if len(places) != 1:
        raise ValueError(f"{path.name} has {len(places)} cells tagged parameters, and needs one")
    tree = ast.parse(notebook.cells[places[0]].source)
    known = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if unknown := sorted(set(parameters) - known):
        raise ValueError(f"{path.name} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    cell = nbformat.v4.new_code_cell(source, id=f"{number_of(path)}-given", metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(places[0] + 1, cell)


def _run_cell(client: NotebookClient, cell: NotebookNode, number: int, path: Path) -> None:
    try:
        client.execute_cell(cell, number)
        problem = "".join(text for name, text in _texts(cell) if name in ("stderr", "error"))
    except CellExecutionError as error:
        problem = "\n".join(text for name, text in _texts(cell) if name == "error") or str(error)
    except CellTimeoutError:
        problem = f"The cell ran longer than {client.timeout} seconds."
    except DeadKernelError:
        problem = "The kernel died: often for want of memory."
    if problem:
        source = "\n".join(f"    {line}" for line in cell.source.splitlines())
        problem = ANSI_COLOUR.sub("", problem).rstrip()
        raise NotebookError(f"{path.name}, cell {cell.id}:\n\n{source}\n\n{problem}")


def _texts(cell: NotebookNode) -> list[tuple[str, str]]:
    """Every text of a cell that people read, each with the name of where it stands."""
    texts = [("source", cell.source)]
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            texts.append((output.name, output.text))
        elif output.output_type == "error":
            texts.append(("error", "\n".join(output.traceback)))
        else:
            texts += [(kind, str(text)) for kind, text in output.data.items() if not kind.startswith("image/")]
    return texts


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of printed text: where they are cut depends on the moment of each flush."""
    merged: list[NotebookNode] = []
    for output in outputs:
        if merged and output.output_type == merged[-1].output_type == "stream" and output.name == merged[-1].name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _strip_png(data: str) -> str:
    """Leave the text chunks out of a base64 PNG; a chunk is 4 bytes of length, 4 of name, the data and 4 to check."""
    raw = base64.b64decode(data)
    kept, start = [raw[:8]], 8
    while start < len(raw):
        end = start + 12 + int.from_bytes(raw[start : start + 4], "big")
        if raw[start + 4 : start + 8] not in PNG_NOISE:
            kept.append(raw[start:end])
        start = end
    return base64.b64encode(b"".join(kept)).decode("ascii")


def _difference(target: Path, notebook: NotebookNode) -> str:
    written = read_ipynb(target)
    if written is None:
        return "written anew"
    old = {cell.get("id"): cell for cell in written.cells}
    changed = [cell.id for cell in notebook.cells if old.get(cell.id) != cell]
    shown = ", ".join(changed[:6]) + (" …" if len(changed) > 6 else "")
    return f"changed in {len(changed)} of {len(notebook.cells)} cells" + (f" ({shown})" if changed else "")


if __name__ == "__main__":
    sys.exit(main())
