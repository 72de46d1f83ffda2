"""ELMo in PyTorch: titles in, vectors out.

One legend for the shapes in all docstrings, notebooks and the README:

    B  titles in a batch
    T  tokens of a title, with both boundaries
    C  characters of a token
    E  character embedding
    F  all filters of the character CNN together
    D  token vector that the LSTMs read
    H  LSTM cell
    P  LSTM output of one direction; H without projection
    L  LSTM layers; layer 0 is the token vector
    V  words of the vocabulary
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `as` says that a name is to be had from here
    from elmo_helpers.analysis.generation import Generator as Generator
    from elmo_helpers.analysis.probe import MixClassifier as MixClassifier
    from elmo_helpers.analysis.probe import learn_mix as learn_mix
    from elmo_helpers.analysis.scoring import Scorer as Scorer
    from elmo_helpers.config import BiLMConfig as BiLMConfig
    from elmo_helpers.config import CharCNNConfig as CharCNNConfig
    from elmo_helpers.config import TextConfig as TextConfig
    from elmo_helpers.encoding.corpus_encoding import encode_file as encode_file
    from elmo_helpers.encoding.encoder import Encoder as Encoder
    from elmo_helpers.errors import ElmoHelpersError as ElmoHelpersError
    from elmo_helpers.interchange.elmo import Elmo as Elmo
    from elmo_helpers.interchange.elmo import batch_to_ids as batch_to_ids
    from elmo_helpers.interchange.official import load_official as load_official
    from elmo_helpers.interchange.official import save_official as save_official
    from elmo_helpers.model.bilm import BiLM as BiLM
    from elmo_helpers.model.char_cnn import CharacterCNN as CharacterCNN
    from elmo_helpers.model.char_cnn import Highway as Highway
    from elmo_helpers.model.scalar_mix import ScalarMix as ScalarMix
    from elmo_helpers.pretrained.shipped import shipped_models as shipped_models
    from elmo_helpers.text.characters import CharacterVocabulary as CharacterVocabulary
    from elmo_helpers.text.corpus import Corpus as Corpus
    from elmo_helpers.text.preparation import prepare_corpus as prepare_corpus
    from elmo_helpers.text.shards import CorpusShards as CorpusShards
    from elmo_helpers.text.titles import clean_titles as clean_titles
    from elmo_helpers.text.titles import default_titles as default_titles
    from elmo_helpers.text.titles import normalize_title as normalize_title
    from elmo_helpers.text.titles import read_titles as read_titles
    from elmo_helpers.text.tokenization import Tokenizer as Tokenizer
    from elmo_helpers.text.vocabulary import WordVocabulary as WordVocabulary
    from elmo_helpers.training.config import TrainingConfig as TrainingConfig
    from elmo_helpers.training.evaluation import evaluate as evaluate
    from elmo_helpers.training.ngrams import InterpolatedBigramModel as InterpolatedBigramModel
    from elmo_helpers.training.ngrams import KneserNeyModel as KneserNeyModel
    from elmo_helpers.training.ngrams import UnigramModel as UnigramModel
    from elmo_helpers.training.trainer import fine_tune as fine_tune
    from elmo_helpers.training.trainer import train as train

# Each name is imported when it is first used: the processes that only cut text into tokens never load PyTorch.
_HOME = {
    "BiLM": "model.bilm",
    "BiLMConfig": "config",
    "CharCNNConfig": "config",
    "CharacterCNN": "model.char_cnn",
    "CharacterVocabulary": "text.characters",
    "Corpus": "text.corpus",
    "CorpusShards": "text.shards",
    "Elmo": "interchange.elmo",
    "ElmoHelpersError": "errors",
    "Encoder": "encoding.encoder",
    "Generator": "analysis.generation",
    "Highway": "model.char_cnn",
    "InterpolatedBigramModel": "training.ngrams",
    "KneserNeyModel": "training.ngrams",
    "MixClassifier": "analysis.probe",
    "Scorer": "analysis.scoring",
    "ScalarMix": "model.scalar_mix",
    "TextConfig": "config",
    "Tokenizer": "text.tokenization",
    "TrainingConfig": "training.config",
    "UnigramModel": "training.ngrams",
    "WordVocabulary": "text.vocabulary",
    "batch_to_ids": "interchange.elmo",
    "clean_titles": "text.titles",
    "default_titles": "text.titles",
    "encode_file": "encoding.corpus_encoding",
    "evaluate": "training.evaluation",
    "fine_tune": "training.trainer",
    "learn_mix": "analysis.probe",
    "load_official": "interchange.official",
    "normalize_title": "text.titles",
    "prepare_corpus": "text.preparation",
    "read_titles": "text.titles",
    "save_official": "interchange.official",
    "shipped_models": "pretrained.shipped",
    "train": "training.trainer",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'elmo_helpers' has no attribute {name!r}")
    value = getattr(import_module(f"elmo_helpers.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
