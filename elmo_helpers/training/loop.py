"""The training loop: one update of the weights after another, until a bound is reached or somebody says stop."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.model.precision import products_in
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.training.config import TrainingConfig
from elmo_helpers.training.epochs import Batches, batches_of, n_batches, shard_groups
from elmo_helpers.training.evaluation import evaluation_of, evaluation_sums
from elmo_helpers.training.interruption import until_interrupted
from elmo_helpers.training.loss_module import LossModule, has_row_gradients
from elmo_helpers.training.metrics import Metrics
from elmo_helpers.training.optimization import Optimizer, clip_gradients, learning_rate, optimizers_of
from elmo_helpers.training.part_times import PartTimes
from elmo_helpers.training.processes import Processes
from elmo_helpers.training.progress import Progress
from elmo_helpers.training.run_folder import RunFolder
from elmo_helpers.training.run_tensors import restore_tensors, run_tensors


class _Unread(NamedTuple):
    """A step whose loss is still on the device."""

    step: int
    batch: str
    loss: Tensor
    gradient_norm: Tensor
    learning_rate: float
    n_predictions: int
    n_tokens: int


class TrainingLoop:
    """One run; `train` and `fine_tune` make one and run it.

    Attributes:
        model: The model as it is being trained.
        progress: Where the run stands; its `steps` and `history` grow as it goes.
        n_steps: Steps of the whole run; None where only time bounds it.
        part_times: Where the time goes; None: that is not looked at.
    """

    model: BiLM
    shards: Sequence[Corpus]
    config: TrainingConfig
    processes: Processes
    validation: Sequence[Corpus]
    folder: RunFolder | None
    callback: Callable[[TrainingLoop], None] | None
    progress: Progress
    optimizers: list[Optimizer]
    n_steps: int | None
    part_times: PartTimes | None

    def __init__(
        self,
        model: BiLM,
        shards: Sequence[Corpus],
        sizes: Sequence[tuple[int, int]],
        config: TrainingConfig,
        processes: Processes,
        *,
        validation: Sequence[Corpus] = (),
        folder: RunFolder | None = None,
        tensorboard: bool = False,
        bar: bool = False,
        profile: bool = False,
        callback: Callable[[TrainingLoop], None] | None = None,
    ) -> None:
        """A run that begins with `model` as it is.

        Args:
            model: Trained in place; on the processes' device.
            shards: The corpus, in the pieces that it is read in.
            sizes: Titles and words of each piece.
            config: The run's settings.
            processes: This process and the others.
            validation: Titles that choose the best model, in pieces too; none: the last model is the best.
            folder: Where to write; None: nothing is written, and the best model is kept in memory.
            tensorboard: Also write curves for TensorBoard.
            bar: Show a progress bar.
            profile: Look where the time goes.
            callback: Called with this loop after each new row of `progress.steps` and `progress.history`; if it has a
                method `begin`, that is called with this loop before the first step.
        """
        self.model, self.shards, self.config, self.processes = model, shards, config, processes
        self.validation, self.folder, self.callback = validation, folder, callback
        self._tensorboard, self._show = tensorboard, bar and processes.is_main
        self.progress = Progress()
        self.part_times = PartTimes(processes.device) if profile else None
        if isinstance(model.softmax, SampledSoftmax):
            model.softmax.generator = np.random.default_rng(config.seed)  # every process draws the same words
        self.optimizers = optimizers_of(model, config)
        self._loss = processes.parallel(LossModule(model))
        self._epoch_steps = sum(n_batches(titles, words, config) for titles, words in sizes)
        bounds = [config.steps, None if config.epochs is None else config.epochs * self._epoch_steps]
        self.n_steps = min((bound for bound in bounds if bound is not None), default=None)
        self._state: LSTMState | None = None
        self._unread: list[_Unread] = []
        self._best_weights: dict[str, Tensor] = {}  # where there is no folder for them; empty before one is measured
        self._stop_wanted = False  # in this process
        self._stop = False  # in all of them
        self._is_late = False  # whether the minutes are over, in any of them
        self._going_on = threading.Event()  # not set while the run is to wait
        self._going_on.set()

    def stop(self) -> None:
        """Ask the run to end after this step, with a checkpoint; a callback or another thread may call it."""
        self._stop_wanted = True
        self._going_on.set()

    def pause(self) -> None:
        """Ask the run to wait after this step, until another thread calls `resume` or `stop`.

        What it waits for counts neither as time of the run nor in its speed. Of several processes the others come as
        far as the next step, and there wait for this one.
        """
        if not self._stop_wanted:
            self._going_on.clear()

    def resume(self) -> None:
        """Let a run that waits go on."""
        self._going_on.set()

    def run(self) -> None:
        """Train until a bound of the configuration is reached or somebody says stop; the best model is left."""
        metrics: Metrics | nullcontext[None] = nullcontext()
        if self.folder and self.processes.is_main:
            sampled = isinstance(self.model.softmax, SampledSoftmax)
            metrics = Metrics(
                self.folder.training,
                steps=self.progress.steps,
                history=self.progress.history,
                tensorboard=self._tensorboard,
                loss_name="loss_sampled" if sampled else "loss",
            )
        with (
            until_interrupted(self.stop),
            metrics as self._metrics,
            tqdm(total=self.n_steps, initial=self.progress.step, unit="step", disable=not self._show) as self._bar,
            nullcontext() if self.part_times is None else self.part_times.of_modules(self.model),
        ):
            self.model.train()
            if begin := getattr(self.callback, "begin", None):
                begin(self)
            self._clock = time.perf_counter()
            while not self.progress.finished and not self._stop:
                self._epoch()
        if self.progress.finished:
            self._take_best()

    # One epoch, one step

    def _epoch(self) -> None:
        """One pass over the shards, or what is left of it."""
        p, c = self.progress, self.config
        groups = shard_groups(len(self.shards), c, p.epoch)
        while p.group < len(groups):
            batches = batches_of(self.shards, groups[p.group], c, p.epoch)
            while p.batch < len(batches):
                if p.batch == 0:
                    self._state = None
                self._step(batches, p.batch)
                p.batch += 1
                self._after_step()
                if p.finished or self._stop:
                    return
            p.group, p.batch = p.group + 1, 0
        p.epoch, p.group = p.epoch + 1, 0
        self._conclude(evaluation_due=c.evaluate_every is None)

    def _step(self, batches: Batches, k: int) -> None:
        """One update of the weights."""
        p, c, device = self.progress, self.config, self.processes.device
        with self._part("batches: ids and characters"):
            batch, weight = batches.batch(k, self.processes.part, device), 1.0
            if (
                batch is None
            ):  # fewer rows than processes: this one computes the first row too, which counts for nothing
                batch, weight = batches.batch(k, slice(0, 1), device), 0.0
        with products_in(c.precision, device, keep_casts=True):
            total, self._state = self._loss(batch, self._state)
        torch.clear_autocast_cache()  # weights that were cast: within a caller's own context they would stay
        loss = total * (weight / (2 * batches.n_predictions(k)))
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        with self._part("backward of the rest"):
            # The processes' gradients are averaged, and are to be summed.
            (loss * (c.loss_factor * self.processes.count)).backward()
            if has_row_gradients(self.model):
                for parameter in self.model.predictor.parameters():
                    if parameter.grad is not None:
                        parameter.grad = self.processes.mean_rows(parameter.grad.coalesce())
        with self._part("norm of the gradients, clipping"):
            norm = clip_gradients(self.model.parameters(), c.gradient_clip)
        self._unread.append(
            _Unread(
                p.step + 1,
                batches.describe(k),
                loss.detach(),
                norm,
                self.learning_rate,
                batches.n_predictions(k),
                batches.n_tokens(k),
            )
        )
        # On a CPU alone a loss costs nothing to read; elsewhere that would wait for the device or for others.
        if device.type == "cpu" and self.processes.count == 1:
            self._read()
        with self._part("optimiser"):
            for optimizer in self.optimizers:
                optimizer.param_groups[0]["lr"] = self.learning_rate
                optimizer.step()
        p.step += 1
        p.tokens += batches.n_tokens(k)

    def _part(self, name: str) -> AbstractContextManager[None]:
        """Inside, time counts for the part `name`."""
        return nullcontext() if self.part_times is None else self.part_times.part(name)

    @property
    def ended_by(self) -> str | None:
        """The setting by which the run is at its end; None: it goes on."""
        return self.progress.ended_by(self.config, self._is_late)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        p, c = self.progress, self.config
        time_share = 0.0 if c.minutes is None else p.seconds / (60 * c.minutes)
        return learning_rate(c, p.step, self.n_steps, time_share, p.n_halvings)

    def _read(self) -> None:
        """Count the steps since the last call, and see that their losses are finite."""
        if not self._unread:
            return
        losses = self.processes.sum(torch.stack([step.loss for step in self._unread]).double()).tolist()
        norms = torch.stack([step.gradient_norm for step in self._unread]).tolist()
        for step, loss, norm in zip(self._unread, losses, norms, strict=True):
            for name, value in (("loss", loss), ("norm of the gradients", norm)):
                if not math.isfinite(value):
                    raise self._diverged(f"The {name} is {value} at step {step.step} ({step.batch})")
            self.progress.count(loss, norm, step.learning_rate, step.n_predictions, step.n_tokens)
        self._unread.clear()

    def _diverged(self, what: str) -> ElmoHelpersError:
        c = self.config
        kept = "" if self.folder is None else self.folder.last_good(has_saved=self.progress.best is not None)
        return ElmoHelpersError(
            f"{what}: lower learning_rate (now {c.learning_rate}) or gradient_clip (now {c.gradient_clip}).{kept}"
        )

    # Between steps

    def _after_step(self) -> None:
        """Rows, evaluations, checkpoints, and the end, where they are due."""
        p, c = self.progress, self.config
        self._tick()
        row_due = p.step % c.log_every == 0
        if row_due:
            self._read()
            self._row()
            p.begin_row()
        self._wait()
        if self.processes.count == 1 or row_due:  # several agree on it when they meet anyway
            self._stop = self.processes.any(self._stop_wanted)
            if self.processes.any(p.is_late(c)):
                self._is_late = True
                p.seconds = max(p.seconds, 60 * (c.minutes or 0))  # by the clock of the one that is late
        self._conclude(
            evaluation_due=c.evaluate_every is not None and p.step % c.evaluate_every == 0,
            checkpoint_due=self._stop or (c.checkpoint_every is not None and p.step % c.checkpoint_every == 0),
        )

    def _conclude(self, *, evaluation_due: bool, checkpoint_due: bool = False) -> None:
        """What is due where the run has come to, and its end where that is reached."""
        p = self.progress
        n_measured = len(p.history)
        if evaluation_due:
            with self._part("evaluation"):
                self._evaluate()
            if p.predictions:  # or this one has come in turn already
                p.count_evaluation(self.config.halve_after)
        p.finished = self.ended_by is not None
        if p.finished:
            with self._part("evaluation"):
                self._evaluate()
        if self.callback is not None and len(p.history) > n_measured:
            self.callback(self)
        if p.finished:
            self._row()
        if evaluation_due or checkpoint_due or p.finished:
            with self._part("checkpoints"):
                self._checkpoint()

    def _wait(self) -> None:
        """Wait while the run is paused, and begin to count its time anew."""
        if not self._going_on.is_set():
            self._tick()
            self._going_on.wait()
            self._clock = time.perf_counter()

    def _tick(self, training: bool = True) -> None:
        """Add the time since the last call to what it was spent on."""
        p, now = self.progress, time.perf_counter()
        spent, self._clock = now - self._clock, now
        p.seconds += spent
        if training:
            p.recent_seconds += spent
            p.seconds_trained += spent

    def _row(self) -> None:
        """One row of the table of steps, of those that are in none yet."""
        p = self.progress
        if not p.recent:
            return
        row = p.add_row(self._epochs_done)
        if self._metrics is not None:
            self._metrics.step(row)
        self._bar.update(p.step - self._bar.n)
        best = "" if p.best is None or not self.validation else f", best perplexity {p.best:.1f}"
        self._bar.set_postfix_str(f"loss {row['loss']:.3f}, {row['tokens_per_second']:,.0f} tokens/s{best}")
        if self.callback is not None:
            self.callback(self)

    @property
    def _epochs_done(self) -> float:
        """Passes over the titles so far, with a fraction."""
        return round(self.progress.step / self._epoch_steps, 4)

    def _evaluate(self) -> None:
        """Measure on the validation titles, and keep the model if it is the best."""
        p, c = self.progress, self.config
        self._tick()
        self._read()
        if p.is_measured:
            return
        perplexities = {}
        if self.validation:
            unroll_steps = c.unroll_steps if c.feed == "streams" else None
            sums = evaluation_sums(self.model, self.validation, c.batch_size, unroll_steps, self.processes.part)
            result = evaluation_of(self.processes.sum(torch.from_numpy(sums)).cpu().numpy())
            perplexities = {"forward": result.forward, "backward": result.backward, "perplexity": result.perplexity}
        finite = all(map(math.isfinite, perplexities.values()))
        if not finite or not all(x.isfinite().all() for x in self.model.parameters()):
            raise self._diverged(f"The weights or the perplexity are not finite after step {p.step}")
        row = p.add_evaluation(self._epochs_done, perplexities, self.learning_rate)
        if p.best is None or p.score < p.best:
            p.best = p.score
            self._keep()
        if self._metrics is not None:
            self._metrics.evaluation(row)
        self._tick(training=False)

    # What is kept

    def _keep(self) -> None:
        """Keep the model as the best one so far."""
        if self.folder is None:
            self._best_weights = copy.deepcopy(self.model.state_dict())
        elif self.processes.is_main:
            self.folder.save_model(self.model)

    def _take_best(self) -> None:
        """Put the best model's weights into the model."""
        if self.folder is None:
            self.model.load_state_dict(self._best_weights)
            return
        if self.processes.is_main:
            self.model.load_state_dict(self.folder.load_model().state_dict())
        self.processes.share_weights(self.model)

    def _checkpoint(self) -> None:
        """Write a checkpoint, from which the run goes on as if it had not stopped."""
        self._tick()
        self._read()
        if self.folder is None:
            return
        tensors = run_tensors(self.model, self.optimizers, self._state, self.processes)
        draws = None
        if isinstance(self.model.softmax, SampledSoftmax):
            draws = self.model.softmax.generator.bit_generator.state
        if self.processes.is_main:
            self.folder.write_checkpoint(self.progress, draws, tensors)
        self.processes.wait()
        self._tick(training=False)

    def restore(self, progress: Progress, draws: dict[str, Any] | None, tensors: dict[str, Tensor]) -> None:
        """Go on from a checkpoint: what `_checkpoint` wrote; a run that had ended goes on if its settings let it."""
        self.progress, self._is_late = progress, progress.is_late(self.config)
        if progress.finished and self.ended_by is None:
            progress.reopen()
        self._state = restore_tensors(tensors, self.model, self.optimizers, self.processes)
        if draws is not None and isinstance(self.model.softmax, SampledSoftmax):
            self.model.softmax.generator.bit_generator.state = draws
