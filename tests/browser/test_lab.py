"""Each notebook in JupyterLab, as people use it: run from the menu, looked at, tried with the keyboard, saved."""

import re

import nbformat
import pytest


class EachNotebook:
    """What holds for every notebook; its tests come before those of the classes below."""

    name: str

    def test_runs_without_an_error_or_a_warning(self, notebook):
        assert notebook.texts("error") == []
        assert notebook.texts("stderr") == []
        assert notebook.pictures()

    def test_every_widget_is_drawn(self, notebook):
        assert notebook.widgets()
        assert notebook.undrawn() == []

    def test_every_control_has_a_name_and_is_reached_by_tab(self, notebook):
        controls = notebook.controls()
        assert controls
        assert [control for control, name in controls if not name] == []
        assert notebook.missed_by_tab() == []

    def test_saved_and_loaded_anew_it_shows_its_figures(self, notebook, checkout):
        source = checkout / "notebooks" / f"{self.name}.py"
        before = source.read_text()

        def seen():
            return len(notebook.pictures()), len(notebook.widgets()), notebook.output_count()

        shown = seen()
        notebook.save()
        notebook.reload()
        notebook.waits_for(lambda: seen() == shown, f"pictures, widgets and outputs are there again: {shown}")
        assert notebook.undrawn() == []

        saved = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
        kinds = [kind for cell in saved.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
        assert kinds.count("application/vnd.jupyter.widget-view+json") == shown[1]
        assert "image/png" in kinds
        assert source.read_text() == before, "the .py beside it holds what it held"

    def test_the_page_has_thrown_no_error(self, notebook):
        assert notebook.complaints == []


class TestPreprocess(EachNotebook):
    name = "01_preprocess"

    def test_arrows_move_the_mark_of_the_minimum_count(self, notebook):
        slider = notebook.slider("min. count")
        area = notebook.around(slider)
        for key in ("ArrowRight", "ArrowLeft"):
            notebook.after(lambda key=key: notebook.press(slider, key), lambda: notebook.pictures(area), "the curve")
        assert notebook.texts("error") == []

    def test_arrows_leaf_through_the_titles(self, notebook):
        slider = notebook.slider("title")
        area = notebook.around(slider)
        notebook.after(lambda: notebook.press(slider, "ArrowLeft"), lambda: notebook.pictures(area), "the title's way")


class TestCharacterEmbedding(EachNotebook):
    name = "02_char_embedding"

    def test_a_word_a_width_and_more_neighbours_change_the_pictures(self, notebook):
        word = notebook.field("Word")
        area = notebook.around(word)

        def look():
            return notebook.pictures(area)

        notebook.after(lambda: notebook.type(word, "harvest"), look, "the pictures of the word")
        assert len(look()) == 3
        notebook.after(lambda: notebook.choose(notebook.field("Filter width"), "ArrowUp"), look, "the heat map")
        notebook.after(lambda: notebook.press(notebook.slider("Neighbours"), "ArrowRight"), look, "the neighbours")

    @pytest.mark.parametrize(("wrong", "right"), [("   ", "peace"), ("日本語", "comerce")])
    def test_what_cannot_be_read_gets_a_line_of_text(self, notebook, wrong, right):
        assert_wrong_then_right(notebook, notebook.field("Word"), wrong, right)


class TestBiLM(EachNotebook):
    name = "03_bilm"

    def test_a_title_and_a_position_change_the_bars(self, notebook):
        title, position = notebook.field("Title"), notebook.slider("Position t")
        area = notebook.around(title)

        def look():
            return notebook.pictures(area)

        notebook.after(lambda: notebook.type(title, "peace and commerce with all nations"), look, "the bars")
        notebook.after(lambda: notebook.press(position, "ArrowLeft"), look, "the bars")

    @pytest.mark.parametrize("wrong", ["", " ".join(["word"] * 30)])
    def test_a_title_without_words_or_with_too_many_gets_a_line_of_text(self, notebook, wrong):
        title = notebook.field("Title")
        area = notebook.around(title)
        notebook.type(title, "we meet again")
        notebook.waits_for(lambda: notebook.pictures(area), "the bars of a title that can be read")
        notebook.after(lambda: notebook.type(title, wrong), area.inner_text, "the text below the field")
        assert "Traceback" not in area.inner_text()
        assert notebook.pictures(area) == []

    def test_words_of_a_title_are_buttons_that_tab_and_enter_reach(self, notebook):
        title = notebook.field("Title", 1)
        area = notebook.around(title)
        notebook.type(title, "the people of the states")
        third = area.get_by_role("button", name="3 of", exact=True)
        second = area.get_by_role("button", name="2 people", exact=True)  # the title before has a third word “of”, too
        notebook.waits_for(lambda: second.count() == third.count() == 1, "a button for each word")

        def look():
            return notebook.pictures(area)

        notebook.after(lambda: notebook.press(third, "Enter"), look, "what is likely in the word's place")
        status = area.get_by_role("status")
        notebook.waits_for(lambda: "“of”, word 3 of 5" in status.inner_text(), "the word's probabilities")
        notebook.after(lambda: notebook.press(notebook.slider("Likely words"), "ArrowLeft"), look, "the likely words")

    @pytest.mark.parametrize(("wrong", "right"), [("", "we meet again"), ("日本語 の 題", "peace with all nations")])
    def test_a_title_that_cannot_be_scored_gets_a_line_of_text(self, notebook, wrong, right):
        assert_wrong_then_right(notebook, notebook.field("Title", 1), wrong, right)


class TestTrainAndEncode(EachNotebook):
    name = "04_train_encode"

    def test_a_title_and_a_pooling_find_other_neighbours(self, notebook):
        title = notebook.field("Title")
        area = notebook.around(title)
        table = area.locator("table")
        notebook.after(lambda: notebook.type(title, "We need more ships."), table.inner_text, "the list of neighbours")
        pooling = notebook.field("Pooling")
        notebook.after(lambda: notebook.choose(pooling, "ArrowDown"), table.inner_text, "the list of neighbours")
        notebook.after(
            lambda: notebook.press(notebook.slider("In the figure"), "ArrowLeft"),
            lambda: notebook.pictures(area),
            "the figure of their dates",
        )
        assert_wrong_then_right(notebook, title, "  ", "Peace with all nations.")

    def test_contexts_of_a_word_move_with_the_layers_and_the_word(self, notebook):
        word = notebook.field("Word")
        area = notebook.around(word)

        def look():
            return notebook.pictures(area)

        notebook.after(lambda: notebook.press(notebook.slider("Layer 1, s_1"), "PageUp"), look, "the map")
        notebook.after(lambda: notebook.press(notebook.slider("Clusters"), "ArrowLeft"), look, "the clusters")
        notebook.after(
            lambda: notebook.press(notebook.slider("Occurrence"), "ArrowRight"), look, "the marked occurrence"
        )
        assert_wrong_then_right(notebook, word, "zxqzxq", "people")

    def test_a_wrong_setting_gets_a_line_under_its_field(self, notebook):
        rate = notebook.field("Learning rate")
        area = notebook.around(rate)
        before = rate.input_value()
        notebook.type(rate, "fast")
        alert = area.get_by_role("alert")
        notebook.waits_for(lambda: alert.count() == 1 and "fast" in alert.inner_text(), "a line under the field")
        notebook.press(notebook.button("Train"), "Enter")
        notebook.waits_for(lambda: "Not started" in area.inner_text(), "the reason why nothing begins")
        notebook.type(rate, before)
        notebook.waits_for(lambda: alert.count() == 0 or "fast" not in area.inner_text(), "the line is gone")
        notebook.waits_for(lambda: "Parameters:" in area.inner_text(), "the number of parameters")

    def test_the_panel_trains_pauses_goes_on_and_stops_while_the_kernel_answers(self, notebook):
        budget = notebook.field("Budget")
        area = notebook.around(budget)
        status = area.get_by_role("status")

        def step() -> int:
            found = re.search(r"step ([\d,]+)", area.inner_text())
            return int(found[1].replace(",", "")) if found else 0

        notebook.type(budget, "1000")  # epochs, so that it goes on until it is stopped
        notebook.waits_for(lambda: re.search(r"Time: .*\d", area.inner_text()), "the time that it will take")
        notebook.press(notebook.button("Train"), "Enter")
        notebook.waits_for(lambda: "running" in status.inner_text() and step() > 0, "the first steps")
        notebook.waits_for(lambda: len(notebook.pictures(area)) == 1, "the curves")

        # Another widget reacts meanwhile.
        title = notebook.field("Title")
        table = notebook.around(title).locator("table")
        before = table.inner_text()
        notebook.type(title, "The treasury is empty.")
        notebook.waits_for(lambda: table.inner_text() != before, "the neighbours of a title while a model is trained")

        notebook.press(notebook.button("Pause"), "Enter")
        notebook.waits_for(lambda: "paused" in status.inner_text(), "the run pauses")
        notebook.page.wait_for_timeout(1000)  # the step that was being made
        paused_at = step()
        notebook.page.wait_for_timeout(1500)
        assert step() == paused_at
        notebook.press(notebook.button("Resume"), "Enter")
        notebook.waits_for(lambda: step() > paused_at, "it goes on")
        notebook.press(notebook.button("Stop"), "Enter")
        notebook.waits_for(lambda: "stopped" in status.inner_text(), "it stops")
        row = area.locator("table tr", has_text="run 1")
        assert "stopped" in row.inner_text()
        assert "TrainingConfig(" in notebook.field("Configuration").input_value()
        notebook.waits_for(notebook.button("Train").is_enabled, "another run can begin")
        assert notebook.texts("error") == []


class TestPeriods(EachNotebook):
    name = "appendix_c_periods"

    def test_weights_of_the_layers_move_the_map(self, notebook):
        slider = notebook.slider("Layer 0")
        area = notebook.around(slider)
        notebook.after(lambda: notebook.press(slider, "ArrowRight"), lambda: notebook.pictures(area), "the map")


def assert_wrong_then_right(notebook, field, wrong: str, right: str) -> None:
    """What cannot be read gets a line below the field and leaves what is shown; what can be read ends that."""
    area = notebook.around(field)

    def shown():
        return notebook.pictures(area), area.locator("table").all_inner_texts()

    before = shown()
    notebook.type(field, wrong)
    alert = area.get_by_role("alert")
    notebook.waits_for(
        lambda: alert.count() == 1 and alert.inner_text().strip(), f"a line that says what is wrong with {wrong!r}"
    )
    assert "Traceback" not in area.inner_text()
    assert shown() == before
    notebook.after(lambda: notebook.type(field, right), shown, f"what is shown, for {right!r}")
    assert alert.count() == 0
    assert notebook.texts("error") == []
