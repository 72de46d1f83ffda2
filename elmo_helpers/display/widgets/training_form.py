"""The settings of a training run as fields: what is typed becomes two configurations, or a line under a field."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from elmo_helpers.checks import choice
from elmo_helpers.config import PRESETS, BiLMConfig, CharCNNConfig
from elmo_helpers.display.widgets.fields import Message
from elmo_helpers.display.widgets.training_values import PARSERS, check_alone, field_of
from elmo_helpers.display.widgets.turns import in_turn
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.training.config import OPTIMIZERS, TRAINING_PRESETS, TrainingConfig

GIVEN = "as given"  # the choice of the configurations that a form was made with
_SOFTMAXES = ("auto", "full", "sampled", "adaptive")
_WIDE = {"description_width": "10em"}


class Field(widgets.VBox):
    """A labelled control and the line under it."""

    control: widgets.ValueWidget
    message: Message

    def __init__(self, control: widgets.ValueWidget) -> None:
        self.control, self.message = control, Message()
        super().__init__([control, self.message], layout={"width": "24em"})


def _text(description: str, hint: str) -> Field:
    # The value is taken over when the field is left or Enter is pressed: half a number is no mistake.
    return Field(
        widgets.Text(
            description=description,
            placeholder=hint,
            tooltip=hint,
            continuous_update=False,
            style=_WIDE,
            layout={"width": "23em"},
        )
    )


def _choice(description: str, options: tuple[str, ...]) -> Field:
    return Field(widgets.Dropdown(options=options, description=description, style=_WIDE, layout={"width": "23em"}))


class TrainingForm(widgets.VBox):
    """Fields for a `BiLMConfig` and a `TrainingConfig`.

    What has no field (clipping, the way of reading, warm-up, …) is as in the chosen preset. The
    characters are always the corpus's, whatever the preset's are.

    Attributes:
        fields: Name to field, in the order in which they are shown.
        preset: The name of the chosen preset.
    """

    fields: dict[str, Field]
    note: widgets.HTML

    def __init__(
        self, characters: CharacterVocabulary, model: BiLMConfig, training: TrainingConfig, preset: str | None = None
    ) -> None:
        """A form that shows these configurations.

        Args:
            characters: The corpus's.
            model: Sizes to start from.
            training: Settings to start from.
            preset: The name of the preset that both are; None: they are a choice of their own.

        Raises:
            ElmoHelpersError: A model with a vector a word, or without a softmax, or a training that ends by steps or by
                whichever of two bounds comes first, which this form cannot show.
        """
        _char_cnn(model)
        if model.softmax not in _SOFTMAXES:
            raise ElmoHelpersError(
                f"softmax={model.softmax!r}: expected one of {', '.join(_SOFTMAXES)}, or there is nothing to train."
            )
        if training.steps is not None or (training.epochs is not None and training.minutes is not None):
            raise ElmoHelpersError(
                "training: expected an end by epochs or by minutes, one of them, which the form has a field for."
            )
        self.characters = characters
        self._presets = {name: (PRESETS[name], TRAINING_PRESETS[name]) for name in ("tutorial", "tiny")}
        self._presets |= {name: (PRESETS[name], TRAINING_PRESETS[name]) for name in ("small", "medium", "original")}
        if preset is None:
            self._presets = {GIVEN: (model, training)} | self._presets
        self.fields = {
            "preset": _choice("Preset", tuple(self._presets)),
            "filters": _text("Filters", "width:count, such as 2:32 3:32"),
            "embedding_dim": _text("Characters E", "numbers of a character vector; 0: one-hot"),
            "n_highway": _text("Highway layers", "a whole number, or 0"),
            "hidden_dim": _text("LSTM cell H", "a whole number"),
            "projection_dim": _text("Projection P", "0 or empty: none"),
            "n_layers": _text("LSTM layers L", "a whole number"),
            "skip_connections": _choice("Skip connections", ("yes", "no")),
            "dropout": _text("Dropout", "from 0 to below 1"),
            "softmax": _choice("Softmax", _SOFTMAXES),
            "optimizer": _choice("Optimizer", OPTIMIZERS),
            "learning_rate": _text("Learning rate", "above 0, such as 0.001 or 1e-3"),
            "batch_size": _text("Batch B", "titles, or streams, of a step"),
            "budget": _text("Budget", "how many epochs or minutes"),
            "unit": _choice("Budget in", ("epochs", "minutes")),
        }
        self.note = widgets.HTML()
        self._changed: Callable[[], None] = lambda: None
        self._filling = False
        grid = widgets.Box(list(self.fields.values()), layout={"flex_flow": "row wrap"})
        super().__init__([grid, self.note])
        self.fields["preset"].control.value = preset or GIVEN
        self._fill()
        for name, field in self.fields.items():
            field.control.observe(in_turn(self._preset_chosen if name == "preset" else self._edited), "value")

    def on_change(self, call: Callable[[], None]) -> None:
        """Call `call` after each change of a field, once where a preset fills in many."""
        self._changed = call

    @property
    def preset(self) -> str:
        """The name of the chosen preset."""
        return str(self.fields["preset"].control.value)

    def set(self, **values: str) -> None:
        """Type into fields by their names, with one call of `on_change`'s function at the end."""
        for name in values:
            choice("field", name, tuple(self.fields))
        if preset := values.pop("preset", None):
            choice("preset", preset, tuple(self._presets))
        self._filling = True
        try:
            if preset:
                self.fields["preset"].control.value = preset
                self._fill()
                self._filling = True
            for name, value in values.items():
                self.fields[name].control.value = value
        finally:
            self._filling = False
        self._edited()

    @property
    def base(self) -> tuple[BiLMConfig, TrainingConfig]:
        """Both configurations of the chosen preset, in its own characters."""
        return self._presets[self.preset]

    def configs(self) -> tuple[BiLMConfig, TrainingConfig] | None:
        """What the fields say; None where something is wrong, which then stands under the field."""
        for field in self.fields.values():
            field.message.say("")
        self.note.value = ""
        values = {name: self._value(name) for name in PARSERS}
        if any(field.message.text for field in self.fields.values()):
            return None
        model, training = self.base
        try:
            return self._model(model, values), self._training(training, values)
        except ElmoHelpersError as error:
            self.blame(error)
            return None

    def blame(self, error: ElmoHelpersError) -> None:
        """Show an error of the configurations under the field that it names, or under the preset."""
        self.fields[field_of(str(error))].message.say(str(error))

    def _value(self, name: str) -> Any:
        """What a field says, checked by itself; None with a message under the field where that is wrong."""
        try:
            value = PARSERS[name](self.fields[name].control.value)
            if name == "budget":
                TrainingConfig(**self._budget(value))
            elif name == "filters":
                widest = max(width for width, _ in value)
                if widest > self.characters.max_characters:
                    raise ElmoHelpersError(
                        f"filters: a width of {widest} is more than the {self.characters.max_characters} characters "
                        "that this corpus keeps of a word."
                    )
            else:
                check_alone(name, value)
        except ElmoHelpersError as error:
            self.fields[name].message.say(str(error))
            return None
        return value

    def _budget(self, amount: float) -> dict[str, Any]:
        if self.fields["unit"].control.value == "minutes":
            return {"epochs": None, "minutes": amount}
        return {"epochs": int(amount) if amount == int(amount) else amount, "minutes": None}

    def _model(self, base: BiLMConfig, values: dict[str, Any]) -> BiLMConfig:
        width = values["projection_dim"] or values["hidden_dim"]
        n_filters = sum(count for _, count in values["filters"])
        base_cnn = _char_cnn(base)
        times = 2 if base_cnn.projection_dim == 2 * base.output_dim else 1
        # A token vector is P or 2P wide: the filters' answers as they are, or projected to it.
        projected = base_cnn.projection_dim is not None or n_filters not in (width, 2 * width)
        char_cnn = replace(
            base_cnn,
            scheme=self.characters.scheme,
            max_characters=self.characters.max_characters,
            filters=values["filters"],
            embedding_dim=values["embedding_dim"],
            n_highway=values["n_highway"],
            projection_dim=times * width if projected else None,
        )
        fitting = f"{n_filters} filters" + (f", projected to token vectors of D = {times * width}" if projected else "")
        remarks = [f"F = {fitting}.", self._about_characters()]
        if char_cnn.embedding_dim is None and char_cnn.scheme == "utf8":
            remarks.append("E = 0, one-hot vectors of bytes, is slow and cannot be exported: the published E is 16.")
        self.note.value = html.escape(" ".join(filter(None, remarks)))
        return replace(
            base,
            char_cnn=char_cnn,
            hidden_dim=values["hidden_dim"],
            projection_dim=values["projection_dim"],
            n_layers=values["n_layers"],
            skip_connections=self.fields["skip_connections"].control.value == "yes",
            dropout=values["dropout"],
            softmax=self.fields["softmax"].control.value,
        )

    def _training(self, base: TrainingConfig, values: dict[str, Any]) -> TrainingConfig:
        return replace(
            base,
            **self._budget(values["budget"]),
            steps=None,
            optimizer=self.fields["optimizer"].control.value,
            learning_rate=values["learning_rate"],
            batch_size=values["batch_size"],
        )

    def _about_characters(self) -> str:
        preset, own = _char_cnn(self.base[0]), self.characters
        if (preset.scheme, preset.max_characters) == (own.scheme, own.max_characters):
            return ""
        return (
            f"The preset reads {preset.max_characters} {preset.scheme} characters of a word; this corpus is spelled "
            f"in {own.max_characters} {own.scheme} characters, which are used."
        )

    def _fill(self) -> None:
        """Show the chosen preset."""
        model, training = self.base
        char_cnn = _char_cnn(model)
        minutes = training.epochs is None
        self._filling = True
        for name, value in {
            "filters": " ".join(f"{width}:{count}" for width, count in char_cnn.filters),
            "embedding_dim": f"{char_cnn.embedding_dim or 0}",
            "n_highway": f"{char_cnn.n_highway}",
            "hidden_dim": f"{model.hidden_dim}",
            "projection_dim": f"{model.projection_dim or 0}",
            "n_layers": f"{model.n_layers}",
            "skip_connections": "yes" if model.skip_connections else "no",
            "dropout": f"{model.dropout:g}",
            "softmax": model.softmax,
            "optimizer": training.optimizer,
            "learning_rate": f"{training.learning_rate!r}",
            "batch_size": f"{training.batch_size}",
            "budget": f"{training.minutes or 1:g}" if minutes else f"{training.epochs}",
            "unit": "minutes" if minutes else "epochs",
        }.items():
            self.fields[name].control.value = value
        self._filling = False

    def _preset_chosen(self, _: object) -> None:
        if not self._filling:
            self._fill()
            self._changed()

    def _edited(self, _: object = None) -> None:
        if not self._filling:
            self._changed()


def _char_cnn(model: BiLMConfig) -> CharCNNConfig:
    if not isinstance(model.char_cnn, CharCNNConfig):
        raise ElmoHelpersError(
            "model: expected a BiLMConfig whose char_cnn is a CharCNNConfig, which the form has fields for."
        )
    return model.char_cnn
