"""Encoding on Ray: words a second with 1 and 2 workers beside one process and two, and memory as the titles grow.

    python tests/benchmarks/bench_ray.py [--model english-titles] [--titles 20000] [--times 8]

Titles are those of the default corpus, repeated, in files of 5,000. Each way runs in a process of its own, on the same
titles, one vector each (mean of the layers), one thread a worker. Ray's start is told apart. Memory is the greatest
resident size of the driver, and of the largest worker; shared pages of the object store are left out of both.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle, islice
from pathlib import Path

from machine import machine

from elmo_helpers import default_titles
from elmo_helpers.integrations.ray_files import encode_on_ray

A_FILE = 5_000  # titles
OPTIONS = {"level": "titles", "layers": "average", "pooling": "mean", "progress": False}
COMMAND = ["--level", "titles", "--layers", "average", "--pooling", "mean", "--no-progress"]


def write_titles(folder: Path, n: int) -> int:
    """Write n titles into files, and say how many words, cut at spaces, they have."""
    folder.mkdir()
    with default_titles(folder / "all.csv").open(encoding="utf-8", newline="") as stream:
        titles = [row["title"] for row in csv.DictReader(stream)]
    (folder / "all.csv").unlink()
    chosen = list(islice(cycle(titles), n))
    for start in range(0, n, A_FILE):
        text = "".join(f"{title}\n" for title in chosen[start : start + A_FILE])
        (folder / f"titles-{start // A_FILE:04}.txt").write_text(text, encoding="utf-8")
    return sum(len(title.split()) for title in chosen)


def on_ray(model: str, titles: Path, output: Path, workers: int) -> None:
    """Encode once, and print what it took as JSON."""
    import ray

    watch = Memory()
    begun = time.perf_counter()
    ray.init(num_cpus=workers, log_to_driver=False, include_dashboard=False, configure_logging=False)
    ready = time.perf_counter()
    encode_on_ray(model, f"{titles}/*.txt", output, workers=workers, **OPTIONS)
    done = time.perf_counter()
    ray.shutdown()
    driver, worker = watch.stop()
    print(json.dumps({"start": ready - begun, "seconds": done - ready, "driver": driver, "worker": worker}))


class Memory:
    """The greatest private memory, in MB, of this process and of the largest actor while it watches."""

    def __init__(self) -> None:
        self._driver = self._worker = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._end.wait(0.2):
            self._driver = max(self._driver, private_memory(os.getpid()))
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and b"RayEncoder" in read(entry / "cmdline"):
                    self._worker = max(self._worker, private_memory(int(entry.name)))

    def stop(self) -> tuple[float, float]:
        """End the watch: driver and worker."""
        self._end.set()
        self._thread.join()
        return self._driver, self._worker


def private_memory(pid: int) -> float:
    """Resident memory without shared pages, in MB."""
    fields = dict(line.split(b":", 1) for line in read(Path(f"/proc/{pid}/status")).splitlines() if b":" in line)
    kilobytes = [int(fields.get(name, b"0 kB").split()[0]) for name in (b"VmRSS", b"RssShmem", b"RssFile")]
    return (kilobytes[0] - kilobytes[1] - kilobytes[2]) / 1024


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def in_processes(model: str, titles: Path, folder: Path, processes: int) -> float:
    """Seconds of the command encode for the same titles in one file, start included."""
    whole = folder / "whole.txt"
    whole.write_bytes(b"".join(path.read_bytes() for path in sorted(titles.glob("*.txt"))))
    command = [sys.executable, "-m", "elmo_helpers"]
    if processes > 1:
        command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", f"--num_processes={processes}"]
        command += [
            "--num_machines=1",
            "--mixed_precision=no",
            "--dynamo_backend=no",
            "--num_cpu_threads_per_process=1",
        ]
        command += ["-m", "elmo_helpers"]
    begun = time.perf_counter()
    subprocess.run(
        [*command, "encode", model, str(whole), str(folder / f"out{processes}.parquet"), *COMMAND],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return time.perf_counter() - begun


def main() -> None:
    """Read the arguments, measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="english-titles")
    parser.add_argument("--titles", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=8, help="how many times the titles, for memory")
    parser.add_argument("--on-ray", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.on_ray:
        titles, output, workers = arguments.on_ray
        on_ray(arguments.model, Path(titles), Path(output), int(workers))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        n_words = write_titles(folder / "titles", arguments.titles)
        write_titles(folder / "many", arguments.titles * arguments.times)
        print(f"{arguments.titles:,} titles, {n_words:,} words\n")
        print("| way | workers | seconds | words/s |\n|---|---|---|---|")
        for processes in (1, 2):
            seconds = in_processes(arguments.model, folder / "titles", folder, processes)
            print(f"| encode | {processes} | {seconds:.1f} | {n_words / seconds:,.0f} |", flush=True)
        found = {}
        for name, workers in (("titles", 1), ("titles", 2), ("many", 2)):
            command = [sys.executable, __file__, "--model", arguments.model, "--on-ray", str(folder / name)]
            command += [str(folder / f"{name}-{workers}"), str(workers)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[name, workers] = it = json.loads(answer.splitlines()[-1])
            words = n_words * (arguments.times if name == "many" else 1)
            more = f", {arguments.times} times the titles" if name == "many" else ""
            print(f"| Ray{more} | {workers} | {it['seconds']:.1f} | {words / it['seconds']:,.0f} |", flush=True)
        one, many = found["titles", 2], found["many", 2]
        print(f"\nRay's start: {one['start']:.1f} s more")
        print("\n| memory, MB | the titles | times the titles | ratio |\n|---|---|---|---|")
        for who in ("driver", "worker"):
            print(f"| {who} | {one[who]:.0f} | {many[who]:.0f} | {many[who] / one[who]:.2f} |")


if __name__ == "__main__":
    main()
