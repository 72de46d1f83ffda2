"""The character CNN: a word's spelling becomes one vector (Peters et al. 2018, section 3.4; Kim et al. 2016)."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elmo_helpers.checks import instance, shown, whole_number
from elmo_helpers.config import CharCNNConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.compiling import methods_left_out_of_graphs
from elmo_helpers.model.linear import linear
from elmo_helpers.model.precision import check_products
from elmo_helpers.text.characters import CharacterVocabulary

_CACHE = 1 << 20  # responses of one width that are computed together
_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}


class Highway(nn.Module):
    """One highway layer: y = g · relu(W_t x + b_t) + (1 - g) · x with the gate g = σ(W_g x + b_g).

    Srivastava et al. (2015). The gate's bias starts at -2, so that at first the layer carries most of x through.
    """

    transform: nn.Linear
    gate: nn.Linear

    def __init__(self, dim: int) -> None:
        super().__init__()
        dim = whole_number("dim", dim, 1)
        self.transform = nn.Linear(dim, dim, dtype=torch.float32)
        self.gate = nn.Linear(dim, dim, dtype=torch.float32)
        for part, bias in ((self.transform, 0.0), (self.gate, -2.0)):
            nn.init.normal_(part.weight, std=dim**-0.5)
            nn.init.constant_(part.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) float to (..., dim) float."""
        gate = torch.sigmoid(linear(x, self.gate.weight, self.gate.bias))
        return gate * torch.relu(linear(x, self.transform.weight, self.transform.bias)) + (1 - gate) * x


@methods_left_out_of_graphs("forward")
class CharacterCNN(nn.Module):
    """Spellings to token vectors: characters → convolutions → maximum over positions → highway → projection.

    A word's vector depends on its spelling alone, so a caller passes each distinct word of a batch once.
    """

    config: CharCNNConfig
    n_characters: int
    padding_id: int
    embedding: nn.Embedding | None
    convolutions: nn.ModuleList
    highways: nn.ModuleList
    projection: nn.Linear | None

    def __init__(self, config: CharCNNConfig) -> None:
        super().__init__()
        self.config = instance("config", config, CharCNNConfig, "a CharCNNConfig")
        characters = CharacterVocabulary(config.scheme, config.max_characters)
        self.n_characters = characters.size
        self.padding_id = characters.padding_id
        if config.embedding_dim is None:
            self.embedding = None
            channels = self.n_characters
        else:
            self.embedding = nn.Embedding(self.n_characters, config.embedding_dim, padding_idx=0, dtype=torch.float32)
            nn.init.uniform_(self.embedding.weight, -1, 1)
            nn.init.zeros_(self.embedding.weight[0])
            channels = config.embedding_dim
        convolutions = [nn.Conv1d(channels, count, width, dtype=torch.float32) for width, count in config.filters]
        for convolution in convolutions:
            _initialize(convolution, config.activation)
        self.convolutions = nn.ModuleList(convolutions)
        self.highways = nn.ModuleList(Highway(config.n_filters) for _ in range(config.n_highway))
        self.projection = None
        if config.projection_dim is not None:
            self.projection = nn.Linear(config.n_filters, config.projection_dim, dtype=torch.float32)
            nn.init.normal_(self.projection.weight, std=config.n_filters**-0.5)
            nn.init.zeros_(self.projection.bias)

    def forward(self, characters: Tensor) -> Tensor:
        """Token vectors of the words whose characters are given.

        Args:
            characters: (N, C) integer character ids, a row a word.

        Returns:
            (N, D) float.

        Raises:
            ElmoHelpersError: The rows are not C characters long, or the device has no instructions for products in
                bfloat16, which autocast or the weights ask for.
        """
        check_products(self._convolution(0).weight)
        n = self.config.max_characters
        if not isinstance(characters, Tensor) or characters.ndim != 2 or characters.shape[1] != n:
            raise ElmoHelpersError(
                f"characters: expected rows of {n} ids, a tensor of shape (N, {n}), and got {shown(characters)}."
            )
        characters = self._trim(characters.long())
        # Words of one spelling have one vector, to the last bit, wherever they would stand in the groups below. Mostly
        # there are none: equal rows have equal sums, and to look at those is much less work.
        if len(_sums(characters).unique()) == len(characters):
            return self._vectors(characters)
        distinct, place = characters.unique(dim=0, return_inverse=True)
        return self._vectors(distinct)[place]

    def _vectors(self, characters: Tensor) -> Tensor:
        """Token vectors (N, D) of trimmed int64 ids (N, C')."""
        lengths, order = self._lengths(characters).sort()
        x = self.embed(characters[order])
        x = torch.cat([self._strongest(x[rows], longest) for rows, longest in self._groups(lengths)])  # (N, F)
        x = _ACTIVATIONS[self.config.activation](x)
        for highway in self.highways:
            x = highway(x)
        x = x if self.projection is None else linear(x, self.projection.weight, self.projection.bias)
        return x.index_select(0, order.argsort())

    def embed(self, characters: Tensor) -> Tensor:
        """Character vectors of (N, C) int64 ids, channels first as convolutions take them: (N, E, C) float."""
        if self.embedding is not None:
            vectors: Tensor = self.embedding(characters)
            return vectors.transpose(1, 2)
        weight = self._convolution(0).weight
        one_hot = torch.eye(self.n_characters, dtype=weight.dtype, device=weight.device)
        one_hot[0] = 0  # padding is the zero vector, as the original's `onehot[0, 0] = 0`
        return F.embedding(characters, one_hot).transpose(1, 2)

    def filter_responses(self, embedded: Tensor, i: int) -> Tensor:
        """What the filters of the i-th width answer at each position: (N, E, C) to (N, count_i, C - width_i + 1)."""
        convolution = self._convolution(i)
        if self.embedding is None:  # many channels: windows would be larger than what is made of them
            responses: Tensor = convolution(embedded)
            return responses
        weight, bias = convolution.weight, convolution.bias
        count, _, width = weight.shape
        positions = embedded.shape[2] - width + 1
        # With few channels, one matrix product over all windows beats PyTorch's convolution, its gradient above all.
        windows = torch.stack([embedded[:, :, j : j + positions].transpose(1, 2) for j in range(width)], dim=2)
        return linear(windows.flatten(2), weight.transpose(1, 2).reshape(count, -1), bias).transpose(1, 2)

    def _convolution(self, i: int) -> nn.Conv1d:
        return cast("nn.Conv1d", self.convolutions[i])  # a list of modules does not say of which kind they are

    def _strongest(self, embedded: Tensor, longest: int) -> Tensor:
        """Each filter's maximum over the positions of words of at most `longest` characters: (n, E, C) to (n, F).

        Of the windows of nothing but padding only the first is looked at: see `_trim`.
        """
        widths = [width for width, _ in self.config.filters]
        return torch.cat(
            [self.filter_responses(embedded[..., : longest + w], i).amax(-1) for i, w in enumerate(widths)], dim=1
        )

    def _groups(self, lengths: Tensor) -> list[tuple[slice, int]]:
        """Rows of words of like length, as (rows, longest of them), of as many responses as a cache holds.

        So a short word does not pay for the positions of the longest word of all.

        Args:
            lengths: (N,) int64, ascending.
        """
        room = _CACHE if lengths.device.type == "cpu" else 64 * _CACHE
        widest_bank = max(count for _, count in self.config.filters)
        groups, first, ascending = [], 0, lengths.tolist()
        for end, longest in enumerate(ascending, start=1):
            if end == len(ascending) or (end + 1 - first) * (ascending[end] + 1) * widest_bank > room:
                groups.append((slice(first, end), longest))
                first = end
        return groups or [(slice(0, 0), 0)]

    def _lengths(self, characters: Tensor) -> Tensor:
        """Columns of each row up to its last one that is not padding: (N, C) int64 to (N,) int64."""
        used = (characters != self.padding_id) & (characters != 0)
        return (used * torch.arange(1, characters.shape[1] + 1, device=characters.device)).amax(1)

    def _trim(self, characters: Tensor) -> Tensor:
        """Cut columns in which every row is padding, but one widest window.

        A window of nothing but padding gives the same number wherever it stands, so under the maximum one is as
        good as many: no word's vector moves, whatever words stand beside it.
        """
        longest = int(self._lengths(characters).max()) if len(characters) else 0
        return characters[:, : longest + max(width for width, _ in self.config.filters)]


def _sums(rows: Tensor) -> Tensor:
    """A number for each row of (N, C) int64, (N,) int64: a polynomial of its characters, seldom that of another row."""
    factors = torch.full((rows.shape[1],), 0x5851F42D4C957F2D, device=rows.device).cumprod(0)  # wraps around
    return (rows * factors).sum(1)


def _initialize(convolution: nn.Conv1d, activation: str) -> None:
    """The published initial values: uniform for relu, normal for tanh (bilm-tf's training recipe)."""
    fan_in = convolution.in_channels * convolution.kernel_size[0]
    if activation == "relu":
        nn.init.uniform_(convolution.weight, -0.05, 0.05)
    else:
        nn.init.normal_(convolution.weight, std=fan_in**-0.5)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
