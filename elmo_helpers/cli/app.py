"""What all commands have in common: the application, shared arguments, and how an error ends.

A command imports what it needs when it runs, so that help and mistakes are answered at once, without PyTorch.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from elmo_helpers.cli.options import NONE
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.pretrained.shipped import shipped_models

_BY_NAME = inspect.Parameter.KEYWORD_ONLY

app: typer.Typer = typer.Typer(
    help="ELMo in PyTorch: titles become a corpus, a corpus trains a model, a model encodes titles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its boxes cut the names of options at 80 columns
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 120},
)


def _model(text: str) -> Path:
    """The directory or name of a model; an empty one would stand for the working directory."""
    if not text:
        raise typer.BadParameter("the name is empty: name the directory of a model, or one that ships.")
    return Path(text)


CorpusArgument = Annotated[Path, typer.Argument(help="Directory of a corpus that preprocess made.")]
ModelArgument = Annotated[
    Path,
    typer.Argument(
        help=f"Directory of a trained model, or the name of one that ships: {', '.join(shipped_models())}.",
        parser=_model,
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="Directory of the run, its model, checkpoints and tables.")]
DeviceOption = Annotated[
    str, typer.Option(help="Where to compute: cpu, cuda, cuda:1 and so on; auto: on a GPU where there is one.")
]
ProgressOption = Annotated[bool, typer.Option("--progress/--no-progress", help="Show progress bars, or none.")]


def command(
    options: list[inspect.Parameter] | None = None, epilog: str | None = None, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command.

    What the library refuses ends in one sentence on stderr and the exit code 1. A parameter that is of a dataclass
    stands for an option for each of its fields.

    Args:
        options: Options besides those that the function names, see `config_options`. What was given of them reaches
            the function as the dictionary `given`.
        epilog: Closes the command's help.
        name: The command's; None: the function's.
    """
    options = options or []

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        groups = {
            parameter.name: parameter.annotation
            for parameter in signature.parameters.values()
            if isinstance(parameter.annotation, type) and dataclasses.is_dataclass(parameter.annotation)
        }

        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            for group, kind in groups.items():
                arguments[group] = kind(**{field.name: arguments.pop(field.name) for field in dataclasses.fields(kind)})
            if options:
                values = {option.name: arguments.pop(option.name) for option in options}
                arguments["given"] = {
                    name: None if value is NONE else value for name, value in values.items() if value is not None
                }
            try:
                function(**arguments)
            except ElmoHelpersError as error:
                typer.echo(f"Error: {error}", err=True)
                raise typer.Exit(1) from None

        own = []
        for parameter in signature.parameters.values():
            if parameter.name in groups:
                own += [
                    inspect.Parameter(field.name, _BY_NAME, default=field.default, annotation=field.type)
                    for field in dataclasses.fields(groups[parameter.name])
                ]
            elif parameter.name != "given":
                own.append(parameter.replace(kind=_BY_NAME))
        vars(run)["__signature__"] = signature.replace(parameters=[*own, *options])
        return app.command(name, epilog=epilog)(run)

    return decorate
