"""`Elmo` and `batch_to_ids` as code written for AllenNLP knows them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from elmo_helpers.checks import flag, number, shown, whole_number, word_list
from elmo_helpers.encoding.word_vectors import WordVectors
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of
from elmo_helpers.interchange.ids import batch_to_ids, check_ids, check_whole, ids_of, sentences_of
from elmo_helpers.interchange.official import load_official
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.model.compiling import methods_left_out_of_graphs
from elmo_helpers.model.kept import KeptFromWeights
from elmo_helpers.model.precision import check_products, products_in
from elmo_helpers.model.scalar_mix import ScalarMix, mix_weights
from elmo_helpers.model.storage import is_model

__all__ = ["Elmo", "batch_to_ids"]

_MAX_WORDS = 50_000  # distinct words whose vectors are kept between calls: 100 MB at the published width of 512


class _ReadsLayers(Protocol):
    """What the layers come from: `_Reader`, or a module of the caller's own."""

    num_layers: int

    def get_output_dim(self) -> int: ...

    def __call__(self, inputs: Tensor, word_inputs: Tensor | None = None) -> dict[str, Any]: ...


class Elmo(nn.Module):
    """Mixed layers of a biLM as a layer of a task's model (Peters et al. 2018, section 3.2).

    Arguments and results are those of AllenNLP's class of that name. What differs: the same sentence always gives the
    same vector. `stateful=True` is the behaviour of the published models, whose LSTMs go on at each call from where the
    last one ended, row by row, so that a vector depends on all calls before.

    The biLM itself is never in training mode: dropout falls on the mixed vectors alone, as published.
    """

    keep_sentence_boundaries: bool
    dropout: nn.Dropout
    reader: _ReadsLayers
    scalar_mixes: nn.ModuleList

    def __init__(
        self,
        options_file: str | os.PathLike[str] | None,
        weight_file: str | os.PathLike[str] | None,
        num_output_representations: int,
        requires_grad: bool = False,
        do_layer_norm: bool = False,
        dropout: float = 0.5,
        vocab_to_cache: Sequence[str] | None = None,
        keep_sentence_boundaries: bool = False,
        scalar_mix_parameters: Sequence[float] | None = None,
        module: nn.Module | None = None,
        *,
        stateful: bool = False,
    ) -> None:
        """A layer from published files, or from a model.

        Args:
            options_file: options.json; or, without `weight_file`, a directory or zip file with all files of a model,
                or the directory or name of one of ours.
            weight_file: The HDF5 file.
            num_output_representations: Mixes with weights of their own, for tasks that use ELMo in several places.
            requires_grad: Train the biLM, too, and not only the mixes.
            do_layer_norm: Normalise the layers over the batch before they are mixed.
            dropout: Of the mixed vectors, in training mode.
            vocab_to_cache: Words whose vectors are computed now, for `word_inputs`; number 0 stands for padding.
            keep_sentence_boundaries: Leave the vectors of `<S>` and `</S>` in the results.
            scalar_mix_parameters: Fixed weights of the layers before the softmax, L + 1 of them; None: learned ones.
            module: A `BiLM`, in the place of files; or a module that has num_layers and turns what `forward` gets into
                {"activations": L + 1 tensors (B, T + 2, width), "mask": (B, T + 2)}.
            stateful: Go on from the last call's LSTM states.

        Raises:
            ElmoHelpersError: A file cannot be used, or an argument is wrong.
        """
        super().__init__()
        n_mixes = whole_number("num_output_representations", num_output_representations, 1)
        requires_grad, stateful = flag("requires_grad", requires_grad), flag("stateful", stateful)
        do_layer_norm = flag("do_layer_norm", do_layer_norm)
        self.keep_sentence_boundaries = flag("keep_sentence_boundaries", keep_sentence_boundaries)
        self.dropout = nn.Dropout(number("dropout", dropout, "a share from 0 to 1", 0, 1))
        if vocab_to_cache is not None:
            vocab_to_cache = word_list("vocab_to_cache", vocab_to_cache)
        if (module is None) == (options_file is None) or (module is not None and weight_file is not None):
            raise ElmoHelpersError("options_file, weight_file and module: expected either files or a model.")
        if options_file is not None:
            weights = None if weight_file is None else path_of("weight_file", weight_file)
            options = path_of("options_file", options_file)
            is_ours = weights is None and (is_model(options) or not os.path.lexists(options))  # a name, perhaps
            module = BiLM.load(options) if is_ours else load_official(options, weights, softmax=False)
        is_own = isinstance(module, nn.Module) and hasattr(module, "num_layers") and vocab_to_cache is None
        if not isinstance(module, BiLM) and (not is_own or stateful):
            raise ElmoHelpersError(
                "module: expected a BiLM, or a module with num_layers, without vocab_to_cache and stateful."
            )
        n_layers = module.config.n_layers + 1 if isinstance(module, BiLM) else cast("_ReadsLayers", module).num_layers
        w = None
        if scalar_mix_parameters is not None:
            w = mix_weights("scalar_mix_parameters", scalar_mix_parameters, n_layers)
        mixes = [ScalarMix(n_layers, w, trainable=w is None, layer_norm=do_layer_norm) for _ in range(n_mixes)]
        if isinstance(module, BiLM):
            module = _Reader(module, vocab_to_cache, requires_grad=requires_grad, stateful=stateful)
        self.reader, self.scalar_mixes = cast("_ReadsLayers", module), nn.ModuleList(mixes)

    @property
    def bilm(self) -> BiLM:
        """The model whose layers are mixed.

        Raises:
            ElmoHelpersError: They are those of a module that is none.
        """
        return self._own_reader.bilm

    @property
    def _own_reader(self) -> _Reader:
        if not isinstance(self.reader, _Reader):
            raise ElmoHelpersError("module: it is no BiLM, so there is neither a biLM here nor a state of its LSTMs.")
        return self.reader

    def get_output_dim(self) -> int:
        """The width of a vector, 2P."""
        return self.reader.get_output_dim()

    def batch_to_ids(self, batch: Iterable[Iterable[str]]) -> Tensor:
        """The ids of a batch of sentences for this very model: (B, T, C) int64, zero where there is padding.

        Those of the function of that name are for models that read words as the published ones do, by C = 50 ids of
        their bytes. Here C is the model's own number of characters, or 1 where it reads words whole, by their numbers.

        Args:
            batch: As in `batch_to_ids`.

        Raises:
            ElmoHelpersError: Something is no sentence or no word, or nothing of a word can be spelled.
        """
        return ids_of(sentences_of("batch", batch), self.bilm.character_vocabulary)

    def forward(self, inputs: Tensor, word_inputs: Tensor | None = None) -> dict[str, Any]:
        """Vectors of the words of a batch.

        Args:
            inputs: (B, T, 50) int64, from `batch_to_ids`; or (..., T, 50). Of other models (..., T, C), from their
                own `Elmo.batch_to_ids`. B may be 0.
            word_inputs: (..., T) int64, each word's number in `vocab_to_cache`, 0 for padding: read in place of
                `inputs` where there is a cache, unless a number is not in it.

        Returns:
            "elmo_representations": num_output_representations tensors (..., T, 2P) float, under `torch.autocast` of
            its dtype; zero at padding, without layer normalisation. With `keep_sentence_boundaries` T + 2 in the place
            of T.
            "mask": (..., T) bool, True at words.

        Raises:
            ElmoHelpersError: A tensor is of the wrong kind or shape, or padding stands before a word.
        """
        if not isinstance(inputs, Tensor) or inputs.ndim < 3:
            raise ElmoHelpersError(
                f"inputs: expected a tensor of the shape (..., T, characters), as batch_to_ids makes it, and got "
                f"{shown(inputs)}."
            )
        outer = inputs.shape[:-2]
        if word_inputs is not None:
            if not isinstance(word_inputs, Tensor) or word_inputs.shape != inputs.shape[:-1]:
                raise ElmoHelpersError(
                    f"word_inputs: expected a tensor of the shape {tuple(inputs.shape[:-1])}, a number a word, and got "
                    f"{shown(word_inputs)}."
                )
            word_inputs = word_inputs.flatten(0, -2)
        output = self.reader(inputs.flatten(0, -3), word_inputs)
        layers, mask = torch.stack(tuple(output["activations"])), output["mask"].bool()
        lengths = mask.sum(1, keepdim=True)
        representations = []
        for mix in self.scalar_mixes:
            mixed = mix(layers, mask)
            if not self.keep_sentence_boundaries:
                inside = torch.arange(mask.shape[1] - 2, device=mask.device) < lengths - 2
                mixed = mixed[:, 1:-1].masked_fill(~inside[..., None], 0)
            representations.append(self.dropout(mixed).reshape(*outer, *mixed.shape[1:]))
        if not self.keep_sentence_boundaries:
            mask = inside
        return {"elmo_representations": representations, "mask": mask.reshape(*outer, mask.shape[1])}

    def reset_states(self) -> None:
        """Begin from zero states at the next call, as each call of a stateless one does."""
        self._own_reader.reset_states()

    def warm_up(self, sentences: Iterable[Iterable[str]] | Tensor, batch_size: int = 64) -> None:
        """Read sentences for their effect on the states alone, where `stateful=True`.

        From zero states the first vectors of the published models are worse than later ones.

        Args:
            sentences: As in `batch_to_ids`, or their ids (N, T, C).
            batch_size: Sentences read side by side, as many as later batches have.

        Raises:
            ElmoHelpersError: There are no states to fill, or `sentences` are no sentences.
        """
        if not self._own_reader.stateful:
            raise ElmoHelpersError("stateful=False: there are no states to fill; make this layer with stateful=True.")
        if not isinstance(sentences, Tensor):
            sentences = sentences_of("sentences", sentences)
        elif sentences.ndim != 3:
            raise ElmoHelpersError(f"sentences: expected ids of the shape (N, T, C), and got {shown(sentences)}.")
        with torch.no_grad():
            for start in range(0, len(sentences), whole_number("batch_size", batch_size, 1)):
                part = sentences[start : start + batch_size]
                ids = part if isinstance(part, Tensor) else ids_of(part, self.bilm.character_vocabulary)
                self.reader(ids.to(self.bilm.device))


@methods_left_out_of_graphs("forward")
class _Reader(nn.Module):
    """A biLM that reads padded character ids, and may go on from one call to the next."""

    def __init__(
        self, bilm: BiLM, vocab_to_cache: Sequence[str] | None, *, requires_grad: bool, stateful: bool
    ) -> None:
        super().__init__()
        self.bilm, self.requires_grad, self.stateful = bilm, requires_grad, stateful
        self.num_layers = bilm.config.n_layers + 1
        self._state: LSTMState | None = None  # of as many rows as the largest batch so far
        self.kept_words = KeptFromWeights[WordVectors]()  # see `_word_vectors`
        for parameter in bilm.eval().parameters():
            parameter.requires_grad_(requires_grad)
        self.cached = None
        if vocab_to_cache is not None:
            vocabulary = bilm.character_vocabulary
            rows = np.concatenate([vocabulary.boundary_rows, vocabulary.encode(vocab_to_cache, "skip")])
            # As they are outside of a caller's autocast and inference mode, since they serve there, too.
            with torch.inference_mode(False), torch.no_grad(), products_in("fp32", bilm.device):
                vectors = bilm.char_cnn(torch.from_numpy(rows.astype(np.int64)).to(bilm.device))
            # Padding, <S>, </S>, then the words.
            self.cached = nn.Embedding.from_pretrained(vectors, freeze=not requires_grad)

    def train(self, mode: bool = True) -> _Reader:
        """Set the mode of this module; the biLM stays in evaluation mode."""
        super().train(mode)
        self.bilm.eval()
        return self

    def get_output_dim(self) -> int:
        """2P."""
        return 2 * self.bilm.config.output_dim

    def reset_states(self) -> None:
        """Forget all states."""
        self._state = None

    def forward(self, inputs: Tensor, word_inputs: Tensor | None = None) -> dict[str, Any]:
        """Layers and mask with boundaries, (B, T + 2, 2P) and (B, T + 2), of ids (B, T, C)."""
        check_products(self.bilm.layer(0, 0).weight_ih)
        n_sentences = len(inputs)
        if n_sentences == 0:  # LSTMs read at least one: a row of padding, whose vectors are left out again
            inputs = inputs.new_zeros(1, *inputs.shape[1:])
            word_inputs = None if word_inputs is None else word_inputs.new_zeros(1, *word_inputs.shape[1:])
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.requires_grad):
            real, vectors, of_words = self._from_cache(word_inputs) or self._spelled(inputs)
            tokens, lengths = _with_boundaries(real, of_words)
            if not self.stateful:
                output = self.bilm.contextualize(vectors, tokens, lengths)
            else:
                before = self._state_of(len(tokens))
                state = LSTMState(before.h[:, :, : len(tokens)], before.c[:, :, : len(tokens)])
                output = self.bilm.contextualize(vectors, tokens, lengths, state=state, return_states=True)
                if n_sentences:
                    self._keep(before, *output.states)
        return {"activations": output.layers[:, :n_sentences], "mask": output.mask[:n_sentences]}

    def _from_cache(self, word_inputs: Tensor | None) -> tuple[Tensor, Tensor, Tensor] | None:
        """What `_spelled` gives, by numbers of words; None: there is no cache, or a number is not in it."""
        if self.cached is None or word_inputs is None:
            return None
        check_whole("word_inputs", word_inputs, self.bilm.device)
        vectors = self.cached.weight
        if word_inputs.numel() and not 0 <= int(word_inputs.min()) <= int(word_inputs.max()) < len(vectors) - 3:
            return None
        real = word_inputs > 0
        return real, vectors, word_inputs[real].long() + 3

    def _spelled(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where the words are, (B, T) bool; vectors, padding and boundaries first, (U, D); and each word's row."""
        vocabulary = self.bilm.character_vocabulary
        if inputs.shape[-1] != vocabulary.max_characters:
            raise ElmoHelpersError(
                f"inputs: expected the shape (..., T, {vocabulary.max_characters}), and got {tuple(inputs.shape)}: the "
                "ids of this model are made by its own batch_to_ids, as in elmo(elmo.batch_to_ids(batch))."
            )
        check_ids("inputs", inputs, vocabulary.size, self.bilm.device)
        real = (inputs > 0).any(-1)
        words = self._word_vectors()
        if words is not None:
            known = words.lookup_spellings(inputs[real].numpy().astype(np.int32))
            return real, known.vectors, torch.from_numpy(known.rows)
        distinct, of_words = inputs[real].unique(dim=0, return_inverse=True)
        boundaries = torch.from_numpy(vocabulary.boundary_rows.astype(np.int64)).to(inputs.device)
        return real, self.bilm.char_cnn(torch.cat([boundaries, distinct])), of_words + 3

    def _word_vectors(self) -> WordVectors | None:
        """The vectors of words met before, while the weights that made them stay as they are; None: none are kept.

        Where the biLM is not trained, most words of a call were in earlier ones. A GPU spells them out sooner than it
        could look them up.
        """
        weights = list(self.bilm.char_cnn.parameters())
        kind = self.bilm.device.type
        precision: str | None = "fp32"
        if torch.is_autocast_enabled(kind):
            precision = {torch.bfloat16: "bf16"}.get(torch.get_autocast_dtype(kind))
        if torch.is_grad_enabled() or kind != "cpu" or precision is None:
            return None
        return self.kept_words.get(weights, precision, lambda: WordVectors(self.bilm, _MAX_WORDS, precision))

    def _state_of(self, n: int) -> LSTMState:
        """The states of all rows so far, n at least; new rows are at zero."""
        config, like = self.bilm.config, self.bilm.layer(0, 0).weight_ih

        def rows(known: Tensor | None, width: int) -> Tensor:
            known = like.new_zeros(2, config.n_layers, 0, width) if known is None else known.to(like)
            missing = max(n - known.shape[2], 0)
            return torch.cat([known, like.new_zeros(2, config.n_layers, missing, width)], 2)

        h, c = (None, None) if self._state is None else self._state
        return LSTMState(rows(h, config.output_dim), rows(c, config.hidden_dim))

    @torch.inference_mode(False)  # a call outside of it may go on from these states
    def _keep(self, before: LSTMState, h: Tensor, c: Tensor) -> None:
        """Take over the states (L, n, 2P) and (L, n, 2H) of the first n rows; no gradient goes through them."""
        n = h.shape[1]
        h, c = (torch.stack(x.detach().chunk(2, -1)) for x in (h, c))
        self._state = LSTMState(torch.cat([h, before.h[:, :, n:]], 2), torch.cat([c, before.c[:, :, n:]], 2))


def _with_boundaries(real: Tensor, of_words: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of `<S>` (1), words, `</S>` (2) and padding (0), (B, T + 2) int64, and their lengths (B,) on the CPU.

    Args:
        real: (B, T) bool, where the words are.
        of_words: (number of words,) int64, their rows, in the order of `real`.

    Raises:
        ElmoHelpersError: Padding stands before a word.
    """
    n_words = real.sum(1)
    positions = torch.arange(real.shape[1], device=real.device)
    if not torch.equal(real, positions < n_words[:, None]):
        row = int((real != (positions < n_words[:, None])).any(1).nonzero()[0])
        raise ElmoHelpersError(f"inputs: padding stands before a word in row {row}: expected it behind all words.")
    tokens = torch.zeros(len(real), real.shape[1] + 2, dtype=torch.int64, device=real.device)
    tokens[:, 0] = 1
    tokens[:, 1:-1][real] = of_words
    tokens[torch.arange(len(real), device=real.device), n_words + 1] = 2
    return tokens, (n_words + 2).cpu()
