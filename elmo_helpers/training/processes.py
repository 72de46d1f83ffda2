"""The processes that train one model together, started by `accelerate launch` or accelerate's `notebook_launcher`."""

from __future__ import annotations

import os

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, reduce
from torch import Tensor, nn

from elmo_helpers.checks import shown
from elmo_helpers.errors import ElmoHelpersError


class Processes:
    """This process among those that share the work; one alone where nothing has launched several.

    Every process holds the whole model and a share of each batch: row r of a batch is for process r modulo their
    number. Gradients are averaged after each step, so all models stay the same.
    """

    rank: int
    count: int
    device: torch.device

    def __init__(self, device: torch.device | str = "auto") -> None:
        """Join the other processes, and find out where to compute.

        Args:
            device: "auto" takes this process's GPU where there is one.

        Raises:
            ElmoHelpersError: PyTorch cannot compute there.
        """
        self._state: PartialState | None = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self._state = PartialState(cpu=str(device) == "cpu" or not torch.cuda.is_available())
        self.rank = self._state.process_index if self._state else 0
        self.count = self._state.num_processes if self._state else 1
        self.device = self._state.device if self._state else usable_device(device)

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes files and shows progress."""
        return self.rank == 0

    @property
    def part(self) -> slice:
        """This process's rows of a batch."""
        return slice(self.rank, None, self.count)

    def parallel(self, module: nn.Module) -> nn.Module:
        """`module`, whose gradients become the mean over all processes as backward forms them.

        Args:
            module: A module whose forward gives the loss, in which every parameter has its part.
        """
        return module if self.count == 1 else nn.parallel.DistributedDataParallel(module)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes of a float tensor that each of them has, on this process's device."""
        if self._state is None:
            return values
        total: Tensor = reduce(values.to(self.device), "sum")
        return total

    def gather(self, values: Tensor) -> Tensor:
        """The tensors of all processes as one, (count, ...), on the CPU; each has the same shape."""
        if self._state is None:
            return values[None].cpu()
        together: Tensor = gather(values.to(self.device)[None].contiguous())
        return together.cpu()

    def mean_rows(self, gradient: Tensor) -> Tensor:
        """The mean over all processes of sparse gradients, of which each has other rows: sparse, coalesced."""
        if self._state is None:
            return gradient
        rows, values = gradient.indices()[0], gradient.values()
        n_rows = int(self.gather(torch.tensor(len(rows), device=rows.device)).max())
        padded = nn.functional.pad(rows, (0, n_rows - len(rows)), value=-1)
        union = self.gather(padded).unique()
        union = union[union >= 0].to(rows.device)
        mean = values.new_zeros(len(union), *values.shape[1:])
        mean.index_copy_(0, torch.searchsorted(union, rows), values)
        return torch.sparse_coo_tensor(
            union[None], self.sum(mean) / self.count, gradient.shape, is_coalesced=True, check_invariants=False
        )

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in at least one process."""
        if self._state is None:
            return flag
        return bool(self.sum(torch.tensor(float(flag), dtype=torch.float32, device=self.device)).item())

    def share_weights(self, module: nn.Module) -> None:
        """Give every process the weights of the main one, in place."""
        if self._state:
            for tensor in module.state_dict().values():
                tensor.copy_(broadcast(tensor.contiguous()))

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self._state:
            self._state.wait_for_everyone()


def usable_device(device: torch.device | str) -> torch.device:
    """The device of that name, once something has been computed there; "auto" is a GPU where there is one.

    Raises:
        ElmoHelpersError: PyTorch cannot compute there.
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(device)
        torch.zeros(1, device=device).item()  # which "meta", where there are shapes and no numbers, cannot give
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ElmoHelpersError(f"device={shown(device)}: PyTorch cannot compute there ({reason}); try 'cpu'.") from None
    return device
