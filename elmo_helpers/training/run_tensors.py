"""The tensors of a run, by name: all that it needs beside its `Progress` to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.training.checkpoint import random_state, set_random_state
from elmo_helpers.training.optimization import Optimizer
from elmo_helpers.training.processes import Processes


def run_tensors(
    model: BiLM, optimizers: Sequence[Optimizer], lstm_state: LSTMState | None, processes: Processes
) -> dict[str, Tensor]:
    """Weights, the optimisers' state, and of all processes the random states and what the LSTMs remember."""
    tensors = {f"model/{name}": x for name, x in model.state_dict().items()}
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            tensors |= {f"optimizer/{names[parameter]}/{key}": x for key, x in state.items()}
    tensors["random"] = processes.gather(random_state(processes.device))
    if lstm_state is not None:
        tensors |= {f"lstm/{key}": processes.gather(x) for key, x in lstm_state._asdict().items()}
    return tensors


def restore_tensors(
    tensors: dict[str, Tensor], model: BiLM, optimizers: Sequence[Optimizer], processes: Processes
) -> LSTMState | None:
    """Put what `run_tensors` gave where it was; what the LSTMs of this process remembered."""
    device = processes.device
    model.load_state_dict({name[6:]: x for name, x in tensors.items() if name.startswith("model/")})
    for optimizer in optimizers:
        for name, parameter in model.named_parameters():
            start = f"optimizer/{name}/"
            state = {key[len(start) :]: x for key, x in tensors.items() if key.startswith(start)}
            if state and any(parameter is p for p in optimizer.param_groups[0]["params"]):
                optimizer.state[parameter] = {key: x.to(device) for key, x in state.items()}
    set_random_state(tensors["random"][processes.rank], device)
    if "lstm/h" not in tensors:
        return None
    return LSTMState(*(tensors[f"lstm/{key}"][processes.rank].to(device) for key in LSTMState._fields))
