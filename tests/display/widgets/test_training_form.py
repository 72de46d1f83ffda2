"""What is typed becomes configurations, or a line under the field."""

from dataclasses import replace

import pytest

from elmo_helpers import BiLM, BiLMConfig, CharacterVocabulary, CharCNNConfig, ElmoHelpersError, TrainingConfig
from elmo_helpers.config import PRESETS, WordEmbeddingConfig
from elmo_helpers.display.widgets.training_form import TrainingForm
from elmo_helpers.display.widgets.training_values import parse_filters
from elmo_helpers.training.config import TRAINING_PRESETS


def form_of(preset="tutorial", characters=None):
    characters = characters or CharacterVocabulary("tutorial", 30)
    return TrainingForm(characters, BiLMConfig.preset(preset), TrainingConfig.preset(preset), preset)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_fills_in_its_own_settings(preset):
    own = PRESETS[preset].char_cnn
    form = form_of(characters=CharacterVocabulary(own.scheme, own.max_characters))
    form.set(preset=preset)
    assert form.configs() == (PRESETS[preset], TRAINING_PRESETS[preset])
    assert "this corpus" not in form.note.value


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_with_other_characters_it_is_the_corpus_that_counts(preset):
    form = form_of(characters=CharacterVocabulary("tutorial", 25))
    form.set(preset=preset)
    model, _ = form.configs()
    assert model.char_cnn == replace(PRESETS[preset].char_cnn, scheme="tutorial", max_characters=25)
    assert "this corpus is spelled in 25 tutorial" in form.note.value


def test_configurations_given_are_shown_and_come_back():
    model = BiLMConfig(
        char_cnn=CharCNNConfig(embedding_dim=5, filters=((1, 7), (3, 9)), n_highway=0, projection_dim=24),
        hidden_dim=30,
        projection_dim=12,
        skip_connections=True,
        dropout=0.15,
        n_layers=3,
        cell_clip=2.0,
    )
    training = TrainingConfig(
        epochs=None, minutes=1.5, feed="streams", optimizer="adagrad", learning_rate=0.123456789, warmup_steps=7
    )
    form = TrainingForm(CharacterVocabulary("tutorial", 30), model, training)
    assert form.configs() == (model, training)
    form.set(preset="tiny")
    form.set(preset="as given")
    assert form.configs() == (model, training)


def test_skip_connections_can_be_chosen():
    form = form_of()
    model, _ = form.configs()
    for text, value in (("yes", True), ("no", False)):
        form.set(skip_connections=text)
        assert form.configs()[0] == replace(model, skip_connections=value)


@pytest.mark.parametrize(
    ("filters", "hidden", "projection", "wanted"),
    [
        ("2:64 3:64", "64", "", None),  # F = 2P
        ("2:64", "64", "0", None),  # F = P
        ("2:50", "64", "", 64),
        ("2:64 3:64", "64", "32", 32),
    ],
)
def test_token_vectors_always_fit_the_layers(filters, hidden, projection, wanted, toy_corpus):
    form = form_of(characters=toy_corpus.character_vocabulary)
    form.set(filters=filters, hidden_dim=hidden, projection_dim=projection)
    model, _ = form.configs()
    assert model.char_cnn.projection_dim == wanted
    assert ("projected" in form.note.value) == (wanted is not None)
    BiLM(model, toy_corpus.vocabulary, toy_corpus.text)


TOO_MANY = ["1:99999999999", "1:" + "9" * 5000]
WRONG = {
    "filters": [
        "",
        "2",
        "2:",
        ":3",
        "2:3:4",
        "2-3",
        "0:3",
        "2:0",
        "2:x",
        "-1:4",
        "2.5:4",
        "31:4",
        "²:3",
        "1:99999999999",
        "1:" + "9" * 5000,
    ],
    "embedding_dim": ["x", "-1", "1.5"],
    "n_highway": ["", "-1", "one"],
    "hidden_dim": ["9" * 25, "", "0", "-4", "6.5", "1e3", "<b>"],
    "projection_dim": ["-1", "half"],
    "n_layers": ["100000000", "0", "", "two"],
    "dropout": ["1", "-0.1", "", "nan", "50%"],
    "learning_rate": ["0", "-1", "inf", "nan", "1e", ""],
    "batch_size": ["0", "", "2.0"],
    "budget": ["0", "-1", "1.5", "", "nan"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_entry_has_a_line_under_its_field_alone(name, text):
    form = form_of()
    calls = []
    form.on_change(lambda: calls.append(form.configs()))
    form.set(**{name: text})
    assert calls == [None]
    assert [n for n, field in form.fields.items() if field.message.text] == [name]
    form.set(preset="tiny")
    assert form.configs() is not None
    assert not form.fields[name].message.text


def test_several_wrong_entries_are_all_marked():
    form = form_of()
    form.set(hidden_dim="x", dropout="2", budget="0")
    assert form.configs() is None
    assert [n for n, field in form.fields.items() if field.message.text] == ["hidden_dim", "dropout", "budget"]


def test_a_rate_below_the_final_one_is_said_under_the_rate():
    training = TrainingConfig(learning_rate=1e-2, final_learning_rate=1e-3)
    form = TrainingForm(CharacterVocabulary("tutorial", 30), BiLMConfig(), training)
    form.set(learning_rate="1e-4")
    assert form.configs() is None
    assert "final_learning_rate" in form.fields["learning_rate"].message.text


def test_minutes_may_have_a_fraction_and_epochs_not():
    form = form_of()
    form.set(budget="1.5", unit="minutes")
    _, training = form.configs()
    assert (training.epochs, training.steps, training.minutes) == (None, None, 1.5)
    form.set(unit="epochs")
    assert form.configs() is None
    form.set(budget="3")
    assert form.configs()[1].epochs == 3


def test_one_call_for_a_preset_that_changes_many_fields():
    form, calls = form_of(), []
    form.on_change(lambda: calls.append(form.preset))
    form.fields["preset"].control.value = "original"
    form.fields["dropout"].control.value = "0.5"
    assert calls == ["original", "original"]


def test_filters():
    assert parse_filters(" 2:32,3:4\t10:1 ") == ((2, 32), (3, 4), (10, 1))


def test_a_model_without_characters_or_softmax_has_no_form():
    characters = CharacterVocabulary("tutorial", 30)
    words = BiLMConfig(char_cnn=WordEmbeddingConfig(n_words=9, dim=64))
    with pytest.raises(ElmoHelpersError, match="char_cnn"):
        TrainingForm(characters, words, TrainingConfig())
    with pytest.raises(ElmoHelpersError, match="softmax"):
        TrainingForm(characters, BiLMConfig(softmax="none"), TrainingConfig())


@pytest.mark.parametrize("bounds", [{"epochs": None, "steps": 5}, {"epochs": 3, "minutes": 0.5}])
def test_an_end_that_has_no_field_is_refused(bounds):
    with pytest.raises(ElmoHelpersError, match="by epochs or by minutes"):
        TrainingForm(CharacterVocabulary("tutorial", 30), BiLMConfig.preset("tiny"), TrainingConfig(**bounds))


@pytest.mark.parametrize("wrong", [{"unknown": "1"}, {"preset": "unknown"}])
def test_a_name_that_is_none_leaves_the_form_at_work(wrong):
    form = form_of()
    with pytest.raises(ElmoHelpersError, match="unknown"):
        form.set(**wrong)
    calls = []
    form.on_change(lambda: calls.append(form.configs()))
    form.fields["hidden_dim"].control.value = "-1"
    assert calls == [None]


def test_one_hot_bytes_are_warned_of():
    form = form_of("tutorial", CharacterVocabulary("utf8", 50))
    form.configs()
    assert "one-hot" in form.note.value
    form.set(embedding_dim="16")
    form.configs()
    assert "one-hot" not in form.note.value
