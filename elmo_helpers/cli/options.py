"""Options of the command line that are made from the fields of a configuration, so that both always agree."""

import ast
import dataclasses
import inspect
import io
import tokenize
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NONE = object()  # the word `none` was given; an option that is None was not given


def field_help(config: "type[DataclassInstance]") -> dict[str, str]:
    """What each field of a configuration means, by the field's name: the comment behind it in the source."""
    source = inspect.getsource(config)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.strip("# ") for token in tokens if token.type == tokenize.COMMENT}
    texts = dict.fromkeys((field.name for field in dataclasses.fields(config)), "")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in texts:
            texts[node.target.id] = comments.get(node.end_lineno or 0, "")
    return texts


def config_options(
    defaults: "DataclassInstance", names: Mapping[str, str] | Iterable[str] | None = None
) -> list[inspect.Parameter]:
    """One option for each field of a configuration; its value is None where it is not given.

    Args:
        defaults: A configuration, whose values the help shows in brackets.
        names: Some of its fields, or what their options are called and the fields; None: all.
    """
    texts, hints = field_help(type(defaults)), get_type_hints(type(defaults))
    if not isinstance(names, Mapping):
        names = {name: name for name in names or [field.name for field in dataclasses.fields(defaults)]}
    return [_option(name, hints[field], texts[field], getattr(defaults, field)) for name, field in names.items()]


def _option(name: str, hint: Any, text: str, default: Any) -> inspect.Parameter:
    dashed = name.replace("_", "-")
    shown = str(default).lower()
    if isinstance(default, bool):
        shown = dashed if default else f"no-{dashed}"
    kind: Any = hint
    read: Callable[[str | None], object] | None = None
    metavar = None
    if NoneType in get_args(hint):
        (number,) = (part for part in get_args(hint) if part is not NoneType)
        kind, read, metavar = str, _number_or_none(number), f"<{number.__name__}|none>"
    elif get_origin(hint) is tuple:
        kind, read, metavar = str, _pairs, "<width:count,...>"
        shown = ",".join(f"{width}:{count}" for width, count in default)
    option = typer.Option(
        None,
        help=f"{text} [{shown}]".replace("None", "none").replace("False", f"no-{dashed}"),
        show_default=False,
        callback=read,
        metavar=metavar,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _number_or_none(number: type[int] | type[float]) -> Callable[[str | None], object]:
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


def _pairs(value: str | None) -> tuple[tuple[int, int], ...] | None:
    """A callback that reads pairs of whole numbers."""
    if value is None:
        return None
    try:
        pairs = [part.split(":") for part in value.split(",")]
        return tuple((int(width), int(count)) for width, count in pairs)
    except ValueError:
        raise typer.BadParameter(f"{value!r}: expected pairs width:count, apart by commas, as 2:32,3:64.") from None
