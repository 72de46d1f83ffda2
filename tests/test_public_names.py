"""The public names: each can be imported, and text alone does not load PyTorch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import elmo_helpers

# Named by the project's design; others rely on them.
PROMISED = {
    "BiLM",
    "BiLMConfig",
    "CharCNNConfig",
    "CharacterCNN",
    "CharacterVocabulary",
    "Corpus",
    "Elmo",
    "Encoder",
    "ScalarMix",
    "Tokenizer",
    "TrainingConfig",
    "WordVocabulary",
    "batch_to_ids",
    "default_titles",
    "evaluate",
    "read_titles",
    "train",
}


@pytest.mark.parametrize("name", sorted(PROMISED.union(elmo_helpers.__all__)))
def test_name_can_be_imported(name):
    assert getattr(elmo_helpers, name).__doc__


def test_names_for_type_checkers_are_the_names():
    tree = ast.parse(Path(elmo_helpers.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    declared = {alias.name: node.module for node in block.body for alias in node.names}
    assert declared == {name: f"elmo_helpers.{home}" for name, home in elmo_helpers._HOME.items()}
    # Without `as`, a strict type checker takes an imported name for none of the package's own.
    assert all(alias.asname == alias.name for node in block.body for alias in node.names)
    assert set(elmo_helpers.__all__) <= set(dir(elmo_helpers))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"elmo_helpers.*Transformer"):
        _ = elmo_helpers.Transformer


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("from elmo_helpers import Tokenizer, Corpus, prepare_corpus", {"torch"}),
        ("from elmo_helpers import BiLM, train, Encoder", {"matplotlib", "ipywidgets"}),
    ],
)
def test_what_is_not_loaded(code, absent):
    subprocess.run([sys.executable, "-c", f"{code}\nimport sys\nassert not {absent} & set(sys.modules)"], check=True)
