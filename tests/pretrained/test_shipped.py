"""Models by name, and what holds for each of those that ship."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spacy
from safetensors import safe_open
from typer.testing import CliRunner

from conftest import TOY_TITLES
from elmo_helpers import (
    BiLM,
    Elmo,
    ElmoHelpersError,
    Encoder,
    Generator,
    Scorer,
    TrainingConfig,
    batch_to_ids,
    encode_file,
    fine_tune,
    load_official,
    save_official,
    shipped_models,
)
from elmo_helpers.__main__ import app
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
from elmo_helpers.pretrained import shipped

MAX_BYTES = 16_000_000  # of a model that ships, with its card
each_model = pytest.mark.parametrize("name", shipped_models())


@pytest.fixture
def toy_titles(toy_model, tmp_path, monkeypatch) -> BiLM:
    """A model that ships as "toy-titles"; the working directory is empty."""
    toy_model.save(tmp_path / "shipped" / "toy-titles")
    (tmp_path / "shipped" / "__pycache__").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path / "here")
    return toy_model


def command(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_names(toy_titles):
    assert shipped_models() == ["toy-titles"]


PLACES: dict[str, Callable[[str], BiLM]] = {
    "BiLM.load": BiLM.load,
    "BiLM.from_pretrained": BiLM.from_pretrained,
    "a path": lambda name: BiLM.load(Path(name)),
    "Encoder": lambda name: Encoder(name).model,
    "Scorer": lambda name: Scorer(name).model,
    "Generator": lambda name: Generator(name).model,
    "Elmo": lambda name: Elmo(name, None, 1).bilm,
    "ElmoVectorizer": lambda name: ElmoVectorizer(name).fit(["home"])._ready()[0].model,
    "spaCy": lambda name: spacy.blank("en").add_pipe("elmo", config={"model": name}).model,
}


@pytest.mark.parametrize("load", PLACES.values(), ids=PLACES)
def test_a_name_stands_wherever_a_directory_does(toy_titles, load):
    np.testing.assert_array_equal(
        Encoder(load("toy-titles")).encode(TOY_TITLES[:3]), Encoder(toy_titles).encode(TOY_TITLES[:3])
    )


def test_commands_take_a_name(toy_titles, toy_corpus, tmp_path):
    Path("titles.txt").write_text("the old dog\n")
    toy_corpus.save("corpus")
    assert "1 rows of 3 words" in command("encode", "toy-titles", "titles.txt", "v.parquet", "--no-progress")
    assert "perplexity" in command("evaluate", "toy-titles", "corpus", "--split", "train")
    assert len(command("generate", "toy-titles", "--n", 3, "--max-words", 5).splitlines()) == 3
    assert "the run is in run" in command("fine-tune", "toy-titles", "corpus", "run", "--steps", 1, "--no-progress")
    encode_file("toy-titles", "titles.txt", "w.parquet", progress=False)


def test_fine_tuning_begins_from_a_name(toy_titles, toy_corpus):
    assert fine_tune("toy-titles", toy_corpus, TrainingConfig(steps=1), progress=False).finished


def test_a_directory_of_that_name_goes_first_and_is_told(toy_titles):
    BiLM.load("toy-titles").save("toy-titles")
    with pytest.warns(UserWarning, match="toy-titles: the directory of that name is read"):
        assert BiLM.load("toy-titles").folder == Path("toy-titles")
    Path("other").mkdir()
    with pytest.raises(ElmoHelpersError, match=r"^other/config\.json is missing"):
        BiLM.load("other")


@pytest.mark.parametrize("load", PLACES.values(), ids=PLACES)
def test_an_unknown_name_says_which_there_are(toy_titles, load):
    with pytest.raises(ElmoHelpersError, match=r"toy-title\b.*toy-titles"):
        load("toy-title")


@pytest.mark.parametrize("load", [load for where, load in PLACES.items() if where != "a path"])
def test_an_empty_name_is_told_so(toy_titles, load):
    with pytest.raises(ElmoHelpersError, match="='': the name is empty"):
        load("")


def test_without_a_name_the_default_one_is_read(toy_titles, monkeypatch):
    assert ElmoVectorizer().model == "english-titles"
    assert spacy.blank("en").add_pipe("elmo")._source == "english-titles"


@each_model
def test_the_files_of_a_model(name):
    folder = Path(shipped.__file__).parent / name
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "config.json", "evidence.json", "evidence.png", "model.safetensors", "vocabulary.json")
    }
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118 - it is no dictionary


@each_model
def test_the_vectors_of_a_model(name):
    encoder = Encoder(name)
    titles = ["The bank of the river", "She went to the bank", "BREAKING: the 🙂 of Iași", ""]
    tokens = encoder.encode_tokens(titles)
    bank, other = tokens[0].layers[:, 1], tokens[1].layers[:, 4]
    assert tokens[0].tokens[1] == tokens[1].tokens[4] == "bank"
    np.testing.assert_array_equal(bank[0], other[0])  # one spelling, one vector
    assert (np.abs(bank[1:] - other[1:]).max(1) > 0.01).all()
    alone = encoder.encode_tokens(titles[1:2])[0].layers
    np.testing.assert_allclose(alone, tokens[1].layers, atol=1e-6)


@each_model
def test_a_model_can_be_exported(name, tmp_path):
    model = BiLM.load(name)
    save_official(model, tmp_path, softmax=False)
    published = Elmo(tmp_path / "options.json", tmp_path / "weights.hdf5", 1, dropout=0.0)
    ids = batch_to_ids([["The", "river", "bank"]])
    own = Elmo(name, None, 1, dropout=0.0)
    found, expected = (elmo(ids)["elmo_representations"][0].detach().numpy() for elmo in (published, own))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert load_official(tmp_path).config.hidden_dim == model.config.hidden_dim
