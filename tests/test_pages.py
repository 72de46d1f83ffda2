"""notebooks/pages.py: pages that lead to each other, hold all that the notebooks hold, and need no network."""

import base64
import re
import struct
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

import pages
from elmo_helpers.errors import ElmoHelpersError
from small_notebooks import FOLDER, NAMES, build

FILES = ["index.html", *(f"{name}.html" for name in NAMES)]
VOID = {"img", "br", "hr", "meta", "link", "input", "col", "wbr"}


class Page(HTMLParser):
    """Tags with their attributes, all text, and the text of the parts of class "code"."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[tuple[str, str]] = []
        self.text, self.code = "", []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == [], f"{file.name} leaves tags open"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes.get("class") or ""))
        if attributes.get("class") == "code":
            self.code.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        self.text += data
        if any(name == "code" for _, name in self.open):
            self.code[-1] += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site") / "html"
    assert pages.write_pages(target) == FILES
    return target


@pytest.fixture(scope="module")
def site(folder) -> dict[str, Page]:
    return {file: Page(folder / file) for file in FILES}


def test_every_link_leads_somewhere(folder, site):
    for file, page in site.items():
        for link in page.all("a"):
            target = urlsplit(link["href"])
            if target.scheme:
                assert target.scheme == "https"
                continue
            there = unquote(target.path) or file
            assert there in site, f"{file} links to {link['href']}"
            if target.fragment:
                assert unquote(target.fragment) in site[there].ids(), f"{file} links to {link['href']}"


def test_next_and_previous_go_through_the_series_and_back(site):
    for relation, start, expected in [("next", "index.html", FILES), ("prev", FILES[-1], FILES[:0:-1])]:
        way = [start]
        while found := {link["href"] for link in site[way[-1]].all("a") if link.get("rel") == relation}:
            (target,) = found
            way.append(target)
        assert way == expected


def test_every_page_leads_to_the_contents_and_its_sections(site):
    for name in NAMES:
        page = site[f"{name}.html"]
        links = [link["href"] for link in page.all("a")]
        assert "index.html" in links
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        headings = re.findall(r"^## ", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
        sections = {link for link in links if link.startswith("#")} - {"#page"}
        assert len(sections) >= len(headings) > 5
        assert {f"{other}.html" for other in NAMES} <= {link["href"] for link in site["index.html"].all("a")}


def test_ids_are_unique(site):
    for file, page in site.items():
        assert [anchor for anchor, n in Counter(page.ids()).items() if n > 1] == [], file


def test_images_are_there_with_a_size_and_a_text(folder, site):
    for name in NAMES:
        images = site[f"{name}.html"].all("img")
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        figures = sum("image/png" in output.get("data", {}) for output in outputs)
        named = sum(cell.source.count("![") for cell in notebook.cells if cell.cell_type == "markdown")
        assert len(images) == figures + named
    for page in site.values():
        for image in page.all("img"):
            assert (folder / unquote(image["src"])).read_bytes().startswith(b"\x89PNG")
            assert len(image["alt"]) > 20


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(site):
    for page in site.values():
        assert page.all("script") == []
        assert [link["href"] for link in page.all("link")] == ["style.css"]
        assert all(not urlsplit(image["src"]).scheme for image in page.all("img"))


def test_pages_hold_no_path_of_this_machine(site):
    for page in site.values():
        assert build.ABSOLUTE_PATH.search(page.text) is None
        assert str(pages.ROOT) not in page.source


@pytest.mark.parametrize("name", NAMES)
def test_all_code_is_there_and_all_formulas_are_drawn(site, name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    page = site[f"{name}.html"]
    sources = [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [code.strip() for code in page.code] == sources
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len([m for m in page.all("math") if m["display"] == "block"]) == text.count("$$") / 2
    assert "FORMULA" not in page.source


def test_a_formula_is_one_and_a_sum_of_money_is_none(tmp_path):
    show = pages.Markdown(tmp_path, tmp_path, [])
    assert show("so $x_i * y_i$ is").count("<math") == 1
    for text in ("$720,000 by congress and $400,000 from the states", "from $5 to $6", "`$HOME` and `$PATH`"):
        shown = show(text)
        assert "<math" not in shown
        assert shown.count("$") + shown.count("&#36;") == 2
    fence = show("```\necho $a$ `$b$`\n```\n\n$$c$$")
    assert fence.count("<math") == 1
    assert "echo $a$ `$b$`" in fence
    with pytest.raises(ElmoHelpersError, match="nosuchcommand"):
        show(r"$\nosuchcommand{x}$")


def test_what_a_figure_shows_is_told_with_the_formulas_of_its_sentences(tmp_path):
    above = r"# A heading" "\n\n" r"The **surprise** is $-\log_2{}p$, in bits: $$x$$ see [there](a.html)."
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", 3, 2)).decode()
    shown = nbformat.v4.new_output("display_data", {"image/png": png})
    code = nbformat.v4.new_code_cell("draw()", outputs=[shown])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(above), code])
    pages.take_figures(notebook, tmp_path)
    figure = notebook.cells[1].outputs[0].metadata.figure
    assert figure["text"] == "Figure. The surprise is - log_2 p, in bits: see there."
    assert (figure["width"], figure["height"]) == (3, 2)


def notebook_of(folder: Path, text: str) -> None:
    cells = [nbformat.v4.new_markdown_cell(f"# 01 · A title: of a notebook\n\n## A section\n\n{text}")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "01_title.ipynb")
    (folder / "README.md").write_text(
        "# Title\n\nText.\n\n## The notebooks\n\n[01](01_title.ipynb)\n", encoding="utf-8"
    )


def test_a_link_to_nothing_leaves_the_older_pages(tmp_path):
    target = tmp_path / "html"
    notebook_of(tmp_path, "[here](01_title.py#A-section)")
    assert pages.write_pages(target, tmp_path, tmp_path / "README.md") == ["index.html", "01_title.html"]
    assert 'href="01_title.html#A-section"' in (target / "01_title.html").read_text(encoding="utf-8")
    before = {path: path.read_bytes() for path in target.iterdir() if path.is_file()}
    notebook_of(tmp_path, "[gone](02_gone.ipynb)")
    with pytest.raises(ElmoHelpersError, match=r"01_title\.ipynb.*02_gone\.ipynb"):
        pages.write_pages(target, tmp_path, tmp_path / "README.md")
    assert {path: path.read_bytes() for path in target.iterdir() if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01_title.ipynb", "README.md", "html"]


def test_a_directory_of_other_files_is_left_alone(tmp_path):
    notebook_of(tmp_path, "text")
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "mine.txt").write_text("mine")
    with pytest.raises(ElmoHelpersError, match="other files"):
        pages.write_pages(tmp_path / "html", tmp_path, tmp_path / "README.md")
    assert [path.name for path in (tmp_path / "html").iterdir()] == ["mine.txt"]
