"""Training: what can be learned is learned, what cannot is not, and the same seed gives the same model."""

import math
import re
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, TrainingConfig, evaluate, fine_tune, train
from elmo_helpers.model.precision import has_bf16
from elmo_helpers.pretrained import shipped
from elmo_helpers.training import loop as loop_module
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.optimization import clip_gradients

TINY = BiLMConfig.preset("tiny")
MORE_TITLES = [
    "once a cat met a bird in the rain",
    "the bird ran and the cat ran",
    "an old man sat in snow",
    "rain and snow fell on the tree",
    "the dog fed on old bread",
    "a man saw the cat on a tree",
    "bread and rain and home",
    "the cat sang to the old dog",
    "home ran the man in the snow",
    "a tree fell",
]


def untimed(table: pd.DataFrame) -> pd.DataFrame:
    """A table of a run without what differs from one clock to the next."""
    return table.drop(columns=["tokens_per_second", "seconds"], errors="ignore")


def weights(model: BiLM) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_toy_text_is_learned():
    corpus = corpus_of(TOY_TITLES + MORE_TITLES)
    assert 120 <= corpus.n_tokens <= 140
    config = replace(TINY, hidden_dim=32, char_cnn=replace(TINY.char_cnn, embedding_dim=8, filters=((1, 16), (2, 16))))
    settings = TrainingConfig(epochs=60, batch_size=2, learning_rate=0.02, final_learning_rate=0.0004)
    result = train(corpus, config, settings, progress=False)
    assert evaluate(result.model, corpus).perplexity < 2
    assert result.history.train_loss.iloc[-1] < 0.3 * result.history.train_loss.iloc[0]


def test_random_words_cannot_be_learned(rng):
    """On ever new random words no honest model falls below the entropy; the original's network did."""
    words = np.array([f"w{i}" for i in range(20)])

    def random_corpus(n: int):
        return corpus_of([" ".join(words), *(" ".join(words[rng.integers(0, 20, 9)]) for _ in range(n))])

    corpus = random_corpus(3000)
    corpus = corpus.select(np.arange(1, len(corpus)))  # the first title only puts every word into the vocabulary
    result = train(corpus, TINY, TrainingConfig(epochs=2, learning_rate=0.02), progress=False)
    # Nine words of log 20 nats each, and an end that the model may learn to count to.
    entropy = 9 / 10 * math.log(20)
    assert result.history.train_loss.iloc[-1] > 0.995 * entropy
    fresh = words[rng.integers(0, 20, (300, 9))].tolist()
    batch = Batch.of_words(fresh, result.model.character_vocabulary, result.model.vocabulary)
    with torch.no_grad():
        loss = result.model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets).mean.item()
    assert 0.99 * entropy < loss < 1.1 * entropy


def test_same_seed_same_model():
    corpus = corpus_of(TOY_TITLES, valid=0.2)
    config = replace(TINY, dropout=0.3)

    def run(seed: int):
        settings = TrainingConfig(epochs=3, batch_size=4, seed=seed)
        return train(corpus.split("train"), config, settings, validation=corpus.split("valid"), progress=False)

    torch.manual_seed(1)
    one = run(0)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    same, other = run(0), run(1)
    assert torch.equal(weights(one.model), weights(same.model))
    for ours, theirs in ((one.steps, same.steps), (one.history, same.history)):
        pd.testing.assert_frame_equal(untimed(ours), untimed(theirs), check_exact=True)
    assert not torch.equal(weights(one.model), weights(other.model))
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's random state is left as it was"


def test_history_and_best_model(tmp_path):
    corpus = corpus_of(TOY_TITLES, valid=0.25)
    # A rate this high overshoots: some later epoch is worse than the best, and the best must be the one kept.
    config = TrainingConfig(epochs=12, batch_size=3, learning_rate=0.3, log_every=1)
    result = train(
        corpus.split("train"), TINY, config, validation=corpus.split("valid"), directory=tmp_path / "m", progress=False
    )
    history = result.history
    assert history.epoch.tolist() == list(range(1, 13))
    assert history.step.iloc[-1] == len(result.steps) == 12 * 3
    assert (history.perplexity == (history.forward + history.backward) / 2).all()
    assert history.perplexity.iloc[-1] > history.perplexity.min()
    assert not result.model.training
    for model in (result.model, BiLM.load(tmp_path / "m")):
        kept = evaluate(model, corpus.split("valid")).perplexity
        assert kept == pytest.approx(history.perplexity.min(), rel=1e-6)


def test_fine_tuning_starts_from_a_copy_of_the_given_model(toy_corpus, tmp_path):
    first = train(toy_corpus, TINY, TrainingConfig(epochs=30, learning_rate=0.02), progress=False).model
    before, start = evaluate(first, toy_corpus).perplexity, weights(first)
    first.save(tmp_path / "m")
    for given in (first, tmp_path / "m"):
        second = fine_tune(given, toy_corpus, TrainingConfig(epochs=1, learning_rate=1e-5), progress=False).model
        assert evaluate(second, toy_corpus).perplexity == pytest.approx(before, rel=0.01)
        assert not torch.equal(weights(second), start)
    assert torch.equal(weights(first), start)


def test_fresh_model_starts_from_the_words_frequencies(toy_corpus):
    result = train(toy_corpus, TINY, TrainingConfig(epochs=1, batch_size=12, learning_rate=1e-12), progress=False)
    result.model.softmax.weight.data.zero_()  # what is left is the bias
    words = [word for title in TOY_TITLES for word in title.split()]
    counts = Counter(words)
    counts["end"] = len(TOY_TITLES) / 2  # each end is predicted in one of two directions, and the softmax is shared
    total = len(words) + len(TOY_TITLES) + 1  # <UNK> never occurs and counts as once
    nats = -np.mean([math.log(counts[word] / total) for word in words + ["end"] * len(TOY_TITLES)])
    result = evaluate(result.model, toy_corpus)
    assert result.forward == pytest.approx(math.exp(nats), rel=1e-4)
    assert result.backward == pytest.approx(math.exp(nats), rel=1e-4)


def test_learning_rate_schedule(toy_corpus):
    config = TrainingConfig(
        epochs=5, batch_size=3, learning_rate=0.01, warmup_steps=4, final_learning_rate=0.001, log_every=1
    )
    rates = train(toy_corpus, TINY, config, progress=False).steps.learning_rate.to_numpy()
    assert len(rates) == 20
    np.testing.assert_allclose(rates[:5], 0.01 * np.array([1, 2, 3, 4, 5]) / 5)
    half = 0.001 + 0.009 * (1 + np.cos(np.pi * np.arange(16) / 15)) / 2
    np.testing.assert_allclose(rates[4:], half)


def test_gradient_clip_bounds_the_step(toy_corpus, monkeypatch):
    norms = []

    def spy(parameters, limit):
        parameters = list(parameters)
        before = clip_gradients(parameters, limit)
        norms.append(torch.cat([p.grad.flatten() for p in parameters]).norm().item())
        return before

    monkeypatch.setattr("elmo_helpers.training.loop.clip_gradients", spy)
    settings = TrainingConfig(epochs=1, batch_size=4, gradient_clip=0.01, log_every=1)
    result = train(toy_corpus, TINY, settings, progress=False)
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)
    assert (result.steps.gradient_norm > 0.02).all(), "the table shows the norm before clipping"


def test_one_title_of_one_word():
    result = train(corpus_of(["home"]), TINY, TrainingConfig(epochs=2), progress=False)
    assert np.isfinite(result.history.train_loss).all()
    assert result.history.perplexity.isna().all()


def test_loss_that_is_not_finite_stops(toy_corpus, toy_model):
    with torch.no_grad():
        toy_model.softmax.bias[5] = math.nan
    with pytest.raises(ElmoHelpersError, match=r"loss is nan at step 1 \(titles .*\): lower learning_rate"):
        fine_tune(toy_model, toy_corpus, progress=False)


def test_what_a_run_that_failed_has_kept(toy_corpus, tmp_path):
    """The model of an earlier run in the directory is not told to be its own."""
    settings, keywords = TrainingConfig(epochs=3), {"directory": tmp_path, "progress": False}

    def spoil(loop):
        with torch.no_grad():
            loop.model.softmax.bias[5] = math.nan

    def spoil_when_measured(loop):
        if loop.progress.best is not None:
            spoil(loop)

    at_once = SimpleNamespace(begin=spoil)
    with pytest.raises(ElmoHelpersError, match="loss is nan at step 1 ") as alone:
        train(toy_corpus, TINY, settings, callback=at_once, **keywords)
    assert "Kept" not in str(alone.value)
    assert "model in" not in str(alone.value)
    train(toy_corpus, TINY, settings, **keywords)
    with pytest.raises(ElmoHelpersError, match="loss is nan at step 1 ") as after_another:
        train(toy_corpus, TINY, settings, callback=at_once, **keywords)
    assert str(after_another.value).endswith(f" The model in {tmp_path} is an earlier run's.")
    assert "Kept" not in str(after_another.value)
    with pytest.raises(ElmoHelpersError, match=f"Kept: the best model so far is in {re.escape(str(tmp_path))}"):
        train(toy_corpus, TINY, settings, callback=spoil_when_measured, **keywords)


def test_a_run_does_not_take_the_place_of_its_own_start(toy_model, toy_corpus, tmp_path, monkeypatch):
    toy_model.save(tmp_path / "base")
    (tmp_path / "link").symlink_to(tmp_path / "base")
    toy_model.save(tmp_path / "shipped" / "toy-titles")
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path / "here")
    before = sorted(tmp_path.rglob("*"))
    for start, directory in [
        (tmp_path / "base", tmp_path / "base"),
        (str(tmp_path / "link"), tmp_path / "base"),
        ("../base", tmp_path / "link"),
        ("toy-titles", "toy-titles"),  # by that name the run's own model would be read from then on
        ("toy-titles", tmp_path / "here" / "toy-titles"),
        ("toy-titles", tmp_path / "shipped" / "toy-titles"),
    ]:
        for overwrite in (False, True):
            with pytest.raises(ElmoHelpersError, match=r"directory: .* name another directory") as caught:
                fine_tune(start, toy_corpus, directory=directory, overwrite=overwrite, progress=False)
            assert str(start) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    settings = TrainingConfig(steps=1)
    assert fine_tune("toy-titles", toy_corpus, settings, directory="other", progress=False).finished
    assert fine_tune("toy-titles", toy_corpus, settings, directory="other", resume=True, progress=False).finished


def test_weights_that_are_not_finite_are_not_saved(toy_corpus, tmp_path):
    """A last step too large leaves weights that no loss has seen."""
    settings = TrainingConfig(epochs=1, learning_rate=1e30, gradient_clip=None)
    with pytest.raises(ElmoHelpersError, match="not finite after step 1: lower learning_rate"):
        train(toy_corpus, TINY, settings, validation=toy_corpus, directory=tmp_path / "m", progress=False)
    assert not list((tmp_path / "m").rglob("*.safetensors"))


def test_arguments_of_the_wrong_kind(toy_corpus):
    with pytest.raises(ElmoHelpersError, match="model=3: expected a BiLMConfig"):
        train(toy_corpus, 3)
    with pytest.raises(ElmoHelpersError, match="trained further by fine_tune"):
        train(toy_corpus, train(toy_corpus, TINY, TrainingConfig(epochs=1), progress=False).model)
    with pytest.raises(ElmoHelpersError, match="another vocabulary"):
        train(toy_corpus, TINY, validation=corpus_of(["other words"]))
    with pytest.raises(ElmoHelpersError, match="characters"):
        train(toy_corpus, replace(TINY, char_cnn=replace(TINY.char_cnn, max_characters=13)))
    with pytest.raises(ElmoHelpersError, match="device='nowhere'"):
        train(toy_corpus, TINY, device="nowhere")


def test_nothing_to_train_on(toy_corpus):
    with pytest.raises(ElmoHelpersError, match="no title"):
        train(toy_corpus.select([]), TINY)


OTHER_TITLES = ["the zebra sat on the mat", "a zebra ran home"] * 4


def test_fine_tuning_on_other_words_that_it_is_not_to_predict(toy_corpus):
    """Words that the model does not know are read by their spelling, and are <UNK> where they are predicted."""
    model = train(toy_corpus, TINY, TrainingConfig(epochs=1), progress=False).model
    other = corpus_of(OTHER_TITLES)
    with pytest.raises(ElmoHelpersError, match="with_vocabulary"):
        evaluate(model, other)
    own_words = other.with_vocabulary(model.vocabulary)
    assert evaluate(model, own_words).oov_rate == pytest.approx(8 / 40)
    before = evaluate(model, own_words).perplexity
    settings = TrainingConfig(epochs=20, learning_rate=0.02)
    tuned = fine_tune(model, other, settings, vocabulary="model", validation=other, progress=False)
    assert tuned.model.vocabulary == model.vocabulary
    assert evaluate(tuned.model, own_words).perplexity < before / 2


@pytest.mark.parametrize("softmax", ["full", "sampled", "adaptive"])
def test_fine_tuning_on_other_words_that_it_is_to_predict(toy_corpus, softmax):
    """It begins from what it knows of the words of both, and learns the others."""
    config = replace(TINY, softmax=softmax, n_negatives=5)
    model = train(toy_corpus, config, TrainingConfig(epochs=20, learning_rate=0.02), progress=False).model
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    other = corpus_of(OTHER_TITLES)
    step = TrainingConfig(steps=1, learning_rate=1e-9)
    (begun, fresh) = (
        evaluate(result.model, other)
        for result in (fine_tune(model, other, step, progress=False), train(other, config, step, progress=False))
    )
    assert begun.oov_rate == 0
    assert begun.perplexity < fresh.perplexity
    tuned = fine_tune(model, other, TrainingConfig(epochs=60, learning_rate=0.02), validation=other, progress=False)
    assert tuned.model.vocabulary == other.vocabulary
    assert evaluate(tuned.model, other).perplexity < begun.perplexity / 1.5
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_run_on_other_words_can_be_gone_on_with(toy_corpus, toy_model, tmp_path):
    other = corpus_of(OTHER_TITLES)
    settings = TrainingConfig(epochs=4, batch_size=2, checkpoint_every=3)
    whole = fine_tune(toy_model, other, settings, progress=False)
    fine_tune(toy_model, other, replace(settings, epochs=2), directory=tmp_path / "run", progress=False)
    with pytest.raises(ElmoHelpersError, match=r"differs from its start: .*vocabulary"):
        fine_tune(
            toy_model, other, settings, vocabulary="model", directory=tmp_path / "run", resume=True, progress=False
        )
    gone_on = fine_tune(toy_model, other, settings, directory=tmp_path / "run", resume=True, progress=False)
    for a, b in zip(whole.model.parameters(), gone_on.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("softmax", ["full", "sampled", "adaptive"])
@pytest.mark.parametrize("feed", ["titles", "streams"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adagrad", "sgd"])
def test_every_way_to_train_learns(softmax, feed, optimizer):
    corpus = corpus_of(TOY_TITLES + MORE_TITLES)
    config = replace(TINY, softmax=softmax, n_negatives=20)
    epochs, rate, factor, fall = {
        "adam": (12, 0.03, 1, 0.8),
        "adamw": (12, 0.03, 1, 0.8),
        "adagrad": (25, 0.3, 20, 0.9),
        "sgd": (12, 1.0, 1, 0.95),
    }[optimizer]
    settings = TrainingConfig(
        epochs=epochs,
        feed=feed,
        batch_size=4,
        unroll_steps=5,
        optimizer=optimizer,
        learning_rate=rate,
        loss_factor=factor,
        gradient_clip=None,
    )
    fresh = train(corpus, config, replace(settings, epochs=None, steps=1, learning_rate=1e-9), progress=False).model
    model = train(corpus, config, settings, progress=False).model
    start, end = (evaluate(m, corpus, 4, streams=feed == "streams").perplexity for m in (fresh, model))
    assert end < fall * start


def test_bounds_in_steps_and_minutes(toy_corpus):
    by_steps = train(toy_corpus, TINY, TrainingConfig(epochs=None, steps=7, batch_size=3, log_every=1), progress=False)
    assert by_steps.finished
    assert by_steps.steps.step.tolist() == list(range(1, 8))
    assert by_steps.history.step.tolist() == [4, 7]  # after each epoch, and at the end
    settings = TrainingConfig(
        epochs=None, minutes=0.5 / 60, learning_rate=0.01, final_learning_rate=0.0001, log_every=1
    )
    by_time = train(toy_corpus, TINY, settings, progress=False)
    assert by_time.finished
    rates = by_time.steps.learning_rate.to_numpy()
    assert rates[0] == pytest.approx(0.01, rel=0.2)
    assert rates[-1] < 0.001, "the cosine follows the time"


def test_evaluations_within_an_epoch(toy_corpus):
    settings = TrainingConfig(epochs=2, batch_size=3, evaluate_every=3)
    history = train(toy_corpus, TINY, settings, validation=toy_corpus, progress=False).history
    assert history.step.tolist() == [3, 6, 8]
    assert history.epoch.tolist() == [0.75, 1.5, 2.0]
    assert history.perplexity.notna().all()


def test_halving_and_early_stopping():
    """On random words nothing can be learned from validation titles, so the perplexity soon stops falling."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    corpus = corpus_of([" ".join(rng.choice(words, 8)) for _ in range(60)], valid=0.3)
    settings = TrainingConfig(epochs=200, batch_size=8, learning_rate=0.02, halve_after=2, stop_after=5, log_every=1)
    result = train(corpus.split("train"), TINY, settings, validation=corpus.split("valid"), progress=False)
    history = result.history
    assert result.finished
    best = int(history.perplexity.idxmin())
    assert len(history) == best + 1 + 5 < 200
    assert evaluate(result.model, corpus.split("valid")).perplexity == pytest.approx(history.perplexity.min())
    since_best, halvings = 0, 0
    for i, perplexity in enumerate(history.perplexity):
        assert history.learning_rate[i] == pytest.approx(0.02 / 2**halvings)
        since_best = 0 if perplexity == history.perplexity[: i + 1].min() else since_best + 1
        halvings += since_best > 0 and since_best % 2 == 0


def test_a_callback_sees_every_row_and_can_stop(toy_corpus, tmp_path):
    seen = []

    def watch(loop):
        seen.append((len(loop.progress.steps), len(loop.progress.history)))
        if len(loop.progress.steps) == 6:
            loop.stop()

    settings = TrainingConfig(epochs=9, batch_size=3, log_every=1)
    result = train(toy_corpus, TINY, settings, directory=tmp_path / "m", callback=watch, progress=False)
    assert not result.finished
    assert seen == [(1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (5, 1), (6, 1)]
    assert (tmp_path / "m" / "training" / "checkpoints" / "step-000000006").is_dir()


class PausesOnce:
    """Pauses a run at a step, and has another thread do something after a while."""

    def __init__(self, then: str, step: int = 3, seconds: float = 0.5):
        self.then, self.step, self.seconds = then, step, seconds
        self.begun, self.paused_at, self.timer = [], None, None

    def begin(self, loop):
        self.begun.append(loop.progress.step)

    def __call__(self, loop):
        if loop.progress.step == self.step and self.paused_at is None:
            self.paused_at = time.perf_counter()
            loop.pause()
            self.timer = threading.Timer(self.seconds, getattr(loop, self.then))
            self.timer.start()


def test_a_pause_changes_nothing_and_does_not_count(toy_corpus):
    settings = TrainingConfig(epochs=2, batch_size=3, log_every=1)
    start = time.perf_counter()
    unbroken = train(toy_corpus, TINY, settings, progress=False)
    usual = time.perf_counter() - start
    callback = PausesOnce("resume", seconds=1.0 + 3 * usual)
    paused = train(toy_corpus, TINY, settings, callback=callback, progress=False)
    assert time.perf_counter() - callback.paused_at > callback.seconds
    assert callback.begun == [0]
    assert torch.equal(weights(unbroken.model), weights(paused.model))
    pd.testing.assert_frame_equal(untimed(unbroken.steps), untimed(paused.steps), check_exact=True)
    assert paused.history.seconds.sum() < callback.seconds


def test_a_pause_does_not_use_up_the_minutes(toy_corpus, monkeypatch):
    clock = {"now": 0.0}

    def tick():
        clock["now"] += 0.001
        return clock["now"]

    def pause_for_a_day(loop):
        def go_on():
            clock["now"] += 24 * 60 * 60
            loop.resume()

        if loop.progress.step == 2:
            loop.pause()
            threading.Timer(0.05, go_on).start()

    monkeypatch.setattr(loop_module, "time", SimpleNamespace(perf_counter=tick))
    settings = TrainingConfig(epochs=None, steps=5, minutes=1.0, batch_size=3, log_every=1)
    result = train(toy_corpus, TINY, settings, callback=pause_for_a_day, progress=False)
    assert clock["now"] > 24 * 60 * 60
    assert len(result.steps) == 5
    assert result.history.seconds.sum() < 1


def test_a_run_that_is_paused_can_be_stopped(toy_corpus):
    callback = PausesOnce("stop", seconds=0.05)
    settings = TrainingConfig(epochs=9, batch_size=3, log_every=1)
    result = train(toy_corpus, TINY, settings, callback=callback, progress=False)
    assert not result.finished
    assert result.steps.step.tolist() == [1, 2, 3]

    def stop_and_pause(loop):
        loop.stop()
        loop.pause()  # too late, or it would wait for ever

    assert len(train(toy_corpus, TINY, settings, callback=stop_and_pause, progress=False).steps) == 1


def test_bf16_trains_nearly_the_same(toy_corpus):
    settings = TrainingConfig(epochs=20, batch_size=4, learning_rate=0.01)
    if not has_bf16(torch.device("cpu")):
        with pytest.raises(ElmoHelpersError, match="has no instructions for bfloat16"):
            train(toy_corpus, TINY, replace(settings, precision="bf16"), progress=False)
        return
    config = replace(TINY, hidden_dim=32, char_cnn=replace(TINY.char_cnn, filters=((1, 16), (2, 16))))
    runs = [
        train(toy_corpus, config, replace(settings, precision=precision), progress=False)
        for precision in ("fp32", "bf16")
    ]
    exact, rounded = (evaluate(run.model, toy_corpus).perplexity for run in runs)
    assert rounded == pytest.approx(exact, rel=0.05)
    assert not torch.equal(weights(runs[0].model), weights(runs[1].model))
    assert all(p.dtype == torch.float32 for p in runs[1].model.parameters())


def test_bf16_is_refused_before_anything_runs(toy_corpus, toy_model, tmp_path, monkeypatch):
    monkeypatch.setattr("elmo_helpers.model.precision.has_bf16", lambda device: False)
    settings = TrainingConfig(epochs=1, precision="bf16")
    keywords = {"directory": tmp_path / "run", "progress": False}
    for start in (
        lambda: train(toy_corpus, TINY, settings, **keywords),
        lambda: fine_tune(toy_model, toy_corpus, settings, **keywords),
    ):
        with pytest.raises(ElmoHelpersError, match=r"precision='bf16': .* no instructions .*use precision='fp32'"):
            start()
    assert not (tmp_path / "run").exists()
    assert train(toy_corpus, TINY, replace(settings, precision="fp32"), **keywords).finished


@pytest.mark.parametrize("precision", ["fp32", *(["bf16"] if has_bf16(torch.device("cpu")) else [])])
def test_a_callers_autocast_changes_nothing(toy_corpus, precision):
    settings = TrainingConfig(epochs=2, batch_size=3, learning_rate=0.01, precision=precision)
    apart = train(toy_corpus, TINY, settings, validation=toy_corpus, progress=False)
    with torch.autocast("cpu", torch.bfloat16):
        within = train(toy_corpus, TINY, settings, validation=toy_corpus, progress=False)
    assert torch.equal(weights(apart.model), weights(within.model))
    pd.testing.assert_frame_equal(untimed(apart.history), untimed(within.history), check_exact=True)
