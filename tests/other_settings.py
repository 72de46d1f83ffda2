"""A value of each setting of a run that is neither the default, nor of the preset tiny, nor what tests of runs take."""

from typing import Any

TRAINING: dict[str, Any] = {
    "epochs": 3,
    "steps": 40,
    "minutes": 60.0,
    "feed": "streams",
    "batch_size": 5,
    "unroll_steps": 7,
    "shuffle": False,
    "optimizer": "sgd",
    "learning_rate": 0.02,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "initial_accumulator": 0.5,
    "loss_factor": 2.0,
    "gradient_clip": None,
    "warmup_steps": 3,
    "final_learning_rate": 0.0001,
    "halve_after": 2,
    "stop_after": 9,
    "evaluate_every": 2,
    "checkpoint_every": 4,
    "log_every": 3,
    "unigram_bias": False,
    "precision": "bf16",
    "seed": 1,
}
