"""What the environment of a process says: its language, and how it starts others."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharCNNConfig,
    Encoder,
    TextConfig,
    TrainingConfig,
    encode_file,
    prepare_corpus,
    train,
)
from elmo_helpers.text.characters import CharacterVocabulary

TITLES = [f"el niño {word} — comió “pan”" for word in ("número", "ähnlich", "naïve", "café", "señor", "façade")]
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}


def named(directory: str, name: str) -> Path:
    """A file of that name in UTF-8, as the process's own locale makes a string of it."""
    return Path(directory, os.fsdecode(name.encode()))


def work(directory: str) -> np.ndarray:
    """Names with spaces and letters beyond ASCII, and such titles, all the way from a file to vectors."""
    titles, model = named(directory, "títulos con espacios.txt"), named(directory, "le modèle")
    corpus = prepare_corpus(
        titles,
        named(directory, "der Körper"),
        characters=CharacterVocabulary("utf8", 50),
        text=TextConfig(tokenizer="whitespace"),
        min_count=1,
    )
    cnn = CharCNNConfig("utf8", 50, embedding_dim=4, filters=((1, 4), (2, 4)))
    settings = TrainingConfig(epochs=1)
    train(corpus.split("train"), BiLMConfig(cnn, hidden_dim=8), settings, directory=model, progress=False)
    encode_file(model, titles, named(directory, "vectores ñ.h5"), progress=False)
    return Encoder(model).encode(TITLES)


def test_the_c_locale(tmp_path: Path):
    directories = [tmp_path / name for name in ("here", "there")]
    for directory in directories:
        directory.mkdir()
        (directory / "títulos con espacios.txt").write_text("\n".join(TITLES), encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_environment as t; "
    program += "sys.stdout.buffer.write(t.work(sys.argv[1]).tobytes())"
    command = [sys.executable, "-c", program, directories[1]]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | C_LOCALE)
    wanted = work(str(directories[0]))
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.float32).reshape(wanted.shape), wanted)
    here, there = (sorted(os.listdir(directory)) for directory in directories)
    assert here == there


def test_a_model_that_may_only_be_read(toy_model, tmp_path: Path):
    directory = tmp_path / "model"
    toy_model.save(directory)
    for path in (*directory.iterdir(), directory):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = [(path.name, path.stat().st_mtime_ns) for path in sorted(directory.iterdir())]
    found = Encoder(directory).encode(TITLES), BiLM.from_pretrained(directory).state_dict()
    directory.chmod(0o755)
    np.testing.assert_array_equal(found[0], Encoder(toy_model).encode(TITLES))
    assert found[1].keys() == toy_model.state_dict().keys()
    # For a superuser, who may write everywhere.
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted(directory.iterdir())] == before


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_encoder_in_the_processes_of_a_pool(toy_model, method: str):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    encoder, titles = Encoder(toy_model), ["the cat sat", "a dog ran home"]
    with multiprocessing.get_context(method).Pool(1) as pool:
        (found,) = pool.map(encoder.encode, [titles])
    np.testing.assert_array_equal(found, encoder.encode(titles))
