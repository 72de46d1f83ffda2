"""JupyterLab on this machine alone, over a copy of the notebooks with small values."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import jupytext
import nbformat

import build
from small_data import write_titles
from small_notebooks import FOLDER, NAMES, SMALL

START = 60  # seconds that JupyterLab may take to answer
DAY = 86400

# What JupyterLab would ask of its makers on the internet, or of the person in front of it.
QUIET = {
    "apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


def copy_checkout(root: Path, parameters: Mapping[str, dict] | None = None) -> None:
    """Write what the notebooks need below `root`: titles in data/, and each as a pair in notebooks/.

    `parameters` are put in, by notebook; None: the small values, and small titles. As for a person with own titles who
    has built 01: its .ipynb is what the build has written. The others have not run, so that a figure that is seen later
    has been drawn by the kernel; each .ipynb is a day newer than its .py, as a pull may leave it.
    """
    folder = root / "notebooks"
    folder.mkdir()
    if parameters is None:
        parameters = SMALL
        write_titles(root / "data" / "title_text.csv")
    else:
        shutil.copytree(FOLDER.parent / "data", root / "data")
    shutil.copy(FOLDER / "jupytext.toml", folder)
    shutil.copytree(FOLDER / "pictures", folder / "pictures")
    for name in NAMES:
        notebook = build.read_notebook(FOLDER / f"{name}.py")
        if given := parameters.get(name):
            build._insert_parameters(notebook, given, FOLDER / f"{name}.py")
        nbformat.write(notebook, folder / f"{name}.ipynb")
        notebook.metadata.jupytext = tomllib.loads((FOLDER / "jupytext.toml").read_text(encoding="utf-8"))
        source = folder / f"{name}.py"
        source.write_text(jupytext.writes(notebook, fmt="py:percent"), encoding="utf-8")
        os.utime(source, (time.time() - DAY,) * 2)
    assert build.main(["01"], directory=folder) == 0


@contextlib.contextmanager
def jupyterlab(root: Path) -> Iterator[str]:
    """Start JupyterLab in `root`/notebooks, with nothing of the person's own settings, and yield its address."""
    home, token, port = root / "jupyter", secrets.token_urlsafe(24), _free_port()
    for name, settings in QUIET.items():
        file = home / "settings" / "@jupyterlab" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    environment = os.environ | {
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--allow-root", "--LabApp.news_url="]
    log = home / "log.txt"
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=root / "notebooks", env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for_answer(server, f"{address}/api/status?token={token}", log)
            yield f"{address}/lab?token={token}"
        finally:
            server.terminate()  # JupyterLab ends its kernels before itself
            try:
                server.wait(START)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for_answer(server: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")
