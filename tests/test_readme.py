"""The pages of text say what is there: commands and paths that exist, the modules that there are, Python that runs.

Four pages tell it all together: each target of make, each command, each module and each figure stands in one of them.
"""

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import nbformat
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from elmo_helpers import BiLM, BiLMConfig, CharCNNConfig, WordVocabulary, save_official
from elmo_helpers.__main__ import app
from pairs import NAME
from small_data import write_titles
from small_notebooks import build

ROOT = Path(__file__).parent.parent
FRONT, LIBRARY, NOTEBOOKS, TESTS = PAGES = [
    "README.md",
    "elmo_helpers/README.md",
    "notebooks/README.md",
    "tests/README.md",
]
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
MAX_LINES = 150  # of the front page
CARD = ROOT / "elmo_helpers" / "pretrained" / "english-titles" / "README.md"
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", flags=re.M | re.S)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^)\s]+)\)")
# Headings whose Python a test below runs.
RUN = {(FRONT, "Ten lines of Python"), *((LIBRARY, name) for name in ("In Python", "In your own tools"))}
RUN |= {(LIBRARY, "The published ELMo"), (LIBRARY, "A tagger for your labels")}
RUN |= {(LIBRARY, "Words that are missing, and gaps between words")}

each_page = pytest.mark.parametrize("page", PAGES)


def snippets(page: str, language: str) -> list[tuple[str, str]]:
    """(the heading above it, code) of every fence in that language."""
    text = TEXTS[page]
    found, heading, end = [], "", 0
    for fence in FENCE.finditer(text):
        if above := re.findall(r"^#+ (.+)$", text[end : fence.start()], flags=re.M):
            heading = above[-1].strip()
        end = fence.end()
        if fence[1] == language:
            found.append((heading, fence[2]))
    return found


def targets_with_help() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))


def test_the_front_page_is_short():
    assert TEXTS[FRONT].count("\n") <= MAX_LINES


def test_every_target_says_what_it_does():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert set(phony[1].split()) == targets_with_help()


def test_commands_are_the_makefiles():
    """`make X` counts where it stands as code, so that prose may make sure of something."""
    named = set()
    for text in TEXTS.values():
        code = "\n".join([*(fence[2] for fence in FENCE.finditer(text)), *re.findall(r"`([^`\n]+)`", text)])
        named |= set(re.findall(r"\bmake[ \t]+([a-z-]+)", code))
    assert named == targets_with_help() | {"help"}


def commands(page: str) -> list[tuple[str, list[str]]]:
    """(the heading above it, arguments behind `-m elmo_helpers`) of every command of a page."""
    found = []
    for heading, code in snippets(page, ""):
        for line in code.replace("\\\n", " ").splitlines():
            if " -m elmo_helpers " in line:
                words = shlex.split(line, comments=True)
                found.append((heading, words[words.index("elmo_helpers") + 1 :]))
    return found


def test_every_command_of_the_library_is_named_and_takes_the_options_named():
    group = get_command(app)
    named = [arguments for page in PAGES for _, arguments in commands(page)]
    assert {arguments[0] for arguments in named} == set(group.commands)
    for name, *rest in named:
        group.commands[name].make_context(name, rest)  # reads each option, and refuses what it does not know


def test_modules_that_are_run_with_python_are_there():
    for text in TEXTS.values():
        for fence in FENCE.finditer(text):
            assert set(re.findall(r"python -m (\w+)", fence[2])) <= {"elmo_helpers"}


def test_all_extras_and_all_benchmarks_are_in_their_tables():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first_cells = {page: set(re.findall(r"^\| `([\w.]+)` \|", text, flags=re.M)) for page, text in TEXTS.items()}
    assert set(declared["optional-dependencies"]) <= first_cells[LIBRARY]
    assert {path.name for path in (ROOT / "tests" / "benchmarks").glob("bench_*.py")} <= first_cells[TESTS]


def run_commands(heading: str, **changes: str) -> None:
    """Run the commands under a heading of the library's page, each argument changed as given by its text."""
    arguments = [words for above, words in commands(LIBRARY) if above == heading]
    assert arguments
    for words in arguments:
        result = CliRunner().invoke(app, [changes.get(word, word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, (words, result.output)


def tree(page: str) -> set[str]:
    """The .py paths of the drawn tree of folders whose root is elmo_helpers/; deeper is further to the right."""
    fences = [fence[2] for fence in FENCE.finditer(TEXTS[page])]
    (drawn,) = [fence for fence in fences if re.search(r"^elmo_helpers/", fence, flags=re.M)]
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


def test_module_map_names_exactly_the_modules():
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "elmo_helpers").rglob("*.py")}
    assert tree(LIBRARY) == {path for path in modules if not path.endswith("/__init__.py")}


@each_page
def test_paths_that_are_named_are_there(page):
    """A path with a folder that ends like a file of this project, from the root or from where the page lies."""
    named = set(re.findall(r"(?<![\w/.:-])(?:[\w.]+/)+\w+\.(?:py|ipynb|md|toml|sh)\b", TEXTS[page]))
    folders = (ROOT, (ROOT / page).parent)
    assert {path for path in named if not any((folder / path).is_file() for folder in folders)} == set()


def anchors(path: Path) -> set[str]:
    """What a link can name behind the # of a page: its headings, as GitHub spells them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_and_pictures_lead_somewhere(page):
    """A page that was moved, or a heading that was renamed, is a link to nothing."""
    targets = set(LINK.findall(FENCE.sub("", TEXTS[page])))
    assert targets
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), target


def test_each_page_is_found_from_the_front_page():
    assert set(PAGES[1:]) <= set(LINK.findall(TEXTS[FRONT]))


def test_all_notebooks_are_listed():
    there = {f"notebooks/{path.stem}.ipynb" for path in (ROOT / "notebooks").glob("*.py") if NAME.fullmatch(path.stem)}
    section = re.search(r"^## The notebooks\n(.*?)^## ", TEXTS[FRONT], flags=re.M | re.S)[1]
    assert {link for link in LINK.findall(section) if link.endswith(".ipynb")} == there


def test_figures_and_results_are_those_of_the_notebooks():
    """Every figure and number that build.py took out of the committed notebooks, and no other."""
    shown: dict[str, bytes] = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if NAME.fullmatch(path.stem):
            shown |= build.readme_files(nbformat.read(path, as_version=4))
    folder = ROOT / "notebooks" / "readme"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == shown
    pictures = set()
    for page, text in TEXTS.items():
        paths = [(ROOT / page).parent / target for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)]
        pictures |= {path.name for path in paths if path.parent.resolve() == folder}
    assert pictures == {name for name in shown if name.endswith(".png")}


def test_results_are_those_of_the_run():
    results = json.loads((ROOT / "notebooks" / "readme" / "results.json").read_text(encoding="utf-8"))
    section = re.search(r"^## The default run\n(.*?)^## ", TEXTS[TESTS], flags=re.M | re.S)[1]
    rows = re.findall(r"^\| (?:\*\*)?([\w -]+?)(?:\*\*)?(?: \([^|]*\))? \|(.+)\|$", section, flags=re.M)
    numbers = {name: [float(cell.strip(" *")) for cell in cells.split("|")] for name, cells in rows if "." in cells}
    expected = {
        name: [round(values[column], 1) for column in ("forward", "backward", "mean")]
        for name, values in results["perplexity"].items()
    }
    assert {name: values for name, values in numbers.items() if name in expected} == expected
    for text in (
        f"{results['epochs']} epochs",
        f"{results['titles']['train']:,} titles",
        f"{results['titles']['test']:,} test titles",
        f"V = {results['vocabulary']:,}",
        f"{results['out_of_vocabulary']:.1%}".replace("%", " %"),
    ):
        assert text in section


def test_what_the_layers_are_worth_is_what_the_models_card_says():
    section = re.search(r"^## What the layers are worth\n(.*?)^## ", TEXTS[FRONT], flags=re.M | re.S)[1]
    numbers = set(re.findall(r"(?<=\| )\d+\.\d(?= \|)", section))
    assert numbers
    assert numbers <= set(re.findall(r"(?<=\| )\d+\.\d(?= )", CARD.read_text(encoding="utf-8")))


def test_minutes_of_fine_tuning_are_those_that_were_measured():
    """They take most of an hour, so they are measured apart (bench_fine_tuning.py); notebook 04 says them rounded."""
    front = re.search(r"^## On text of your own\n(.*?)^## ", TEXTS[FRONT], flags=re.M | re.S)[1]
    number = r"\| (?:\*\*)?(\d+\.\d)(?:\*\*)? "
    rows = re.findall(rf"^\| (.+?) \| (.+?) {3 * number}\|$", front, flags=re.M)
    names = {
        ("`english-titles`", "its own"): "fine-tuned",
        ("fresh weights", "its own"): "fresh weights of the same size",
        ("fresh weights", "notebook 04's"): "fresh weights of notebook 04's size",
    }
    assert {row[:2] for row in rows} == set(names)
    measured = dict(re.findall(r"^\| (.+, \d+ minutes) \| (\d+\.\d) \| [\d,]+ \|$", TEXTS[TESTS], flags=re.M))
    for start, size, *said in rows:
        name = names[start, size]
        wanted = (f"{name}, 3 minutes", f"{name}, 10 minutes", f"web texts: {name}, 3 minutes")
        assert said == [measured[run] for run in wanted]
    cells = build.read_notebook(ROOT / "notebooks" / "04_train_encode.py").cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    said = re.findall(r"^(?:the model that ships|fresh weights) \| .+? \| (\d+) \| (\d+)$", text, flags=re.M)
    assert said == [(str(round(float(three))), str(round(float(ten)))) for _, _, three, ten, _ in rows]


def test_notebook_04_has_what_each_setting_is_worth_from_here():
    """They take an hour, so they are measured apart (bench_settings.py)."""
    table = re.compile(r"^\|? ?changed \| perplexity\b.*\n[-|]+\n((?:.+\|.+\n)+)", flags=re.M)
    cells = build.read_notebook(ROOT / "notebooks" / "04_train_encode.py").cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    here, there = (
        [tuple(cell.strip() for cell in row.strip("| ").split("|")) for row in table.search(of)[1].splitlines()]
        for of in (TEXTS[TESTS], text)
    )
    assert len(here) > 1
    assert here == there


@each_page
def test_python_compiles_and_all_of_it_is_run(page):
    """A heading with Python that no test below runs is missing in RUN."""
    for heading, code in snippets(page, "python"):
        ast.parse(code, filename=f"{page}, {heading}")
    assert {(page, heading) for heading, _ in snippets(page, "python")} == {place for place in RUN if place[0] == page}


def run_snippets(page: str, heading: str) -> None:
    """Run the programs under a heading in one namespace, from top to bottom."""
    programs = [code for above, code in snippets(page, "python") if above == heading]
    assert programs
    namespace: dict = {"__name__": "readme"}
    for program in programs:
        exec(compile(program, page, "exec"), namespace)


def test_python_under_a_tagger_for_your_labels_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_snippets(LIBRARY, "A tagger for your labels")
    assert "('my', 'O') ('printer', 'PRODUCT')" in capsys.readouterr().out


def test_python_under_words_that_are_missing_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_snippets(LIBRARY, "Words that are missing, and gaps between words")
    assert capsys.readouterr().out.startswith("True\n")
    assert (tmp_path / "commas.safetensors").is_file()


def test_python_under_in_python_and_in_your_own_tools_runs(tmp_path, monkeypatch):
    """In a directory whose data/title_text.csv holds some 2,000 titles; the tools use the model of the first part."""
    write_titles(tmp_path / "data" / "title_text.csv")
    monkeypatch.chdir(tmp_path)
    run_snippets(LIBRARY, "In Python")
    run_snippets(LIBRARY, "In your own tools")
    assert (tmp_path / "data" / "models" / "shared" / "README.md").is_file()
    assert (tmp_path / "data" / "models" / "pipeline" / "elmo" / "model.safetensors").is_file()


def test_ten_lines_of_python_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_snippets(FRONT, "Ten lines of Python")
    shape, difference, *_ = capsys.readouterr().out.splitlines()
    assert shape == "bank bank (3, 9, 512)"
    assert [number > 0 for number in map(float, difference.strip("[]").split())] == [False, True, True]


@pytest.mark.long
def test_commands_under_a_model_that_ships_run(tmp_path, monkeypatch):
    """In a directory with some titles, and in a moment in the place of minutes."""
    write_titles(tmp_path / "titles.csv", per_document=2)
    monkeypatch.chdir(tmp_path)
    run_commands("A model that ships", **{"3": "0.02"})
    assert (tmp_path / "vectors.parquet").is_file()
    assert BiLM.load("mine").config.output_dim == 256


def test_python_and_commands_under_the_published_elmo_run(tmp_path, monkeypatch):
    """In a directory with the files of a small model in the published format."""
    cnn = CharCNNConfig("utf8", 50, 4, ((1, 4), (2, 4)), projection_dim=6)
    model = BiLM(BiLMConfig(cnn, hidden_dim=8, projection_dim=6), WordVocabulary(["the", "cat", "sat", "on", "mat"]))
    save_official(model.eval(), tmp_path, softmax=True)
    monkeypatch.chdir(tmp_path)
    run_snippets(LIBRARY, "The published ELMo")
    assert (tmp_path / "published" / "options.json").is_file()
    (tmp_path / "published").rename(tmp_path / "of Python")
    run_commands("The published ELMo")
    assert (tmp_path / "published" / "options.json").is_file()
