"""Times of the parts of a run, by a clock that the test turns, and of a run as it is."""

import time

import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLMConfig, TrainingConfig, train
from elmo_helpers.training import part_times
from elmo_helpers.training.part_times import REST, PartTimes

TINY = BiLMConfig.preset("tiny")


def test_each_part_counts_without_those_inside_of_it(monkeypatch):
    now = 0.0

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(part_times.time, "perf_counter", lambda: now)
    times = PartTimes(torch.device("cpu"))

    def fail() -> None:
        with times.part("inner"):
            work(16)
            raise KeyError

    work(1)
    with times.part("outer"):
        work(2)
        with times.part("inner"):
            work(4)
        work(8)
        with pytest.raises(KeyError):
            fail()
    work(32)
    table = times.table()
    assert dict(zip(table["part"], table["seconds"], strict=True)) == {REST: 33, "inner": 20, "outer": 10}
    assert table["part"].tolist() == [REST, "inner", "outer"]
    assert table["share"].sum() == pytest.approx(1)
    assert table["share"].iloc[0] == pytest.approx(33 / 63)


@pytest.mark.parametrize("softmax", ["full", "adaptive", "sampled"])
def test_the_parts_of_a_run_are_all_of_its_time_and_change_nothing(softmax):
    model = BiLMConfig(char_cnn=TINY.char_cnn, hidden_dim=8, softmax=softmax, n_negatives=5)
    settings = TrainingConfig(epochs=2, batch_size=8)
    corpus = corpus_of(TOY_TITLES * 4, valid=0.2)
    titles, validation = corpus.split("train"), corpus.split("valid")
    start = time.perf_counter()
    result = train(titles, model, settings, validation=validation, progress=False, profile=True)
    wall = time.perf_counter() - start
    parts = result.profile.set_index("part")["seconds"]
    assert {"character CNN", "LSTMs", "softmax: loss and its gradients", "backward of the rest"} < set(parts.index)
    assert {"optimiser", "evaluation", "batches: ids and characters"} < set(parts.index)
    assert (parts > 0).all()
    assert parts.sum() <= wall
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in result.model.modules())
    plain = train(titles, model, settings, validation=validation, progress=False)
    assert plain.profile is None
    assert plain.steps["loss"].tolist() == result.steps["loss"].tolist()
    for a, b in zip(plain.model.parameters(), result.model.parameters(), strict=True):
        assert torch.equal(a, b)
