"""Train a biLM on a corpus."""

from __future__ import annotations

import copy
import math
import os
import time
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from elmo_helpers.config import BiLMConfig, TrainingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.vocabulary import BOS, EOS
from elmo_helpers.training.batching import Batch, length_buckets
from elmo_helpers.training.evaluation import check_vocabulary, evaluate


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves.

    Attributes:
        model: The weights of the epoch that predicted the validation titles best (without validation titles: of the
            last one), in evaluation mode.
        history: A row an epoch: epoch, step, train_loss (nats per prediction, mean over the epoch, with dropout),
            forward, backward and perplexity on the validation titles (exact, without dropout; missing where there are
            none), tokens_per_second (words and both boundaries, in training), seconds.
        steps: A row a step: step, loss (nats per prediction), learning_rate.
    """

    model: BiLM
    history: pd.DataFrame
    steps: pd.DataFrame


def train(
    corpus: Corpus,
    model: BiLM | BiLMConfig | str = "tutorial",
    config: TrainingConfig | None = None,
    *,
    validation: Corpus | None = None,
    directory: str | os.PathLike | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> TrainingResult:
    """Train on the titles of `corpus` with Adam, and keep the model that predicts the validation titles best.

    Args:
        corpus: Titles to learn from.
        model: Sizes of a fresh model, by configuration or preset name; or a model, which is trained further in place.
        config: The run's settings.
        validation: Titles to measure the exact perplexity on after each epoch.
        directory: Where the best model so far is saved after each epoch.
        device: Where to compute.
        progress: Show a progress bar with loss and speed.

    The same seed, data and number of threads give the same model. The caller's random state is left as it was.

    Raises:
        ElmoHelpersError: There is nothing to train on, a corpus does not fit the model, or the loss is not finite.
    """
    config = config or TrainingConfig()
    if not len(corpus):
        raise ElmoHelpersError("train: the corpus has no title; give one that has.")
    if isinstance(model, str):
        model = BiLMConfig.preset(model)
    if not isinstance(model, BiLM | BiLMConfig):
        raise ElmoHelpersError(f"model={model!r:.60}: expected a BiLM, a BiLMConfig, or the name of a preset.")
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if isinstance(model, BiLMConfig):
            model = _fresh(corpus, model, config)
        check_vocabulary(model, corpus)
        if validation is not None:  # now, rather than after the first epoch
            check_vocabulary(model, validation)
        try:
            model = model.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ElmoHelpersError(f"device={device!r}: PyTorch cannot compute there ({reason}); try 'cpu'.") from None
        try:
            return _Run(model, corpus, validation, config, directory).run(progress)
        finally:
            model.eval()


def _fresh(corpus: Corpus, model_config: BiLMConfig, config: TrainingConfig) -> BiLM:
    model = BiLM(model_config, corpus.vocabulary, corpus.text)
    if config.unigram_bias:
        counts = torch.from_numpy(corpus.vocabulary.counts.copy())
        # Each title ends once in each direction, in `</S>` forward and in `<S>` backward, and both share the softmax.
        counts[[BOS, EOS]] = math.ceil(len(corpus) / 2)
        model.softmax.start_from_counts(counts)
    return model


class _Run:
    """One training run: the state of its loop."""

    def __init__(
        self,
        model: BiLM,
        corpus: Corpus,
        validation: Corpus | None,
        config: TrainingConfig,
        directory: str | os.PathLike | None,
    ) -> None:
        self.model, self.corpus, self.validation, self.config = model, corpus, validation, config
        self.directory = directory
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
        self.generator = np.random.default_rng(config.seed)
        n_batches = len(length_buckets(corpus.lengths, config.batch_size, np.random.default_rng(0)))
        self.n_steps = n_batches * config.epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.step_rows: list[dict] = []

    def _rate(self, step: int) -> float:
        """The learning rate after `step` steps, as a share of the configured one."""
        c = self.config
        if step < c.warmup_steps:
            return (step + 1) / (c.warmup_steps + 1)
        if c.final_learning_rate is None:
            return 1.0
        share = (step - c.warmup_steps) / max(1, self.n_steps - 1 - c.warmup_steps)
        final = c.final_learning_rate / c.learning_rate
        return final + (1 - final) * (1 + math.cos(math.pi * min(share, 1.0))) / 2

    def run(self, progress: bool) -> TrainingResult:
        history, best, best_weights = [], math.inf, None
        for epoch in range(1, self.config.epochs + 1):
            row = {"epoch": epoch, **self._epoch(epoch, progress)}
            if self.validation is not None and len(self.validation):
                result = evaluate(self.model, self.validation, self.config.batch_size)
                row |= {k: v for k, v in asdict(result).items() if k in ("forward", "backward")}
                row["perplexity"] = result.perplexity
            self._check_finite(row.get("perplexity", 0.0))
            history.append(row)
            score = row.get("perplexity", -epoch)  # without validation titles the latest is the best
            if score < best:
                best, best_weights = score, copy.deepcopy(self.model.state_dict())
                if self.directory is not None:
                    self.model.save(self.directory)
        self.model.load_state_dict(best_weights)
        columns = ["epoch", "step", "train_loss", "forward", "backward", "perplexity", "tokens_per_second", "seconds"]
        return TrainingResult(
            self.model,
            pd.DataFrame(history).reindex(columns=columns),
            pd.DataFrame(self.step_rows),
        )

    def _check_finite(self, perplexity: float) -> None:
        """A model that has left the finite numbers must not become the best one, or be saved."""
        if not math.isfinite(perplexity) or not all(p.isfinite().all() for p in self.model.parameters()):
            raise self._diverged(f"The weights or the perplexity are not finite after step {len(self.step_rows)}")

    def _diverged(self, what: str) -> ElmoHelpersError:
        c = self.config
        return ElmoHelpersError(
            f"{what}: lower learning_rate (now {c.learning_rate}) or gradient_clip (now {c.gradient_clip})."
        )

    def _epoch(self, epoch: int, progress: bool) -> dict:
        self.model.train()
        start, nats, predictions, tokens = time.perf_counter(), 0.0, 0, 0
        batches = length_buckets(self.corpus.lengths, self.config.batch_size, self.generator)
        with tqdm(batches, desc=f"epoch {epoch}/{self.config.epochs}", unit="batch", disable=not progress) as bar:
            for indices in bar:
                batch = Batch.of(self.corpus, indices, self.model.device)
                loss = self._step(batch)
                n = int(batch.lengths.sum()) - len(batch.lengths)
                nats, predictions, tokens = nats + loss * n, predictions + n, tokens + int(batch.lengths.sum())
                rate = tokens / (time.perf_counter() - start)
                bar.set_postfix_str(f"loss {nats / predictions:.3f}, {rate:,.0f} tokens/s", refresh=False)
        seconds = time.perf_counter() - start
        return {
            "step": len(self.step_rows),
            "train_loss": nats / predictions,
            "tokens_per_second": tokens / seconds,
            "seconds": seconds,
        }

    def _step(self, batch: Batch) -> float:
        loss = self.model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets).mean
        value = loss.item()
        if not math.isfinite(value):
            raise self._diverged(f"The loss is {value} at step {len(self.step_rows) + 1}")
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.step_rows.append(
            {"step": len(self.step_rows) + 1, "loss": value, "learning_rate": self.schedule.get_last_lr()[0]}
        )
        self.optimizer.step()
        self.schedule.step()
        return value
