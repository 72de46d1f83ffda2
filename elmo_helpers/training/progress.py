"""Where a training run stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.training.config import TrainingConfig


@dataclass
class Progress:
    """Where a run stands: plain data, which a checkpoint holds.

    The position is that of the next step: `batch` batches of the group of shards at place `group` of this epoch's order
    are done.

    What only the end of a run asks for, its last evaluation and its last row, comes *out of turn*: nothing else depends
    on it, so that the run can be gone on with as if it had never come to an end.
    """

    step: int = 0  # updates of the weights
    epoch: int = 0  # whole passes over the titles
    group: int = 0
    batch: int = 0
    tokens: int = 0  # read so far, by all processes together
    seconds: float = 0.0  # of the run, evaluations included
    finished: bool = False

    best: float | None = None  # the score of the model that is kept; lower is better
    best_in_turn: float | None = None  # of the evaluations that came in turn
    evaluations_since_best: int = 0  # in turn
    n_halvings: int = 0  # of the learning rate

    recent: list[dict[str, float]] = field(default_factory=list)  # the steps of the next row
    recent_seconds: float = 0.0
    # Since the last evaluation in turn: loss summed over predictions, predictions, tokens read, seconds of training.
    nats: float = 0.0
    predictions: int = 0
    tokens_read: int = 0
    seconds_trained: float = 0.0

    steps: list[dict[str, Any]] = field(default_factory=list)  # rows, as `TrainingResult.steps`
    history: list[dict[str, Any]] = field(default_factory=list)  # rows, as `TrainingResult.history`

    def count(self, loss: float, gradient_norm: float, learning_rate: float, predictions: int, tokens: int) -> None:
        """Take over one step: its mean loss in nats a prediction, and over how many of them."""
        self.recent.append(
            {"loss": loss, "gradient_norm": gradient_norm, "learning_rate": learning_rate, "predictions": predictions}
            | {"tokens": tokens}
        )
        self.nats += loss * predictions
        self.predictions += predictions
        self.tokens_read += tokens

    def add_row(self, epoch: float) -> dict[str, Any]:
        """Append a row of the recent steps to `steps`."""
        predictions = sum(step["predictions"] for step in self.recent)
        row = {
            "step": self.step,
            "epoch": epoch,
            "loss": sum(step["loss"] * step["predictions"] for step in self.recent) / predictions,
            "learning_rate": self.recent[-1]["learning_rate"],
            "gradient_norm": self.recent[-1]["gradient_norm"],
            "tokens_per_second": sum(step["tokens"] for step in self.recent) / max(self.recent_seconds, 1e-9),
        }
        self.steps.append(row)
        return row

    def begin_row(self) -> None:
        """Let the next row begin here."""
        self.recent, self.recent_seconds = [], 0.0

    def add_evaluation(self, epoch: float, perplexities: dict[str, float], learning_rate: float) -> dict[str, Any]:
        """Append a row of all since the last evaluation in turn to `history`."""
        row = {
            "step": self.step,
            "epoch": epoch,
            "tokens": self.tokens,
            "train_loss": self.nats / max(self.predictions, 1),
            **perplexities,
            "learning_rate": learning_rate,
            "tokens_per_second": self.tokens_read / max(self.seconds_trained, 1e-9),
            "seconds": self.seconds_trained,
        }
        self.history.append(row)
        return row

    @property
    def is_measured(self) -> bool:
        """Whether there is an evaluation of the weights as they are."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    @property
    def score(self) -> float:
        """Of the last evaluation, lower is better; without validation titles the latest is the best."""
        row = self.history[-1]
        score: float = row.get("perplexity", -row["step"])
        return score

    def count_evaluation(self, halve_after: int | None) -> None:
        """Take the last evaluation as one in turn, and begin the next."""
        if self.best_in_turn is None or self.score < self.best_in_turn:
            self.best_in_turn, self.evaluations_since_best = self.score, 0
        else:
            self.evaluations_since_best += 1
            if halve_after is not None and self.evaluations_since_best % halve_after == 0:
                self.n_halvings += 1
        self.nats, self.predictions, self.tokens_read, self.seconds_trained = 0.0, 0, 0, 0.0

    def is_late(self, config: TrainingConfig) -> bool:
        """Whether the minutes are over by the clock of this process."""
        return config.minutes is not None and self.seconds >= 60 * config.minutes

    def ended_by(self, config: TrainingConfig, is_late: bool) -> str | None:
        """The setting by which a run that stands here is at its end; None: it goes on.

        Args:
            config: Its settings.
            is_late: Whether the minutes are over, as all processes see it.
        """
        done = {"epochs": self.epoch, "steps": self.step, "stop_after": self.evaluations_since_best}
        for name, count in done.items():
            if (bound := getattr(config, name)) is not None and count >= bound:
                return name
        return "minutes" if is_late else None

    def reopen(self) -> None:
        """Go on with a run that had come to its end."""
        self.finished = False
        if self.recent:  # of steps whose row is not full yet
            self.steps.pop()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Progress:
        """What `to_dict` gave.

        Raises:
            ElmoHelpersError: It is something else.
        """
        try:
            return cls(**{"best_in_turn": data.get("best"), **data})  # earlier versions counted all as in turn
        except TypeError as error:
            raise ElmoHelpersError(f"The checkpoint's progress is of another version ({error}).") from None
