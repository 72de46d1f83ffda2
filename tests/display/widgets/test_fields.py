"""The message under a field and the picture."""

import io

import matplotlib.pyplot as plt
import pytest

from elmo_helpers.display.style import figure
from elmo_helpers.display.widgets.fields import Message, Picture
from elmo_helpers.errors import ElmoHelpersError


def test_a_message_is_text_and_goes_away():
    message = Message()
    message.say("<b>no</b>")
    assert "&lt;b&gt;no&lt;/b&gt;" in message.value
    assert 'role="alert"' in message.value
    message.say("")
    assert message.value == message.text == ""


def test_a_message_of_an_error_and_of_none():
    message = Message()
    with message.of_errors():
        raise ElmoHelpersError("one word is needed")
    assert message.text == "one word is needed"
    with message.of_errors():
        pass
    assert message.text == ""
    with pytest.raises(ZeroDivisionError), message.of_errors():
        1 / 0  # noqa: B018


def test_a_picture_is_the_figure():
    picture = Picture()
    assert picture.layout.display == "none"
    open_figures = plt.get_fignums()
    (ax,) = figure(1, 2.0, 1.0)
    ax.plot([0, 1])
    picture.show(ax.figure, "a line")
    assert plt.imread(io.BytesIO(picture.value)).shape[:2] == (100, 200)
    assert picture.tooltip == "a line"
    assert picture.layout.display is None
    assert plt.get_fignums() == open_figures
    picture.clear()
    assert picture.layout.display == "none"
