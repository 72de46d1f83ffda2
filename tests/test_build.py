"""notebooks/build.py on throwaway notebooks."""

import base64
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

import build

NOTEBOOK = """\
# %% [markdown]
# # A title

# %% tags=["parameters"]
COUNT = 3

# %%
import matplotlib.pyplot as plt
from tqdm.auto import tqdm

for number in tqdm(range(COUNT)):
    print(number, flush=True)

# %%
figure, axes = plt.subplots(figsize=(2, 2))
axes.plot(range(COUNT))
plt.show()
print("below the figure")
"""
SHORT = """\
# %% tags=["parameters"]
COUNT = 3

# %%
print(COUNT)
"""


@pytest.fixture
def write(tmp_path):
    def write_notebook(text, name="01_try"):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write_notebook


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_two_builds_give_the_same_bytes(write):
    path = write(NOTEBOOK)
    target = path.with_suffix(".ipynb")
    assert build.build(path, timeout=60) == "new"
    first = target.read_bytes()
    assert build.build(path, timeout=60) == "unchanged"
    target.unlink()
    build.build(path, timeout=60)
    assert target.read_bytes() == first

    notebook = nbformat.read(target, as_version=4)
    assert [cell.id for cell in notebook.cells] == ["01-000", "01-001", "01-002", "01-003"]
    assert [output.output_type for output in outputs(notebook)] == ["stream", "display_data", "stream"]
    assert outputs(notebook)[0].text == "0\n1\n2\n"
    assert b"matplotlib" not in base64.b64decode(outputs(notebook)[1].data["image/png"]).lower()
    assert build.noise(notebook) == []


def test_changed_cells_are_named(write):
    build.build(write(SHORT))
    assert build.build(write(SHORT.replace("print(", "print(-"))) == "changed in 1 of 2 cells (01-001)"


@pytest.mark.parametrize(
    ("last_cell", "message"),
    [
        ("COUNT / 0", "ZeroDivisionError: division by zero"),
        ("import warnings\nwarnings.warn('careful')", "UserWarning: careful"),
        ("import sys\nprint('aside', file=sys.stderr)", "aside"),
        ("import time\ntime.sleep(60)", "longer than 4 seconds"),
        ("import ipywidgets\nipywidgets.interact(lambda x: 1 / x, x=ipywidgets.IntSlider(0))", "ZeroDivisionError"),
        ("import os\nos._exit(1)", "The kernel died"),
        ("object()", "memory address in its text/plain: at 0x"),
        ("import os\nos.path.abspath('x')", "absolute path in its text/plain: /"),
    ],
)
def test_a_failing_cell_leaves_the_old_file(write, tmp_path, capsys, last_cell, message):
    path = write(f"{SHORT}\n# %%\n{last_cell}\n")
    old = path.with_suffix(".ipynb")
    old.write_text("old")
    assert build.main(["01", "--timeout", "4"], directory=tmp_path) == 1
    error = capsys.readouterr().err
    assert "01_try.py" in error
    assert "01-002" in error
    assert message in error
    assert old.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["01_try.ipynb", "01_try.py"]


WAITS = """\
# %%
import time
from pathlib import Path

Path("{own}").touch()
while not Path("{other}").exists():
    time.sleep(0.1)
Path("corpus").read_text()
"""


def test_the_first_makes_what_the_others_read_and_they_run_at_once(write, tmp_path, capsys):
    write("# %%\nfrom pathlib import Path\n\nPath('corpus').write_text('titles')\n")
    write(WAITS.format(own="a", other="b"), "02_one")  # ends only where the other one runs, too
    write(WAITS.format(own="b", other="a"), "03_other")
    assert build.main(["--jobs", "2", "--timeout", "60"], directory=tmp_path) == 0
    lines = [" ".join(line.split()[:2]) for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == ["running 01_try", "01_try.ipynb new,", "running 03_other", "running 02_one"]
    assert sorted(lines[4:]) == ["02_one.ipynb new,", "03_other.ipynb new,"]
    assert all((tmp_path / f"{name}.ipynb").exists() for name in ("01_try", "02_one", "03_other"))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_once_one_has_failed_none_is_begun(write, tmp_path, capsys, jobs):
    write("# %%\n1 / 0\n", "04_fails")
    write(SHORT + "\n# %%\nimport time\ntime.sleep(5)\n", "03_takes_longer")
    write(SHORT, "02_last")
    assert build.main(["--jobs", jobs, "--timeout", "60"], directory=tmp_path) == 1
    captured = capsys.readouterr()
    assert "04_fails.ipynb failed" in captured.out
    assert "04_fails.py, cell 04-000" in captured.err
    assert "02_last" not in captured.out
    assert (tmp_path / "03_takes_longer.ipynb").exists() == (jobs == "2")  # what runs ends, and is written


def test_a_first_one_that_fails_is_the_only_one(write, tmp_path, capsys):
    write("# %%\n1 / 0\n")
    write(SHORT, "02_last")
    assert build.main(["--timeout", "60"], directory=tmp_path) == 1
    assert "02_last" not in capsys.readouterr().out


LONG = """\
# %%
import os
import time
from pathlib import Path

Path("{name}.new").write_text(str(os.getpid()))
Path("{name}.new").rename("{name}.pid")
time.sleep(120)
"""
BUILD_BOTH = """\
import sys
from pathlib import Path

import build

if __name__ == "__main__":
    sys.exit(build.main(["--jobs", "2"], directory=Path(sys.argv[1])))
"""


def test_what_is_stopped_leaves_nothing_running(write, tmp_path):
    for name in ("02_one", "03_other"):
        write(LONG.format(name=name), name)
    script = tmp_path / "script.py"
    script.write_text(BUILD_BOTH, encoding="utf-8")
    paths = os.pathsep.join([str(Path(build.__file__).parent), *sys.path])
    process = subprocess.Popen([sys.executable, script, tmp_path], env=os.environ | {"PYTHONPATH": paths})
    until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    kernels = [int(file.read_text()) for file in tmp_path.glob("*.pid")]
    until(lambda: not any(map(is_alive, kernels)))
    assert not list(tmp_path.glob("*.ipynb"))


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_alive(process):
    try:
        os.kill(process, 0)
        return "zombie" not in Path(f"/proc/{process}/status").read_text() if sys.platform == "linux" else True
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_notebook_computes_on_one_thread(write, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    notebook = build.run_notebook(write("# %%\nimport torch\n\ntorch.get_num_threads()\n"), timeout=60)
    assert outputs(notebook)[0].data["text/plain"] == "1"


def test_values_are_put_after_the_parameters(write):
    notebook = build.clean(build.run_notebook(write(SHORT), {"COUNT": 1}, timeout=60))
    assert notebook.cells[1].source == "COUNT = 1"
    assert outputs(notebook)[0].text == "1\n"


def test_values_for_what_is_no_parameter_are_refused(write):
    with pytest.raises(ValueError, match="has no parameter SIZE; it has COUNT"):
        build.run_notebook(write(SHORT), {"SIZE": 1}, timeout=60)
    with pytest.raises(ValueError, match="has 0 cells tagged parameters"):
        build.run_notebook(write("# %%\nCOUNT = 3\n"), {"COUNT": 1}, timeout=60)


def test_widgets_are_left_out(write):
    cell = "\n# %%\nimport ipywidgets\nipywidgets.interact(lambda x: print(x), x=(0, 3))\nipywidgets.IntSlider()\n"
    notebook = build.clean(build.run_notebook(write(SHORT + cell), timeout=60))
    assert "widget" not in nbformat.writes(notebook).replace("ipywidgets", "")


def test_an_unknown_name_is_refused(write, tmp_path, capsys):
    write(NOTEBOOK)
    with pytest.raises(SystemExit):
        build.main(["07"], directory=tmp_path)
    assert "there is no notebook 07; there are 01_try" in capsys.readouterr().err


def test_what_the_readme_shows_is_written_beside(write):
    source = """\
# %% tags=["readme-curve"]
import matplotlib.pyplot as plt

plt.figure(figsize=(2, 2))
plt.plot([1, 2])
plt.show()

# %% tags=["readme-results"]
import json

print(json.dumps({"perplexity": 1.5}))

# %%
print("not this")
"""
    path = write(source)
    build.build(path, timeout=60)
    there = {file.name: file.read_bytes() for file in (path.parent / "readme").iterdir()}
    assert set(there) == {"curve.png", "results.json"}
    assert json.loads(there["results.json"]) == {"perplexity": 1.5}
    shown = outputs(nbformat.read(path.with_suffix(".ipynb"), as_version=4))[0].data["image/png"]
    assert base64.b64decode(shown) == there["curve.png"]

    (path.parent / "readme" / "curve.png").unlink()
    assert build.build(path, timeout=60) == "unchanged"
    assert (path.parent / "readme" / "curve.png").read_bytes() == there["curve.png"]

    path = write('# %% tags=["readme-nothing"]\nprint("no JSON")\n', "02_try")
    with pytest.raises(build.NotebookError, match="readme-nothing"):
        build.build(path, timeout=60)
    assert not path.with_suffix(".ipynb").exists()


def test_the_ipynb_is_as_old_as_the_py_that_it_was_made_from(write):
    path = write("# %%\nprint('something')\n")
    target = path.with_suffix(".ipynb")
    os.utime(path, ns=(1_000_000_007, 1_000_000_007))
    for change in ("new", "unchanged"):
        assert build.build(path, timeout=60) == change
        assert path.stat().st_mtime_ns == target.stat().st_mtime_ns == 1_000_000_007
        os.utime(target)  # as after a pull


def test_what_is_typed_into_the_py_while_it_runs_is_newer_than_the_ipynb(write):
    path = write(
        "# %%\nprint('before')\n\n# %%\nwith open('01_try.py', 'a') as file:\n    print('# later', file=file)\n"
    )
    os.utime(path, (1_000_000_000, 1_000_000_000))
    build.build(path, timeout=60)
    assert path.read_text().endswith("# later\n")
    assert path.with_suffix(".ipynb").stat().st_mtime == 1_000_000_000 < path.stat().st_mtime


@pytest.fixture
def edited_alone(write):
    """A pair that was built, and whose .ipynb an editor has saved since, without the .py."""
    path = write(SHORT)
    target = path.with_suffix(".ipynb")
    notebook = build.read_notebook(path)
    notebook.cells[-1].source += "\nprint('typed elsewhere')"
    nbformat.write(notebook, target)
    os.utime(path, (time.time() - 60,) * 2)
    return path


def test_an_ipynb_that_was_edited_alone_is_not_written_over(edited_alone, tmp_path, capsys):
    before = {file.name: (file.read_bytes(), file.stat().st_mtime) for file in tmp_path.iterdir()}
    (tmp_path / "00_first.py").write_text("# %%\nprint('is not even begun')\n")
    assert build.main([], directory=tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "01_try.ipynb is newer than 01_try.py and holds other cells" in captured.err
    assert f"jupytext --to py:percent {tmp_path.name}/01_try.ipynb" in captured.err
    assert f"touch {tmp_path.name}/01_try.py" in captured.err
    with pytest.raises(build.NotebookError, match="newer than"):  # it may have been edited while the notebook ran
        build.build(edited_alone, timeout=60)
    (tmp_path / "00_first.py").unlink()
    assert {file.name: (file.read_bytes(), file.stat().st_mtime) for file in tmp_path.iterdir()} == before


def test_a_full_disk_is_told_in_one_sentence_and_leaves_the_old_file(write, tmp_path, capsys, monkeypatch):
    path = write("# %%\nprint('something')\n")
    path.with_suffix(".ipynb").write_text("old")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "utime", full)  # the last thing that is done to the new file
    assert build.main([], directory=tmp_path) == 1
    assert "01_try.ipynb cannot be written (No space left on device)" in capsys.readouterr().err
    assert path.with_suffix(".ipynb").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["01_try.ipynb", "01_try.py"]
