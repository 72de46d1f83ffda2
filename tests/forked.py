"""The command line in processes that start in no time, since they are forked from one that has loaded the library."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple


class Ended(NamedTuple):
    """What a process has left."""

    code: int | None
    out: str
    err: str


def run_together(count: int, directory: Path, *arguments: str) -> list[Ended]:
    """Run the command line in `directory`, in so many processes that work together, as torchrun starts them."""
    context = multiprocessing.get_context("forkserver")
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    with TemporaryDirectory() as folder:
        streams = [(Path(folder, f"{rank}.out"), Path(folder, f"{rank}.err")) for rank in range(count)]
        processes = []
        for rank in range(count):
            environment = {name: str(value) for name, value in {"RANK": rank, "LOCAL_RANK": rank, **shared}.items()}
            processes.append(context.Process(target=_run, args=(arguments, directory, environment, streams[rank])))
        try:
            for process in processes:
                process.start()
            for process in processes:
                process.join(120)
        finally:
            for process in processes:
                process.kill()  # one that waits for ever
                process.join()
        return [
            Ended(process.exitcode, out.read_text(), err.read_text())
            for process, (out, err) in zip(processes, streams, strict=True)
        ]


def _run(arguments: tuple[str, ...], directory: Path, environment: dict[str, str], streams: tuple[Path, Path]) -> None:
    os.chdir(directory)
    os.environ.update(environment)
    for stream, path in zip((sys.stdout, sys.stderr), streams, strict=True):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    from elmo_helpers.__main__ import app

    app(arguments, prog_name="python -m elmo_helpers")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
