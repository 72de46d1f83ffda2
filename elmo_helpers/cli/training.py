"""The commands train, fine-tune and evaluate."""

import dataclasses
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elmo_helpers.cli.app import CorpusArgument, DeviceOption, ModelArgument, ProgressOption, RunArgument, command
from elmo_helpers.cli.options import config_options
from elmo_helpers.config import PRESETS, BiLMConfig, CharCNNConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.training.config import TrainingConfig

if TYPE_CHECKING:
    from elmo_helpers.text.characters import CharacterVocabulary
    from elmo_helpers.text.shards import CorpusShards
    from elmo_helpers.training.trainer import TrainingResult

ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on from the last checkpoint in the directory, with the settings of the run: repeat none of them, or "
        "all of them.",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Take the place of a run that is there.")]
TensorBoardOption = Annotated[bool, typer.Option("--tensorboard", help="Also draw curves for TensorBoard.")]

CNN_FIELDS = ["embedding_dim"]
MODEL_FIELDS = [field.name for field in dataclasses.fields(BiLMConfig) if field.name != "char_cnn"]
MODEL_OPTIONS = [*config_options(CharCNNConfig(), CNN_FIELDS), *config_options(BiLMConfig(), MODEL_FIELDS)]
TRAINING_OPTIONS = config_options(TrainingConfig())


@command(
    [*MODEL_OPTIONS, *TRAINING_OPTIONS],
    epilog="The options from --embedding-dim to --n-negatives make the model, those from --epochs on its training. "
    "Brackets show the preset tutorial's values; those of the other presets differ. The word none lifts a bound.",
)
def train(
    corpus: CorpusArgument,
    directory: RunArgument,
    preset: Annotated[
        str | None,
        typer.Option(help=f"Sizes of a model, and how it is trained: {', '.join(PRESETS)}. [tutorial]"),
    ] = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    tensorboard: TensorBoardOption = False,
    progress: ProgressOption = True,
    *,
    given: dict[str, Any],
) -> None:
    """Train a new model on a corpus.

    Ctrl-C ends a run with a checkpoint, and --resume goes on from there. For several GPUs or machines put
    "accelerate launch -m elmo_helpers" in the place of "python -m elmo_helpers".
    """
    name = preset or "tutorial"
    sizes = {field: value for field, value in given.items() if field in MODEL_FIELDS + CNN_FIELDS}
    settings = {field: value for field, value in given.items() if field not in sizes}
    config = dataclasses.replace(TrainingConfig.preset(name), **settings)

    from elmo_helpers.text.shards import CorpusShards

    shards = CorpusShards.load(corpus)
    model = model_config(name, sizes, shards.character_vocabulary)

    from elmo_helpers.training import trainer

    result = trainer.train(
        shards.split("train"),
        # None: what the run has that is gone on with.
        None if resume and preset is None and not sizes else model,
        None if resume and preset is None and not settings else config,
        validation=_validation(shards),
        directory=directory,
        device=device,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        progress=progress,
    )
    _report(result, directory, ["train", corpus, directory])


def model_config(preset: str, sizes: dict[str, Any], characters: "CharacterVocabulary") -> BiLMConfig:
    """A preset with some sizes of its own, which reads the characters of a corpus.

    A token vector that is not as wide as one LSTM direction or both is projected to the width of one.

    Args:
        preset: Its name.
        sizes: Fields of `BiLMConfig` and `CharCNNConfig` that differ from the preset.
        characters: The corpus's.

    Raises:
        ElmoHelpersError: There is no such preset, or a size is out of its range.
    """
    config = BiLMConfig.preset(preset)
    cnn = {field: value for field, value in sizes.items() if field in CNN_FIELDS}
    lstm = {field: value for field, value in sizes.items() if field not in CNN_FIELDS}
    char_cnn = dataclasses.replace(
        config.char_cnn, scheme=characters.scheme, max_characters=characters.max_characters, **cnn
    )
    width = lstm.get("projection_dim", config.projection_dim)
    if width is None:
        width = lstm.get("hidden_dim", config.hidden_dim)
    if width > 0 and char_cnn.output_dim not in (width, 2 * width):
        char_cnn = dataclasses.replace(char_cnn, projection_dim=width)
    return dataclasses.replace(config, char_cnn=char_cnn, **lstm)


@command(TRAINING_OPTIONS, epilog="Brackets show the values of what is not given. The word none lifts a bound.")
def fine_tune(
    model: ModelArgument,
    corpus: CorpusArgument,
    directory: RunArgument,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    tensorboard: TensorBoardOption = False,
    progress: ProgressOption = True,
    *,
    given: dict[str, Any],
) -> None:
    """Train a copy of a model further on other titles; it goes on predicting the words that it knows."""
    config = TrainingConfig(**given)

    from elmo_helpers.text.shards import CorpusShards

    shards = CorpusShards.load(corpus)

    from elmo_helpers.training import trainer

    result = trainer.fine_tune(
        model,
        shards.split("train"),
        None if resume and not given else config,
        validation=_validation(shards),
        directory=directory,
        device=device,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        progress=progress,
    )
    _report(result, directory, ["fine-tune", model, corpus, directory])


def _validation(shards: "CorpusShards") -> "CorpusShards | None":
    validation = shards.split("valid")
    return validation if validation.n_titles else None


def _report(result: "TrainingResult", directory: Path, started_with: list[str | Path]) -> None:
    """Say how a run ended; of several processes that trained together the first one speaks."""
    is_first = int(os.environ.get("RANK", "0")) == 0
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

    result = evaluation.evaluate(BiLM.load(model).to(usable_device(device)), titles, batch_size, streams=streams)
    if as_json:
        typer.echo(json.dumps({"split": split, "perplexity": result.perplexity, **dataclasses.asdict(result)}))
        return
    for name, value in (("forward", result.forward), ("backward", result.backward), ("mean", result.perplexity)):
        typer.echo(f"{name + ' perplexity':<20}{value:>12,.2f}")
    typer.echo(f"{'predictions':<20}{result.n_predictions:>12,} in each direction")
    typer.echo(f"{'out of vocabulary':<20}{result.oov_rate:>12.2%} of the words")
