"""The size of a model without making it, and the time of a run from a few steps."""

from dataclasses import replace

import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, TrainingConfig, train
from elmo_helpers.display.widgets import training_estimate
from elmo_helpers.display.widgets.training_estimate import (
    Estimate,
    Measurement,
    duration,
    parameter_counts,
    steps_of_an_epoch,
    why_not,
)

TINY = BiLMConfig.preset("tiny")


@pytest.mark.parametrize("softmax", ["full", "adaptive", "sampled"])
@pytest.mark.parametrize("projection", [None, 4])
def test_the_numbers_counted_are_those_of_the_model(toy_corpus, softmax, projection):
    cnn = replace(TINY.char_cnn, projection_dim=projection)
    config = replace(TINY, char_cnn=cnn, projection_dim=projection, softmax=softmax, n_negatives=5)
    state = torch.random.get_rng_state()
    counted = parameter_counts(config, toy_corpus)
    assert torch.equal(state, torch.random.get_rng_state())
    model = BiLM(config, toy_corpus.vocabulary)
    assert counted == tuple(sum(p.numel() for p in part.parameters()) for part in (model, model.softmax))


def test_a_softmax_that_does_not_fit_is_said_at_once(toy_corpus):
    with pytest.raises(ElmoHelpersError, match="n_negatives"):
        parameter_counts(replace(TINY, softmax="sampled"), toy_corpus)


@pytest.mark.parametrize("config", [TrainingConfig(batch_size=5), TrainingConfig(feed="streams", batch_size=3)])
def test_steps_of_an_epoch_are_those_that_train_makes(toy_corpus, config):
    result = train(toy_corpus, TINY, replace(config, epochs=1, log_every=1), progress=False)
    assert steps_of_an_epoch(toy_corpus, config) == len(result.steps)


def test_an_estimate_is_scaled_to_the_budget():
    estimate = Estimate(tokens_per_second=100.0, epoch_seconds=60.0, evaluation_seconds=15.0, epoch_steps=40)
    assert estimate.seconds(TrainingConfig(epochs=4)) == 4 * 75
    assert estimate.seconds(TrainingConfig(epochs=4, evaluate_every=10)) == 4 * (60 + 4 * 15)
    assert estimate.seconds(TrainingConfig(epochs=4, steps=20)) == 75 / 2
    minutes = TrainingConfig(epochs=None, minutes=5.0)
    assert estimate.epochs(minutes) == 4
    assert "4 epochs" in estimate.describe(minutes)
    assert "5 min 0 s" in estimate.describe(TrainingConfig(epochs=4))


@pytest.mark.parametrize("feed", ["titles", "streams"])
def test_steps_are_timed_as_they_are(feed, monkeypatch):
    monkeypatch.setattr(training_estimate, "_SECONDS", 0.1)
    corpus = corpus_of(TOY_TITLES * 4, valid=0.2)
    training, validation = corpus.split("train"), corpus.split("valid")
    config = TrainingConfig(epochs=7, batch_size=4, feed=feed)
    state = torch.random.get_rng_state()
    measured = Measurement(TINY, config, training, validation)
    measured.join(60)
    assert measured.error is None
    assert torch.equal(state, torch.random.get_rng_state())
    estimate = measured.estimate
    run = train(training, TINY, replace(config, epochs=1), progress=False)
    assert estimate.epoch_seconds * estimate.tokens_per_second == pytest.approx(run.history.tokens.iloc[-1])
    assert estimate.evaluation_seconds > 0
    without = Measurement(TINY, config, training)
    without.join(60)
    assert without.estimate.evaluation_seconds == 0


def test_cancelled_there_is_no_estimate(toy_corpus):
    measured = Measurement(TINY, TrainingConfig(), toy_corpus)
    measured.cancel()
    measured.join(60)
    assert not measured.going
    assert measured.estimate is measured.error is None


def test_a_configuration_that_cannot_be_trained_says_so(toy_corpus):
    measured = Measurement(replace(TINY, softmax="none"), TrainingConfig(), toy_corpus)
    measured.join(60)
    assert "softmax" in why_not(measured.error)
    assert "ZeroDivisionError" in why_not(ZeroDivisionError("x"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.4, "9.4 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (11_400, "3 h 10 min"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
