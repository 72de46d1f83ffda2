import gc
import os
import subprocess
import sys
import weakref
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

import elmo_helpers
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text import tokenization
from elmo_helpers.text.tokenization import Tokenizer

ODD = [
    "",
    " ",
    "don't",
    "a\tb\n c",
    "no\xa0break",
    "\x1e\x1f",
    "nul\0nul",
    "😀👩‍👩‍👧 ok",
    "日本語 文",
    "u.s.a. :) ^_^",
    "word",
]


@pytest.fixture(scope="module")
def blank():
    return spacy.blank("en").tokenizer


@pytest.fixture
def no_small_inputs(monkeypatch):
    """Send also small inputs to other processes, in chunks that do not divide them."""
    monkeypatch.setattr(tokenization, "_SMALL", 3)
    monkeypatch.setattr(tokenization, "_CHUNK", 7)


def test_a_title():
    titles = ["Don't panic!  It's 42.", "u.s. state-of-the-art"]
    assert list(Tokenizer("en")(titles)) == [
        ["Do", "n't", "panic", "!", "It", "'s", "42", "."],
        ["u.s", ".", "state", "-", "of", "-", "the", "-", "art"],
    ]


def test_whitespace_takes_tokens_as_they_are():
    assert list(Tokenizer("whitespace")([" Don't  panic ! ", "", "<S> x"])) == [
        ["Don't", "panic", "!"],
        [],
        ["<S>", "x"],
    ]


def test_edges():
    assert list(Tokenizer()([])) == []
    assert list(Tokenizer()(["", " \t\xa0 "])) == [[], []]
    assert list(Tokenizer()(["word"])) == [["word"]]
    assert [len(tokens) for tokens in Tokenizer()(["word " * 400])] == [400]


@given(st.lists(st.text()))
@settings(deadline=None)
def test_tokens_are_spacys_without_white_space(blank, titles):
    expected = [[token.text.strip() for token in blank(title) if token.text.strip()] for title in titles]
    assert list(Tokenizer("en", processes=1)(titles)) == expected
    assert all(token.split() == [token] for tokens in expected for token in tokens)


@given(st.lists(st.text() | st.sampled_from(ODD), min_size=3, max_size=40))
@settings(max_examples=15, deadline=None)
def test_tokens_do_not_depend_on_the_number_of_processes(titles):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenization, "_SMALL", 3)
        patch.setattr(tokenization, "_CHUNK", 7)
        in_two = list(Tokenizer("en", processes=2)(titles))
    assert in_two == list(Tokenizer("en", processes=1)(titles))


def test_large_inputs_use_other_processes_and_keep_their_order(monkeypatch):
    titles = [f"title number {i}, isn't it?" for i in range(tokenization._SMALL + 1)]
    alone = list(Tokenizer("en", processes=1)(titles))
    monkeypatch.setattr(tokenization, "_splitter", None)  # this process cannot do it
    assert list(Tokenizer("en", processes=2)(titles)) == alone


def test_small_inputs_stay_in_this_process(monkeypatch):
    monkeypatch.setattr(tokenization, "get_memmapping_executor", None)
    titles = ["a b"] * (tokenization._SMALL - 1)
    assert len(list(Tokenizer("en", processes=2)(titles))) == len(titles)
    assert len(list(Tokenizer("whitespace", processes=2)(titles * 2))) == 2 * len(titles)


@pytest.mark.usefixtures("no_small_inputs")
def test_titles_are_taken_as_tokens_are_asked_for():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield f"title {taken}"

    stream = Tokenizer("en", processes=2)(endless())
    assert list(islice(stream, 20)) == [["title", str(i)] for i in range(1, 21)]
    assert taken < 100
    stream.close()


@pytest.mark.usefixtures("no_small_inputs")
def test_an_error_among_the_titles_is_passed_on():
    with pytest.raises(ElmoHelpersError, match=r"titles\[30\] is nan"):
        list(Tokenizer("en", processes=2)(["fine"] * 30 + [float("nan")]))


@pytest.mark.usefixtures("no_small_inputs")
def test_joblib_goes_on_beside_it_in_one_process():
    """Both share one pool of processes, whoever made it; that of the tests above, which cost seconds to make."""
    for _ in range(2):
        assert list(Tokenizer("en", processes=2)(["a b"] * 30)) == [["a", "b"]] * 30
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(i) for i in range(-3, 0)) == [3, 2, 1]


def test_progress(capsys):
    assert list(Tokenizer("whitespace")(["a b", "c"], progress=True)) == [["a", "b"], ["c"]]
    assert "2/2" in capsys.readouterr().err
    list(Tokenizer("whitespace")(["a b"]))
    assert capsys.readouterr().err == ""


def test_a_pipeline_by_name_lends_its_tokenizer_alone(tmp_path):
    pipeline = spacy.blank("de")
    pipeline.add_pipe("sentencizer")
    pipeline.disable_pipe("sentencizer")
    pipeline.add_pipe("tagger").add_label("NOUN")
    pipeline.initialize()
    pipeline.tokenizer.add_special_case("zumbeispiel", [{"ORTH": "zum"}, {"ORTH": "beispiel"}])
    pipeline.to_disk(tmp_path / "mine")
    tokenizer = Tokenizer(str(tmp_path / "mine"))
    assert list(tokenizer(["zumbeispiel so"])) == [["zum", "beispiel", "so"]]


def test_what_spacy_remembers_does_not_grow_with_the_text(blank, monkeypatch):
    pipelines = []

    def pipeline(name):
        made = spacy.blank(name)
        pipelines.append((weakref.ref(made), made.vocab))
        return made

    monkeypatch.setattr(tokenization, "_REMEMBERED", 500)
    monkeypatch.setattr(tokenization, "_pipeline", pipeline)
    titles = [f"w{i} isn't x{i}!" for i in range(1000)]
    tokenization._splitter.cache_clear()
    try:
        found = list(Tokenizer("en", processes=1)(titles))
        gc.collect()
        alive = [made() is not None for made, _ in pipelines]
    finally:
        tokenization._splitter.cache_clear()
    assert found == [[token.text for token in blank(title)] for title in titles]
    assert alive == [False] * 3 + [True]
    before = len(spacy.blank("en").vocab)
    assert all(len(vocab) - before <= 500 + len(found[0]) for _, vocab in pipelines)


@pytest.mark.parametrize("name", ["en_core_web_nowhere", "", "/nowhere", "numpy"])
def test_a_pipeline_that_is_not_there(name, capsys):
    with pytest.raises(ElmoHelpersError, match=f"pipeline {name!r} cannot be loaded.*spacy download"):
        Tokenizer(name)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("processes", [0, -1, 1.5, True])
def test_wrong_number_of_processes(processes):
    with pytest.raises(ElmoHelpersError, match="at least 1"):
        Tokenizer(processes=processes)


def test_one_string_is_not_a_list_of_titles():
    with pytest.raises(ElmoHelpersError, match="list of titles"):
        Tokenizer()("a title")
    assert repr(Tokenizer("whitespace", 2)) == "Tokenizer(name='whitespace', processes=2)"


@pytest.mark.parametrize("titles", [None, 3, b"a title", {"a title"}, {"a title": 1}, np.array("a title")], ids=repr)
def test_what_has_no_titles_in_order(titles):
    with pytest.raises(ElmoHelpersError, match=r"titles is .*: expected a list of titles"):
        Tokenizer("whitespace")(titles)


@pytest.mark.parametrize("name", [None, 3, ["en"], {"en": 1}, np.array(["en", "de"])], ids=repr)
def test_what_is_no_name_of_a_tokenizer(name):
    with pytest.raises(ElmoHelpersError, match=r"^tokenizer=.*: expected"):
        Tokenizer(name)


def test_a_script_without_a_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from elmo_helpers.text.tokenization import Tokenizer\n"
        "print(sum(map(len, Tokenizer('en', processes=2)(['it works'] * 5000))))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(elmo_helpers.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("10000\n", "")


@pytest.mark.parametrize("word", ["<unk>", "<UNK>", "<Unk>"])
@pytest.mark.parametrize("name", ["en", "pipeline"])
def test_unknown_words_of_the_text_stay_in_one_piece(tmp_path, name, word):
    if name == "pipeline":
        spacy.blank("de").to_disk(tmp_path / "mine")
        name = str(tmp_path / "mine")
    patterns = ["@", "a @ b", "(@).", "@@", "@/@", "the @'s", '"@"', "<@>", "@...", "x@y", "@ , don't @%"]
    for pattern in patterns:
        title = pattern.replace("@", word)
        (tokens,) = Tokenizer(name)([title])
        assert tokens.count(word) == pattern.count("@")
        assert "".join(tokens) == title.replace(" ", "")
    assert next(Tokenizer("en")([f"the {word}'s, don't"])) == ["the", word, "'s", ",", "do", "n't"]


@pytest.mark.parametrize("name", ["en", "whitespace"])
def test_half_a_character_is_refused(name):
    with pytest.raises(ElmoHelpersError, match=r"titles\[1\] is 'b\\ud800', which holds half a character"):
        list(Tokenizer(name)(["a", "b\ud800"]))
