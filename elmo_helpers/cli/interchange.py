"""The commands import and export: the published ELMo files."""

from pathlib import Path
from typing import Annotated

import typer

from elmo_helpers.cli.app import ModelArgument, command


@command(name="import")
def import_official(
    options: Annotated[Path, typer.Argument(help="options.json of a published ELMo.")],
    weights: Annotated[Path, typer.Argument(help="Its weights, an HDF5 file.")],
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
) -> None:
    """Make a model of published ELMo files."""
    from elmo_helpers.interchange.official import load_official

    model = load_official(options, weights, vocabulary=vocabulary, softmax=softmax)
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
