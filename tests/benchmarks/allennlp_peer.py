"""What AllenNLP itself takes for batches of character ids; run by bench_elmo.py in an environment that has it.

    python allennlp_peer.py OPTIONS WEIGHTS IDS OUTPUT

IDS is an .npz of int64 arrays (B, T, 50), each a batch; OUTPUT, another, gets seconds (batches,) and the vectors of
each batch, (B, T, 2P) float32: the mean of the layers. The first batch is read once before, to warm up.
"""

import sys
import time

import numpy as np
import torch
from allennlp.modules.elmo import Elmo


@torch.no_grad()
def main(options: str, weights: str, ids: str, output: str) -> None:
    """Read the batches one after another."""
    elmo = Elmo(options, weights, 1, dropout=0.0).eval()
    with np.load(ids) as file:
        batches = [torch.from_numpy(file[f"arr_{i}"]) for i in range(len(file.files))]
    seconds, vectors = [], []
    for number, batch in enumerate([batches[0], *batches]):
        elmo._elmo_lstm._elmo_lstm._states = None  # each batch begins from zero
        begun = time.perf_counter()
        result = elmo(batch)["elmo_representations"][0]
        if number:
            seconds.append(time.perf_counter() - begun)
            vectors.append(result.numpy())
    np.savez(output, np.array(seconds), *vectors)


if __name__ == "__main__":
    main(*sys.argv[1:])
