"""The bidirectional language model: two stacks of LSTMs that may not see what they predict (section 3.1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from elmo_helpers.checks import choice, instance, shown
from elmo_helpers.config import BiLMConfig, TextConfig, WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax
from elmo_helpers.model.bilm_outputs import BiLMLoss, BiLMOutput, LSTMState
from elmo_helpers.model.char_cnn import CharacterCNN
from elmo_helpers.model.compiling import methods_left_out_of_graphs
from elmo_helpers.model.devices import check_has_numbers, default_device
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.hub import HubModel
from elmo_helpers.model.lstm import LSTMLayer, SideBySide, reverse_within_lengths, within_lengths
from elmo_helpers.model.sizes import memory_of, parameters_of, within_memory
from elmo_helpers.model.softmax import resolve_softmax, softmax_of
from elmo_helpers.model.storage import read_model, write_model
from elmo_helpers.model.word_embedding import WordEmbedding
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.vocabulary import PAD, WordVocabulary
from elmo_helpers.text.word_ids import WordIds


@methods_left_out_of_graphs("forward", "contextualize", "loss", "stream_loss")
class BiLM(HubModel, nn.Module):
    """A character CNN, a forward and a backward LSTM stack, and one softmax for both.

    The forward stack reads `<S> w1 … wn </S>` from the left and its output at t predicts the token at t + 1; the
    backward stack reads from the right and its output at t predicts the token at t - 1. Neither ever reads the other,
    at no layer, or it would see the word that it is to predict.
    """

    config: BiLMConfig
    vocabulary: WordVocabulary
    text: TextConfig
    character_vocabulary: CharacterVocabulary | WordIds
    char_cnn: CharacterCNN | WordEmbedding
    forward_layers: nn.ModuleList
    backward_layers: nn.ModuleList
    softmax: FullSoftmax | AdaptiveSoftmax | None
    side_by_side: SideBySide
    dropout: nn.Dropout

    def __init__(self, config: BiLMConfig, vocabulary: WordVocabulary, text: TextConfig | None = None) -> None:
        """A model with fresh weights.

        Args:
            config: Its sizes.
            vocabulary: The words that it predicts.
            text: How the text that it is trained on was made into tokens; kept for encoding raw titles.
        """
        super().__init__()
        instance("config", config, BiLMConfig, "a BiLMConfig")
        instance("vocabulary", vocabulary, WordVocabulary, "a WordVocabulary")
        text = TextConfig() if text is None else instance("text", text, TextConfig, "a TextConfig, or None")
        # A saved model must say which softmax it has, whatever a later version makes of "auto".
        config = replace(config, softmax=resolve_softmax(config, vocabulary))
        self.config, self.vocabulary, self.text = config, vocabulary, text
        with within_memory("A model of these sizes", memory_of(parameters_of(config, len(vocabulary)))):
            if isinstance(config.char_cnn, WordEmbeddingConfig):
                if config.char_cnn.n_words != len(vocabulary):
                    raise ElmoHelpersError(
                        f"The configuration has vectors of {config.char_cnn.n_words} words and the vocabulary "
                        f"{len(vocabulary)} words: they must be of one number."
                    )
                self.character_vocabulary = WordIds(vocabulary)
                self.char_cnn = WordEmbedding(config.char_cnn)
            else:
                self.character_vocabulary = CharacterVocabulary(config.char_cnn.scheme, config.char_cnn.max_characters)
                self.char_cnn = CharacterCNN(config.char_cnn)
            self.forward_layers = self._stack()
            self.backward_layers = self._stack()
            self.softmax = softmax_of(config, vocabulary)
        self.side_by_side = SideBySide()
        self.dropout = nn.Dropout(config.dropout)

    def _stack(self) -> nn.ModuleList:
        c = self.config
        return nn.ModuleList(
            LSTMLayer(
                c.char_cnn.output_dim if layer == 0 else c.output_dim,
                c.hidden_dim,
                c.projection_dim,
                c.cell_clip,
                c.projection_clip,
            )
            for layer in range(c.n_layers)
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.layer(0, 0).weight_ih.device

    @property
    def predictor(self) -> FullSoftmax | AdaptiveSoftmax:
        """The softmax, of a model that predicts words.

        Raises:
            ElmoHelpersError: It has none.
        """
        if self.softmax is None:
            raise ElmoHelpersError("The model has no softmax (softmax='none'): it predicts no words and has no loss.")
        return self.softmax

    def layer(self, direction: int, i: int) -> LSTMLayer:
        """The i-th LSTM layer from below of a direction: 0 reads forward, 1 backward."""
        return cast("LSTMLayer", (self.forward_layers, self.backward_layers)[direction][i])

    def forward(
        self,
        characters: Tensor,
        tokens: Tensor,
        lengths: Tensor,
        *,
        state: LSTMState | None = None,
        return_states: bool = False,
    ) -> BiLMOutput:
        """All layers of a batch.

        Args:
            characters: (U, C) integer character ids, a row for each distinct word of the batch.
            tokens: (B, T) int64, each token's row in `characters`; any valid row where there is padding.
            lengths: (B,) int64, tokens of each title with both boundaries, at least 1.
            state: Where the LSTMs begin to read; None: at zero. No gradient flows into it.
            return_states: Also give the final states.

        Raises:
            ElmoHelpersError: The shapes do not fit together.
        """
        return self.contextualize(self.char_cnn(characters), tokens, lengths, state=state, return_states=return_states)

    def contextualize(
        self,
        vectors: Tensor,
        tokens: Tensor,
        lengths: Tensor,
        *,
        state: LSTMState | None = None,
        return_states: bool = False,
    ) -> BiLMOutput:
        """`forward` from token vectors that are there already, so that a word of a corpus is spelled out once.

        Args:
            vectors: (U, D) float, what `char_cnn` gives for each distinct word.
            tokens: (B, T) int64, each token's row in `vectors`; any valid row where there is padding.
            lengths: As in `forward`.
            state: As in `forward`.
            return_states: As in `forward`.

        Raises:
            ElmoHelpersError: The shapes do not fit together.
        """
        words, lengths, mask = self._read(vectors, tokens, lengths)
        xs = [words, reverse_within_lengths(words, lengths)]
        outputs, states = self._stacks(xs, lengths, state, return_states=return_states)
        layer_0 = [words, words] if words.shape[-1] == self.config.output_dim else [words]
        pairs = ((forward, reverse_within_lengths(backward, lengths)) for forward, backward in outputs)
        # All layers of a token side by side, so that they are copied once.
        layers = torch.cat([*layer_0, *(output for pair in pairs for output in pair)], -1)
        layers = layers.unflatten(-1, (self.config.n_layers + 1, -1)).movedim(-2, 0)
        if (lengths < tokens.shape[1]).any():
            layers = layers.masked_fill(~mask[..., None], 0)
        if not return_states:
            return BiLMOutput(layers, mask)
        return BiLMOutput(layers, mask, *(torch.cat([*s], -1) for s in _together(states)))

    def loss(self, characters: Tensor, tokens: Tensor, lengths: Tensor, targets: Tensor) -> BiLMLoss:
        """The loss of both directions, without a term for padding.

        −Σ_k log p(t_k | t_1, …, t_{k−1}) and −Σ_k log p(t_k | t_{k+1}, …, t_N)      (section 3.1, equation 1)

        Args:
            characters: As in `forward`.
            tokens: As in `forward`.
            lengths: As in `forward`, each at least 2.
            targets: (B, T) int64, the vocabulary id of the token at each position itself; the shift by one is made
                here.
        """
        words, lengths, _ = self._read(self.char_cnn(characters), tokens, lengths)
        # The last position of each row has no next one to predict.
        before_last = within_lengths(lengths - 1, tokens.shape[1] - 1).to(self.device)  # (B, T - 1)
        outputs, _ = self._stacks([words, reverse_within_lengths(words, lengths)], lengths)
        in_order = [targets, reverse_within_lengths(targets, lengths)]
        return self._predict(
            [top[:, :-1][before_last] for top in outputs[-1]], [wanted[:, 1:][before_last] for wanted in in_order]
        )

    def stream_loss(
        self, characters: Tensor, tokens: Tensor, targets: Tensor, state: LSTMState | None = None
    ) -> tuple[BiLMLoss, LSTMState]:
        """The loss of B streams over T tokens each, and what the LSTMs remember at their ends.

        The published recipe: the state goes on from one piece of the streams to the next, and the gradient does not
        (truncated back-propagation).

        Args:
            characters: As in `forward`.
            tokens: (2, B, T) int64 rows of `characters`: what the forward direction reads, and what the backward
                direction reads, each in its own reading order.
            targets: (2, B, T) int64 vocabulary ids: the token that follows each in its reading order; padding where a
                stream has ended, which is not counted and stands at the end of a row.
            state: Where the LSTMs are; None: at zero.
        """
        if tokens.ndim != 3 or len(tokens) != 2 or targets.shape != tokens.shape:
            raise ElmoHelpersError(
                f"tokens and targets: expected one shape (2, B, T), and got {tuple(tokens.shape)} and "
                f"{tuple(targets.shape)}."
            )
        vectors = self.char_cnn(characters)
        lengths = torch.full((tokens.shape[1],), tokens.shape[2], device="cpu")
        xs = [nn.functional.embedding(read, vectors) for read in tokens]
        outputs, states = self._stacks(xs, lengths, state, return_states=True)
        counted = targets != PAD
        read = [top[where] for top, where in zip(outputs[-1], counted, strict=True)]
        loss = self._predict(read, [wanted[where] for wanted, where in zip(targets, counted, strict=True)])
        return loss, LSTMState(*(s.detach() for s in _together(states)))

    def _predict(self, read: list[Tensor], wanted: list[Tensor]) -> BiLMLoss:
        """The loss of the outputs (n, P) of each direction for the targets (n,): one softmax over both."""
        n = len(wanted[0])
        loss = self.predictor(self.dropout(torch.cat(read)), torch.cat(wanted))
        forward, backward = (rows.sum(dtype=torch.float64) for rows in (loss.rows[:n], loss.rows[n:]))
        return BiLMLoss(loss.total, forward, backward, n)

    def _read(self, vectors: Tensor, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Token vectors (B, T, D), lengths on the CPU, and the mask (B, T)."""
        if tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
            raise ElmoHelpersError(
                f"tokens and lengths: expected shapes (B, T) and (B,), and got {tuple(tokens.shape)} and "
                f"{tuple(lengths.shape)}."
            )
        lengths = lengths.cpu()
        if ((lengths < 1) | (lengths > tokens.shape[1])).any():
            raise ElmoHelpersError(
                f"lengths: expected numbers from 1 to the {tokens.shape[1]} positions of tokens, and got "
                f"{int(lengths.min())} to {int(lengths.max())}."
            )
        words = nn.functional.embedding(tokens, vectors)
        mask = within_lengths(lengths, tokens.shape[1]).to(self.device)
        return words, lengths, mask

    def _stacks(
        self, xs: list[Tensor], lengths: Tensor, before: LSTMState | None = None, *, return_states: bool = False
    ) -> tuple[list[list[Tensor]], list[tuple[Tensor, Tensor]]]:
        """Outputs of each layer in reading order, L of [forward, backward] (B, T, P); states (see `_together`).

        Args:
            xs: What each direction reads, (B, T, D), in its reading order.
            lengths: (B,) int64, on the CPU.
            before: Where the LSTMs begin; None: at zero.
            return_states: Also give the final states.
        """
        layers, states = [], []
        for i in range(self.config.n_layers):
            xs = [self.dropout(x) for x in xs]
            outputs, state = self.side_by_side(
                [self.layer(0, i), self.layer(1, i)],
                xs,
                lengths,
                state=None if before is None else (before.h[:, i], before.c[:, i]),
                return_states=return_states,
            )
            if i > 0 and self.config.skip_connections:
                outputs = [output + x for output, x in zip(outputs, xs, strict=True)]
            layers.append(xs := outputs)
            if state is not None:
                states.append(state)
        return layers, states

    def save(self, directory: str | os.PathLike[str], *, dtype: str = "float32") -> None:
        """Write the model to a directory, whole or not at all: weights, configuration and vocabulary.

        Args:
            directory: New, empty, or of a model.
            dtype: Of the weights on disk: "float32"; or "float16", which takes half the room. A model that is read
                from there computes in float32.

        Raises:
            ElmoHelpersError: The directory cannot be written to, the model has no numbers, or one that float16 cannot
                hold.
        """
        check_has_numbers(self.device)
        write_model(directory, self.config, self.text, self.vocabulary, self._weights(dtype))

    def _weights(self, dtype: str) -> dict[str, Tensor]:
        """The weights as they are to be on disk."""
        weights = self.state_dict()
        if choice("dtype", dtype, ("float32", "float16")) == "float16":
            weights = {name: weight.half() for name, weight in weights.items()}
            for name, weight in weights.items():
                if not weight.isfinite().all():
                    raise ElmoHelpersError(f"dtype='float16': {name} has numbers beyond ±65,504: write float32.")
        return weights

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote; it gives the same numbers, and is in evaluation mode.

        Args:
            directory: Where it is; or the name of a model that ships, see `shipped_models`.

        Raises:
            ElmoHelpersError: A file is missing or damaged, or the files do not fit together.
        """
        model = cls.of_weights(*read_model(directory))
        model.folder = Path(directory)
        return model

    @classmethod
    def of_weights(
        cls, config: BiLMConfig, text: TextConfig, vocabulary: WordVocabulary, weights: Mapping[str, Tensor]
    ) -> Self:
        """A model that has these weights, as float32, and is in evaluation mode; they can be trained.

        Args:
            config, text, vocabulary: As of a fresh one.
            weights: By their names in `state_dict`, of any floating dtype.
        """
        # Fresh weights are drawn, and replaced at once.
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]), torch.device("cpu"):
            model = cls(config, vocabulary, text)
            model.load_state_dict(weights)
        return model.to(default_device()).eval()


def _together(states: list[tuple[Tensor, Tensor]]) -> LSTMState:
    """What all layers remember, of h (2, B, P) and c (2, B, H) of each."""
    h, c = (torch.stack(s, 1) for s in zip(*states, strict=True))
    return LSTMState(h, c)


def model_of(model: BiLM | str | os.PathLike[str]) -> BiLM:
    """A model as it is, also out of what `torch.compile` has made of it; or the saved one of a directory or a name.

    Raises:
        ElmoHelpersError: It is neither, or has no numbers (see `check_has_numbers`), or the directory holds no model.
    """
    own: object = getattr(model, "_orig_mod", model)
    if isinstance(own, BiLM):
        check_has_numbers(own.device)
        return own
    if not isinstance(model, str | os.PathLike):
        raise ElmoHelpersError(f"model={shown(model)}: expected a BiLM, or the directory or name of one.")
    return BiLM.load(model)
