"""The library's own source inside a notebook, so that no notebook types it again."""

import ast
import inspect
import re
import textwrap

from IPython.display import display

from elmo_helpers.errors import ElmoHelpersError


def show_source(obj: object, *, docstring: bool = True) -> None:
    """Display the source of a function, method, property or class, below the name of its file.

    The source is shown as Markdown, which Jupyter colours by itself: coloured HTML would put some 10 kB of
    style sheet into the notebook with every call. `docstring=False` leaves out all docstrings.

    Raises:
        ElmoHelpersError: `obj` has no Python source of its own, as an instance or a built-in has none.
    """
    if isinstance(obj, property):
        obj = obj.fget
    try:
        source = textwrap.dedent(inspect.getsource(obj)).rstrip()
    except (TypeError, OSError):
        raise ElmoHelpersError(
            f"{obj!r} has no Python source that can be shown: pass a function or a class written in a file."
        ) from None
    if not docstring:
        source = _without_docstrings(source)
    module = getattr(inspect.getmodule(obj), "__name__", "__main__")
    if module != "__main__":
        source = f"# {module.replace('.', '/')}.py\n{source}"
    # A fence ends at the first line of as many backticks as it began with, so it needs more than the source holds.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", source)), default=0))
    display({"text/markdown": f"{fence}python\n{source}\n{fence}", "text/plain": source}, raw=True)


def _without_docstrings(source: str) -> str:
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or not ast.get_docstring(node):
            continue
        first = node.body[0]
        if lines[first.lineno - 1][: first.col_offset].strip():
            continue  # it stands on the line of its `def`
        indent = " " * first.col_offset
        end = first.end_lineno
        if len(node.body) > 1:
            while end < node.body[1].lineno - 1 and not lines[end].strip():
                end += 1  # the empty lines below it
        replacement = [indent + "..."] if len(node.body) == 1 else []
        lines[first.lineno - 1 : end] = replacement + [None] * (end - first.lineno + 1 - len(replacement))
    return "\n".join(line for line in lines if line is not None)
