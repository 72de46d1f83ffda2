"""Runs as a table and as code."""

import ast

import pytest

import elmo_helpers
from elmo_helpers import BiLMConfig, CharCNNConfig, TrainingConfig
from elmo_helpers.config import PRESETS
from elmo_helpers.display.widgets.run_table import code_of, differences, table_of_runs
from elmo_helpers.display.widgets.training_run import TrainingRun
from elmo_helpers.training.config import TRAINING_PRESETS

UNUSUAL = (
    BiLMConfig(
        char_cnn=CharCNNConfig(
            "utf8", 41, embedding_dim=3, filters=((7, 1),), n_highway=0, projection_dim=10, activation="tanh"
        ),
        n_layers=1,
        hidden_dim=20,
        projection_dim=5,
        cell_clip=1 / 3,
        skip_connections=True,
        dropout=0.1 + 0.2,
        softmax="adaptive",
    ),
    TrainingConfig(epochs=None, minutes=0.1 + 0.2, feed="streams", shuffle=False, final_learning_rate=1e-9, seed=5),
)


@pytest.mark.parametrize(
    "configs", [*((PRESETS[name], TRAINING_PRESETS[name]) for name in PRESETS), UNUSUAL], ids=[*PRESETS, "unusual"]
)
def test_code_makes_the_configurations_from_public_names(configs):
    code = code_of(*configs)
    imported = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom | ast.Import)]
    assert [node.module for node in imported] == ["elmo_helpers"]
    assert {alias.name for alias in imported[0].names} <= set(elmo_helpers.__all__)
    names = {}
    exec(code, names)
    assert (names["model_config"], names["training_config"]) == configs


def test_only_what_is_not_the_default_is_written():
    code = code_of(BiLMConfig(hidden_dim=64, dropout=0.5), TrainingConfig())
    assert "dropout=0.5" in code
    assert "hidden_dim" not in code


def test_what_differs_from_the_preset():
    base = (BiLMConfig.preset("tiny"), TrainingConfig.preset("tiny"))
    same = TrainingRun("a", *base, preset="tiny", base=base)
    assert differences(same) == {}
    other = TrainingRun("b", *UNUSUAL, preset="tiny", base=base)
    found = differences(other)
    assert found["filters" if "filters" in found else "char_cnn.filters"] == ((7, 1),)
    assert found["minutes"] == UNUSUAL[1].minutes
    assert not any(name.endswith(("scheme", "max_characters")) for name in found)


def test_the_table_holds_no_html_of_a_run():
    run = TrainingRun("<i>", *UNUSUAL, preset="tiny")
    run.error = ValueError("<script>")
    table = table_of_runs([run])
    assert "<i>" not in table
    assert "<script>" not in table
    assert "failed: ValueError: &lt;script&gt;" in table
    assert "7:1" in table_of_runs([TrainingRun("x", *UNUSUAL, base=(BiLMConfig(), TrainingConfig()))])
