"""The recipe of the model that ships: which titles it is trained on."""

import importlib.util
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from elmo_helpers import BiLMConfig
from elmo_helpers.cli.model_settings import model_config
from elmo_helpers.text.characters import CharacterVocabulary

FOLDER = Path(__file__).parent.parent / "recipes"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("english_titles", FOLDER / "english_titles.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(n: int, first: str) -> list[tuple[str, str]]:
    return [(f"2000-01-{i % 28 + 1:02}", f"{first} title {i}") for i in range(n)]


def test_the_newest_titles_and_tested_ones_are_held_out(recipe, monkeypatch):
    monkeypatch.setattr(recipe, "N_HELD_OUT", 10)
    sources = [rows(100, "One"), [*rows(50, "Two"), ("2001-01-01", "One title 3")]]
    parts = recipe.split(sources, tested={"Two title 7", "Two title 45"})
    assert [title for _, title in parts["valid"]] == [
        *(f"One title {i}" for i in range(90, 95)),
        *(f"Two title {i}" for i in range(41, 46)),
    ]
    assert [title for _, title in parts["test"]] == [
        *(f"One title {i}" for i in range(95, 100)),
        *(f"Two title {i}" for i in range(46, 50)),
        "One title 3",
    ]
    trained = Counter(title.lower() for _, title in parts["train"])
    assert set(trained.values()) == {1}
    held_out = {title.lower() for name in ("valid", "test") for _, title in parts[name]} | {"two title 7"}
    assert not held_out & set(trained)
    assert len(trained) == 90 + 41 - 2
    assert parts["train"] == recipe.split(sources, tested={"Two title 7", "Two title 45"})["train"]


def test_titles_with_a_word_of_the_list_are_left_out(recipe):
    words = {"bad", "worse"}
    titles = ["Bad", "a badger", "not-bad!", "WORSE things", "good", "bad2", ""]
    kept = [title for _, title in recipe.without_words([("", title) for title in titles], words)]
    assert kept == ["a badger", "good", ""]


def test_the_list_is_of_single_words_in_lower_case():
    lines = [line for line in recipe_lines() if not line.startswith("#")]
    assert lines == sorted(set(lines))
    assert all(line.isalpha() and line.islower() for line in lines)


def recipe_lines() -> list[str]:
    return (FOLDER / "left_out.txt").read_text(encoding="utf-8").splitlines()


def test_so_many_titles_come_in_another_case(recipe):
    generator = random.Random(1)
    found = Counter(recipe.in_some_case("An iPod in Iași", generator) for _ in range(10_000))
    assert set(found) == {"An iPod in Iași", "an ipod in iași", "An IPod In Iași", "AN IPOD IN IAȘI"}
    assert found["an ipod in iași"] == pytest.approx(10_000 * recipe.LOWER, rel=0.1)
    assert found["An IPod In Iași"] == pytest.approx(10_000 * recipe.TITLE, rel=0.15)
    assert found["AN IPOD IN IAȘI"] == pytest.approx(10_000 * recipe.UPPER, rel=0.25)


def test_a_table_is_written_whole_or_not_at_all(recipe, tmp_path):
    path = tmp_path / "train.csv"

    def cut_off():
        yield "2000-01-01", "One"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe.write(path, cut_off())
    assert [*tmp_path.iterdir()] == []
    recipe.write(path, rows(3, "One"))
    assert recipe.rows_of(path) == rows(3, "One")


@pytest.mark.parametrize(
    ("header", "found"), [("date,headline\n", "date, headline"), ("title\n", "title"), ("", "none")]
)
def test_a_table_without_the_columns_is_told_in_one_sentence(recipe, tmp_path, header, found):
    path = tmp_path / "reddit.csv"
    path.write_text(header + ("2000-01-01,One\n" if header else ""))
    with pytest.raises(SystemExit) as caught:
        recipe.rows_of(path)
    assert str(caught.value).startswith(f"{path}: expected the columns title and date, and found {found}:")


def test_a_run_is_gone_on_with_from_its_first_checkpoint_on(recipe, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(recipe, "run", lambda *command: commands.append(command))
    (tmp_path / "training" / "checkpoints").mkdir(parents=True)
    recipe.run_into(tmp_path, "train")
    (tmp_path / "training" / "checkpoints" / "step-000000500").mkdir()
    recipe.run_into(tmp_path, "train")
    assert commands == [("train",), ("train", "--resume")]


def test_the_sizes_are_found_from_everywhere(recipe, tmp_path, monkeypatch):
    commands = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipe, "run", lambda *command: commands.append([*map(str, command)]))
    monkeypatch.setattr("sys.argv", ["english_titles.py", "reddit.csv", "arxiv.csv", "made"])
    Path("made").mkdir()
    for name in ("train", "valid", "test"):
        recipe.write(Path("made", f"{name}.csv"), rows(1, name))
    recipe.main()
    assert [command[0] for command in commands] == ["preprocess", "train", "fine-tune"]
    sizes = Path(commands[1][commands[1].index("--config") + 1])
    assert (sizes.is_absolute(), sizes.is_file()) == (True, True)


def test_the_sizes_are_those_of_a_model():
    sizes = json.loads((FOLDER / "english_titles.json").read_text())["model"]
    config = model_config(BiLMConfig.preset("tutorial"), sizes, CharacterVocabulary("utf8", 50))
    assert config.char_cnn.output_dim == config.output_dim == 256
    assert config.char_cnn.n_filters == 512
