"""Several processes follow one process, and agree about everything that must be the same."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import corpus_of
from forked import run_together

STEPS = 50
TRAIN = ["--preset", "tiny", "--epochs", "none", "--steps", str(STEPS), "--log-every", "1", "--batch-size", "15"]
TRAIN += ["--evaluate-every", "20", "--learning-rate", "0.01", "--device", "cpu", "--no-progress"]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    p = 1 / np.arange(1, 61)
    titles = [" ".join(rng.choice(words, rng.integers(1, 14), p=p / p.sum())) for _ in range(300)]
    path = tmp_path_factory.mktemp("corpus") / "corpus"
    corpus_of(titles, valid=0.1).save(path)
    return path


def train(corpus: Path, directory: Path, processes: int, *options: str, torchrun: bool = False) -> pd.DataFrame:
    """Train from the command line in so many processes; the table of steps."""
    arguments = ["train", str(corpus), str(directory), *TRAIN, *options]
    if torchrun:
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        subprocess.run([*launch, "-m", "elmo_helpers", *arguments], check=True, timeout=300)
    else:
        done = run_together(processes, corpus.parent, *arguments)
        assert [process.code for process in done] == [0] * processes, done
    assert json.loads((directory / "training" / "run.json").read_text())["processes"] == processes
    return pd.read_csv(directory / "training" / "steps.csv")


@pytest.mark.parametrize(
    ("options", "torchrun"),
    [
        (("--softmax", "adaptive", "--batch-size", "15"), True),  # an odd batch: the shares differ
        (("--softmax", "sampled", "--n-negatives", "20", "--feed", "streams", "--batch-size", "16"), False),
    ],
    ids=["titles", "streams"],
)
def test_two_processes_follow_one(corpus, tmp_path, options, torchrun):
    one, two = train(corpus, tmp_path / "1", 1, *options), train(corpus, tmp_path / "2", 2, *options, torchrun=torchrun)
    assert len(one) == len(two) == STEPS
    np.testing.assert_allclose(two.loss, one.loss, atol=1e-4, rtol=0)
    np.testing.assert_allclose(two.gradient_norm, one.gradient_norm, atol=1e-3, rtol=0)
    histories = [pd.read_csv(tmp_path / str(n) / "training" / "history.csv") for n in (1, 2)]
    np.testing.assert_allclose(histories[1].perplexity, histories[0].perplexity, rtol=1e-4)
    assert histories[0].perplexity.iloc[-1] < histories[0].perplexity.iloc[0], "something is learned meanwhile"
    assert histories[0].tokens.tolist() == histories[1].tokens.tolist()


def test_two_processes_go_on_as_if_they_had_not_stopped(corpus, tmp_path):
    options = ("--softmax", "sampled", "--n-negatives", "20", "--dropout", "0.2", "--halve-after", "1")
    whole = train(corpus, tmp_path / "whole", 2, *options)
    train(corpus, tmp_path / "run", 2, *options, "--steps", "20")
    again = train(corpus, tmp_path / "run", 2, *options, "--resume")
    pd.testing.assert_frame_equal(
        again.drop(columns="tokens_per_second"), whole.drop(columns="tokens_per_second"), check_exact=True
    )
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert models[0] == models[1]
