"""Who may import whom: data flows left to right, and a folder imports only from folders to its left."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "elmo_helpers"
ORDER = [
    "text",
    "pretrained",
    "model",
    "training",
    "encoding",
    "analysis",
    "interchange",
    "integrations",
    "cli",
    "display",
]
SHARED = ["checks", "config", "errors", "files", "locks"]  # imported by all, and importing only each other
FIGURES = {"matplotlib", "ipywidgets", "IPython"}
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imports(source: str, package: str) -> set[str]:
    """The full names of all that is imported anywhere in `source`, a module of `package`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def circle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle, be it for an annotation alone; `sources` by paths as in MODULES."""
    paths = {f"elmo_helpers.{path[:-3].replace('/', '.')}".removesuffix(".__init__"): path for path in sources}

    def home(name: str) -> str:
        """The module that a full name is of."""
        while name not in paths and "." in name:
            name = name.rpartition(".")[0]
        return name

    graph = {}
    for module, path in paths.items():
        package = ".".join(["elmo_helpers", *path.split("/")[:-1]])
        graph[module] = {home(name) for name in imports(sources[path], package)} & set(paths)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def complaints(module: str, source: str) -> list[str]:
    """What `source` imports against the rules; `module` is its path inside elmo_helpers."""
    folder = module.split("/")[0] if "/" in module else ""
    top = module.removesuffix(".py")
    allowed = set(SHARED)
    if folder:
        allowed |= set(ORDER[: ORDER.index(folder) + 1])
    elif top not in SHARED:
        allowed |= set(ORDER) - {"display"}  # __init__ and __main__: all but what needs a notebook
    found = []
    for name in sorted(imports(source, ".".join(["elmo_helpers", *module.split("/")[:-1]]))):
        root, _, rest = name.partition(".")
        if root == "elmo_helpers" and rest.split(".")[0] not in allowed:
            found.append(f"{module} imports {name}")
        if root in FIGURES and folder != "display":
            found.append(f"{module} imports {name}, which only display/ may")
        if root == "torch" and (folder == "text" or top in SHARED):
            found.append(f"{module} imports {name}: text is prepared without PyTorch")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_from_its_left(module):
    assert complaints(module, (PACKAGE / module).read_text(encoding="utf-8")) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle({module: (PACKAGE / module).read_text(encoding="utf-8") for module in MODULES}) == []


def test_a_circle_for_an_annotation_is_found():
    sources = {
        "config.py": "",
        "__init__.py": "from elmo_helpers.model.bilm import BiLM",
        "model/bilm.py": "from . import hub",
        "model/hub.py": "from elmo_helpers.model.card import Card",
        "model/card.py": "if TYPE_CHECKING:\n    from elmo_helpers.model.bilm import BiLM",
    }
    assert {"elmo_helpers.model.bilm", "elmo_helpers.model.hub", "elmo_helpers.model.card"} == set(circle(sources))
    assert circle(sources | {"model/card.py": "def f():\n    from elmo_helpers import config"}) == []


def test_every_folder_has_its_place():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(ORDER)
    assert {"text", "model", "training", "encoding", "display"} <= folders


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("text/corpus.py", "from elmo_helpers.model.bilm import BiLM"),
        ("text/corpus.py", "def f():\n    from ..model import bilm"),
        ("model/bilm.py", "import elmo_helpers.training.trainer"),
        ("model/bilm.py", "from elmo_helpers import Corpus"),
        ("training/trainer.py", "from matplotlib import pyplot"),
        ("text/titles.py", "import torch.nn as nn"),
        ("config.py", "from .text import titles"),
        ("__init__.py", "from elmo_helpers.display import plots"),
    ],
)
def test_forbidden_imports_are_found(module, source):
    assert len(complaints(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("model/bilm.py", "from elmo_helpers.text.vocabulary import PAD\nfrom . import lstm\nimport torch"),
        ("display/plots.py", "import matplotlib.pyplot as plt\nfrom elmo_helpers.config import BiLMConfig"),
        ("config.py", "from elmo_helpers import errors"),
        ("__init__.py", "from elmo_helpers.encoding.encoder import Encoder"),
    ],
)
def test_permitted_imports_are_let_through(module, source):
    assert complaints(module, source) == []


def test_the_library_loads_without_figures_and_widgets():
    """Every module but those of display/, in a process where matplotlib, ipywidgets and IPython are not to be had."""
    names = [f"elmo_helpers.{module[:-3].replace('/', '.')}" for module in MODULES if not module.startswith("display/")]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    program = f"""
import importlib, sys
sys.modules.update(dict.fromkeys({sorted(FIGURES)}))
for name in {names}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PACKAGE.parent)
