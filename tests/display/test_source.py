import ast
import textwrap
from pathlib import Path

import pytest

from elmo_helpers import files
from elmo_helpers.display import source
from elmo_helpers.display.source import show_source
from elmo_helpers.errors import ElmoHelpersError


def plain(first, second=2):
    """Say what.

    More than one line.
    """

    # why
    return first + second


def documented_only():
    """Nothing else."""


def one_line(): """On the line of the def."""  # fmt: skip


def fenced():
    return "```"


class Example:
    """A class."""

    size: int = 3

    def method(self):
        """A method."""
        return self.size

    @property
    def double(self):
        """A property."""
        return 2 * self.size


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(source, "display", lambda data, raw: calls.append(data))

    def show(obj, **options):
        show_source(obj, **options)
        return calls[-1]

    return show


def test_real_source_stands_below_its_file(shown):
    text = shown(files.write_json)["text/plain"]
    assert text.startswith(
        '# elmo_helpers/files.py\ndef write_json(path: str | os.PathLike[str], data: object) -> None:\n    """Write'
    )
    assert text.removeprefix("# elmo_helpers/files.py\n") in Path(files.__file__).read_text(encoding="utf-8")


def test_markdown_is_a_python_fence_around_the_same_text(shown):
    data = shown(plain)
    assert data["text/markdown"] == f"```python\n{data['text/plain']}\n```"


def test_fence_is_longer_than_any_in_the_source(shown):
    assert shown(fenced)["text/markdown"].startswith("````python\n")


def test_docstring_is_left_out_on_request(shown):
    expected = """
        def plain(first, second=2):
            # why
            return first + second"""
    text = shown(plain, docstring=False)["text/plain"]
    assert text.split("\n", 1)[1] == textwrap.dedent(expected).lstrip("\n")


@pytest.mark.parametrize("obj", [plain, documented_only, one_line, Example, Example.method, Example.double])
def test_source_without_docstrings_is_the_same_program(shown, obj):
    def bare(text):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body = node.body[1:] or ast.parse("...").body
        return ast.dump(tree)

    with_docstrings, without = (shown(obj, docstring=keep)["text/plain"] for keep in (True, False))
    assert bare(without) == bare(with_docstrings)
    assert obj is one_line or '"""' not in without


def test_every_docstring_of_a_class_is_left_out(shown):
    text = shown(Example, docstring=False)["text/plain"]
    assert "class Example:\n    size: int = 3\n" in text
    assert "def double(self):\n        return 2 * self.size" in text


@pytest.mark.parametrize("obj", [len, 3, Example()])
def test_what_has_no_source_is_refused_in_one_sentence(shown, obj):
    with pytest.raises(ElmoHelpersError, match="has no Python source that can be shown"):
        shown(obj)
