"""One learned vector a word: what a few models have in the place of a character CNN."""

import torch
from torch import Tensor, nn

from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError


class WordEmbedding(nn.Module):
    """Word ids to token vectors, with the interface of `CharacterCNN`; row 0, padding, is zero."""

    weight: nn.Parameter

    def __init__(self, config: WordEmbeddingConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_words, config.dim, dtype=torch.float32))  # (V, D)
        nn.init.normal_(self.weight, std=config.dim**-0.5)
        with torch.no_grad():
            self.weight[0] = 0

    def forward(self, ids: Tensor) -> Tensor:
        """Map vocabulary ids (N, 1) int to token vectors (N, D) float.

        Raises:
            ElmoHelpersError: The rows are not one id long, or an id is outside the vocabulary.
        """
        if ids.ndim != 2 or ids.shape[1] != 1:
            raise ElmoHelpersError(
                f"characters: expected rows of one word id, shape (N, 1), and got shape {tuple(ids.shape)}."
            )
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < len(self.weight):
            raise ElmoHelpersError(
                f"characters: expected word ids from 0 to {len(self.weight) - 1}, and got {int(ids.min())} to "
                f"{int(ids.max())}."
            )
        return nn.functional.embedding(ids[:, 0].long(), self.weight, padding_idx=0)
