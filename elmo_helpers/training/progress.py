"""Where a training run stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from elmo_helpers.errors import ElmoHelpersError


@dataclass
class Progress:
    """Where a run stands: plain data, which a checkpoint holds.

    The position is that of the next step: `batch` batches of the group of shards at place `group` of this epoch's order
    are done.
    """

    step: int = 0  # updates of the weights
    epoch: int = 0  # whole passes over the titles
    group: int = 0
    batch: int = 0
    tokens: int = 0  # read so far, by all processes together
    seconds: float = 0.0  # of the run, evaluations included
    finished: bool = False

    best: float | None = None  # the score of the model that is kept; lower is better
    evaluations_since_best: int = 0
    n_halvings: int = 0  # of the learning rate

    recent: list[dict[str, float]] = field(default_factory=list)  # the steps of the next row
    recent_seconds: float = 0.0
    # Since the last evaluation: the loss summed over predictions, predictions, tokens read, seconds of training.
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

    def close_row(self, step: int, epoch: float) -> dict[str, Any]:
        """A row of the recent steps, appended to `steps`."""
        predictions = sum(step["predictions"] for step in self.recent)
        row = {
            "step": step,
            "epoch": epoch,
            "loss": sum(step["loss"] * step["predictions"] for step in self.recent) / predictions,
            "learning_rate": self.recent[-1]["learning_rate"],
            "gradient_norm": self.recent[-1]["gradient_norm"],
            "tokens_per_second": sum(step["tokens"] for step in self.recent) / max(self.recent_seconds, 1e-9),
        }
        self.recent, self.recent_seconds = [], 0.0
        self.steps.append(row)
        return row

    def close_evaluation(self, epoch: float, perplexities: dict[str, float], learning_rate: float) -> dict[str, Any]:
        """A row of all since the last evaluation, appended to `history`."""
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
        self.nats, self.predictions, self.tokens_read, self.seconds_trained = 0.0, 0, 0, 0.0
        self.history.append(row)
        return row

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
            return cls(**data)
        except TypeError as error:
            raise ElmoHelpersError(f"The checkpoint's progress is of another version ({error}).") from None
