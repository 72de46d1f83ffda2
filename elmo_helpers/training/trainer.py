"""Train a new biLM on a corpus, train one further, or go on with a run that has stopped."""

from __future__ import annotations

import copy
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from elmo_helpers.checks import choice, instance
from elmo_helpers.config import BiLMConfig, WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of
from elmo_helpers.model.bilm import BiLM, model_of
from elmo_helpers.model.precision import check_precision, products_in
from elmo_helpers.model.softmax_transfer import with_vocabulary
from elmo_helpers.pretrained.shipped import model_directory
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.text.vocabulary import BOS, EOS
from elmo_helpers.training.checkpoint import seed_random_state
from elmo_helpers.training.config import TrainingConfig
from elmo_helpers.training.evaluation import check_corpus, check_vocabulary, corpora, sizes
from elmo_helpers.training.loop import TrainingLoop
from elmo_helpers.training.metrics import HISTORY_COLUMNS, STEP_COLUMNS
from elmo_helpers.training.processes import Processes
from elmo_helpers.training.run_folder import RunFolder


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves.

    Attributes:
        model: The weights of the evaluation that predicted the validation titles best (without validation titles: the
            last ones; of a run that was stopped: those it has come to), in evaluation mode.
        history: A row an evaluation: step; epoch, with a fraction; tokens read so far; train_loss, the mean since the
            evaluation before in nats per prediction, with dropout; forward, backward and perplexity on the validation
            titles (exact, without dropout; missing where there are none); learning_rate; tokens_per_second (words and
            boundaries, in training); seconds of training since the evaluation before. For a row behind one that only
            an earlier end of the run asked for, the evaluation before is the one before that.
        steps: A row for every `log_every` steps: step, epoch, loss (their mean, in nats per prediction; of a sampled
            softmax the sampled loss, which does not compare with exact ones), learning_rate, gradient_norm before
            clipping, tokens_per_second.
        finished: Whether the run has come to its end; False where it was stopped and can go on.
        profile: Where it was asked for, a row for each part of the run in this call: part; seconds, without those of
            parts inside of it; share of all. None: it was not.
    """

    model: BiLM
    history: pd.DataFrame
    steps: pd.DataFrame
    finished: bool
    profile: pd.DataFrame | None = None


@dataclass(frozen=True)
class _Run:
    """All that a run is told but for its model, its titles and its settings; each is an argument of `train`."""

    validation: Corpus | CorpusShards | None
    directory: str | os.PathLike[str] | None
    device: torch.device | str
    resume: bool
    overwrite: bool
    tensorboard: bool
    progress: bool
    profile: bool
    callback: Callable[[TrainingLoop], None] | None

    def __post_init__(self) -> None:
        if self.validation is not None:
            check_corpus("validation", self.validation)
        if self.directory is None and (self.resume or self.tensorboard):
            raise ElmoHelpersError("directory=None: resume and tensorboard need the directory of the run.")

    @property
    def folder(self) -> RunFolder | None:
        """Where the run writes."""
        return None if self.directory is None else RunFolder(self.directory)

    @property
    def stored(self) -> tuple[BiLMConfig, TrainingConfig] | tuple[None, None]:
        """The settings of the run that is gone on with."""
        return self.folder.settings if self.folder and self.resume else (None, None)


def train(
    corpus: Corpus | CorpusShards,
    model: BiLMConfig | str | None = None,
    config: TrainingConfig | None = None,
    *,
    validation: Corpus | CorpusShards | None = None,
    directory: str | os.PathLike[str] | None = None,
    device: torch.device | str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    progress: bool = True,
    profile: bool = False,
    callback: Callable[[TrainingLoop], None] | None = None,
) -> TrainingResult:
    """Train a new model on the titles of `corpus`, and keep the one that predicts the validation titles best.

    The same seed, data and number of threads give the same model. The caller's random state is left as it was. Ctrl-C
    stops after the current step, with a checkpoint where there is a directory; a second Ctrl-C interrupts at once.

    Started in several processes by `accelerate launch` or `notebook_launcher`, each takes its share of every batch, and
    the first one writes.

    Args:
        corpus: Titles to learn from; shards are read one at a time.
        model: Sizes of the model, by configuration or preset name; None: the tutorial's, or those of the run resumed.
        config: The run's settings; None: those of the preset named by `model`, or of the run resumed.
        validation: Titles to measure the exact perplexity on.
        directory: Where the best model so far is saved, with checkpoints and tables of the run; see `RunFolder`.
        device: Where to compute; "auto": on a GPU where there is one.
        resume: Go on from the last checkpoint in `directory`, as if the run had never stopped: all weights and
            numbers, but for times, come out as they would have. The corpus, the settings and the number of processes
            must be the same; with a bound in minutes the end is not. What is `Free` in `TrainingConfig` may change:
            with a larger bound the run goes on, also where it had come to its end, and with the others it ends, is
            measured, saved and shown as they say from here on. A rate that falls along a cosine goes on from the same
            step along the cosine of the new bounds; nothing else of what is computed depends on them. The evaluation
            that ended the run stays in its history, and its model is kept while it is the best.
        overwrite: Let the run take the place of an unfinished one in `directory`; that of a finished one it takes
            without it.
        tensorboard: Also write curves to `directory`/training/tensorboard.
        progress: Show a progress bar with loss and speed.
        profile: Look where the time goes; see `TrainingResult.profile`.
        callback: Called with the `TrainingLoop` after each new row of its `progress.steps` and `progress.history`; it
            may call the loop's `stop`.

    Raises:
        ElmoHelpersError: There is nothing to train on, a corpus does not fit the model, the loss is not finite, the
            directory cannot be used, or a run that is gone on with differs from its start or has nothing left to do.
    """
    if not isinstance(model, BiLMConfig | str | None):
        raise ElmoHelpersError(
            f"model={model!r:.60}: expected a BiLMConfig or the name of a preset; a model is trained further by "
            "fine_tune."
        )
    _check_arguments(corpus, config)
    run = _Run(validation, directory, device, resume, overwrite, tensorboard, progress, profile, callback)
    stored_model, stored_config = run.stored
    model, config = model or stored_model, config or stored_config
    name = model if isinstance(model, str) else "tutorial"
    settings = config or (TrainingConfig() if isinstance(model, BiLMConfig) else TrainingConfig.preset(name))
    model_config = model if isinstance(model, BiLMConfig) else BiLMConfig.preset(name)
    return _run(corpus, lambda: _fresh(corpus, model_config, settings), settings, {"kind": "a new model"}, run)


def fine_tune(
    model: BiLM | str | os.PathLike[str],
    corpus: Corpus | CorpusShards,
    config: TrainingConfig | None = None,
    *,
    vocabulary: str = "corpus",
    validation: Corpus | CorpusShards | None = None,
    directory: str | os.PathLike[str] | None = None,
    device: torch.device | str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    progress: bool = True,
    profile: bool = False,
    callback: Callable[[TrainingLoop], None] | None = None,
) -> TrainingResult:
    """Train a copy of `model` further on other titles, with a fresh optimiser.

    Not to be confused with `train(resume=True)`, which goes on with a run that has stopped. All other arguments are
    as in `train`.

    Args:
        model: A model, or the directory or name of one; it stays as it is.
        corpus: Titles to learn from, spelled in the model's characters.
        config: The run's settings; None: the defaults, or those of the run resumed.
        vocabulary: Which words the copy predicts. "corpus": those of the corpus, where a word that the model knows
            keeps what has been learned of it (see `with_vocabulary`); "model": its own, and others are `<UNK>`. Both
            read any word by its spelling. A model with one vector a word goes on with its own.

    Raises:
        ElmoHelpersError: As `train`; or a new run is to write to the directory that `model` names, or would name from
            then on.
    """
    _check_arguments(corpus, config)
    run = _Run(validation, directory, device, resume, overwrite, tensorboard, progress, profile, callback)
    _, stored_config = run.stored
    start = model_of(model)
    if run.folder is not None and not resume and isinstance(model, str | os.PathLike):
        _check_place(model, run.folder)
    choice("vocabulary", vocabulary, ("corpus", "model"))
    if vocabulary == "model" or isinstance(start.config.char_cnn, WordEmbeddingConfig):
        corpus = corpus.with_vocabulary(start.vocabulary)
    words = corpus.vocabulary
    digest = hashlib.sha256()
    for tensor in start.state_dict().values():
        digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy())
    if validation is not None:
        run = replace(run, validation=validation.with_vocabulary(words))
    return _run(
        corpus,
        lambda: copy.deepcopy(start) if words.words == start.vocabulary.words else with_vocabulary(start, words),
        config or stored_config or TrainingConfig(),
        {"kind": "a model trained further", "start": digest.hexdigest()},
        run,
    )


def _check_arguments(corpus: Corpus | CorpusShards, config: TrainingConfig | None) -> None:
    check_corpus("corpus", corpus)
    if config is not None:
        instance("config", config, TrainingConfig, "a TrainingConfig, or None")


def _check_place(model: str | os.PathLike[str], folder: RunFolder) -> None:
    """Check that the run does not write to where its start is looked for when it goes on."""
    given = path_of("model", model)
    places = {given} if os.path.isdir(given) else {given, model_directory(given)}
    if os.fspath(folder.path) in map(os.path.realpath, places):
        raise ElmoHelpersError(
            f"directory: model={given} would stand for the run's own model in {folder.path}, and the "
            "run could not go on from its start: name another directory."
        )


def _run(
    corpus: Corpus | CorpusShards,
    make_model: Callable[[], BiLM],
    config: TrainingConfig,
    kind: dict[str, Any],
    run: _Run,
) -> TrainingResult:
    """One run, new or resumed."""
    if not any(titles for titles, _ in sizes(corpus)):
        raise ElmoHelpersError("train: the corpus has no title; give one that has.")
    processes = Processes(run.device)
    check_precision(config.precision, processes.device)
    if config.feed == "streams" and config.batch_size % processes.count:
        raise ElmoHelpersError(
            f"batch_size={config.batch_size}: expected a multiple of the {processes.count} processes, which share the "
            "streams."
        )
    gpus = [processes.device] if processes.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=gpus),
        products_in("fp32", processes.device),
        torch.inference_mode(False),  # and with gradients: it ends a caller's no_grad, too
        ExitStack() as until_the_end,
    ):
        seed_random_state(config.seed, processes.device)
        model = make_model().to(processes.device)
        check_vocabulary(model, corpus)
        if run.validation is not None:  # now, rather than after the first epoch
            check_vocabulary(model, run.validation)
        if processes.rank:
            seed_random_state(config.seed + processes.rank, processes.device)  # dropout of its own
        validation: Sequence[Corpus] = []
        if run.validation is not None and any(n for n, _ in sizes(run.validation)):
            validation = corpora(run.validation)
        folder = run.folder
        loop = TrainingLoop(
            model,
            corpora(corpus),
            sizes(corpus),
            config,
            processes,
            validation=validation,
            folder=folder,
            tensorboard=run.tensorboard,
            bar=run.progress,
            profile=run.profile,
            callback=run.callback,
        )
        if folder is not None:
            if processes.is_main:
                until_the_end.enter_context(folder.alone())
            identity = _identity(model, corpus, run.validation, config, processes) | kind
            if run.resume:
                _go_on(loop, folder, identity)
            elif processes.is_main:
                folder.begin(identity, run.overwrite)
            processes.wait()
        try:
            loop.run()
        finally:
            model.eval()
    return TrainingResult(
        model,
        pd.DataFrame(loop.progress.history).reindex(columns=HISTORY_COLUMNS),
        pd.DataFrame(loop.progress.steps).reindex(columns=STEP_COLUMNS),
        loop.progress.finished,
        loop.part_times.table() if loop.part_times else None,
    )


def _go_on(loop: TrainingLoop, folder: RunFolder, identity: dict[str, Any]) -> None:
    """Take up the run in `folder`, with those of its settings that are new."""
    has_new_settings = folder.go_on(identity)
    loop.restore(*folder.read_checkpoint())
    if not has_new_settings:
        return
    if name := loop.ended_by:
        p = loop.progress
        done = f"{p.step} steps, {p.epoch} whole epochs and {p.seconds / 60:.1f} minutes"
        if name == "stop_after":
            done = f"{p.evaluations_since_best} evaluations in a row without a better one"
        raise ElmoHelpersError(
            f"{name}={getattr(loop.config, name)}: the run in {folder.path} has {done} behind it, and nothing left to "
            f"do: give a larger {name}, or None, to go on with it."
        )
    if loop.processes.is_main:
        folder.write_identity()


def _fresh(corpus: Corpus | CorpusShards, model_config: BiLMConfig, config: TrainingConfig) -> BiLM:
    with torch.device("cpu"):  # where a seed draws the same weights on every machine
        model = BiLM(model_config, corpus.vocabulary, corpus.text)
    if config.unigram_bias and model.softmax is not None:
        counts = torch.from_numpy(corpus.vocabulary.counts.copy())
        # Each title ends once in each direction, in `</S>` forward and in `<S>` backward, and both share the softmax.
        counts[[BOS, EOS]] = math.ceil(sum(titles for titles, _ in sizes(corpus)) / 2)
        model.softmax.start_from_counts(counts)
    return model


def _identity(
    model: BiLM,
    corpus: Corpus | CorpusShards,
    validation: Corpus | CorpusShards | None,
    config: TrainingConfig,
    processes: Processes,
) -> dict[str, Any]:
    """What a resumed run must be started with again, as plain data."""
    words = "\n".join(model.vocabulary.words)
    return {
        "model": model.config.to_dict(),
        "config": config.to_dict(),
        "corpus": corpus.fingerprint,
        "validation": None if validation is None else validation.fingerprint,
        "vocabulary": hashlib.sha256(words.encode()).hexdigest(),
        "processes": processes.count,
    }
