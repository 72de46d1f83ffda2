"""A run beside another one in the same directory, on a full disk, and with files that lie."""

import json
import shutil
import time
from contextlib import ExitStack

import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, TrainingConfig, train
from elmo_helpers.training.checkpoint import read_checkpoint
from odd_files import full_disk

TINY = BiLMConfig.preset("tiny")
CONFIG = TrainingConfig(epochs=20, batch_size=4, checkpoint_every=5, log_every=5, evaluate_every=10)


@pytest.fixture
def titles():
    return corpus_of(TOY_TITLES)


def at_step(step, act):
    """A callback that does something once."""
    done = []

    def watch(loop):
        if loop.progress.step >= step and not done:
            done.append(step)
            act(loop)

    return watch


def run(titles, directory, **options):
    return train(titles, TINY, CONFIG, validation=titles, directory=directory, progress=False, **options)


def names(directory):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def test_a_second_run_in_the_directory_is_refused(titles, tmp_path):
    expected = run(titles, tmp_path / "alone").model.state_dict()

    def second(_):
        before = names(tmp_path / "run")
        for how in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(ElmoHelpersError, match="run is being made by another process"):
                run(titles, tmp_path / "run", **how)
        assert names(tmp_path / "run") == before

    found = run(titles, tmp_path / "run", callback=at_step(30, second)).model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert names(tmp_path / "run") == names(tmp_path / "alone")
    run(titles, tmp_path / "run", overwrite=True)  # the directory is free again


def test_a_directory_is_free_after_a_run_that_failed(titles, tmp_path):
    def fail(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(titles, tmp_path, callback=at_step(30, fail))
    assert run(titles, tmp_path, resume=True).finished


@pytest.mark.parametrize("limit", [2_000, 20_000, 60_000], ids=["a header", "a model", "a checkpoint"])
def test_a_disk_that_is_full_in_the_middle_of_a_run(titles, tmp_path, limit):
    """The last whole checkpoint stays, nothing half-written takes up room, and the run goes on once there is room."""
    expected = run(titles, tmp_path / "whole")
    directory, message = tmp_path / "run", r"cannot be written \(File too large\): mend that, and resume the run"
    with ExitStack() as full, pytest.raises(ElmoHelpersError, match=message):
        run(titles, directory, callback=at_step(30, lambda _: full.enter_context(full_disk(limit))))
    checkpoints = directory / "training" / "checkpoints"
    assert read_checkpoint(checkpoints)[0]["progress"]["step"] >= 25
    assert [path.name[:5] for path in checkpoints.iterdir()] == ["step-"] * 2
    assert not [name for name in names(directory) if "/." in name or "best" in name]
    BiLM.load(directory)
    again = run(titles, directory, resume=True)
    assert again.finished
    for name, tensor in expected.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name


def test_what_a_killed_run_has_left_half_written_goes(titles, tmp_path):
    run(titles, tmp_path, callback=at_step(30, lambda loop: loop.stop()))
    for left in ("checkpoints/.step-000000035-abc", ".best-abc", ".best-abc-old"):
        (tmp_path / "training" / left).mkdir()
        (tmp_path / "training" / left / "state.safetensors").write_bytes(bytes(100))
    (tmp_path / "training" / "notes").write_text("mine")
    run(titles, tmp_path, resume=True)
    assert not [name for name in names(tmp_path) if "/." in name]
    assert (tmp_path / "training" / "notes").read_text() == "mine"


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        (("n_layers",), 10**7),
        (("n_layers",), 3),
        (("hidden_dim",), 10**18),
        (("char_cnn", "n_highway"), 10**18),
        (("char_cnn", "embedding_dim"), 10**30),
    ],
    ids=str,
)
def test_settings_that_the_checkpoint_does_not_have_are_refused_before_a_model_is_built(titles, tmp_path, keys, wrong):
    run(titles, tmp_path, callback=at_step(30, lambda loop: loop.stop()))
    header = tmp_path / "training" / "run.json"
    data = json.loads(header.read_text())
    section = data["model"]
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = wrong
    header.write_text(json.dumps(data))
    begun = time.perf_counter()
    with pytest.raises(ElmoHelpersError, match=r"training"):
        train(titles, validation=titles, directory=tmp_path, resume=True, progress=False)
    assert time.perf_counter() - begun < 2


def test_a_training_folder_that_is_a_link_stays_one(titles, tmp_path):
    """Checkpoints are large, and some people keep them on another disk."""
    (tmp_path / "other disk").mkdir()
    run(titles, tmp_path / "run")
    shutil.move(tmp_path / "run" / "training", tmp_path / "other disk" / "training")
    (tmp_path / "run" / "training").symlink_to(tmp_path / "other disk" / "training")
    run(titles, tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "training").is_symlink()
    assert read_checkpoint(tmp_path / "other disk" / "training" / "checkpoints")[0]["progress"]["finished"]
