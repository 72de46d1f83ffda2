"""A run that is gone on with may get a larger budget; what would have changed its past is refused."""

import itertools
import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, Corpus, ElmoHelpersError, TrainingConfig, evaluate, fine_tune, train
from elmo_helpers.training import loop as loop_module
from elmo_helpers.training.config import free_settings
from elmo_helpers.training.progress import Progress
from elmo_helpers.training.trainer import TrainingResult
from other_settings import TRAINING

TINY = replace(BiLMConfig.preset("tiny"), dropout=0.1)
SAMPLED = replace(TINY, softmax="sampled", n_negatives=10)
TITLES = TrainingConfig(epochs=2, batch_size=4, learning_rate=0.01, log_every=4, checkpoint_every=3)
STREAMS = replace(TITLES, feed="streams", unroll_steps=5, optimizer="adagrad", learning_rate=0.2, loss_factor=20.0)


@pytest.fixture
def parts() -> tuple[Corpus, Corpus]:
    corpus = corpus_of(TOY_TITLES * 3, valid=0.25)
    return corpus.split("train"), corpus.split("valid")


@pytest.fixture
def go(tmp_path, parts):
    """Train in the directory of that name."""
    training, validation = parts

    def run(name: str, config: TrainingConfig | None = None, model=None, **settings) -> TrainingResult:
        settings = {"validation": validation, "directory": tmp_path / name, "progress": False, **settings}
        return train(training, model or (None if settings.get("resume") else TINY), config, **settings)

    return run


def untimed(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["tokens_per_second", "seconds"], errors="ignore").reset_index(drop=True)


def last_state(directory: Path) -> bytes:
    return (max((directory / "training" / "checkpoints").iterdir()) / "state.safetensors").read_bytes()


def stored(directory: Path) -> dict:
    """The settings that the run itself and its newest checkpoint tell, which agree."""
    in_run = json.loads((directory / "training" / "run.json").read_text())["config"]
    newest = max((directory / "training" / "checkpoints").iterdir()) / "checkpoint.json"
    assert json.loads(newest.read_text())["identity"]["config"] == in_run
    return in_run


def assert_same_run(ours: TrainingResult, theirs: TrainingResult, besides: tuple[int, ...] = ()) -> None:
    """All weights and numbers, but for evaluations after the steps `besides`."""
    for name, tensor in theirs.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[name], tensor), name
    pd.testing.assert_frame_equal(untimed(ours.steps), untimed(theirs.steps), check_exact=True)
    history = ours.history[~ours.history.step.isin(besides)]
    assert len(history) == len(ours.history) - len(besides)
    pd.testing.assert_frame_equal(untimed(history), untimed(theirs.history), check_exact=True)


@pytest.mark.parametrize(
    ("config", "model", "first", "then", "besides"),
    [
        (TITLES, TINY, {"epochs": 2}, {"epochs": 4}, ()),
        (TITLES, TINY, {"epochs": 1}, {"epochs": None, "steps": 25}, ()),
        # Where none is due at the end, the evaluation that the end asked for stays, and nothing else depends on it.
        (TITLES, TINY, {"epochs": None, "steps": 9}, {"steps": 20}, (9,)),
        (replace(TITLES, evaluate_every=3, halve_after=1), TINY, {"epochs": 2}, {"epochs": 4}, (14,)),
        (replace(STREAMS, evaluate_every=3, halve_after=1), SAMPLED, {"epochs": 1}, {"epochs": 3}, (10,)),
        # The end of the steps is that of an epoch, whose evaluation is then due.
        (replace(TITLES, halve_after=1), TINY, {"epochs": None, "steps": 14}, {"steps": 28}, ()),
    ],
)
def test_a_larger_budget_is_as_if_it_had_been_there_from_the_start(go, tmp_path, config, model, first, then, besides):
    before = go("run", replace(config, **first), model)
    more = replace(config, **{**first, **then})
    whole = go("whole", more, model)
    assert before.finished
    assert set(before.steps.step) < {*whole.steps.step, before.steps.step.iloc[-1]}
    ours = go("run", more, resume=True)
    assert ours.finished
    assert_same_run(ours, whole, besides)
    assert last_state(tmp_path / "run") == last_state(tmp_path / "whole"), "optimiser and random states too"
    assert stored(tmp_path / "run") == stored(tmp_path / "whole") == more.to_dict()
    tables = [pd.read_csv(tmp_path / name / "training" / "steps.csv") for name in ("run", "whole")]
    pd.testing.assert_frame_equal(untimed(tables[0]), untimed(tables[1]), check_exact=True)
    assert go("run", resume=True).history.equals(ours.history), "and now there is nothing left to do"


def test_the_rate_goes_on_along_the_cosine_of_the_new_budget(go):
    config = replace(TITLES, final_learning_rate=0.0001, warmup_steps=3, log_every=1)
    go("run", config)
    rates = go("run", replace(config, epochs=4), resume=True).steps.learning_rate.to_numpy()
    old, new = (go(f"whole-{n}", replace(config, epochs=n)).steps.learning_rate.to_numpy() for n in (2, 4))
    assert rates.tolist() == [*old, *new[len(old) :]]
    assert rates[len(old) - 1] == pytest.approx(0.0001)
    assert rates[len(old)] > 0.004, "up again, to where the longer cosine is"


def test_bounds_of_another_kind(go, tmp_path, monkeypatch):
    """From steps to minutes: the time of the whole run counts, and the cosine follows it."""
    clock = itertools.count(0.0, 0.01)
    monkeypatch.setattr(loop_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    config = replace(TITLES, epochs=None, steps=5, final_learning_rate=0.0, log_every=1)
    before = go("run", config).history.seconds.sum()
    more = replace(config, steps=None, minutes=1 / 60)
    result = go("run", more, resume=True)
    assert result.finished
    assert len(result.steps) > 20
    assert 0 < before < 0.2
    assert result.steps.learning_rate.iloc[5] > 0.008, "along the minutes, of which few have passed"
    assert result.steps.learning_rate.iloc[-1] < 0.0001
    assert stored(tmp_path / "run") == more.to_dict()
    further = replace(more, steps=len(result.steps) + 3, minutes=None)
    assert len(go("run", further, resume=True).steps) == further.steps


def test_a_budget_that_is_spent_is_refused(go, tmp_path):
    go("run", replace(TITLES, epochs=3))
    header = tmp_path / "run" / "training" / "run.json"
    before = header.read_bytes()
    for change, said in (
        ({"epochs": 2}, r"epochs=2: .*21 steps, 3 whole epochs.* give a larger epochs, or None"),
        ({"epochs": None, "steps": 20}, r"steps=20: .*21 steps.* give a larger steps"),
        ({"epochs": None, "minutes": 1e-6}, r"minutes=1e-06: .* give a larger minutes"),
        ({"steps": 100}, r"epochs=3: .* give a larger epochs"),
        ({"log_every": 2}, r"epochs=3: .* nothing left to do"),
    ):
        with pytest.raises(ElmoHelpersError, match=said):
            go("run", replace(TITLES, **{"epochs": 3, **change}), resume=True)
        assert header.read_bytes() == before
    assert go("run", resume=True).finished


def test_a_smaller_budget_that_is_not_spent(go):
    go("run", replace(TITLES, epochs=9), callback=lambda loop: loop.progress.step >= 8 and loop.stop())
    result = go("run", replace(TITLES, epochs=2), resume=True)
    assert_same_run(result, go("whole", TITLES))


def test_what_early_stopping_ended(tmp_path):
    """More epochs do not open it again; a longer patience does, as if it had been there from the start."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    corpus = corpus_of([" ".join(rng.choice(words, 8)) for _ in range(40)], valid=0.4)
    titles, validation = corpus.split("train"), corpus.split("valid")
    config = replace(TITLES, epochs=9, learning_rate=0.3, stop_after=2, evaluate_every=2)

    def run(name: str, config: TrainingConfig, **settings) -> TrainingResult:
        return train(titles, TINY, config, validation=validation, directory=tmp_path / name, progress=False, **settings)

    first = run("run", config)
    assert first.history.epoch.iloc[-1] < 9
    with pytest.raises(
        ElmoHelpersError, match=r"stop_after=2: .* 2 evaluations in a row .* larger stop_after, or None"
    ):
        run("run", replace(config, epochs=60), resume=True)
    patient = replace(config, stop_after=4)
    ours = run("run", patient, resume=True)
    assert len(ours.history) > len(first.history)
    assert_same_run(ours, run("whole", patient))
    endless = run("run", replace(config, stop_after=None), resume=True)
    assert endless.history.epoch.iloc[-1] == 9


def test_every_setting_says_whether_it_may_change():
    kinds = {name: hint.__metadata__ for name, hint in get_type_hints(TrainingConfig, include_extras=True).items()}
    assert list(kinds) == [field.name for field in fields(TrainingConfig)]
    assert set(kinds.values()) == {("free",), ("fixed",)}
    assert set(TRAINING) == set(kinds)
    assert free_settings() == [name for name, kind in kinds.items() if kind == ("free",)]
    assert set(free_settings()) == {
        *("epochs", "steps", "minutes", "stop_after", "evaluate_every", "checkpoint_every", "log_every")
    }


@pytest.fixture
def stopped(go) -> TrainingResult:
    """A run that was stopped in its first epoch."""
    result = go("run", replace(TITLES, checkpoint_every=100), callback=lambda loop: loop.stop())
    assert result.steps.step.tolist() == [4]
    return result


def test_settings_that_would_change_the_past_are_refused(go, stopped, tmp_path, monkeypatch):
    monkeypatch.setattr("elmo_helpers.model.precision.has_bf16", lambda device: True)
    config = replace(TITLES, checkpoint_every=100)
    header = tmp_path / "run" / "training" / "run.json"
    before = header.read_bytes()
    for name in TRAINING.keys() - free_settings():
        with pytest.raises(ElmoHelpersError, match=rf"config\.{name} .*; only epochs, .*log_every may change"):
            go("run", replace(config, **{name: TRAINING[name]}), resume=True)
    assert header.read_bytes() == before


@pytest.mark.parametrize("name", free_settings())
def test_settings_of_what_is_to_come_may_change(go, stopped, tmp_path, name):
    config = replace(TITLES, **{"checkpoint_every": 100, name: TRAINING[name]})
    result = go("run", config, resume=True)
    assert result.finished
    assert stored(tmp_path / "run") == config.to_dict()
    n_steps = {"epochs": 21}.get(name, 14)
    assert result.steps.step.tolist() == {"log_every": [4, 6, 9, 12, 14]}.get(name, [*range(4, n_steps, 4), n_steps])
    evaluated = [4, *range(6, 15, 2)] if name == "evaluate_every" else list(range(7, n_steps + 1, 7))
    assert [step for step in result.history.step if step != 4] == [step for step in evaluated if step != 4]


def test_killed_right_after_it_was_gone_on_with(go, tmp_path):
    """What is new is there to stay before the first step, so that it need not be said again."""

    class Killed:
        def begin(self, loop):
            raise KeyboardInterrupt

        def __call__(self, loop):
            pass

    go("run", TITLES)
    more = replace(TITLES, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        go("run", more, resume=True, callback=Killed())
    with pytest.raises(ElmoHelpersError, match="holds a run that has not finished"):
        go("run", TITLES)
    with pytest.raises(KeyboardInterrupt):
        go("run", resume=True, callback=Killed())
    ours = go("run", resume=True)
    assert_same_run(ours, go("whole", more))
    assert stored(tmp_path / "run") == more.to_dict()


def test_stopped_again_within_the_larger_budget(go):
    go("run", TITLES)
    more = replace(TITLES, epochs=4)
    go("run", more, resume=True, callback=lambda loop: loop.progress.step >= 18 and loop.stop())
    assert_same_run(go("run", resume=True), go("whole", more))


def test_a_better_model_of_an_earlier_end_is_kept(go, parts, tmp_path):
    """An evaluation that only the end asked for is one: its model stays until there is a better one."""
    config = replace(TITLES, epochs=None, steps=3, learning_rate=0.05)
    first = go("run", config)
    ruined = replace(config, steps=60)
    ours = go("run", ruined, resume=True)
    best = ours.history.loc[ours.history.perplexity.idxmin()]
    kept = BiLM.load(tmp_path / "run")
    assert evaluate(kept, parts[1]).perplexity == pytest.approx(best.perplexity)
    assert first.history.perplexity.iloc[0] in ours.history.perplexity.tolist()


def test_fine_tuning_goes_on_too(toy_model, toy_corpus, tmp_path):
    def run(name: str, config: TrainingConfig | None = None, **settings) -> TrainingResult:
        return fine_tune(toy_model, toy_corpus, config, directory=tmp_path / name, progress=False, **settings)

    config = replace(TITLES, epochs=2)
    run("run", config)
    more = replace(config, epochs=4)
    ours = run("run", more, resume=True)
    assert_same_run(ours, run("whole", more))
    assert run("run", resume=True).steps.equals(ours.steps)
    with pytest.raises(ElmoHelpersError, match="holds no run to go on with"):
        run("none", more, resume=True)
    assert not (tmp_path / "none").exists()
    with pytest.raises(ElmoHelpersError, match=r"config\.batch_size"):
        run("run", replace(more, batch_size=5), resume=True)


def test_settings_that_cannot_be_read(go, stopped, tmp_path):
    header = tmp_path / "run" / "training" / "run.json"
    whole = json.loads(header.read_text())
    for damaged, said in (
        ({name: value for name, value in whole.items() if name != "config"}, "has no 'config'"),
        ({**whole, "config": {**whole["config"], "epoch": 3}}, "unknown settings .*'epoch'"),
        ({**whole, "model": []}, "unknown settings list"),
    ):
        header.write_text(json.dumps(damaged))
        with pytest.raises(ElmoHelpersError, match=rf"run\.json.*{said}"):
            go("run", resume=True)


def test_progress_of_an_earlier_version():
    """In which every evaluation counted as one in turn."""
    stored = {name: value for name, value in Progress(step=3, best=2.5).to_dict().items() if name != "best_in_turn"}
    assert Progress.from_dict(stored) == Progress(step=3, best=2.5, best_in_turn=2.5)
