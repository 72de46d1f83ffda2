"""The memory of the command encode does not grow with its input."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

# A process of its own, since what oneDNN and the allocators have kept of earlier tests would hide what grows.
ENCODE = """
import sys
from pathlib import Path

from elmo_helpers.__main__ import app

model, folder, suffix, level = sys.argv[1:]
options = ["--level", level, "--pretokenized", "--window", "250", "--device", "cpu", "--no-progress"]
for source in sorted(Path(folder).glob("*.txt")):
    app(["encode", model, str(source), str(source.with_suffix(suffix)), *options], standalone_mode=False)
    print(Path("/proc/self/statm").read_text().split()[1], file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(("suffix", "level"), [(".hdf5", "tokens"), (".parquet", "titles")])
def test_memory_does_not_grow_with_the_input(toy_model, tmp_path, suffix, level):
    toy_model.save(tmp_path / "model")
    rng = random.Random(0)
    words = [f"w{i}" for i in range(1000)]
    for name, n in (("1", 250), ("2", 2_000)):
        # Of many lengths, so that batches have many shapes, for each of which oneDNN would keep a program.
        lines = (" ".join(rng.choices(words, k=rng.randrange(80))) for _ in range(n))
        (tmp_path / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    command = [sys.executable, "-c", ENCODE, tmp_path / "model", tmp_path, suffix, level]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    once, eight_times = map(int, done.stderr.split())
    assert eight_times < 1.1 * once  # 1.4 and more with all programs kept
