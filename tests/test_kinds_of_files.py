"""Every file that the library reads may be anything: it is read, or refused in one sentence, and never waited for."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharCNNConfig,
    Corpus,
    CorpusShards,
    ElmoHelpersError,
    TrainingConfig,
    WordVocabulary,
    prepare_corpus,
    read_titles,
    train,
)
from elmo_helpers.encoding import encoded_shards
from elmo_helpers.encoding.corpus_encoding import encode_file
from elmo_helpers.integrations.projector import write_projector
from elmo_helpers.interchange.official import load_official, save_official
from elmo_helpers.model.model_card import Run
from odd_files import OTHERS, WAITED_FOR, in_time

CNN = CharCNNConfig(scheme="utf8", max_characters=12, embedding_dim=4, filters=((1, 4), (2, 4)), projection_dim=6)
CONFIG = BiLMConfig(char_cnn=CNN, hidden_dim=6, softmax="full")
CHECKPOINT = "run/training/checkpoints/step-000000001"


def resume(place: Path) -> None:
    train(corpus_of(TOY_TITLES, scheme="utf8"), directory=place / "run", resume=True, progress=False)


def encode(place: Path) -> None:
    encode_file(place / "model", place / "titles.txt", place / "out.h5", device="cpu", resume=True, progress=False)


def load_pair(place: Path) -> None:
    load_official(place / "official" / "options.json", place / "official" / "weights.hdf5")


def read_run(place: Path) -> None:
    Run.read(place / "run", BiLM.load(place / "run").state_dict())


READ: dict[str, Callable[[Path], object]] = {
    **{f"model/{name}": lambda place: BiLM.load(place / "model") for name in ("config.json", "model.safetensors")},
    "model/vocabulary.json": lambda place: WordVocabulary.load(place / "model" / "vocabulary.json"),
    **{
        f"official/{name}": lambda place: load_official(place / "official")
        for name in ("options.json", "weights.hdf5", "vocabulary.txt")
    },
    "official/./options.json": load_pair,
    "official/./weights.hdf5": load_pair,
    "official/./vocabulary.txt": load_pair,
    "official.zip": lambda place: load_official(place / "official.zip"),
    **{
        f"corpus/{name}": lambda place: Corpus.load(place / "corpus")
        for name in ("corpus.json", "lexicon.json", "vocabulary.json", "characters.npy", "titles-00000.arrow")
    },
    "corpus/./titles-00000.arrow": lambda place: CorpusShards.load(place / "corpus"),
    "run/training/run.json": resume,
    "run/training/./run.json": read_run,
    "run/training/history.csv": read_run,
    **{f"{CHECKPOINT}/{name}": resume for name in ("checkpoint.json", "state.safetensors", "SHA256SUMS")},
    "titles.txt": encode,
    "out.h5": encode,
    "out.h5.parts/run.json": encode,
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Of each kind that is read."""
    place = tmp_path_factory.mktemp("places")
    corpus = corpus_of(TOY_TITLES, scheme="utf8")
    training = TrainingConfig(epochs=5, batch_size=4, log_every=1, evaluate_every=1)
    train(corpus, CONFIG, training, directory=place / "run", callback=lambda loop: loop.stop(), progress=False)
    model = BiLM(CONFIG, corpus.vocabulary, corpus.text)
    model.save(place / "model")
    corpus.save(place / "corpus")
    save_official(model, place / "official", softmax=True)
    shutil.make_archive(str(place / "official"), "zip", place / "official")
    (place / "titles.txt").write_text("".join(f"{title}\n" for title in TOY_TITLES))
    with pytest.MonkeyPatch.context() as patch:

        def interrupt(*_):
            raise KeyboardInterrupt

        patch.setattr(encoded_shards.ShardFiles, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            encode(place)
    return place


@pytest.fixture
def place(places, tmp_path):
    return shutil.copytree(places, tmp_path / "places")


def replaced(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink(missing_ok=True)
    make(path)


def test_all_of_them_can_be_read(place):
    for read in READ.values():
        read(place)


@pytest.mark.parametrize("kind", WAITED_FOR)
@pytest.mark.parametrize("name", READ)
def test_what_would_be_waited_for_is_refused_by_its_kind(place, name, kind):
    make, called = WAITED_FOR[kind]
    replaced(place / name, make)
    # A link is followed before an output is looked at, and a device has no ending.
    message = f"{Path(name).name}.* is ({called}|no ordinary file)|name an output that ends"
    with in_time(), pytest.raises(ElmoHelpersError, match=message):
        READ[name](place)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", READ)
def test_whatever_else_it_is_it_is_read_or_refused(place, name, kind):
    replaced(place / name, OTHERS[kind])
    with in_time(), contextlib.suppress(ElmoHelpersError):
        READ[name](place)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "titles.txt/x", "loop/x"], ids=["zero", "long", "file", "loop"])
def test_places_where_nothing_can_be(place, name):
    (place / "loop").symlink_to("loop")
    model, corpus, path = BiLM.load(place / "model"), Corpus.load(place / "corpus"), place / name
    for use in (
        lambda: BiLM.load(path),
        lambda: BiLM.from_pretrained(path),
        lambda: model.save(path),
        lambda: model.save_pretrained(path),
        lambda: load_official(path),
        lambda: load_official(path, path),
        lambda: load_official(place / "official" / "options.json", path),
        lambda: load_official(place / "official", vocabulary=path),
        lambda: save_official(model, path),
        lambda: Corpus.load(path),
        lambda: CorpusShards.load(path),
        lambda: corpus.save(path),
        lambda: prepare_corpus(path, place / "new"),
        lambda: prepare_corpus(place / "titles.txt", path),
        lambda: read_titles(path),
        lambda: WordVocabulary.load(path),
        lambda: model.vocabulary.save(path),
        lambda: train(corpus, CONFIG, directory=path, progress=False),
        lambda: train(corpus, directory=path, resume=True, progress=False),
        lambda: Run.read(path, model.state_dict()),
        lambda: encode_file(model, path, place / "new.h5"),
        lambda: encode_file(model, place / "titles.txt", f"{path}.h5"),
        lambda: write_projector(path, [[1.0]], ["a"]),
    ):
        with pytest.raises(ElmoHelpersError):
            use()


@pytest.mark.skipif(sys.platform == "darwin", reason="there a name is text")
def test_names_that_are_no_text(place):
    """On Unix a name is bytes."""
    odd = place / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    model, corpus = BiLM.load(place / "model"), Corpus.load(place / "corpus")
    corpus.save(odd / "corpus")
    assert Corpus.load(odd / "corpus").titles == corpus.titles
    save_official(model, odd / "official")
    load_official(odd / "official")
    for suffix in ("h5", "parquet"):
        output = odd / f"out.{suffix}"
        assert encode_file(model, place / "titles.txt", output, progress=False).rows == len(TOY_TITLES)
        assert encode_file(model, place / "titles.txt", output, resume=True, progress=False).rows is None
    with pytest.raises(ElmoHelpersError, match="TensorBoard reads names in UTF-8 alone"):
        write_projector(odd / "projector", [[1.0]], ["a"])
