"""The commands train, fine-tune and evaluate."""

import dataclasses
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elmo_helpers.cli.app import CorpusArgument, DeviceOption, ModelArgument, ProgressOption, RunArgument, command
from elmo_helpers.cli.model_settings import MODEL_OPTIONS, asked_for, given_sizes
from elmo_helpers.cli.options import config_options
from elmo_helpers.config import PRESETS, BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.training.config import TrainingConfig, free_settings

if TYPE_CHECKING:
    from elmo_helpers.text.shards import CorpusShards
    from elmo_helpers.training.trainer import TrainingResult

TRAINING_FIELDS = [field.name for field in dataclasses.fields(TrainingConfig)]
TRAINING_OPTIONS = config_options(TrainingConfig())
_FREE = ", ".join(f"--{name.replace('_', '-')}" for name in free_settings())


@dataclass(frozen=True)
class RunOptions:
    """What a run is told beside its settings, by the names that `train` and `fine_tune` of the library have for it."""

    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the last checkpoint in the directory, with the settings of the run, which need not be "
            f"repeated. Others may be given of {_FREE}: a run with larger bounds goes on, also where it had come to "
            "its end; a rate that falls along a cosine goes on from the same step along the cosine of the new bounds.",
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Take the place of a run in the directory that has not finished; a finished one is replaced anyway.",
        ),
    ] = False
    device: DeviceOption = "auto"
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also draw curves for TensorBoard.")] = False
    progress: ProgressOption = True
    profile: Annotated[bool, typer.Option("--profile", help="At the end, say where the time went, by parts.")] = False


@command(
    [*MODEL_OPTIONS, *TRAINING_OPTIONS],
    epilog="The options from --embedding-dim to --n-negatives make the model, those from --epochs on its training. "
    "Brackets show the preset tutorial's values; those of the other presets differ. The word none lifts a bound.",
)
def train(
    corpus: CorpusArgument,
    directory: RunArgument,
    *,
    preset: Annotated[
        str | None,
        typer.Option(help=f"Sizes of a model, and how it is trained: {', '.join(PRESETS)}. [tutorial]"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Sizes of the model in a file: the config.json of another model, or JSON of the same layout with some "
            "of its fields, which replace the preset's; options replace both.",
            metavar="<file>",
        ),
    ] = None,
    run: RunOptions,
    given: dict[str, Any],
) -> None:
    """Train a new model on a corpus.

    Ctrl-C ends a run with a checkpoint, and --resume goes on from there. For several GPUs or machines put
    "accelerate launch -m elmo_helpers" in the place of "python -m elmo_helpers".
    """
    name = preset or "tutorial"
    model, settings = BiLMConfig.preset(name), TrainingConfig.preset(name)
    if run.resume:
        stored_model, stored = _stored(directory)
        if preset is None:
            model, settings = stored_model, stored
        else:  # says what the run was begun with, and not how far it has been told to go since
            free = {field: getattr(stored, field) for field in free_settings()}
            settings = dataclasses.replace(settings, **free)
    settings = dataclasses.replace(settings, **{field: given[field] for field in TRAINING_FIELDS if field in given})

    from elmo_helpers.text.shards import CorpusShards

    shards = CorpusShards.load(corpus)
    model = asked_for(model, config, given_sizes(given), shards)

    from elmo_helpers.training import trainer

    titles, validation = shards.split("train"), _validation(shards)
    result = trainer.train(titles, model, settings, validation=validation, directory=directory, **vars(run))
    _report(result, directory, ["train", corpus, directory])


@command(TRAINING_OPTIONS, epilog="Brackets show the values of what is not given. The word none lifts a bound.")
def fine_tune(
    model: ModelArgument,
    corpus: CorpusArgument,
    directory: RunArgument,
    vocabulary: Annotated[
        str, typer.Option(help="Which words it is to predict: corpus, those of the corpus; model, its own.")
    ] = "corpus",
    *,
    run: RunOptions,
    given: dict[str, Any],
) -> None:
    """Train a copy of a model further on other titles."""
    settings = _stored(directory)[1] if run.resume else TrainingConfig()
    settings = dataclasses.replace(settings, **given)

    from elmo_helpers.text.shards import CorpusShards

    shards = CorpusShards.load(corpus)

    from elmo_helpers.training import trainer

    titles, validation = shards.split("train"), _validation(shards)
    result = trainer.fine_tune(
        model, titles, settings, vocabulary=vocabulary, validation=validation, directory=directory, **vars(run)
    )
    _report(result, directory, ["fine-tune", model, corpus, directory])


def _stored(directory: Path) -> tuple[BiLMConfig, TrainingConfig]:
    """The settings of the run in a directory."""
    from elmo_helpers.training.run_folder import RunFolder

    return RunFolder(directory).settings


def _validation(shards: "CorpusShards") -> "CorpusShards | None":
    validation = shards.split("valid")
    return validation if validation.n_titles else None


def _report(result: "TrainingResult", directory: Path, started_with: list[str | Path]) -> None:
    """Say how a run ended; of several processes that trained together the first one speaks."""
    is_first = int(os.environ.get("RANK", "0")) == 0
    if is_first and result.profile is not None:
        for row in result.profile.itertuples():
            typer.echo(f"{row.share:>6.1%}{row.seconds:>10,.1f} s  {row.part}")
    if not result.finished:
        if is_first:
            go_on = shlex.join([*map(str, started_with), "--resume"])
            typer.echo(f"Stopped with a checkpoint; to go on: python -m elmo_helpers {go_on}", err=True)
        raise typer.Exit(130)
    if is_first:
        measured = result.history.dropna(subset=["perplexity"])
        if len(measured):
            best = measured.loc[measured["perplexity"].idxmin()]
            typer.echo(
                f"best perplexity {best['perplexity']:,.2f} on the validation titles (forward {best['forward']:,.2f}, "
                f"backward {best['backward']:,.2f}) after step {int(best['step']):,}"
            )
        typer.echo(f"the run is in {directory}")


@command()
def evaluate(
    model: ModelArgument,
    corpus: CorpusArgument,
    split: Annotated[str, typer.Option(help="Which titles: train, valid or test.")] = "test",
    streams: Annotated[
        bool, typer.Option("--streams", help="Read continuous text: each title in the light of those before it.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Titles, or streams, computed together.")] = 64,
    unroll_steps: Annotated[int, typer.Option(help="Tokens of each stream computed together.")] = 20,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as one line of JSON.")] = False,
) -> None:
    """Measure the exact perplexity of a model."""
    from elmo_helpers.text.shards import CorpusShards

    titles = CorpusShards.load(corpus).split(split)
    if not titles.n_titles:
        raise ElmoHelpersError(f"{corpus} has no title in the split {split}: name another one with --split.")

    from elmo_helpers.model.bilm import BiLM
    from elmo_helpers.training import evaluation
    from elmo_helpers.training.processes import usable_device

    on_device = BiLM.load(model).to(usable_device(device))
    result = evaluation.evaluate(on_device, titles, batch_size, streams=streams, unroll_steps=unroll_steps)
    if as_json:
        typer.echo(json.dumps({"split": split, "perplexity": result.perplexity, **dataclasses.asdict(result)}))
        return
    for name, value in (("forward", result.forward), ("backward", result.backward), ("mean", result.perplexity)):
        typer.echo(f"{name + ' perplexity':<20}{value:>12,.2f}")
    typer.echo(f"{'predictions':<20}{result.n_predictions:>12,} in each direction")
    typer.echo(f"{'out of vocabulary':<20}{result.oov_rate:>12.2%} of the words")
