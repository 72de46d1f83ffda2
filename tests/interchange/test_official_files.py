"""Published files on odd disks, and some that lie about what is in them."""

import fcntl
import json
import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from comparing import layers_of, refused
from reference import write_random_model

from elmo_helpers import BiLMConfig, CharCNNConfig, TextConfig, WordVocabulary
from elmo_helpers.interchange.official import load_official, save_official
from elmo_helpers.interchange.official_options import options_of
from elmo_helpers.interchange.official_weights import datasets_of
from elmo_helpers.model.bilm import BiLM

CNN = CharCNNConfig(scheme="utf8", max_characters=9, embedding_dim=4, filters=((1, 4), (2, 4)), projection_dim=8)
CONFIG = BiLMConfig(char_cnn=CNN, hidden_dim=6, projection_dim=8, softmax="full")
SENTENCES = [["the", "cat"], ["home"]]


@pytest.fixture
def official(tmp_path, rng):
    write_random_model(tmp_path / "official", rng, softmax=12, max_characters=12)
    return tmp_path / "official"


@pytest.fixture
def model():
    return BiLM(CONFIG, WordVocabulary([f"w{i}" for i in range(12)]))


def test_weights_that_another_program_has_locked_are_read(official):
    """HDF5 would say the same of a file system that has no locks."""
    expected = layers_of(load_official(official), SENTENCES)
    with (official / "weights.hdf5").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(official / "weights.hdf5")
        found = layers_of(load_official(official), SENTENCES)
    for a, b in zip(found, expected, strict=True):
        assert (a == b).all()


def write_shapes(directory, config, n_words):
    """Files of a model of that configuration, whose datasets are declared and not written: they take no room."""
    directory.mkdir()
    (directory / "options.json").write_text(json.dumps(options_of(config, TextConfig())))
    words = ["<S>", "</S>", "<UNK>", *(f"w{i}" for i in range(n_words - 3))]
    (directory / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
    with h5py.File(directory / "weights.hdf5", "w") as file:
        for dataset in datasets_of(config, n_words):
            chunks = tuple(min(n, 64) for n in dataset.shape)
            file.create_dataset(dataset.name, dataset.shape, "f4", chunks=chunks)


def test_sizes_that_agree_and_need_more_memory_than_there_is(tmp_path):
    write_shapes(tmp_path / "small", CONFIG, 12)
    assert load_official(tmp_path / "small").softmax is not None
    write_shapes(tmp_path / "large", replace(CONFIG, hidden_dim=2**32), 12)
    begun = time.perf_counter()
    with refused("weights.hdf5", "needs more memory than there is"):
        load_official(tmp_path / "large")
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("place", ["", "RNN_0/", "later/"])
def test_groups_within_groups_without_end(official, place):
    """To go through all of them takes minutes, or for ever where they go round in a circle."""
    with h5py.File(official / "weights.hdf5", "r+") as file:
        group = file.require_group(f"{place}round")
        group["round"] = group
        for _ in range(2000):
            group = group.create_group("x")
    begun = time.perf_counter()
    with refused(f"{place}round"):
        load_official(official)
    assert time.perf_counter() - begun < 2


def test_what_is_no_models_is_left_alone(official):
    with h5py.File(official / "weights.hdf5", "r+") as file:
        group = file.create_group("notes")
        group["notes"] = group
        group["on/what/was/done"] = np.zeros(3)
    load_official(official)


def test_a_full_disk_is_one_sentence(model, tmp_path):
    """HDF5 takes the whole process with it when it cannot write, unless it is kept from knowing."""
    model.save(tmp_path / "model")
    save_official(model, tmp_path / "official", softmax=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "official").iterdir()}
    program = f"""
import resource, signal
from elmo_helpers import BiLM, ElmoHelpersError
from elmo_helpers.interchange.official import save_official
model = BiLM.load({str(tmp_path / "model")!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in range(0, 12_000, 500):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_official(model, {str(tmp_path / "official")!r}, softmax=True)
    except ElmoHelpersError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 24
    for line in lines:
        assert line.startswith(f"{tmp_path / 'official'} cannot be written (File too large): mend that")
    assert {path.name: path.read_bytes() for path in (tmp_path / "official").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "official"]


# Zip files


def zipped(directory, to, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(to, "w", compression) as archive:
        for path in directory.iterdir():
            archive.write(path, path.name)
    return to


def say_size(path, name, size):
    """Let a zip file say that an entry unpacks to so many bytes."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo(name).file_size = size
        archive.comment = b"changed"  # so that its directory is written again


@pytest.mark.parametrize("name", ["options.json", "weights.hdf5"])
def test_a_member_that_says_it_is_larger_than_memory(official, tmp_path, name):
    path = zipped(official, tmp_path / "a.zip")
    say_size(path, name, 2**50)
    begun = time.perf_counter()
    with refused("a.zip", name, "needs more memory than there is"):
        load_official(path)
    assert time.perf_counter() - begun < 2


def test_a_member_that_goes_on_behind_its_size(official, tmp_path):
    (official / "options.json").write_bytes((official / "options.json").read_bytes() + b" " * 10**7)
    path = zipped(official, tmp_path / "a.zip")
    say_size(path, "options.json", 100)
    with refused("a.zip", "options.json"):
        load_official(path)


def test_a_member_with_a_password(official, tmp_path):
    path = zipped(official, tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := content.find(mark, place + 1)) >= 0:
            content[place + flags] |= 1  # as of an encrypted entry
    path.write_bytes(content)
    with refused("a.zip", "encrypted"):
        load_official(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_other_compressions(official, tmp_path, compression):
    path = zipped(official, tmp_path / "a.zip", compression)
    load_official(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(30, len(whole) // 2)] ^= 0xFF
        path.write_bytes(damaged)
        with refused("a.zip"):
            load_official(path)
