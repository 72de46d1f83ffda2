"""On which machine the numbers were taken, and what it can do at most."""

from __future__ import annotations

import platform
import resource
import time
from pathlib import Path

import torch

from elmo_helpers.model.linear import linear


def machine() -> str:
    """Processor, its instructions, threads and the version of PyTorch, in one line."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = lines[0] if lines else name
    return (
        f"{name}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads, "
        f"PyTorch {torch.__version__}"
    )


@torch.inference_mode()
def product_rate(dtype: torch.dtype = torch.float32, shape: tuple[int, int, int] = (1024, 1024, 1024)) -> float:
    """Floating-point operations a second of products (rows, inner, columns), by the faster of the two ways.

    As PyTorch multiplies, or as the library does; at its best, since it is to be a bound.
    """
    rows, inner, columns = shape
    x, weight = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    repetitions, fastest = max(1, 10**9 // (2 * rows * inner * columns)), float("inf")
    for multiply in (linear, torch.nn.functional.linear):
        multiply(x, weight)
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(repetitions):
                multiply(x, weight)
            fastest = min(fastest, (time.perf_counter() - start) / repetitions)
    return 2 * rows * inner * columns / fastest


def peak_memory() -> float:
    """The most that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
