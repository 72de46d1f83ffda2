"""The commands import and export: the published ELMo files."""

from pathlib import Path
from typing import Annotated

import typer

from elmo_helpers.cli.app import ModelArgument, command
from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError


@command(name="import")
def import_official(
    source: Annotated[
        list[Path],
        typer.Argument(
            help="options.json of a published ELMo and its weights, an HDF5 file; or one directory or zip file that "
            "has both.",
            metavar="SOURCE",
        ),
    ],
    directory: Annotated[Path, typer.Argument(help="Directory that becomes the model.")],
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="The words of its softmax or of its word vectors, one a line. [vocabulary.txt beside the weights]"
        ),
    ] = None,
    softmax: Annotated[
        bool | None,
        typer.Option(help="Take over the softmax, which scores words, or leave it out. [softmax, where there is one]"),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="How raw titles become tokens, see preprocess. [what files exported here say, or en]"),
    ] = None,
    lowercase: Annotated[
        bool | None,
        typer.Option(help="Put titles in lower case, or keep their case. [what they say, or no-lowercase]"),
    ] = None,
) -> None:
    """Make a model of published ELMo files."""
    if len(source) > 2:
        raise ElmoHelpersError(f"{len(source)} files to import: expected options and weights, or one directory or zip.")

    from elmo_helpers.interchange.official import load_official

    model = load_official(source[0], *source[1:], vocabulary=vocabulary, softmax=softmax)
    text = {"tokenizer": tokenizer, "lowercase": lowercase}
    model.text = TextConfig(**{**model.text.to_dict(), **{k: v for k, v in text.items() if v is not None}})
    model.save(directory)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    predicts = f"predicts {len(model.vocabulary):,} words" if model.softmax is not None else "has no softmax"
    typer.echo(f"the model has {n_parameters:,} parameters, {predicts}, and is in {directory}")


@command(name="export")
def export_official(
    model: ModelArgument,
    directory: Annotated[Path, typer.Argument(help="Directory for options.json, weights.hdf5 and vocabulary.txt.")],
    softmax: Annotated[
        bool, typer.Option("--softmax", help="Also write the softmax, for scoring words; most programs do not read it.")
    ] = False,
) -> None:
    """Write a model as published ELMo files, which all that reads ELMo reads."""
    from elmo_helpers.interchange.official import save_official
    from elmo_helpers.model.bilm import BiLM

    save_official(BiLM.load(model), directory, softmax=softmax)
    typer.echo(f"options.json, weights.hdf5 and vocabulary.txt are in {directory}")
