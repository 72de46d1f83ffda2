"""The README says what is there: its commands are the Makefile's, its map is the library, its Python runs."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from elmo_helpers import BiLM, BiLMConfig, CharCNNConfig, WordVocabulary, save_official
from small_data import write_titles
from small_notebooks import build

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", flags=re.M | re.S)


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def snippets(readme: str) -> list[tuple[str, str]]:
    """(the heading above it, code) of every python fence."""
    found, heading, end = [], "", 0
    for fence in FENCE.finditer(readme):
        if above := re.findall(r"^#+ (.+)$", readme[end : fence.start()], flags=re.M):
            heading = above[-1].strip()
        end = fence.end()
        if fence[1] == "python":
            found.append((heading, fence[2]))
    return found


def targets_with_help() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))


def test_every_target_says_what_it_does():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert set(phony[1].split()) == targets_with_help()


def test_commands_are_the_makefiles(readme):
    """`make X` counts where it stands as code, so that prose may make sure of something."""
    code = "\n".join([*(fence[2] for fence in FENCE.finditer(readme)), *re.findall(r"`([^`\n]+)`", readme)])
    named = set(re.findall(r"\bmake[ \t]+([a-z-]+)", code))
    assert named == targets_with_help() | {"help"}


def tree(readme: str) -> set[str]:
    """The .py paths of the drawn tree of folders whose root is elmo_helpers/; deeper is further to the right."""
    (drawn,) = [fence[2] for fence in FENCE.finditer(readme) if re.search(r"^elmo_helpers/", fence[2], flags=re.M)]
    paths, above = set(), []  # above: (column, name) of the folders that hold the line
    for line in drawn.splitlines():
        if not (entry := re.match(r"( *)([\w.-]+(?:\.py\b|/))", line)):
            continue
        column, name = len(entry[1]), entry[2]
        above = [folder for folder in above if folder[0] < column]
        if name.endswith("/"):
            above.append((column, name))
        else:
            paths.add("".join(folder for _, folder in above) + name)
    return paths


def test_module_map_names_exactly_the_modules(readme):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "elmo_helpers").rglob("*.py")}
    named = {path for path in tree(readme) if path.startswith("elmo_helpers/")}
    assert named == {path for path in modules if not path.endswith("/__init__.py")}


def test_paths_that_are_named_are_there(readme):
    """A path with a folder, in the text or in a drawing, that ends like a file of this project."""
    named = set(re.findall(r"(?<![\w/.:-])(?:[\w.]+/)+\w+\.(?:py|ipynb|md|toml)\b", readme)) | tree(readme)
    assert {path for path in named if not (ROOT / path).is_file()} == set()


def test_figures_and_results_are_those_of_the_notebooks(readme):
    """Every figure and number that build.py took out of the committed notebooks, and no other."""
    shown: dict[str, bytes] = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        shown |= build.readme_files(nbformat.read(path, as_version=4))
    there = {path.name: path.read_bytes() for path in (ROOT / "notebooks" / "readme").iterdir()}
    assert there == shown
    pictures = set(re.findall(r"!\[[^\]]+\]\(notebooks/readme/([\w.]+)\)", readme))
    assert pictures == {name for name in shown if name.endswith(".png")}


def test_results_are_those_of_the_run(readme):
    results = json.loads((ROOT / "notebooks" / "readme" / "results.json").read_text(encoding="utf-8"))
    section = re.search(r"^## Results\n(.*?)^## ", readme, flags=re.M | re.S)[1]
    rows = re.findall(r"^\| (?:\*\*)?([\w ]+?)(?:\*\*)?(?: \([^|]*\))? \|(.+)\|$", section, flags=re.M)
    numbers = {name: [float(cell.strip(" *")) for cell in cells.split("|")] for name, cells in rows if "." in cells}
    expected = {
        name: [round(values[column], 1) for column in ("forward", "backward", "mean")]
        for name, values in results["perplexity"].items()
    }
    assert {name: values for name, values in numbers.items() if name in expected} == expected
    for text in (
        f"{results['titles']['train']:,} titles",
        f"{results['titles']['test']:,} test titles",
        f"V = {results['vocabulary']:,}",
        f"{results['out_of_vocabulary']:.1%}".replace("%", " %"),
    ):
        assert text in section


def test_python_compiles(readme):
    assert snippets(readme)
    for heading, code in snippets(readme):
        ast.parse(code, filename=f"README.md, {heading}")


def run_snippets(readme: str, heading: str) -> None:
    """Run the programs under a heading in one namespace, from top to bottom."""
    programs = [code for above, code in snippets(readme) if above == heading]
    assert programs
    namespace: dict = {"__name__": "readme"}
    for program in programs:
        exec(compile(program, "README.md", "exec"), namespace)


def test_python_under_in_python_and_in_your_own_tools_runs(readme, tmp_path, monkeypatch):
    """In a directory whose data/title_text.csv holds some 2,000 titles; the tools use the model of the first part."""
    write_titles(tmp_path / "data" / "title_text.csv")
    monkeypatch.chdir(tmp_path)
    run_snippets(readme, "In Python")
    run_snippets(readme, "In your own tools")
    assert (tmp_path / "data" / "models" / "shared" / "README.md").is_file()
    assert (tmp_path / "data" / "models" / "pipeline" / "elmo" / "model.safetensors").is_file()


def test_python_under_a_model_that_ships_runs(readme, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_snippets(readme, "A model that ships")
    shape, difference, *_ = capsys.readouterr().out.splitlines()
    assert shape == "bank bank (3, 9, 512)"
    assert [number > 0 for number in map(float, difference.strip("[]").split())] == [False, True, True]


def test_python_under_the_published_elmo_runs(readme, tmp_path, monkeypatch):
    """In a directory with the files of a small model in the published format."""
    cnn = CharCNNConfig("utf8", 50, 4, ((1, 4), (2, 4)), projection_dim=6)
    model = BiLM(BiLMConfig(cnn, hidden_dim=8, projection_dim=6), WordVocabulary(["the", "cat", "sat", "on", "mat"]))
    save_official(model.eval(), tmp_path, softmax=True)
    monkeypatch.chdir(tmp_path)
    run_snippets(readme, "The published ELMo")
    assert (tmp_path / "published" / "options.json").is_file()
