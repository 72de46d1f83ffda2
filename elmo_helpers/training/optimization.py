"""The optimisers, the learning rate of each step, and the clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.training.config import TrainingConfig


def optimizers_of(model: BiLM, config: TrainingConfig) -> list[Optimizer]:
    """The optimisers of a model's parameters; their learning rate is to be set before each step.

    A sampled softmax has gradients in the rows of a few thousand words at each step, and a `RowOptimizer` of its own,
    which leaves all other rows alone. With adagrad and plain sgd this is the same as the dense optimiser; with adam
    the moments of a row wait until it is next drawn or predicted, as in `torch.optim.SparseAdam`. Weight decay and
    momentum move every row at every step, so with them the gradients are dense.
    """
    softmax = model.softmax
    if not isinstance(softmax, SampledSoftmax) or config.weight_decay != 0 or config.momentum != 0:
        return [_optimizer(model.parameters(), config)]
    softmax.sparse = True
    of_rows = list(softmax.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("softmax.")]
    return [_optimizer(rest, config), RowOptimizer(of_rows, config)]


def _optimizer(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, fused=True, momentum=config.momentum)
        case _:
            parameters = list(parameters)
            return torch.optim.Adagrad(
                parameters,
                lr=rate,
                weight_decay=decay,
                fused=all(p.device.type == "cpu" for p in parameters),  # it is for CPUs alone
                initial_accumulator_value=config.initial_accumulator,
            )


class RowOptimizer:
    """Applies PyTorch's optimiser to the rows for which the gradient, a sparse tensor, has values.

    Rows of the weights and of the optimiser's state are taken out, updated, and put back: the work is that of the
    rows, and not of the whole table.
    """

    def __init__(self, parameters: list[nn.Parameter], config: TrainingConfig) -> None:
        self.config = config
        self.param_groups: list[dict[str, Any]] = [{"params": parameters, "lr": config.learning_rate}]
        start: dict[str, float] = {
            "adam": {"exp_avg": 0.0, "exp_avg_sq": 0.0},
            "adamw": {"exp_avg": 0.0, "exp_avg_sq": 0.0},
            "adagrad": {"sum": config.initial_accumulator},
            "sgd": {},
        }[config.optimizer]
        self.state: dict[Tensor, dict[str, Tensor]] = {
            p: {name: torch.full_like(p, value) for name, value in start.items()}
            | {"step": torch.zeros((), dtype=torch.float32, device=p.device)}
            for p in parameters
        }

    @torch.no_grad()
    def step(self) -> None:
        """Update the rows for which there are gradients."""
        (group,) = self.param_groups
        for parameter in group["params"]:
            state = self.state[parameter]
            words = parameter.grad.indices()[0]
            rows = nn.Parameter(parameter[words])
            rows.grad = parameter.grad.values()
            inner = _optimizer([rows], self.config)
            inner.param_groups[0]["lr"] = group["lr"]
            inner.state[rows] = {name: s if s.ndim == 0 else s[words] for name, s in state.items()}
            inner.step()
            parameter.index_copy_(0, words, rows)
            for name, value in inner.state[rows].items():
                if isinstance(value, Tensor) and value.ndim:
                    state[name].index_copy_(0, words, value)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None


Optimizer = torch.optim.Optimizer | RowOptimizer


def learning_rate(config: TrainingConfig, step: int, n_steps: int | None, time_share: float, n_halvings: int) -> float:
    """The rate of a step: a straight line up, then constant or along a cosine down; halved where nothing improves.

    Args:
        config: The run's settings.
        step: Steps done before this one.
        n_steps: Steps of the whole run; None: only time bounds it. Where a run that is gone on with has another number
            of them, or of minutes, than at its start, the rate goes on along the cosine of the new ones.
        time_share: Share of `config.minutes` that has passed; 0 without that bound. Where both bounds are set, the
            cosine follows the one that is nearer its end.
        n_halvings: How often the rate has been halved (`config.halve_after`).
    """
    rate = config.learning_rate
    if step < config.warmup_steps:
        rate *= (step + 1) / (config.warmup_steps + 1)
    elif config.final_learning_rate is not None:
        share = time_share
        if n_steps is not None:
            share = max(share, (step - config.warmup_steps) / max(1, n_steps - 1 - config.warmup_steps))
        final = config.final_learning_rate
        rate = final + (rate - final) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return rate * 0.5**n_halvings


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float | None) -> Tensor:
    """Scale all gradients down where their norm together is above `limit`; the norm before that, a scalar."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    gradients = [g.values() if g.is_sparse else g for g in gradients]
    norm = nn.utils.get_total_norm(gradients)
    # On a CPU the norm is known, and gradients that are short enough need no pass.
    if limit is not None and (norm.device.type != "cpu" or norm > limit):
        torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0))
    return norm
