"""The command generate."""

from typing import Annotated

import typer

from elmo_helpers.cli.app import DeviceOption, ModelArgument, command
from elmo_helpers.errors import ElmoHelpersError


@command()
def generate(
    model: ModelArgument,
    n: Annotated[int, typer.Option("--n", help="How many titles.")] = 10,
    beginning: Annotated[str, typer.Option(help="Their first words; the model goes on from there.")] = "",
    end: Annotated[str, typer.Option(help="Their last words; the model finds what comes before.")] = "",
    direction: Annotated[
        str | None, typer.Option(help="forward or backward. [backward where there is an --end, else forward]")
    ] = None,
    between: Annotated[
        int | None, typer.Option(help="Words to be drawn between --beginning and --end, by both directions together.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="Below 1 the likely words come more often, above 1 the others.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Only so many of the likeliest words are drawn. [any]")] = None,
    max_words: Annotated[int | None, typer.Option(help="A title that has so many words ends there. [40]")] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    device: DeviceOption = "auto",
) -> None:
    """Print titles that a model writes, a line each, with a space between two tokens."""
    if between is not None and (direction is not None or max_words is not None):
        raise ElmoHelpersError(
            "--direction and --max-words are not of --between, which draws so many words by both directions: leave "
            "them out."
        )

    from elmo_helpers.analysis.generation import Generator
    from elmo_helpers.model.bilm import BiLM
    from elmo_helpers.training.processes import usable_device

    generator = Generator(BiLM.from_pretrained(model).to(usable_device(device)))
    if between is None:
        titles = generator.generate(
            n,
            beginning=beginning,
            end=end,
            direction=direction,
            temperature=temperature,
            top_k=top_k,
            max_words=40 if max_words is None else max_words,
            seed=seed,
        )
    else:
        titles = generator.fill_between(beginning, end, between, n, temperature=temperature, top_k=top_k, seed=seed)
    for title in titles:
        typer.echo(" ".join(title))
