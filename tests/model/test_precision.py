"""bfloat16 where the processor has it, and one sentence where it has not."""

import pytest
import torch

from conftest import TOY_TITLES, needs_bf16
from elmo_helpers import ElmoHelpersError, Encoder
from elmo_helpers.model.precision import check_precision, product_dtype
from elmo_helpers.training.batching import Batch

CPU = torch.device("cpu")


def batch_of(model) -> Batch:
    return Batch.of_words([title.split() for title in TOY_TITLES], model.character_vocabulary, model.vocabulary)


@needs_bf16
def test_where_bfloat16_is_said_to_be_there_an_lstm_computes_in_it():
    assert check_precision("bf16", CPU) == "bf16"
    lstm = torch.nn.LSTM(3, 4).bfloat16()
    assert lstm(torch.ones(2, 1, 3, dtype=torch.bfloat16))[0].isfinite().all()


def test_elsewhere_it_is_refused(without_bf16):
    with pytest.raises(ElmoHelpersError) as caught:
        check_precision("bf16", CPU)
    assert str(caught.value) == (
        "precision='bf16': this processor has no instructions for bfloat16; use precision='fp32'."
    )


def test_other_names_are_refused():
    assert check_precision("fp32", CPU) == "fp32"
    with pytest.raises(ElmoHelpersError, match="precision='fp16': expected one of fp32, bf16"):
        check_precision("fp16", CPU)


def test_autocast_is_refused_before_anything_runs(toy_model, without_bf16):
    batch = batch_of(toy_model)
    vectors = toy_model.char_cnn(batch.characters)
    with torch.autocast("cpu", torch.bfloat16):
        for run in (
            lambda: toy_model(batch.characters, batch.tokens, batch.lengths),
            lambda: toy_model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets),
            lambda: toy_model.contextualize(vectors, batch.tokens, batch.lengths),
        ):
            with pytest.raises(ElmoHelpersError, match=r"bfloat16: this processor .* outside of torch.autocast"):
                run()
    toy_model(batch.characters, batch.tokens, batch.lengths)


def test_a_model_in_bfloat16_is_refused(toy_model, without_bf16):
    with pytest.raises(ElmoHelpersError, match=r"bfloat16: this processor .* model.float\(\)"):
        Encoder(toy_model.bfloat16()).encode(TOY_TITLES)
    assert Encoder(toy_model.float()).encode(TOY_TITLES).shape == (len(TOY_TITLES), 32)


def test_a_model_that_is_stored_in_half_precision_runs_in_float32(toy_model, tmp_path, without_bf16):
    wanted = Encoder(toy_model).encode(TOY_TITLES)
    for dtype in (torch.float16, torch.bfloat16):
        toy_model.to(dtype).save(tmp_path / "half")
        encoder = Encoder(tmp_path / "half")
        assert {parameter.dtype for parameter in encoder.model.parameters()} == {torch.float32}
        assert abs(encoder.encode(TOY_TITLES) - wanted).max() < 0.05


def test_products_are_of_autocasts_dtype():
    weight = torch.ones(2, 2)
    assert product_dtype(weight) == torch.float32
    assert product_dtype(weight.double()) == torch.float64
    with torch.autocast("cpu", torch.float16):
        assert product_dtype(weight) == torch.float16
        assert product_dtype(weight.double()) == torch.float64  # as of PyTorch's own layers


@pytest.mark.parametrize("kinds", [(torch.float16, torch.bfloat16), (torch.bfloat16, torch.float16)])
def test_two_kinds_of_half_precision_are_not_mixed(toy_model, kinds):
    batch = batch_of(toy_model)
    weights, products = kinds
    toy_model.to(weights)
    with (
        torch.autocast("cpu", products),
        pytest.raises(ElmoHelpersError, match=rf"in {weights} and autocast asks for products in {products}: bring"),
    ):
        toy_model(batch.characters, batch.tokens, batch.lengths)
