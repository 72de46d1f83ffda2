"""Options of the command line that are made from the fields of a configuration, so that both always agree."""

import ast
import dataclasses
import inspect
import io
import tokenize
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, get_args, get_type_hints

import typer

NONE = object()  # the word `none` was given; an option that is None was not given


def field_help(config: type) -> dict[str, str]:
    """What each field of a configuration means, by the field's name: the comment behind it in the source."""
    source = inspect.getsource(config)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.strip("# ") for token in tokens if token.type == tokenize.COMMENT}
    fields = (node for node in ast.parse(source).body[0].body if isinstance(node, ast.AnnAssign))
    return {field.target.id: comments.get(field.end_lineno, "") for field in fields}


def config_options(defaults: object, names: list[str] | None = None) -> list[inspect.Parameter]:
    """One option for each field of a configuration; its value is None where it is not given.

    Args:
        defaults: A configuration, whose values the help shows in brackets.
        names: Some of its fields; None: all.
    """
    texts, hints = field_help(type(defaults)), get_type_hints(type(defaults))
    return [
        _option(name, hints[name], texts[name], getattr(defaults, name))
        for name in names or [field.name for field in dataclasses.fields(defaults)]
    ]


def _option(name: str, hint: Any, text: str, default: Any) -> inspect.Parameter:
    dashed = name.replace("_", "-")
    shown = str(default).lower()
    if isinstance(default, bool):
        shown = dashed if default else f"no-{dashed}"
    details: dict[str, Any] = {
        "help": f"{text} [{shown}]".replace("None", "none").replace("False", f"no-{dashed}"),
        "show_default": False,
    }
    kind = hint
    if NoneType in get_args(hint):
        (number,) = (part for part in get_args(hint) if part is not NoneType)
        kind = str
        details |= {"callback": _number_or_none(number), "metavar": f"<{number.__name__}|none>"}
    annotation = Annotated[kind | None, typer.Option(**details)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _number_or_none(number: type) -> Callable[[str | None], object]:
    """A callback that reads a number or the word none."""

    def read(value: str | None) -> object:
        if value is None:
            return None
        if value.lower() == "none":
            return NONE
        try:
            return number(value)
        except ValueError:
            expected = "a whole number" if number is int else "a number"
            raise typer.BadParameter(f"{value!r} is neither {expected} nor none.") from None

    return read
