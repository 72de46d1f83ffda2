"""What a training run is made of, as a frozen dataclass, and the published recipe by preset name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

from elmo_helpers.checks import choice, flag, number, positive, seed_number, whole_number
from elmo_helpers.config import PRECISIONS, from_plain_data, set_checked
from elmo_helpers.errors import ElmoHelpersError

FEEDS = ("titles", "streams")
OPTIMIZERS = ("adam", "adamw", "adagrad", "sgd")

T = TypeVar("T")
# A run that is gone on with may be given another value of what is free: when it ends, is measured, saved and shown.
# What its steps compute is fixed, since with another value those that are done would have come out differently.
Free = Annotated[T, "free"]
Fixed = Annotated[T, "fixed"]


@dataclass(frozen=True)
class TrainingConfig:
    """One training run; the defaults are the original's where it had any.

    `epochs`, `steps` and `minutes` bound the run, and the first one that is reached ends it. An *evaluation* is a
    measurement of the exact perplexity on the validation titles. What is `Free` may change where the run is gone on
    with, see `train`.
    """

    epochs: Free[int | None] = 2  # passes over the titles
    steps: Free[int | None] = None  # updates of the weights
    minutes: Free[float | None] = None  # of the whole run, evaluations included

    feed: Fixed[str] = "titles"  # "titles": a row a title; "streams": running text, LSTM states carried on (published)
    batch_size: Fixed[int] = 64  # B: titles of a step, or streams side by side
    unroll_steps: Fixed[int] = 20  # streams: tokens of each stream in a step, which the gradient flows back through
    shuffle: Fixed[bool] = True  # titles come in a new order each epoch; False: in the corpus's own

    optimizer: Fixed[str] = "adam"  # adam, adamw, adagrad or sgd
    learning_rate: Fixed[float] = 1e-3  # after the warm-up
    weight_decay: Fixed[float] = 0.0  # adamw: share of the weights, times the rate, taken off at each step; others: L2
    momentum: Fixed[float] = 0.0  # sgd's
    initial_accumulator: Fixed[float] = 1.0  # adagrad's sum of squared gradients at the start
    loss_factor: Fixed[float] = 1.0  # the mean loss is multiplied by this before its gradient; published: 20
    gradient_clip: Fixed[float | None] = 5.0  # the norm of all gradients together is kept below this

    warmup_steps: Fixed[int] = 0  # steps over which the rate rises in a straight line from 0
    final_learning_rate: Fixed[float | None] = None  # the rate falls to this along a cosine; None: it stays
    halve_after: Fixed[int | None] = None  # evaluations in a row without a better one after which the rate is halved
    stop_after: Free[int | None] = None  # evaluations in a row without a better one after which the run ends

    evaluate_every: Free[int | None] = None  # steps; None: after each epoch, and at the end
    checkpoint_every: Free[int | None] = None  # steps; None: with each evaluation
    log_every: Free[int] = 10  # steps whose mean loss makes one row of the run's table

    unigram_bias: Fixed[bool] = True  # a fresh softmax starts from the words' frequencies, not from equal ones
    precision: Fixed[str] = "fp32"  # of training's matrix products: fp32 or bf16; weights, sums, evaluations are fp32
    seed: Fixed[int] = 0  # of initial weights, shuffling, dropout and negatives

    def __post_init__(self) -> None:
        rate = positive("learning_rate", self.learning_rate)
        if self.final_learning_rate is not None:
            expected = f"a number from 0 to learning_rate, {rate}, or None"
            set_checked(
                self, final_learning_rate=number("final_learning_rate", self.final_learning_rate, expected, 0, rate)
            )
        for name in ("epochs", "steps", "halve_after", "stop_after", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) is not None:
                set_checked(self, **{name: whole_number(name, getattr(self, name), 1)})
        set_checked(
            self,
            minutes=positive("minutes", self.minutes, or_none=True),
            feed=choice("feed", self.feed, FEEDS),
            batch_size=whole_number("batch_size", self.batch_size, 1),
            unroll_steps=whole_number("unroll_steps", self.unroll_steps, 1),
            shuffle=flag("shuffle", self.shuffle),
            optimizer=choice("optimizer", self.optimizer, OPTIMIZERS),
            learning_rate=rate,
            weight_decay=number("weight_decay", self.weight_decay, "a number of at least 0"),
            momentum=number("momentum", self.momentum, "a number from 0 to 1", 0, 1),
            initial_accumulator=number("initial_accumulator", self.initial_accumulator, "a number of at least 0"),
            loss_factor=positive("loss_factor", self.loss_factor),
            gradient_clip=positive("gradient_clip", self.gradient_clip, or_none=True),
            warmup_steps=whole_number("warmup_steps", self.warmup_steps, 0),
            log_every=whole_number("log_every", self.log_every, 1),
            unigram_bias=flag("unigram_bias", self.unigram_bias),
            precision=choice("precision", self.precision, PRECISIONS),
            seed=seed_number("seed", self.seed),
        )
        if self.epochs is None and self.steps is None and self.minutes is None:
            raise ElmoHelpersError("epochs, steps and minutes are all None: set at least one, or the run never ends.")

    @classmethod
    def preset(cls, name: str) -> TrainingConfig:
        """How a model of that name is trained: `small`, `medium` and `original` by the published recipe.

        Raises:
            ElmoHelpersError: There is no preset of that name.
        """
        return TRAINING_PRESETS[choice("preset", name, tuple(TRAINING_PRESETS))]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as stored in a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainingConfig:
        """The configuration that `to_dict` wrote.

        Raises:
            ElmoHelpersError: A key is unknown, or a value is out of its range.
        """
        return from_plain_data(cls, data)


def free_settings() -> list[str]:
    """Names of the settings of which a run that is gone on with may be given another value, in their order."""
    hints = get_type_hints(TrainingConfig, include_extras=True)
    return [name for name, hint in hints.items() if "free" in hint.__metadata__]


# Peters et al. (2018): batches of 128 streams a GPU, 20 steps, Adagrad, for ten epochs. Their softmax starts level,
# which a sampled one takes hundreds of steps to get over: so this starts from the words' frequencies, as all do here.
_PUBLISHED = TrainingConfig(
    epochs=10,
    feed="streams",
    batch_size=128,
    unroll_steps=20,
    optimizer="adagrad",
    learning_rate=0.2,
    initial_accumulator=1.0,
    loss_factor=20.0,
    gradient_clip=10.0,
)

TRAINING_PRESETS: dict[str, TrainingConfig] = {
    "tutorial": TrainingConfig(),
    "small": _PUBLISHED,
    "medium": _PUBLISHED,
    "original": _PUBLISHED,
    "tiny": TrainingConfig(),
}
