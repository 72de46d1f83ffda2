"""The library's own source inside a notebook, so that no notebook types it again."""

import ast
import inspect
import re
import textwrap
from typing import Any

from IPython.display import display

from elmo_helpers.errors import ElmoHelpersError


def show_source(obj: object, *, docstring: bool = True) -> None:
    """Display the source of a function, method, property or class, below the name of its file.

    The source is shown as Markdown, which Jupyter colours by itself: coloured HTML would put some 10 kB of
    style sheet into the notebook with every call. `docstring=False` leaves out all docstrings.

    Raises:
        ElmoHelpersError: `obj` has no Python source of its own, as an instance or a built-in has none.
    """
    written: Any = obj.fget if isinstance(obj, property) else obj
    try:
        source = textwrap.dedent(inspect.getsource(written)).rstrip()
    except (TypeError, OSError):
        raise ElmoHelpersError(
            f"{obj!r} has no Python source that can be shown: pass a function or a class written in a file."
        ) from None
    if not docstring:
        source = _without_docstrings(source)
    module = getattr(inspect.getmodule(written), "__name__", "__main__")
    if module != "__main__":
        source = f"# {module.replace('.', '/')}.py\n{source}"
    # A fence ends at the first line of as many backticks as it began with, so it needs more than the source holds.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", source)), default=0))
    display({"text/markdown": f"{fence}python\n{source}\n{fence}", "text/plain": source}, raw=True)


def _without_docstrings(source: str) -> str:
    lines = source.split("\n")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or not ast.get_docstring(node):
            continue
        first = node.body[0]
        start, end = first.lineno - 1, first.end_lineno or first.lineno
        if lines[start][: first.col_offset].strip():
            continue  # it stands on the line of its `def`
        if len(node.body) == 1:
            lines[start] = " " * first.col_offset + "..."
            start += 1
        else:
            while end < node.body[1].lineno - 1 and not lines[end].strip():
                end += 1  # the empty lines below it
        left_out.update(range(start, end))
    return "\n".join(line for i, line in enumerate(lines) if i not in left_out)
