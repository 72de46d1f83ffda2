"""A run that is killed and gone on with ends as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import corpus_of
from elmo_helpers import (
    BiLMConfig,
    CharacterVocabulary,
    Corpus,
    CorpusShards,
    ElmoHelpersError,
    TrainingConfig,
    prepare_corpus,
    train,
)

TINY = replace(BiLMConfig.preset("tiny"), dropout=0.1)
STREAMS = TrainingConfig(
    epochs=None,
    steps=720,
    feed="streams",
    batch_size=4,
    unroll_steps=5,
    optimizer="adagrad",
    learning_rate=0.2,
    loss_factor=20.0,
    halve_after=2,
    evaluate_every=24,
    checkpoint_every=10,
    log_every=7,
)
TITLES = TrainingConfig(
    epochs=16, batch_size=4, learning_rate=0.01, final_learning_rate=0.0001, warmup_steps=20, checkpoint_every=10
)


def write_titles(path: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    p = 1 / np.arange(1, 41)
    path.write_text("\n".join(" ".join(rng.choice(words, rng.integers(1, 9), p=p / p.sum())) for _ in range(n)))


def run(corpus: str, directory: str, softmax: str, config: TrainingConfig, resume: bool) -> None:
    """One process of a run, to be killed."""
    torch.set_num_threads(1)
    shards = CorpusShards.load(corpus)
    train(
        shards.split("train"),
        replace(TINY, softmax=softmax, n_negatives=10),
        config,
        validation=shards.split("valid"),
        directory=directory,
        resume=resume,
        overwrite=not resume,
        progress=False,
    )


def checkpoints(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "training" / "checkpoints").glob("step-*"))


def untimed(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).drop(columns=["tokens_per_second", "seconds"], errors="ignore")


@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "softmax", "kills"), [(STREAMS, "sampled", 20), (TITLES, "adaptive", 5)], ids=["streams", "titles"]
)
def test_killed_at_random_moments_and_gone_on_with(tmp_path, config, softmax, kills):
    write_titles(tmp_path / "titles.txt", 120)
    corpus = str(tmp_path / "corpus")
    shards = prepare_corpus(
        tmp_path / "titles.txt",
        corpus,
        characters=CharacterVocabulary("tutorial", 12),
        min_count=1,
        valid=0.2,
        shard_size=30,
        shards=True,
    )
    assert len(shards) == 4
    run(corpus, str(tmp_path / "whole"), softmax, config, False)

    context = multiprocessing.get_context("forkserver")
    moments, killed, directory = random.Random(0), 0, tmp_path / "killed"
    while True:
        seen = checkpoints(directory)
        process = context.Process(target=run, args=(corpus, str(directory), softmax, config, bool(seen)))
        process.start()
        if killed < kills:
            further = moments.randrange(1, 3)  # new checkpoints to wait for
            while process.is_alive() and further:
                now = checkpoints(directory)
                further -= len(now) > 0 and now[-1:] != seen[-1:]
                seen = now
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.02))
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert killed == kills, "the run was over before it had been killed often enough"

    whole = tmp_path / "whole"
    assert (directory / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    for table in ("steps.csv", "history.csv"):
        ours, expected = (untimed(d / "training" / table) for d in (directory, whole))
        pd.testing.assert_frame_equal(ours, expected, check_exact=True)
    assert checkpoints(directory)[-1] == checkpoints(whole)[-1]
    states = [d / "training" / "checkpoints" / checkpoints(d)[-1] / "state.safetensors" for d in (directory, whole)]
    assert states[0].read_bytes() == states[1].read_bytes(), "optimiser, random states and last weights too"


def stopped_after(steps: int):
    def watch(loop):
        if loop.progress.step >= steps:
            loop.stop()

    return watch


@pytest.fixture
def parts(tmp_path) -> tuple[Corpus, Corpus]:
    write_titles(tmp_path / "titles.txt", 40)
    titles = (tmp_path / "titles.txt").read_text().splitlines()
    corpus = corpus_of(titles, valid=0.2)
    return corpus.split("train"), corpus.split("valid")


@pytest.mark.parametrize("config", [STREAMS, TITLES], ids=["streams", "titles"])
@pytest.mark.parametrize("moment", [1, 9, 21])
def test_stopped_by_hand_and_gone_on_with(tmp_path, parts, config, moment):
    """A stop may fall between two rows of the table, two evaluations or two checkpoints."""
    training, validation = parts
    config = replace(config, epochs=3, steps=None, log_every=4, evaluate_every=7, checkpoint_every=None)
    settings = {"validation": validation, "progress": False}
    whole = train(training, TINY, config, **settings)
    directory = tmp_path / "run"
    if config.log_every > moment:
        moment = config.log_every
    stopped = train(training, TINY, config, directory=directory, callback=stopped_after(moment), **settings)
    assert not stopped.finished
    again = train(training, directory=directory, resume=True, **settings)
    assert again.finished
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
    for ours, expected in ((again.steps, whole.steps), (again.history, whole.history)):
        pd.testing.assert_frame_equal(
            ours.drop(columns=["tokens_per_second", "seconds"], errors="ignore"),
            expected.drop(columns=["tokens_per_second", "seconds"], errors="ignore"),
            check_exact=True,
        )


def test_ctrl_c_saves_and_leaves(tmp_path, parts):
    training, validation = parts

    def interrupt(loop):
        if loop.progress.step == 20:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    result = train(training, TINY, TITLES, validation=validation, directory=tmp_path / "r", callback=interrupt)
    assert not result.finished
    assert signal.getsignal(signal.SIGINT) is before
    assert train(training, validation=validation, directory=tmp_path / "r", resume=True, progress=False).finished


def test_a_finished_run_has_nothing_left_to_do(tmp_path, parts):
    training, validation = parts
    config = replace(TITLES, epochs=2)
    first = train(training, TINY, config, validation=validation, directory=tmp_path / "r", progress=False)
    again = train(training, validation=validation, directory=tmp_path / "r", resume=True, progress=False)
    assert again.finished
    assert again.steps.equals(first.steps)
    train(training, TINY, config, directory=tmp_path / "r", progress=False)  # and may be replaced


def test_what_differs_is_named(tmp_path, parts):
    training, validation = parts
    start = {"validation": validation, "directory": tmp_path / "r", "progress": False}
    train(training, TINY, TITLES, callback=stopped_after(20), **start)
    for arguments, named in (
        ((training, TINY, replace(TITLES, learning_rate=0.5)), r"config.learning_rate \(0.01 then, 0.5 now\)"),
        ((training, replace(TINY, hidden_dim=16, char_cnn=TINY.char_cnn)), r"model.hidden_dim \(8 then, 16 now\)"),
        ((training.select(slice(0, 20)),), "corpus"),
        ((corpus_of(["other words"] * 9),), "vocabulary"),
    ):
        with pytest.raises(ElmoHelpersError, match=f"cannot go on.*{named}|another vocabulary|validation"):
            train(*arguments, resume=True, **start)
    with pytest.raises(ElmoHelpersError, match="validation"):
        train(training, directory=tmp_path / "r", resume=True, progress=False)
    with pytest.raises(ElmoHelpersError, match=r"has not finished.*resume.*overwrite"):
        train(training, TINY, TITLES, **start)
    assert train(training, resume=True, **start).finished


def test_directories_that_are_no_run(tmp_path, parts):
    training, _ = parts
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ElmoHelpersError, match="holds other files and no model or run"):
        train(training, TINY, directory=tmp_path, progress=False)
    with pytest.raises(ElmoHelpersError, match="is a file"):
        train(training, TINY, directory=tmp_path / "notes.txt", progress=False)
    with pytest.raises(ElmoHelpersError, match="holds no run to go on with"):
        train(training, directory=tmp_path / "new", resume=True, progress=False)
    with pytest.raises(ElmoHelpersError, match="resume and tensorboard need the directory"):
        train(training, resume=True, progress=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "titles.txt"]
