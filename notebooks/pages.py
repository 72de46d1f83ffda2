"""Write the series as pages to read in a browser: one for each committed .ipynb, and one with the contents.

    python notebooks/pages.py                 # into build/html
    python notebooks/pages.py --output site   # elsewhere

Nothing is run: a page shows what its notebook showed when it was built. The pages need no network and no scripts:
formulas are MathML, figures are files beside the pages. They appear whole or not at all.
"""

import argparse
import base64
import html
import re
import shutil
import struct
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import jinja2
import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbformat import NotebookNode

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import whole_directory, write_json
from pairs import NAME, number_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TEMPLATE = HERE / "pages_template"
HEADER, FORMAT = "pages.json", "elmo_helpers pages"
LONGEST_ALT = 400  # characters of a figure's text for those who cannot see it

CODE = re.compile(r"(^(?P<fence>```+).*?^(?P=fence)`*[^\S\n]*$|(?P<span>`+)[^`].*?(?<!`)(?P=span)(?!`))", re.M | re.S)
# As in Pandoc: a sum of money has a space or a digit on the wrong side of its sign, and is no formula.
FORMULA = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?P<line>(?!\s)[^$]+?(?<![\s\\]))\$(?!\d)", re.S)
HEADING = re.compile(r'<h2 id="(?P<anchor>[^"]*)">(?P<name>.*?)<a class="anchor-link"', re.S)
LINK = re.compile(r'<a href="(?P<target>[^"]*)">(?P<text>.*?)</a>', re.S)
IMAGE = re.compile(r'<img src="(?P<target>[^"]*)"')
NOTEBOOK = re.compile(rf"(?:notebooks/)?(?P<name>{NAME.pattern})\.(?:ipynb|py)(?P<anchor>#.*)?")
OUTSIDE = re.compile(r"[a-z]+:|//")


def formula_to_mathml(latex: str, display: str) -> str:
    """A formula as MathML, which browsers draw by themselves.

    Raises:
        ElmoHelpersError: It holds a command that is not known.
    """
    mathml = convert(latex.strip(), display=display)
    if unknown := re.search(r"\\\w+", mathml):
        raise ElmoHelpersError(
            f"The formula {latex.strip()!r} holds {unknown[0]}, which has no MathML: write it another way."
        )
    return mathml


class Markdown:
    """Markdown to HTML: formulas as MathML, links to notebooks as links to their pages.

    `folder` is where the text stands, `figures` where the images it names are copied, `names` the pages that there are.
    """

    def __init__(self, folder: Path, figures: Path, names: Sequence[str]) -> None:
        self.folder, self.figures, self.names = folder, figures, names

    def __call__(self, text: str) -> str:
        formulas: list[str] = []

        def keep(match: re.Match) -> str:  # a word that Markdown leaves alone stands in the formula's place
            display = "block" if match["block"] else "inline"
            formulas.append(formula_to_mathml(match["block"] or match["line"], display))
            return f"FORMULA{len(formulas) - 1}END"

        parts, end = [], 0
        for code in CODE.finditer(text):
            parts += [self._outside_code(text[end : code.start()], keep), code[0]]
            end = code.end()
        parts.append(self._outside_code(text[end:], keep))
        page = markdown2html("".join(parts))
        # nbconvert writes an id as in an address, with %C2%B7 for a dot; ids are plain text.
        page = re.sub(r'(?<=<h[1-6] id=")[^"]*', lambda match: html.escape(unquote(match[0])), page)
        page = re.sub(r"FORMULA(\d+)END", lambda match: formulas[int(match[1])], page)
        return IMAGE.sub(self._image, LINK.sub(self._link, page))

    @staticmethod
    def _outside_code(text: str, keep: Callable[[re.Match], str]) -> str:
        return FORMULA.sub(keep, text).replace("$", "&#36;")

    def _link(self, match: re.Match) -> str:
        target = html.unescape(match["target"])
        if OUTSIDE.match(target) or target.startswith("#"):
            return match[0]
        if (notebook := NOTEBOOK.fullmatch(target)) and notebook["name"] in self.names:
            return f'<a href="{notebook["name"]}.html{html.escape(notebook["anchor"] or "")}">{match["text"]}</a>'
        path = (self.folder / target.partition("#")[0]).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            raise ElmoHelpersError(f"There is a link to {target}, and no such file in the repository: mend the link.")
        return f'{match["text"]} (<code class="file">{path.relative_to(ROOT).as_posix()}</code> in the repository)'

    def _image(self, match: re.Match) -> str:
        target = html.unescape(match["target"])
        if OUTSIDE.match(target):
            return match[0]
        path = self.folder / target
        if not path.is_file():
            raise ElmoHelpersError(f"There is an image {target}, and no such file in the repository: mend its name.")
        shutil.copyfile(path, self.figures / path.name)
        return f'<img src="{self.figures.name}/{html.escape(path.name)}"'


def take_figures(notebook: NotebookNode, figures: Path) -> None:
    """Write each PNG of a notebook as a file; its output's metadata say where, how large, and what is to be seen.

    What is to be seen is what the text says right above the cell.
    """
    above = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            above = _plain(cell.source)
        for number, output in enumerate(cell.get("outputs", [])):
            if "image/png" in output.get("data", {}):
                png = base64.b64decode(output.data["image/png"])
                file = figures / f"{cell.id}-{number}.png"
                file.write_bytes(png)
                width, height = struct.unpack(">II", png[16:24])  # of every PNG, right behind its signature
                figure = {"file": f"{figures.name}/{file.name}", "width": width, "height": height}
                output.metadata.figure = figure | {"text": f"Figure. {above}".strip()}


def _plain(source: str) -> str:
    """The words of Markdown, without its tables, displayed formulas and signs, cut at a word."""
    text = CODE.sub(lambda match: "" if match["fence"] else match[0].strip("`"), source)
    # Of a formula in a line, its names: a sentence without them would say nothing.
    text = FORMULA.sub(lambda match: "" if match["block"] else re.sub(r"[{}]|\\(?=\w)", " ", match["line"]), text)
    text = re.sub(r"^(#|\|).*$", "", text, flags=re.M)  # headings, rows of tables
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
    text = re.sub(r"(?<!\w)\*(\S[^*]*)\*", r"\1", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_ALT else text[:LONGEST_ALT].rsplit(" ", 1)[0] + " …"


def table(data: str) -> str:
    """A table of pandas without its own style sheet and border; its text is aligned to the left if it is long."""
    data = re.sub(r"<style scoped>.*?</style>", "", data, flags=re.S)
    data = re.sub(r'<(table|tr)( border="1")?( class="dataframe")?( style="text-align: right;")?>', r"<\1>", data)
    return data.replace("<table>", '<table class="sentences">') if re.search(r"<td>[^<]{40}", data) else data


def readme_parts(readme: str) -> str:
    """What the page of contents shows of the README: its beginning, and its section on the notebooks."""
    beginning = readme.partition("\n## ")[0]
    section = re.search(r"^## The notebooks$.*?(?=^## |\Z)", readme, flags=re.M | re.S)
    if not beginning.startswith("# ") or section is None:
        raise ElmoHelpersError("README.md needs a title and a section “The notebooks”, which the contents are made of.")
    return f"{beginning}\n\n{section[0]}"


def write_pages(target: Path, notebooks: Path = HERE, readme: Path = ROOT / "README.md") -> list[str]:
    """Write the pages into the directory `target`, and return their file names, the contents first.

    Raises:
        ElmoHelpersError: There is no notebook, a link leads nowhere, or `target` holds something else.
    """
    paths = [path for path in sorted(notebooks.glob("*.ipynb")) if NAME.fullmatch(path.stem)]
    if not paths:
        raise ElmoHelpersError(f"There is no notebook (NN_name.ipynb) in {notebooks.name}: run make notebooks first.")
    names = [path.stem for path in paths]
    frame = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE), autoescape=False, undefined=jinja2.StrictUndefined
    )
    with whole_directory(target, header=HEADER, format_name=FORMAT) as folder:
        figures = folder / "figures"
        figures.mkdir()
        pages = [_contents(readme, Markdown(readme.parent, figures, names))]
        pages += [_page(path, figures, Markdown(path.parent, figures, names)) for path in paths]
        pages[0].next = pages[1]
        for before, after in pairwise(pages[1:]):
            before.next, after.previous = after, before
        for page in pages:
            text = frame.get_template("frame.html.j2").render(page=page, series=pages[0])
            (folder / page.file).write_text(text, encoding="utf-8")
        shutil.copyfile(TEMPLATE / "style.css", folder / "style.css")
        files = [page.file for page in pages]
        write_json(folder / HEADER, {"format": FORMAT, "pages": files})
    return files


def _contents(readme: Path, markdown: Markdown) -> SimpleNamespace:
    text = readme_parts(readme.read_text(encoding="utf-8"))
    try:
        body = markdown(text)
    except ElmoHelpersError as error:
        raise ElmoHelpersError(f"{readme.name}: {error}") from error
    title = html.escape(text.splitlines()[0].removeprefix("# "))
    return SimpleNamespace(
        file="index.html",
        name="Contents",
        number="",
        title=title,
        body=f'<section class="text">{body}</section>',
        sections=[],
        previous=None,
        next=None,
    )


def _page(path: Path, figures: Path, markdown: Markdown) -> SimpleNamespace:
    notebook = nbformat.read(path, as_version=4)
    take_figures(notebook, figures)
    exporter = HTMLExporter(
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(HERE)],
        filters={"page_markdown": markdown, "table": table},
    )
    try:
        body, _ = exporter.from_notebook_node(notebook)
    except ElmoHelpersError as error:
        raise ElmoHelpersError(f"{path.name}: {error}") from error
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    name = title.partition(":")[0].partition(" · ")[2] or path.stem
    sections = [
        SimpleNamespace(anchor=match["anchor"], name=re.sub(r"<[^>]+>", "", match["name"]))
        for match in HEADING.finditer(body)
    ]
    return SimpleNamespace(
        file=f"{path.stem}.html",
        name=html.escape(name),
        number=number_of(path).removeprefix("appendix_").upper(),
        title=html.escape(title),
        body=body,
        sections=sections,
        previous=None,
        next=None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages; 0 when they are there."""
    parser = argparse.ArgumentParser(description="Write the notebooks as pages to read in a browser.")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "html", metavar="DIR", help="default: build/html"
    )
    options = parser.parse_args(arguments)
    try:
        files = write_pages(options.output)
    except ElmoHelpersError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(files)} pages; open {options.output / files[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
