"""A notebook that is open in JupyterLab: what a person sees of it, and does with mouse and keyboard."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Locator, Page

OPENING = 60  # seconds that JupyterLab may take to show a notebook with its kernel
RUN = 360  # seconds that a whole notebook may take with small values
REACTION = 30  # seconds that a widget may take to answer
SETTLING = 0.5  # seconds without a change, after which what is shown is taken to stay

# textContent, where a person reads innerText: what is scrolled out of sight is not laid out, and has no innerText.
PROMPTS = "panel => Array.from(panel.querySelectorAll('.jp-CodeCell .jp-InputPrompt'), prompt => prompt.textContent)"
TEXTS_OF = """(panel, kind) => Array.from(
    panel.querySelectorAll(`.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.${kind}"]`),
    output => output.textContent)"""
WIDGETS = """panel => Array.from(
    panel.querySelectorAll('.jp-Cell-outputArea > .jp-OutputArea-child > .jp-OutputArea-output > .jupyter-widgets'),
    widget => widget.textContent)"""
# What stands in the place of a widget that is not there yet, or cannot be drawn; the last is its plain text.
UNDRAWN = re.compile(
    r"Loading widget|Error (displaying|creating|rendering) widget|\b[HV]Box\(children=|interactive\(children="
)
# The bytes of every picture that is shown: an address alone says nothing, for each drawing has a new one.
PICTURES = """async area => {
    const shown = Array.from(area.querySelectorAll('img')).filter(img => img.getBoundingClientRect().height > 0);
    return Promise.all(shown.map(async img => {
        const bytes = await (await fetch(img.src)).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        return [img.naturalWidth, img.naturalHeight, Array.from(digest).join('.')].join(' ');
    }));
}"""
# Everything inside widgets that can be operated, with the text that names it.
OPERABLE = """Array.from(area.querySelectorAll('.jupyter-widgets :is(input, textarea, select, button, [role=slider])'))
    .filter(e => e.getBoundingClientRect().height > 0 && !e.disabled)"""
CONTROLS = f"""area => {OPERABLE}.map(e => [
    e.outerHTML.slice(0, 200),
    e.getAttribute('aria-label') || (e.tagName === 'BUTTON' ? e.textContent.trim() : '') ||
    Array.from(e.closest('.jupyter-widgets').querySelectorAll('label'), label => label.textContent.trim()).join('')])"""
MARK_CONTROLS = f"""area => {OPERABLE}.map((e, number) => e.setAttribute('data-tab-order', number)).length"""
TAKE_UNREACHED = """area => Array.from(area.querySelectorAll('[data-tab-order]'), e => {
    const missed = e.hasAttribute('data-tab-reached') ? [] : [e.outerHTML.slice(0, 200)];
    e.removeAttribute('data-tab-order'), e.removeAttribute('data-tab-reached');
    return missed;
}).flat()"""


def wait_until(what: str, holds: Callable[[], object], seconds: float, page: Page) -> None:
    """Wait until `holds` gives something true; AssertionError with `what` and the last value after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}; last seen: {value!r}"
        page.wait_for_timeout(100)  # lets the page's events in, which time.sleep would not


class Notebook:
    """A notebook in the page of a browser.

    Attributes:
        name: Without its ending.
        page: The page.
        panel: The part of it that holds the notebook.
        complaints: Errors that the page has written to its console, or thrown.
    """

    def __init__(self, page: Page, address: str, name: str) -> None:
        self.name, self.page = name, page
        self.panel = page.locator(".jp-NotebookPanel:visible")
        self.complaints: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        # A workspace of its own, or the tabs that another test has left open would come back.
        page.goto(address.replace("/lab?", f"/lab/workspaces/{name}/tree/{name}.ipynb?"))
        self._wait_until_open()

    def _on_console(self, message: ConsoleMessage) -> None:
        # A progress bar that takes itself away may have gone before the page draws it.
        if message.type == "error" and not message.text.startswith("Could not create a view for model id"):
            self.complaints.append(message.text)

    def _wait_until_open(self) -> None:
        self.panel.wait_for(timeout=OPENING * 1000)
        wait_until("the kernel is idle", self.is_idle, OPENING, self.page)

    def is_idle(self) -> bool:
        """Whether the line at the bottom of the page says that the kernel has nothing to do."""
        return self.page.get_by_role("button", name=re.compile(r"ipykernel.*\| Idle")).count() == 1

    def menu(self, name: str, entry: str) -> None:
        """Choose an entry of the menu bar."""
        self.page.get_by_role("menuitem", name=name, exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile(rf"^{re.escape(entry)}\b")).first.click()

    def run_all(self, seconds: float = RUN) -> None:
        """Run All Cells, and wait until every cell of code has its number, or one has failed."""
        self.menu("Run", "Run All Cells")

        def unfinished() -> list[str]:
            return [prompt for prompt in self.panel.evaluate(PROMPTS) if not re.fullmatch(r"\[\d+\]:", prompt.strip())]

        def done() -> bool:
            return (not unfinished() or bool(self.texts("error"))) and self.is_idle()

        try:
            wait_until("every cell has run", done, seconds, self.page)
        except AssertionError as error:
            error.add_note(f"unfinished cells: {unfinished()}; kernel idle: {self.is_idle()}")
            raise

    def texts(self, kind: str) -> list[str]:
        """The texts of all outputs of a kind: stdout, stderr or error."""
        return self.panel.evaluate(TEXTS_OF, kind)

    def widgets(self) -> list[str]:
        """The text of each output that is a widget, however little there is in it."""
        return self.panel.evaluate(WIDGETS)

    def undrawn(self) -> list[str]:
        """What stands in the place of widgets that are not drawn."""
        outputs = self.panel.locator(".jp-OutputArea-output").evaluate_all("all => all.map(e => e.textContent)")
        return [text for text in outputs if UNDRAWN.search(text)]

    def controls(self) -> list[tuple[str, str]]:
        """For each control inside a widget: the start of its HTML, and the text that names it or nothing."""
        return [tuple(control) for control in self.panel.evaluate(CONTROLS)]

    def output_count(self) -> int:
        """How many outputs all cells have together."""
        return self.panel.locator(".jp-Cell-outputArea > .jp-OutputArea-child").count()

    def missed_by_tab(self) -> list[str]:
        """The start of the HTML of each control that Tab does not reach from the first one of its output on."""
        missed = []
        for area in self.panel.locator(".jp-Cell-outputArea").filter(has=self.page.locator(".jupyter-widgets")).all():
            if count := area.evaluate(MARK_CONTROLS):
                self.press(area.locator("[data-tab-order='0']"))
                for _ in range(count + 5):  # lists of links or the like may stand between controls
                    area.evaluate("() => document.activeElement.setAttribute('data-tab-reached', '')")
                    self.page.keyboard.press("Tab")
                missed += area.evaluate(TAKE_UNREACHED)
        return missed

    def code(self, text: str) -> Locator:
        """The text of the one cell of code in sight that holds `text`."""
        return self.panel.locator(".jp-CodeCell .cm-content").filter(has_text=text)

    def pictures(self, area: Locator | None = None) -> list[str]:
        """Size and fingerprint of each picture that is to be seen."""
        return (area or self.panel).evaluate(PICTURES)

    def field(self, label: str, nth: int = 0) -> Locator:
        """The text field, list or box of that label."""
        return self.panel.get_by_label(label, exact=True).nth(nth)

    def slider(self, label: str, nth: int = 0) -> Locator:
        """The handle of the slider of that label, which ipywidgets writes beside it and links to it by nothing."""
        row = self.page.locator(".widget-slider").filter(has=self.page.get_by_text(label, exact=True))
        return self.panel.locator(row).nth(nth).get_by_role("slider")

    def button(self, name: str) -> Locator:
        """The button of that name inside a widget."""
        return self.panel.locator(".jupyter-widgets").get_by_role("button", name=name, exact=True)

    def around(self, control: Locator) -> Locator:
        """The whole output of the cell that `control` stands in."""
        return control.locator("xpath=ancestor::*[contains(@class, 'jp-Cell-outputArea')]")

    def press(self, control: Locator, *keys: str) -> None:
        """Press keys on a control, as after Tab has brought one there."""
        control.scroll_into_view_if_needed()
        control.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def choose(self, choice: Locator, key: str) -> None:
        """Open a list, move in it by an arrow key, and take what is there; JupyterLab keeps the arrows for itself
        while a list is closed."""
        self.press(choice, "Space")
        self.page.wait_for_timeout(200)  # the list is a window of its own, and opens when it can
        self.page.keyboard.press(key)
        self.page.keyboard.press("Enter")

    def type(self, field: Locator, text: str) -> None:
        """Put `text` in the place of what stands in a field, and press Enter."""
        field.scroll_into_view_if_needed()
        field.focus()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def after(self, action: Callable[[], None], look: Callable[[], object], what: str) -> object:
        """Do something, wait until what `look` gives is another than before and stays so, and return it."""
        before = look()
        action()

        def settled() -> bool:
            found = look()
            if found == before or not self.is_idle():
                return False
            self.page.wait_for_timeout(SETTLING * 1000)  # a widget shows one thing after the other
            return look() == found and self.is_idle()

        wait_until(f"{what} changes", settled, REACTION, self.page)
        return look()

    def waits_for(self, holds: Callable[[], object], what: str, seconds: float = REACTION) -> None:
        """Wait until `holds` gives something true."""
        wait_until(what, holds, seconds, self.page)

    def type_at_the_end(self, cell: Locator, line: str) -> None:
        """Type a line below all others of a cell."""
        cell.click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.press("Enter")
        self.page.keyboard.type(line)

    def save(self) -> None:
        """Save the notebook."""
        self.menu("File", "Save Notebook")
        dirty = self.page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty")
        wait_until("the notebook is saved", lambda: dirty.count() == 0, REACTION, self.page)

    def reload(self) -> None:
        """Load the page anew."""
        self.page.reload()
        self._wait_until_open()

    def shut_down(self) -> None:
        """End the kernel, so that it takes no time and memory from the notebooks to come."""
        self.menu("Kernel", "Shut Down Kernel")
        ended = self.page.get_by_role("button", name=re.compile(r"(No Kernel|\| Unknown)"))
        wait_until("the kernel has ended", lambda: ended.count() > 0, REACTION, self.page)

    def screenshots(self, folder: Path) -> None:
        """Write the notebook as pictures, NAME-01.png and so on from its top to its end."""
        folder.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": size["width"], "height": 2600})
        outer = self.panel.locator(".jp-WindowedPanel-outer")
        number, top, end = 0, 0, 1
        while top < end:
            number += 1
            outer.evaluate("(e, top) => e.scrollTo(0, top)", top)
            self.page.wait_for_timeout(100)
            self.panel.screenshot(path=folder / f"{self.name}-{number:02}.png")
            step, end = outer.evaluate("e => [e.clientHeight, e.scrollHeight]")
            top += step
        self.page.set_viewport_size(size)
