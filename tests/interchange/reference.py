"""The published model once more, slow and independent: NumPy in float64, plain loops, nothing of `elmo_helpers`.

Written from the description of the files and of the forward pass alone, so that the library is measured against
something that shares no line with it. `write_random_model` writes the files, `Reference` reads and runs them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

# Inference ids: a byte is itself + 1, 0 marks a masked position.
BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = 257, 258, 259, 260, 261
SPECIALS = ("<S>", "</S>", "<UNK>")
COMMON_WORDS = ("the", ".", "of", "cat", "sat", "on", "mat", "naïve", "a", "dog", "ran", "home")


def vocabulary_of(n: int) -> list[str]:
    """The n lines of a vocabulary file: the three specials, some words, and then w0, w1, …"""
    return [*SPECIALS, *COMMON_WORDS, *(f"w{i}" for i in range(n))][:n]


def write_random_model(
    directory: Path,
    rng: np.random.Generator,
    *,
    ce: int = 4,
    filters: Sequence[tuple[int, int]] = ((1, 4), (2, 8), (3, 4)),
    n_highway: int = 1,
    P: int = 6,
    C: int = 10,
    n_layers: int = 2,
    char_proj: bool = True,
    lstm_proj: bool = True,
    skip: bool = True,
    cell_clip: float = 0.3,
    proj_clip: float = 0.3,
    activation: str = "relu",
    n_characters: int = 262,
    max_characters: int = 50,
    word_level: int | None = None,
    softmax: int | None = None,
) -> tuple[Path, Path]:
    """Write options.json, weights.hdf5 and, where the model has words, vocabulary.txt.

    The weights are of a size at which the clips bind at some places and not at others, and no gate is saturated.

    Args:
        directory: Where to; it is made.
        rng: Draws the weights.
        ce: Size of a character's vector.
        filters: Pairs of width and count.
        n_highway: Highway layers.
        P: Size of one direction's output.
        C: Size of the cell.
        n_layers: LSTM layers of each direction.
        char_proj: Whether there is `CNN_proj`; without, all filters together must be P.
        lstm_proj: Whether there is `W_P_0`; without, C must be P.
        skip: Whether upper layers add their input.
        cell_clip: Bound of the cell.
        proj_clip: Bound of the projected output.
        activation: Of the convolutions.
        n_characters: What options.json says: 261 or 262.
        max_characters: Ids a token.
        word_level: Words of the vocabulary of a model with one vector a word; None: characters.
        softmax: Words of the vocabulary that is scored; None: no softmax.

    Returns:
        The paths of options and weights.
    """
    directory.mkdir(parents=True, exist_ok=True)
    n_filters = sum(count for _, count in filters)
    if not (char_proj or n_filters == P or word_level) or not (lstm_proj or C == P):
        raise ValueError("A model without a projection needs equal sizes.")
    options = {
        "lstm": {
            "use_skip_connections": skip,
            "projection_dim": P,
            "cell_clip": cell_clip,
            "proj_clip": proj_clip,
            "dim": C,
            "n_layers": n_layers,
        }
    }
    weights: dict[str, np.ndarray] = {}

    def draw(name: str, *shape: int, scale: float, shift: float = 0.0) -> None:
        weights[name] = (rng.normal(size=shape) * scale + shift).astype(np.float32)

    if word_level is None:
        options["char_cnn"] = {
            "activation": activation,
            "filters": [list(pair) for pair in filters],
            "n_highway": n_highway,
            "embedding": {"dim": ce},
            "n_characters": n_characters,
            "max_characters_per_token": max_characters,
        }
        draw("char_embed", 261, ce, scale=1.0)
        for i, (width, count) in enumerate(filters):
            draw(f"CNN/W_cnn_{i}", 1, width, ce, count, scale=0.6 / (width * ce) ** 0.5)
            draw(f"CNN/b_cnn_{i}", count, scale=0.3)
        for k in range(n_highway):
            for part, shift in (("carry", -0.5), ("transform", 0.0)):
                draw(f"CNN_high_{k}/W_{part}", n_filters, n_filters, scale=1 / n_filters**0.5)
                draw(f"CNN_high_{k}/b_{part}", n_filters, scale=0.3, shift=shift)
        if char_proj:
            draw("CNN_proj/W_proj", n_filters, P, scale=1 / n_filters**0.5)
            draw("CNN_proj/b_proj", P, scale=0.3)
    else:
        draw("embedding", word_level, P, scale=0.7)
    for direction in (0, 1):
        for layer in range(n_layers):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            draw(f"{cell}/W_0", 2 * P, 4 * C, scale=1 / (2 * P) ** 0.5)
            draw(f"{cell}/B", 4 * C, scale=0.3)
            if lstm_proj:
                draw(f"{cell}/W_P_0", C, P, scale=3 / C**0.5)
    n_words = softmax or word_level
    if softmax is not None:
        draw("softmax/W", softmax, P, scale=1.0)
        draw("softmax/b", softmax, scale=0.5)
    if n_words is not None:
        lines = "".join(f"{word}\n" for word in vocabulary_of(n_words))
        (directory / "vocabulary.txt").write_text(lines, encoding="utf-8")
    (directory / "options.json").write_text(json.dumps(options), encoding="utf-8")
    with h5py.File(directory / "weights.hdf5", "w") as file:
        for name, values in weights.items():
            file.create_dataset(name, data=values)
    return directory / "options.json", directory / "weights.hdf5"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """All datasets of an HDF5 file by their whole names, as they are stored."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, node: found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
    return found


def spell(word: str, max_characters: int) -> list[int]:
    """A word's row of inference ids; `<S>` and `</S>` are the sentence boundaries."""
    if word in ("<S>", "</S>"):
        middle = [BEGIN_SENTENCE if word == "<S>" else END_SENTENCE]
    else:
        middle = [byte + 1 for byte in word.encode("utf-8", errors="ignore")[: max_characters - 2]]
    row = [BEGIN_WORD, *middle, END_WORD]
    return row + [PADDING] * (max_characters - len(row))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def clamp(x: np.ndarray, bound: float | None) -> np.ndarray:
    """x kept within ± bound; without one, or with 0, x as it is."""
    return x if not bound else np.clip(x, -bound, bound)


class Reference:
    """A published model, one sentence, token, character and step at a time.

    Args:
        options_path: The options.
        weights_path: The weights.
        vocabulary_path: One word a line, for a word-level model; None: vocabulary.txt beside the options.
    """

    def __init__(self, options_path: Path, weights_path: Path, vocabulary_path: Path | None = None) -> None:
        options = json.loads(Path(options_path).read_text(encoding="utf-8"))
        # What an options file may leave out is not there in the model.
        self.lstm = {"use_skip_connections": False, "cell_clip": None, "proj_clip": None} | options["lstm"]
        self.cnn = {"n_highway": 0, "activation": "relu"} | options.get("char_cnn", {})
        if self.lstm.get("projection_dim") is None:
            self.lstm["projection_dim"] = self.lstm["dim"]
        self.weights = {name: np.asarray(w, dtype=np.float64) for name, w in read_weights(weights_path).items()}
        self.words = "embedding" in self.weights
        vocabulary_path = vocabulary_path or Path(options_path).parent / "vocabulary.txt"
        self.vocabulary = vocabulary_path.read_text(encoding="utf-8").split("\n") if vocabulary_path.is_file() else []
        if self.words:
            table = self.weights["embedding"]
            self.table = np.concatenate([np.zeros((1, table.shape[1])), table])
        else:
            self.max_characters = self.cnn["max_characters_per_token"]
            table = self.weights["char_embed"]
            self.table = np.concatenate([np.zeros((1, table.shape[1])), table])
            self.filters = [tuple(pair) for pair in self.cnn["filters"]]
        self.output_dim = self.lstm["projection_dim"]
        self._vectors: dict[tuple[int, ...], np.ndarray] = {}
        self._sentences: dict[tuple[str, ...], np.ndarray] = {}
        self.state: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}
        self.clipped = {"cell": 0, "cell free": 0, "projection": 0, "projection free": 0}

    def ids(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """A row for each word: its characters, or its one id."""
        if self.words:
            known = {word: i for i, word in enumerate(self.vocabulary) if word}
            return [(known.get(word, 2) + 1,) for word in words]
        return [tuple(spell(word, self.max_characters)) for word in words]

    def token_vector(self, row: tuple[int, ...]) -> np.ndarray:
        """The vector (P,) of one row of ids."""
        if row not in self._vectors:
            self._vectors[row] = self.table[row[0]] if self.words else self._convolve(row)
        return self._vectors[row]

    def _convolve(self, row: tuple[int, ...]) -> np.ndarray:
        characters = np.stack([self.table[i] for i in row])  # (max_characters, ce)
        maxima = []
        for i, (width, count) in enumerate(self.filters):
            w, b = self.weights[f"CNN/W_cnn_{i}"][0], self.weights[f"CNN/b_cnn_{i}"]
            best = np.full(count, -np.inf)
            for start in range(len(row) - width + 1):
                response = b.copy()
                for offset in range(width):
                    response += characters[start + offset] @ w[offset]
                best = np.maximum(best, response)
            maxima.append(best)
        x = np.concatenate(maxima)
        x = np.tanh(x) if self.cnn["activation"] == "tanh" else np.maximum(x, 0)
        for k in range(self.cnn["n_highway"]):
            high = f"CNN_high_{k}"
            gate = sigmoid(x @ self.weights[f"{high}/W_carry"] + self.weights[f"{high}/b_carry"])
            new = np.maximum(x @ self.weights[f"{high}/W_transform"] + self.weights[f"{high}/b_transform"], 0)
            x = gate * new + (1 - gate) * x
        if "CNN_proj/W_proj" in self.weights:
            x = x @ self.weights["CNN_proj/W_proj"] + self.weights["CNN_proj/b_proj"]
        return x

    def _step(
        self, direction: int, layer: int, x: np.ndarray, h: np.ndarray, c: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
        z = np.concatenate([x, h]) @ self.weights[f"{cell}/W_0"] + self.weights[f"{cell}/B"]
        i, j, f, o = np.split(z, 4)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
        self._count("cell", c, self.lstm["cell_clip"])
        c = clamp(c, self.lstm["cell_clip"])
        h = sigmoid(o) * np.tanh(c)
        if f"{cell}/W_P_0" in self.weights:
            h = h @ self.weights[f"{cell}/W_P_0"]
            self._count("projection", h, self.lstm["proj_clip"])
            h = clamp(h, self.lstm["proj_clip"])
        return h, c

    def _count(self, name: str, x: np.ndarray, bound: float | None) -> None:
        bound = bound or np.inf
        self.clipped[name] += int((np.abs(x) > bound).sum())
        self.clipped[f"{name} free"] += int((np.abs(x) <= bound).sum())

    def _run(self, vectors: list[np.ndarray], direction: int, row: int | None) -> list[np.ndarray]:
        """All layers of one direction, each (n, P) in the order of the words; `row`: carry the state of that row."""
        n_cells = self.lstm["dim"]
        inputs = vectors if direction == 0 else vectors[::-1]
        layers = []
        for layer in range(self.lstm["n_layers"]):
            h, c = self.state.get((direction, layer, row), (np.zeros(self.output_dim), np.zeros(n_cells)))
            outputs = []
            for x in inputs:
                h, c = self._step(direction, layer, x, h, c)
                outputs.append(h + x if layer > 0 and self.lstm["use_skip_connections"] else h)
            if row is not None:
                self.state[direction, layer, row] = (h, c)
            inputs = outputs
            layers.append(np.stack(outputs if direction == 0 else outputs[::-1]))
        return layers

    def layers_of_ids(self, rows: Sequence[tuple[int, ...]], row: int | None = None) -> np.ndarray:
        """All layers of one sentence whose boundaries are among its rows: (L + 1, n, 2P).

        Args:
            rows: The ids of each token.
            row: Place in the batch whose state is carried from call to call; None: from zero, and nothing is kept.
        """
        vectors = [self.token_vector(tuple(ids)) for ids in rows]
        forward, backward = self._run(vectors, 0, row), self._run(vectors, 1, row)
        x = np.stack(vectors)
        return np.stack(
            [np.concatenate([x, x], 1)] + [np.concatenate(pair, 1) for pair in zip(forward, backward, strict=True)]
        )

    def layers(self, words: Sequence[str], row: int | None = None) -> np.ndarray:
        """All layers of one sentence, `<S>` and `</S>` put around it: (L + 1, n + 2, 2P)."""
        if row is not None:
            return self.layers_of_ids(self.ids(["<S>", *words, "</S>"]), row)
        if tuple(words) not in self._sentences:
            self._sentences[tuple(words)] = self.layers_of_ids(self.ids(["<S>", *words, "</S>"]))
        return self._sentences[tuple(words)]

    def stateful_layers(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """One call with a batch: each row goes on where that row of the last call that had it ended."""
        return [self.layers(words, row) for row, words in enumerate(sentences)]

    def reset_states(self) -> None:
        """Begin at zero again."""
        self.state.clear()

    def log_probabilities(self, hidden: np.ndarray) -> np.ndarray:
        """log p of each line of the vocabulary, (n, P) to (n, V)."""
        scores = hidden @ self.weights["softmax/W"].T + self.weights["softmax/b"]
        top = scores.max(-1, keepdims=True)
        return scores - top - np.log(np.exp(scores - top).sum(-1, keepdims=True))


def mix(
    layers: Sequence[np.ndarray],
    weights: Sequence[float],
    gamma: float,
    *,
    layer_norm: bool = False,
) -> list[np.ndarray]:
    """γ · Σ_l softmax(w)_l · h_l of a batch's sentences, each (L + 1, n, 2P), to (n, 2P) each.

    With layer normalisation one mean and one variance a layer, over all elements of all sentences together.
    """
    shares = np.exp(np.asarray(weights, dtype=np.float64))
    shares /= shares.sum()
    n_layers = len(layers[0])
    mixed = [np.zeros(sentence.shape[1:]) for sentence in layers]
    for layer in range(n_layers):
        mean, scale = 0.0, 1.0
        if layer_norm:
            everything = np.concatenate([sentence[layer].ravel() for sentence in layers])
            mean = everything.mean()
            scale = 1 / np.sqrt(((everything - mean) ** 2).mean() + 1e-12)
        for total, sentence in zip(mixed, layers, strict=True):
            total += gamma * shares[layer] * (sentence[layer] - mean) * scale
    return mixed
