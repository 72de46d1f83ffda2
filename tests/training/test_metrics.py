"""What a run writes for people: rows that can be followed, that read back to the same bits, and that never double."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.training.metrics import HISTORY_COLUMNS, STEP_COLUMNS, Metrics


def step_row(step: int, loss: float = 0.1 + 0.2) -> dict:
    return {
        "step": step,
        "epoch": 1,
        "loss": loss,
        "learning_rate": 1e-3 / 3,
        "gradient_norm": 2.5,
        "tokens_per_second": 1e4,
    }


def history_row(step: int, **more) -> dict:
    return {"step": step, "epoch": 1, "tokens": 70, "train_loss": 5.5, "seconds": 1 / 3, **more}


def rows_of(path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_rows_can_be_followed_while_the_run_goes_on(tmp_path):
    with Metrics(tmp_path / "run", steps=[], history=[]) as metrics:
        assert rows_of(tmp_path / "run" / "steps.csv") == [list(STEP_COLUMNS)]
        assert rows_of(tmp_path / "run" / "history.csv") == [list(HISTORY_COLUMNS)]
        metrics.step(step_row(10))
        assert len(rows_of(tmp_path / "run" / "steps.csv")) == 2
        metrics.evaluation(history_row(10))
        assert len(rows_of(tmp_path / "run" / "history.csv")) == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["history.csv", "steps.csv"]


def test_columns_and_cells(tmp_path):
    with Metrics(tmp_path, steps=[], history=[]) as metrics:
        metrics.evaluation(history_row(np.int64(3), forward=np.float32(0.1), backward=None, perplexity=math.nan))
        metrics.evaluation(history_row(4, perplexity=math.inf, learning_rate=np.float64(1e-3)))
    _, first, second = rows_of(tmp_path / "history.csv")
    assert first == ["3", "1", "70", "5.5", "0.10000000149011612", "", "nan", "", "", "0.3333333333333333"]
    assert second == ["4", "1", "70", "5.5", "", "", "inf", "0.001", "", "0.3333333333333333"]
    table = pd.read_csv(tmp_path / "history.csv")
    assert table.perplexity.isna().tolist() == [True, False]


def test_floats_read_back_to_the_same_bits(tmp_path, rng):
    values = np.concatenate([rng.standard_normal(200), rng.standard_normal(50) * 1e-300, [5e-324, 1e308, -0.0]])
    with Metrics(tmp_path, steps=[], history=[]) as metrics:
        for step, value in enumerate(values):
            metrics.step(step_row(step, value))
    written = np.array([float(row[2]) for row in rows_of(tmp_path / "steps.csv")[1:]])
    assert written.tobytes() == values.tobytes()


def test_a_resumed_run_begins_with_its_rows_and_no_others(tmp_path):
    with Metrics(tmp_path, steps=[], history=[]) as metrics:
        for step in (10, 20, 30):
            metrics.step(step_row(step))
        metrics.evaluation(history_row(20))
        metrics.evaluation(history_row(30))
    with (tmp_path / "steps.csv").open("a") as stream:
        stream.write("40,1,0.3")  # the process was killed here
    with Metrics(tmp_path, steps=[step_row(10), step_row(20)], history=[history_row(20)]) as metrics:
        metrics.step(step_row(30, 7.0))
    assert [(row[0], row[2]) for row in rows_of(tmp_path / "steps.csv")[1:]] == [
        ("10", repr(0.1 + 0.2)),
        ("20", repr(0.1 + 0.2)),
        ("30", "7.0"),
    ]
    assert [row[0] for row in rows_of(tmp_path / "history.csv")[1:]] == ["20"]


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ElmoHelpersError, match=r"steps.csv: a row has the columns \['speed'\]; expected"):
        Metrics(tmp_path, steps=[{"step": 1, "speed": 2.0}], history=[])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(ElmoHelpersError, match=r"history.csv is no ordinary file"):
        Metrics(tmp_path, steps=[], history=[])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_one_clear_error(tmp_path):
    with Metrics(tmp_path, steps=[], history=[]) as metrics:
        metrics._steps._stream.close()
        metrics._steps._stream = open("/dev/full", "ab", buffering=0)  # noqa: SIM115 - closed by Metrics
        with pytest.raises(ElmoHelpersError, match=r"steps.csv cannot be written \(No space left on device\)"):
            metrics.step(step_row(1))


LIMITED = """
import resource, signal, sys
from elmo_helpers import ElmoHelpersError
from elmo_helpers.training.metrics import Metrics
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in range(10, 3000, 37):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with Metrics(f"{sys.argv[1]}/{limit}", steps=[], history=[], tensorboard=limit % 2) as metrics:
            for step in range(100):
                metrics.step({"step": step, "loss": 0.123456789})
        print("written")
    except ElmoHelpersError as error:
        print(error)
"""


def test_a_disk_that_is_full_in_the_middle_of_a_row(tmp_path):
    """The system takes half of it without a word, and TensorBoard's own writer would speak from a thread of its own."""
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(range(10, 3000, 37))
    for line in lines:
        assert line == "written" or line.endswith("(File too large): mend that, and resume the run."), line
    for kind in ("written", "steps.csv", "tfevents"):
        assert any(kind in line for line in lines), kind


def test_without_tensorboard_one_clear_error_and_no_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ElmoHelpersError, match="TensorBoard is not installed; run `pip install tensorboard`"):
        Metrics(tmp_path / "run", steps=[], history=[], tensorboard=True)
    assert not (tmp_path / "run").exists()
    with Metrics(tmp_path / "run", steps=[], history=[]):
        pass  # without curves nothing of it is needed


def curves(directory) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(directory)).Reload()
    return {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def test_curves(tmp_path):
    with Metrics(tmp_path, steps=[], history=[], tensorboard=True, loss_name="loss_sampled") as metrics:
        metrics.step(step_row(10, 2.0))
        metrics.evaluation(history_row(10))  # no validation titles
        metrics.evaluation(history_row(20, forward=3.0, backward=5.0, perplexity=4.0))
    found = curves(tmp_path / "tensorboard")
    assert found["train/loss_sampled"] == [(10, 2.0)]
    assert found["train/gradient_norm"] == [(10, 2.5)]
    assert found["train/tokens_per_second"] == [(10, 1e4)]
    assert found["train/learning_rate"] == [(10, pytest.approx(1e-3 / 3))]
    assert found["perplexity/forward"] == [(20, 3.0)]
    assert found["perplexity/backward"] == [(20, 5.0)]
    assert found["perplexity/mean"] == [(20, 4.0)]
    assert len(found) == 7


def test_curves_do_not_double_on_a_resume(tmp_path):
    with Metrics(tmp_path, steps=[], history=[], tensorboard=True) as metrics:
        for step in (10, 20, 30):
            metrics.step(step_row(step, 1.0))
    kept = [step_row(10, 1.0), step_row(20, 1.0)]
    with Metrics(tmp_path, steps=kept, history=[], tensorboard=True) as metrics:
        metrics.step(step_row(30, 2.0))
    assert curves(tmp_path / "tensorboard")["train/loss"] == [(10, 1.0), (20, 1.0), (30, 2.0)]
    with Metrics(tmp_path, steps=[], history=[], tensorboard=True) as metrics:  # a new run in its place
        metrics.step(step_row(10, 3.0))
    assert curves(tmp_path / "tensorboard")["train/loss"] == [(10, 3.0)]


def test_curves_asked_for_on_a_resume_alone_are_whole(tmp_path):
    steps, history = [step_row(10, 1.0)], [history_row(10, perplexity=9.0)]
    with Metrics(tmp_path, steps=steps, history=history, tensorboard=True) as metrics:
        metrics.step(step_row(20, 2.0))
    found = curves(tmp_path / "tensorboard")
    assert found["train/loss"] == [(10, 1.0), (20, 2.0)]
    assert found["perplexity/mean"] == [(10, 9.0)]
