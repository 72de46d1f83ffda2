"""Checkpoints that are damaged are refused, and the one before is offered."""

import json

import pytest
import torch

from elmo_helpers import ElmoHelpersError
from elmo_helpers.training.checkpoint import has_checkpoint, read_checkpoint, seed_random_state, write_checkpoint


@pytest.fixture
def folder(tmp_path):
    for step in (5, 10, 15):
        write_checkpoint(tmp_path, step, {"progress": step}, {"x": torch.full((3,), float(step))})
    return tmp_path


def test_the_newest_is_read_and_two_are_kept(folder):
    data, tensors = read_checkpoint(folder)
    assert data["progress"] == 15
    assert tensors["x"].tolist() == [15.0] * 3
    assert [path.name for path in sorted(folder.iterdir())] == ["step-000000010", "step-000000015"]


@pytest.mark.parametrize("name", ["checkpoint.json", "state.safetensors", "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["cut", "bit", "gone", "empty"])
def test_damage_is_refused_and_the_one_before_offered(folder, name, damage):
    path = folder / "step-000000015" / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes({"cut": content[:-5], "bit": content, "empty": b""}[damage])
    with pytest.raises(ElmoHelpersError, match="remove it to go on from step-000000010"):
        read_checkpoint(folder)


def test_damage_of_the_only_one(folder):
    for path in (folder / "step-000000010").iterdir():
        path.unlink()
    (folder / "step-000000010").rmdir()
    (folder / "step-000000015" / "state.safetensors").write_bytes(b"x")
    with pytest.raises(ElmoHelpersError, match="begin the run again"):
        read_checkpoint(folder)


def test_none_at_all(tmp_path):
    assert not has_checkpoint(tmp_path)
    with pytest.raises(ElmoHelpersError, match="holds no checkpoint"):
        read_checkpoint(tmp_path)


def test_a_write_that_fails_leaves_the_others(folder):
    with pytest.raises(AttributeError):
        write_checkpoint(folder, 20, {}, {"x": None})
    assert read_checkpoint(folder)[0]["progress"] == 15
    assert len(list(folder.iterdir())) == 2


def test_sums_are_those_of_sha256sum(folder):
    import hashlib

    lines = (folder / "step-000000015" / "SHA256SUMS").read_text().splitlines()
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / "step-000000015" / name).read_bytes()).hexdigest() == digest
    assert json.loads((folder / "step-000000015" / "checkpoint.json").read_text())["progress"] == 15


def test_a_directory_in_place_of_the_state_is_damage(folder):
    state = folder / "step-000000015" / "state.safetensors"
    state.unlink()
    state.mkdir()
    with pytest.raises(ElmoHelpersError, match=r"directory.*step-000000010, the one before it"):
        read_checkpoint(folder)


def test_the_highest_seed_has_one_for_each_process():
    drawn = []
    with torch.random.fork_rng(devices=[]):
        for seed in (2**64 - 1, 2**64 - 1 + 1, 0):
            seed_random_state(seed, torch.device("cpu"))
            drawn.append(torch.rand(4))
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[1], drawn[2])
