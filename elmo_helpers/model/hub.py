"""A model's way to and from the Hugging Face Hub: the files of `BiLM.save`, and a model card beside them.

The names and arguments are those of `huggingface_hub`'s own mixin for models. That library is loaded only where the
Hub is asked for something, and none of the files that are fetched can run code.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from torch import nn

from elmo_helpers.checks import flag, instance, shown
from elmo_helpers.config import BiLMConfig, TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, whole_file
from elmo_helpers.model.model_card import CARD, Run, model_card
from elmo_helpers.model.storage import FILES
from elmo_helpers.pretrained.shipped import shipped_models
from elmo_helpers.text.vocabulary import WordVocabulary

_is_repo_id = re.compile(r"\w[\w.-]*/\w[\w.-]*").fullmatch


class HubModel(nn.Module):
    """`from_pretrained`, `save_pretrained` and `push_to_hub` of a model, whose own class says how it is kept."""

    config: BiLMConfig
    text: TextConfig
    vocabulary: WordVocabulary
    folder: Path | None = None  # where the model was loaded from: its run's figures may be there

    @abstractmethod
    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the model to a directory."""

    @classmethod
    @abstractmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote; it is in evaluation mode."""

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """Read a model by its name; it is in evaluation mode.

        Args:
            name: A directory that `save` or `save_pretrained` wrote; or else a model that ships, see `shipped_models`,
                or one on the Hugging Face Hub, "owner/name". Only for the last one something is fetched, and the other
                arguments have an effect.
            revision: A branch, tag or commit on the Hub.
            token: Of the Hub, for private models; None: the one that is kept on this machine, if any.
            cache_dir: Where fetched files are kept.
            force_download: Fetch files that are kept already anew.
            local_files_only: Fetch nothing, and take what is kept.

        Raises:
            ElmoHelpersError: There is no such model, a file cannot be fetched, is missing or damaged.
        """
        # A name that is too long, or has a zero byte in it, is none of a directory.
        if isinstance(name, str | os.PathLike) and (os.path.isdir(Path(name)) or os.fspath(name) in shipped_models()):
            return cls.load(name)
        if not isinstance(name, str) or not _is_repo_id(name):
            given = " ".join(os.fspath(name).split()) if isinstance(name, str | Path) else shown(name)
            raise ElmoHelpersError(
                f"{given:.200} is no directory: name one that BiLM.save wrote, a model that ships "
                f"({', '.join(shipped_models())}), or one on the Hugging Face Hub as 'owner/name'."
            )
        with _hub(f"{name} is no directory here, and cannot be fetched from the Hugging Face Hub") as hub:
            fetched = hub.snapshot_download(
                name,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                force_download=flag("force_download", force_download),
                local_files_only=flag("local_files_only", local_files_only),
                allow_patterns=list(FILES),
                library_name="elmo_helpers",
            )
        return cls.load(fetched)

    def save_pretrained(self, directory: str | os.PathLike[str], *, run: str | os.PathLike[str] | None = None) -> None:
        """Write the model as `save` does, and a model card, README.md, where there is none yet.

        Args:
            directory: Where to.
            run: The directory of the run that trained the model, whose settings and perplexities the card tells; None:
                the directory that the model was loaded from, if there is a run with these weights.

        Raises:
            ElmoHelpersError: The directory cannot be written to, or `run` holds no run or other weights.
        """
        directory = path_of("directory", directory)
        card = directory / CARD
        # Read before the model is written, which may be to the directory of the run itself.
        text = None if os.path.exists(card) else self._card(os.path.basename(os.path.realpath(directory)), run)
        self.save(directory)
        if text is not None:
            with whole_file(card) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def push_to_hub(
        self,
        repo_id: str,
        *,
        run: str | os.PathLike[str] | None = None,
        commit_message: str = "Push a model with elmo_helpers",
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> str:
        """Put the model on the Hugging Face Hub, in a repository that is made where there is none.

        Args:
            repo_id: "owner/name", or a name among your own.
            run: See `save_pretrained`. A README.md that the repository has already stays as it is.
            commit_message: Of the commit.
            private: Whether a new repository is private; None: as the owner's default is.
            token: See `from_pretrained`.
            branch: The branch to write to; None: the main one.
            create_pr: Propose the files in a pull request, in the place of writing them.

        Returns:
            The address of the commit.

        Raises:
            ElmoHelpersError: An argument is of the wrong kind, `run` holds no run or other weights, or the Hub refuses.
        """
        instance("repo_id", repo_id, str, "'owner/name', or a name among your own")
        private = None if private is None else flag("private", private)
        create_pr = None if create_pr is None else flag("create_pr", create_pr)
        with TemporaryDirectory() as temporary:
            directory = Path(temporary)
            self.save(directory)
            text = self._card(repo_id, run)
            with _hub(f"{repo_id} cannot be written to on the Hugging Face Hub") as hub:
                api = hub.HfApi(token=token)
                repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
                if branch is not None:
                    api.create_branch(repo_id, branch=branch, exist_ok=True)
                if not api.file_exists(repo_id, CARD, revision=branch):
                    (directory / CARD).write_text(text, encoding="utf-8")
                done = api.upload_folder(
                    repo_id=repo_id,
                    folder_path=directory,
                    commit_message=commit_message,
                    revision=branch,
                    create_pr=create_pr,
                )
        return str(done.commit_url)

    def _card(self, name: str, run: str | os.PathLike[str] | None) -> str:
        trained = None
        if run is not None:
            trained = Run.read(run, self.state_dict())
        elif self.folder is not None:
            trained = Run.find(self.folder, self.state_dict())
        return model_card(name, self.config, self.text, len(self.vocabulary), trained)


@contextmanager
def _hub(what: str) -> Iterator[Any]:
    """The library huggingface_hub; what it raises becomes one sentence that begins with `what`."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import EntryNotFoundError, HTTPError
    except ImportError:
        raise ElmoHelpersError(
            f"{what}: huggingface_hub is not installed; run `pip install elmo_helpers[hub]`, or name a directory."
        ) from None
    try:
        yield huggingface_hub
    except ElmoHelpersError:
        raise
    except (OSError, ValueError, EntryNotFoundError, HTTPError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ElmoHelpersError(f"{what} ({reason:.300}): check the name, the token and the network.") from error
