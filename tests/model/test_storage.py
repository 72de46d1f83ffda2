"""A saved model gives the same numbers; a damaged one is refused in one sentence, and nothing is overwritten."""

import json
import math
import struct
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from elmo_helpers import BiLM, BiLMConfig, Encoder
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.sizes import parameters_of


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


def test_half_the_precision_takes_half_the_room(toy_model, tmp_path):
    for dtype in ("float32", "float16"):
        toy_model.save(tmp_path / dtype, dtype=dtype)
    whole, half = (load_file(tmp_path / dtype / "model.safetensors") for dtype in ("float32", "float16"))
    assert all(torch.equal(half[name], weight.half()) for name, weight in whole.items())
    loaded = BiLM.load(tmp_path / "float16")
    assert {weight.dtype for weight in loaded.state_dict().values()} == {torch.float32}
    assert {weight.dtype for weight in toy_model.state_dict().values()} == {torch.float32}
    again = tmp_path / "again"
    loaded.save(again, dtype="float16")  # nothing is lost twice
    assert (again / "model.safetensors").read_bytes() == (tmp_path / "float16" / "model.safetensors").read_bytes()


def test_numbers_that_half_the_precision_cannot_hold(toy_model, tmp_path):
    with torch.no_grad():
        toy_model.softmax.bias[5] = 70_000
    with pytest.raises(ElmoHelpersError, match=r"softmax\.bias has numbers beyond ±65,504"):
        toy_model.save(tmp_path / "model", dtype="float16")
    with pytest.raises(ElmoHelpersError, match="dtype='int8'"):
        toy_model.save(tmp_path / "model", dtype="int8")
    assert list(tmp_path.iterdir()) == []


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


def change_setting(directory, keys, value):
    config = json.loads((directory / "config.json").read_text())
    section = config["model"]
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    (directory / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("huge", [10**7, 10**18, 10**30, 10**400], ids=["1e7", "1e18", "1e30", "1e400"])
@pytest.mark.parametrize(
    "keys",
    [
        ("n_layers",),
        ("hidden_dim",),
        ("projection_dim",),
        ("char_cnn", "n_highway"),
        ("char_cnn", "max_characters"),
        ("char_cnn", "embedding_dim"),
        ("char_cnn", "projection_dim"),
        ("char_cnn", "filters", 0, 0),
        ("char_cnn", "filters", 1, 1),
    ],
    ids=lambda keys: ".".join(map(str, keys)),
)
def test_a_size_that_the_weights_do_not_have_is_refused_before_a_model_is_built(toy_model, tmp_path, keys, huge):
    toy_model.save(tmp_path / "model")
    change_setting(tmp_path / "model", keys, huge)
    begun = time.perf_counter()
    with pytest.raises(ElmoHelpersError, match=r"model\.safetensors|config\.json"):
        BiLM.load(tmp_path / "model")
    assert time.perf_counter() - begun < 1


def test_sizes_that_agree_and_need_more_memory_than_there_is(toy_model, tmp_path):
    """A sparse file takes no room on the disk, whatever its size."""
    toy_model.save(tmp_path / "model")
    config = replace(BiLMConfig.preset("tiny"), hidden_dim=2**28, projection_dim=8, softmax="full")
    (tmp_path / "model" / "config.json").write_text(
        json.dumps({"format": "elmo_helpers model 1", "model": config.to_dict(), "text": toy_model.text.to_dict()})
    )
    header, end = {}, 0
    for name, shape in parameters_of(config, len(toy_model.vocabulary)):
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with (tmp_path / "model" / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    begun = time.perf_counter()
    with pytest.raises(ElmoHelpersError, match=r"model\.safetensors needs more memory than there is"):
        BiLM.load(tmp_path / "model")
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_are_read(toy_model, tmp_path, dtype):
    toy_model.save(tmp_path / "model")
    weights = {name: w.to(dtype) for name, w in toy_model.state_dict().items()}
    save_file(weights, tmp_path / "model" / "model.safetensors")
    for name, loaded in BiLM.load(tmp_path / "model").state_dict().items():
        assert torch.equal(loaded, weights[name].float())


def test_numbers_of_eight_bits_are_refused(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    weights = toy_model.state_dict()
    weights["softmax.bias"] = weights["softmax.bias"].to(torch.float8_e4m3fn)
    save_file(weights, tmp_path / "model" / "model.safetensors")
    with pytest.raises(ElmoHelpersError, match=r"softmax.bias: found torch.float8_e4m3fn"):
        BiLM.load(tmp_path / "model")


def test_a_directory_in_place_of_the_weights_is_called_one(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    (tmp_path / "model" / "model.safetensors").mkdir()
    with pytest.raises(ElmoHelpersError, match=r"model\.safetensors is damaged .*it is a directory"):
        BiLM.load(tmp_path / "model")
