"""The command encode."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elmo_helpers.cli.app import DeviceOption, ModelArgument, ProgressOption, command
from elmo_helpers.errors import ElmoHelpersError

if TYPE_CHECKING:
    from elmo_helpers.model.scalar_mix import ScalarMix

# On a CPU, oneDNN writes a program for each new shape of a batch. It keeps 1,024 of them, and so does PyTorch: hundreds
# of megabytes, and as much again in the gaps between them. Layers and directions of one batch share a few.
_PROGRAMS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8", "LRU_CACHE_CAPACITY": "8"}


@dataclass(frozen=True)
class Options:
    """What `encode_file` takes by name, but for the mix."""

    level: Annotated[str, typer.Option(help="tokens: one vector a word; titles: one a title.")] = "tokens"
    layers: Annotated[
        str,
        typer.Option(help="all: each layer by itself; top: the last one; average: their mean; mix: see --mix-weights."),
    ] = "all"
    pooling: Annotated[
        str,
        typer.Option(
            help="Of --level titles. states: the LSTMs' last hidden and cell states, in L layers; mean, max: over the "
            "words, in L + 1 layers."
        ),
    ] = "states"
    dtype: Annotated[str, typer.Option(help="Of the vectors in OUTPUT: float32 or float16.")] = "float32"
    precision: Annotated[
        str, typer.Option(help="fp32; bf16: matrix products in bfloat16, faster on hardware that has it.")
    ] = "fp32"
    pretokenized: Annotated[
        bool,
        typer.Option("--pretokenized", help="Tokens are apart by spaces, and are taken as they are, case included."),
    ] = False
    batch_tokens: Annotated[int, typer.Option(help="Tokens computed together, boundaries included.")] = 8192
    window: Annotated[
        int, typer.Option(help="Rows that are sorted by length together, and that a kill can lose; not with --ray.")
    ] = 10_000
    max_words: Annotated[
        int, typer.Option(help="Distinct words that are spelled out once for the whole run; more take more memory.")
    ] = 100_000
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with what the same command has left in OUTPUT.parts when it was stopped."),
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, and replace an OUTPUT.")] = False
    device: DeviceOption = "auto"
    progress: ProgressOption = True


@command(
    epilog="Row i of OUTPUT is line or row i of INPUT, from 0, blank and repeated ones too. HDF5 of tokens is as "
    "AllenNLP's command wrote it: a dataset a line, named by the line's number, and sentence_to_index, in which a "
    "repeated sentence has the number of its last line. HDF5 of titles has the datasets vectors and titles. Parquet "
    "has the columns line, title, tokens, and vectors (of tokens) or vector (of titles). Memory does not grow with "
    'INPUT. For several GPUs or machines put "accelerate launch -m elmo_helpers" in the place of "python -m '
    'elmo_helpers".'
)
def encode(
    model: ModelArgument,
    source: Annotated[
        Path,
        typer.Argument(
            help="A CSV with a column title, or one title a line; plain or gzipped. With --ray also a pattern, in "
            "quotation marks, of many.",
            metavar="INPUT",
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(
            help="A file to be made: .hdf5 or .h5 for HDF5, .parquet for Parquet. With --ray a directory of these."
        ),
    ],
    options: Options,
    mix_weights: Annotated[
        str | None,
        typer.Option(
            help="Of --layers mix: a number a layer, apart by commas, lowest layer first, before the softmax that "
            "makes them shares (ScalarMix.weights).",
            metavar="<w0,w1,...>",
        ),
    ] = None,
    mix_gamma: Annotated[float, typer.Option(help="Of --layers mix: the factor of all vectors.")] = 1.0,
    ray: Annotated[
        bool, typer.Option("--ray", help="Encode on Ray, on all cores or GPUs of this machine or of a cluster.")
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(help="Of --ray: a running cluster, such as host:6379, or auto.", metavar="<address>"),
    ] = None,
    ray_workers: Annotated[
        int | None,
        typer.Option(help="Of --ray: actors, each with a model and a core (or a GPU). [one a core]", metavar="<int>"),
    ] = None,
) -> None:
    """Write the vectors of all titles of a file, or of all their words."""
    if options.layers != "mix" and (mix_weights is not None or mix_gamma != 1):
        raise ElmoHelpersError(f"--mix-weights and --mix-gamma are of --layers mix, and got --layers {options.layers}.")
    weights = _numbers(mix_weights) if options.layers == "mix" else None
    for name, value in _PROGRAMS.items():
        os.environ.setdefault(name, value)  # read when the first batch is computed

    mix = None if weights is None else _mix(weights, mix_gamma)
    if ray:
        return _encode_on_ray(model, source, output, options, mix, ray_address, ray_workers)
    if ray_address is not None or ray_workers is not None:
        raise ElmoHelpersError("--ray-address and --ray-workers are of --ray, which was not given.")

    from elmo_helpers.encoding.corpus_encoding import encode_file

    try:
        result = encode_file(model, source, output, mix=mix, **vars(options))
    except KeyboardInterrupt:
        if _is_first():
            again = [argument for argument in sys.argv[1:] if argument not in ("--resume", "--overwrite")]
            go_on = shlex.join([*again, "--resume"])
            typer.echo(f"Stopped; to go on: python -m elmo_helpers {go_on}", err=True)
        raise typer.Exit(130) from None
    if _is_first():
        if result.rows is not None:
            typer.echo(f"{result.rows:,} rows of {result.words:,} words")
        typer.echo(f"the vectors are in {output}")


def _encode_on_ray(
    model: Path,
    source: Path,
    output: Path,
    options: Options,
    mix: "ScalarMix | None",
    address: str | None,
    workers: int | None,
) -> None:
    if options.resume:
        raise ElmoHelpersError("--resume and --ray: expected one of them; on Ray a run that was stopped is begun anew.")
    from elmo_helpers.integrations.ray_files import encode_on_ray

    given = {name: value for name, value in vars(options).items() if name not in ("resume", "window")}
    rows = encode_on_ray(model, str(source), output, mix=mix, address=address, workers=workers, **given)
    typer.echo(f"{rows:,} rows; the vectors are in {output}")


def _is_first() -> bool:
    """Of several processes that work together the first one speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(part) for part in (text or "").split(",")]
    except ValueError:
        raise ElmoHelpersError(
            f"--mix-weights {text or ''!r}: expected a number a layer, apart by commas, such as 0.1,0.2,0.7; layers "
            f"that are all to count alike are --layers average."
        ) from None


def _mix(weights: list[float], gamma: float) -> "ScalarMix":
    import torch

    from elmo_helpers.checks import number
    from elmo_helpers.model.scalar_mix import ScalarMix, mix_weights

    largest = torch.finfo(torch.float32).max
    mix = ScalarMix(len(weights), mix_weights("--mix-weights", weights, len(weights)), trainable=False)
    with torch.no_grad():
        mix.gamma.fill_(number("--mix-gamma", gamma, "a number that float32 holds", -largest, largest))
    return mix
