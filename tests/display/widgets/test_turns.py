"""Handlers that a kernel calls from two threads, as ipykernel does with the widgets of JupyterLab."""

import threading
import time

import matplotlib

matplotlib.use("Agg")

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig
from elmo_helpers.display.widgets import direction_explorer
from elmo_helpers.display.widgets.direction_explorer import DirectionExplorer
from elmo_helpers.display.widgets.turns import in_turn


def in_threads(*calls) -> None:
    """Each in a thread of its own, a little later than the one before."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()


def test_one_handler_ends_before_the_next_begins():
    events = []

    @in_turn
    def handler(name, seconds):
        events.append(f"{name} begins")
        time.sleep(seconds)
        events.append(f"{name} ends")

    in_threads(lambda: handler("slow", 0.3), lambda: handler("quick", 0))
    assert events == ["slow begins", "slow ends", "quick begins", "quick ends"]


def test_a_handler_may_set_what_has_a_handler_and_gives_back_what_it_returns():
    inner = in_turn(lambda x: x + 1)
    assert in_turn(lambda x: 2 * inner(x))(3) == 8


def test_the_turn_is_free_again_after_an_error():
    @in_turn
    def fails():
        raise ValueError

    for _ in range(2):
        thread_saw = []
        in_threads(lambda saw=thread_saw: saw.append(_error_of(fails)))
        assert thread_saw == [ValueError]


def _error_of(call) -> type | None:
    try:
        call()
    except Exception as error:
        return type(error)
    return None


def test_the_last_picture_is_that_of_the_last_value(monkeypatch):
    """A word is chosen, which takes long to draw; meanwhile the slider is moved, in another thread."""
    corpus = corpus_of(TOY_TITLES)
    explorer = DirectionExplorer(BiLM(BiLMConfig.preset("tiny"), corpus.vocabulary, corpus.text).eval(), TOY_TITLES[0])
    draw, begun = direction_explorer.plot_likely_words, threading.Event()

    def slowly(fills, **more):
        if not begun.is_set():
            begun.set()
            time.sleep(0.3)
        return draw(fills, **more)

    def slide():
        begun.wait(10)
        explorer.n_words.value = 3

    monkeypatch.setattr(direction_explorer, "plot_likely_words", slowly)
    in_threads(lambda: setattr(explorer.words, "value", 2), slide)
    shown = explorer.likely.value
    explorer._draw_likely()
    assert shown == explorer.likely.value
