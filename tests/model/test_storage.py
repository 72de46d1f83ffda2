"""A saved model gives the same numbers; a damaged one is refused in one sentence, and nothing is overwritten."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from elmo_helpers import BiLM, Encoder
from elmo_helpers.errors import ElmoHelpersError


def test_round_trip(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        "config.json",
        "model",
        "model.safetensors",
        "vocabulary.json",
    ]
    loaded = BiLM.load(tmp_path / "model")
    assert loaded.config == toy_model.config
    assert loaded.text == toy_model.text
    assert loaded.vocabulary.words == toy_model.vocabulary.words
    assert not loaded.training
    titles = ["the cat ran home", "snow"]
    assert (Encoder(loaded).encode(titles) == Encoder(toy_model).encode(titles)).all()


def test_saving_again_replaces_the_model(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    with torch.no_grad():
        toy_model.softmax.bias[5] = 7
    toy_model.save(tmp_path / "model")
    assert BiLM.load(tmp_path / "model").softmax.bias[5] == 7
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_another_programs_model_is_left_alone(toy_model, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ElmoHelpersError, match="left as it is"):
        toy_model.save(tmp_path)
    assert (tmp_path / "config.json").read_text() == '{"model_type": "bert"}'


def test_loading_leaves_the_random_state(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    state = torch.random.get_rng_state()
    BiLM.load(tmp_path / "model")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_directory_of_something_else_is_left_alone(toy_model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ElmoHelpersError, match="holds other files"):
        toy_model.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def _drop(directory, name):
    (directory / name).unlink()


def _cut(directory, name):
    path = directory / name
    path.write_bytes(path.read_bytes()[:-20])


def _reshape(directory, _):
    weights = load_file(directory / "model.safetensors")
    weights["softmax.bias"] = weights["softmax.bias"][1:].clone()
    save_file(weights, directory / "model.safetensors")


def _integers(directory, _):
    weights = load_file(directory / "model.safetensors")
    weights["softmax.bias"] = weights["softmax.bias"].long()
    save_file(weights, directory / "model.safetensors")


def _not_a_number(directory, _):
    weights = load_file(directory / "model.safetensors")
    weights["softmax.bias"][3] = torch.nan
    save_file(weights, directory / "model.safetensors")


def _extra(directory, _):
    weights = load_file(directory / "model.safetensors")
    save_file(weights | {"surprise": torch.zeros(1)}, directory / "model.safetensors")


def _unknown_setting(directory, _):
    config = json.loads((directory / "config.json").read_text())
    config["model"]["n_heads"] = 8
    (directory / "config.json").write_text(json.dumps(config))


def _wrong_type(directory, _):
    config = json.loads((directory / "config.json").read_text())
    config["model"]["n_layers"] = "two"
    (directory / "config.json").write_text(json.dumps(config))


def _other_format(directory, _):
    (directory / "config.json").write_text('{"lstm": {}}')


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (_drop, "config.json", "config.json is missing"),
        (_drop, "vocabulary.json", "vocabulary.json"),
        (_drop, "model.safetensors", "model.safetensors is missing"),
        (_cut, "config.json", "not UTF-8 JSON"),
        (_cut, "vocabulary.json", "vocabulary.json"),
        (_cut, "model.safetensors", "damaged"),
        (_reshape, None, r"softmax.bias: found float \(24,\).*ask for float \(25,\)"),
        (_integers, None, r"softmax.bias: found torch.int64"),
        (_not_a_number, None, "softmax.bias holds numbers that are not finite"),
        (_extra, None, "surprise.*nothing of that name"),
        (_unknown_setting, None, "n_heads"),
        (_wrong_type, None, "n_layers='two'"),
        (_other_format, None, "expected format"),
    ],
)
def test_damage_is_named(toy_model, tmp_path, damage, name, message):
    toy_model.save(tmp_path / "model")
    damage(tmp_path / "model", name)
    with pytest.raises(ElmoHelpersError, match=message):
        BiLM.load(tmp_path / "model")
