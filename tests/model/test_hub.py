"""Models to and from the Hugging Face Hub, without a network: what is asked of it, and what is made of its answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, TrainingConfig, WordVocabulary, train
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.model.model_card import _some

FILES = {"config.json", "vocabulary.json", "model.safetensors"}


def same(one, other):
    assert (one.config, one.text, one.vocabulary.words) == (other.config, other.text, other.vocabulary.words)
    weights = other.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in one.state_dict().items())
    assert not one.training


@pytest.fixture
def run(tmp_path):
    """The directory of a short run with a perplexity after each of three epochs."""
    corpus = corpus_of(TOY_TITLES * 4, valid=0.25)
    settings = TrainingConfig(epochs=3, learning_rate=0.01, batch_size=8)
    train(
        corpus.split("train"),
        BiLMConfig.preset("tiny"),
        settings,
        validation=corpus.split("valid"),
        directory=tmp_path / "run",
        progress=False,
    )
    return tmp_path / "run"


@pytest.fixture
def no_hub(monkeypatch):
    """Any use of the Hub's library fails."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


def test_saved_and_read_without_the_hub(toy_model, tmp_path, no_hub):
    toy_model.save_pretrained(tmp_path / "one")
    assert {path.name for path in (tmp_path / "one").iterdir()} == FILES | {"README.md"}
    for name in (tmp_path / "one", str(tmp_path / "one"), os.path.relpath(tmp_path / "one")):
        same(BiLM.from_pretrained(name), toy_model)
    same(BiLM.load(tmp_path / "one"), toy_model)
    toy_model.save(tmp_path / "two")
    same(BiLM.from_pretrained(tmp_path / "two"), toy_model)


@pytest.mark.parametrize("name", ["nowhere", "./a/b", "a/b/c", "/nowhere/at", "", "../b", "a\\b", Path("owner/name")])
def test_a_name_of_no_directory_and_no_repository(name, no_hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "":
        with pytest.raises(ElmoHelpersError, match="the name is empty"):
            BiLM.from_pretrained(name)
        return
    with pytest.raises(ElmoHelpersError, match="no directory"):
        BiLM.from_pretrained(name)


@pytest.mark.parametrize(
    "name",
    [None, 3, True, b"model", ["model"], {"model": 1}, float("nan"), "x" * 5000, "a\0b", "a\nb", "a\ud800b"],
    ids=lambda name: ascii(name)[:12],
)
def test_what_is_no_name_of_a_model(name, no_hub, toy_model, tmp_path):
    with pytest.raises(ElmoHelpersError, match="no directory") as caught:
        BiLM.from_pretrained(name)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400
    with pytest.raises(ElmoHelpersError):
        toy_model.save_pretrained(tmp_path / "model", run="nowhere" if name is None else name)
    if name != "a\nb":  # which a directory may be called
        with pytest.raises(ElmoHelpersError):
            toy_model.save_pretrained(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["https://huggingface.co/owner/name", "hf://owner/name", "file:///models/one"])
def test_an_address_is_told_whole(address, no_hub, toy_model):
    with pytest.raises(ElmoHelpersError) as caught:
        BiLM.from_pretrained(address)
    assert str(caught.value).startswith(f"{address} is no directory")
    with pytest.raises(ElmoHelpersError, match=f"directory: {address} is an address"):
        toy_model.save_pretrained(address)


@pytest.mark.parametrize("name", [None, 3, b"model", ["model"], "a\0b", "a\ud800b", "https://host/model"], ids=ascii)
def test_what_is_no_directory(name, toy_model):
    for call in (BiLM.load, toy_model.save):
        with pytest.raises(ElmoHelpersError, match=r"^directory"):
            call(name)


@pytest.mark.parametrize("argument", ["force_download", "local_files_only"])
def test_truth_values_are_truth_values(argument):
    with pytest.raises(ElmoHelpersError, match=f"{argument}='no'"):
        BiLM.from_pretrained("owner/name", **{argument: "no"})


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"repo_id": None}, "repo_id=None"),
        ({"repo_id": Path("owner/name")}, "repo_id="),
        ({"private": "no"}, "private='no'"),
        ({"create_pr": "no"}, "create_pr='no'"),
        ({"run": 3}, "run=3"),
        ({"run": "https://host/run"}, "https://host/run"),
        ({"run": "x" * 5000}, "run"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_pushed(toy_model, hub, arguments, name):
    with pytest.raises(ElmoHelpersError, match=name):
        toy_model.push_to_hub(**{"repo_id": "owner/name", **arguments})
    assert hub.calls == []


def test_without_the_hubs_library(toy_model, no_hub):
    with pytest.raises(ElmoHelpersError, match=r"elmo_helpers\[hub\]"):
        BiLM.from_pretrained("owner/name")
    with pytest.raises(ElmoHelpersError, match=r"elmo_helpers\[hub\]"):
        toy_model.push_to_hub("owner/name")


def test_from_a_repository_fetches_these_three_files_alone(toy_model, tmp_path, monkeypatch):
    toy_model.save(tmp_path / "snapshot")
    asked = {}

    def snapshot_download(repo_id, **options):
        asked.update(options, repo_id=repo_id)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    same(BiLM.from_pretrained("owner/my-model.1", revision="v2", token="t", local_files_only=True), toy_model)
    assert set(asked.pop("allow_patterns")) == FILES
    assert (asked["repo_id"], asked["revision"], asked["token"]) == ("owner/my-model.1", "v2", "t")
    assert asked["local_files_only"]
    assert not asked["force_download"]


def test_the_real_library_without_a_network_ends_in_one_sentence(tmp_path):
    with pytest.raises(ElmoHelpersError, match="owner/name is no directory here") as raised:
        BiLM.from_pretrained("owner/name", cache_dir=tmp_path, local_files_only=True)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "error", [LocalEntryNotFoundError("off"), HFValidationError("bad"), ConnectionError("down"), OSError()]
)
def test_what_the_library_raises(monkeypatch, error):
    def fails(*arguments, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(ElmoHelpersError, match="owner/name") as raised:
        BiLM.from_pretrained("owner/name")
    assert raised.value.__cause__ is error


def test_a_repository_of_something_else(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: str(tmp_path))
    with pytest.raises(ElmoHelpersError, match="expected format"):
        BiLM.from_pretrained("owner/bert")


class FakeApi:
    """A hub of one repository; what was put there is kept in `uploaded`."""

    def __init__(self, token=None):
        self.calls.append(("token", token))

    def create_repo(self, repo_id, **options):
        self.calls.append(("create_repo", repo_id, options))
        return SimpleNamespace(repo_id=f"me/{repo_id}" if "/" not in repo_id else repo_id)

    def create_branch(self, repo_id, **options):
        self.calls.append(("create_branch", repo_id, options))

    def file_exists(self, repo_id, name, revision=None):
        return name in self.there

    def upload_folder(self, repo_id, folder_path, **options):
        shutil.copytree(folder_path, self.uploaded)
        self.calls.append(("upload_folder", repo_id, options))
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    class Api(FakeApi):
        calls, there, uploaded = [], set(), tmp_path / "uploaded"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return Api


def test_push(toy_model, hub):
    address = toy_model.push_to_hub("mine", private=True, token="t", commit_message="First", create_pr=True)
    assert address == "https://hub/me/mine/commit/1"
    assert ("token", "t") in hub.calls
    assert ("create_repo", "mine", {"private": True, "exist_ok": True}) in hub.calls
    assert ("upload_folder", "me/mine", {"commit_message": "First", "revision": None, "create_pr": True}) in hub.calls
    assert {path.name for path in hub.uploaded.iterdir()} == FILES | {"README.md"}
    same(BiLM.load(hub.uploaded), toy_model)


def test_push_leaves_a_card_that_is_there(toy_model, hub):
    hub.there.add("README.md")
    toy_model.push_to_hub("owner/name", branch="try")
    assert {path.name for path in hub.uploaded.iterdir()} == FILES
    assert ("create_branch", "owner/name", {"branch": "try", "exist_ok": True}) in hub.calls


def test_a_card_that_is_there_is_left(toy_model, tmp_path):
    toy_model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("mine")
    toy_model.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == "mine"


def test_other_files_are_left_alone(toy_model, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(ElmoHelpersError, match="left as it is"):
        toy_model.save_pretrained(tmp_path / "notes")
    assert {path.name for path in (tmp_path / "notes").iterdir()} == {"mine.txt"}


def card_of(directory):
    text = (Path(directory) / "README.md").read_text(encoding="utf-8")
    return text, ModelCard(text)


def test_the_header_is_what_the_hub_reads(toy_model, tmp_path):
    toy_model.save_pretrained(tmp_path / "model")
    text, card = card_of(tmp_path / "model")
    header = card.data.to_dict()
    assert header["library_name"] == "elmo_helpers"
    assert "elmo" in header["tags"]
    assert "license" not in header
    n_parameters = sum(weight.numel() for weight in toy_model.parameters())
    assert f"{n_parameters:,}" in text
    assert "Perplexity" not in text


def test_the_cards_example_runs(toy_model, tmp_path):
    toy_model.save_pretrained(tmp_path / "model")
    text, _ = card_of(tmp_path / "model")
    program = text.split("```python\n")[1].split("```")[0]
    names = {}
    exec(program.replace('"model"', repr(str(tmp_path / "model"))), names)
    assert names["vectors"].shape == (1, 16)
    assert names["words"].shape[::2] == (3, 16)


@pytest.mark.parametrize(
    "config",
    [BiLMConfig(WordEmbeddingConfig(7, 8), hidden_dim=8), BiLMConfig(softmax="none"), BiLMConfig.preset("tiny")],
)
def test_cards_of_other_kinds_of_model(config, tmp_path):
    BiLM(config, WordVocabulary(["a", "b", "c"])).save_pretrained(tmp_path / "model")
    assert "| LSTM cell |" in card_of(tmp_path / "model")[0]


def test_the_cards_figures_are_the_runs(run, tmp_path):
    history = (run / "training" / "history.csv").read_text().splitlines()
    columns = history[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in history[1:]]
    assert len(rows) == 3
    model = BiLM.load(run)
    model.save_pretrained(tmp_path / "by_itself")
    model.folder = None
    model.save_pretrained(tmp_path / "named", run=run)
    for name in ("by_itself", "named"):
        text, _ = card_of(tmp_path / name)
        lines = [line for line in text.split("## Perplexity")[1].splitlines() if line.startswith("| ")][2:]
        assert len(lines) == 3
        for row, line in zip(rows, lines, strict=True):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert cells[0] == row["step"]
            assert float(cells[6].replace(",", "")) == pytest.approx(float(row["perplexity"]), abs=0.051)
        best = min(range(3), key=lambda i: float(rows[i]["perplexity"]))
        assert [i for i, line in enumerate(lines) if "this model" in line] == [best]
        assert "| `learning_rate` | 0.01 |" in text


def test_figures_are_not_told_of_other_weights(run, tmp_path):
    model = BiLM.load(run)
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    model.save_pretrained(tmp_path / "model")
    assert "Perplexity" not in card_of(tmp_path / "model")[0]
    with pytest.raises(ElmoHelpersError, match="other weights"):
        model.save_pretrained(tmp_path / "other", run=run)
    assert not (tmp_path / "other").exists()
    with pytest.raises(ElmoHelpersError, match="no run"):
        model.save_pretrained(tmp_path / "other", run=tmp_path / "model")


def test_into_the_directory_of_the_run_itself(run):
    BiLM.load(run).save_pretrained(run)
    assert "## Perplexity" in card_of(run)[0]
    assert (run / "training" / "run.json").is_file()


def test_a_byte_order_mark_before_a_runs_figures(run, tmp_path):
    for name in ("history.csv", "run.json"):
        path = run / "training" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    BiLM.load(run).save_pretrained(tmp_path / "model", run=run)
    assert "## Perplexity" in card_of(tmp_path / "model")[0]


@pytest.mark.parametrize(("file", "content"), [("history.csv", "step,perplexity\n1,abc\n"), ("run.json", "{}")])
def test_a_damaged_run(run, tmp_path, file, content):
    (run / "training" / file).write_text(content)
    with pytest.raises(ElmoHelpersError, match=file.replace(".", r"\.")):
        BiLM.load(run).save_pretrained(tmp_path / "model", run=run)


def test_a_run_without_evaluations(run, tmp_path):
    (run / "training" / "history.csv").unlink()
    BiLM.load(run).save_pretrained(tmp_path / "model", run=run)
    assert "## Perplexity" not in card_of(tmp_path / "model")[0]
    assert "`learning_rate`" in card_of(tmp_path / "model")[0]


@pytest.mark.parametrize("n", [1, 2, 11, 12, 13, 500])
def test_the_rows_of_a_long_history(n):
    for best in (0, n // 2, n - 1):
        rows = _some(n, best)
        assert len(rows) <= 12
        assert {best, n - 1} <= rows <= set(range(n))
        assert n > 12 or len(rows) == n


def test_the_hubs_library_is_not_loaded_with_a_model():
    program = "import sys, elmo_helpers.model.bilm; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_directory_whose_name_is_no_text_gets_its_card(toy_model, tmp_path):
    directory = tmp_path / os.fsdecode(b'm\xff"')
    toy_model.save_pretrained(directory)
    assert r'from_pretrained("m?\"")' in (directory / "README.md").read_text(encoding="utf-8")
