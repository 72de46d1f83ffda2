"""One JupyterLab and one Chromium for all tests of the browser, and each notebook opened and run once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import copy_checkout, jupyterlab
from opened import Notebook
from playwright.sync_api import Browser, sync_playwright

SCREENSHOTS = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="where the pictures of the notebooks are written and kept")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    folder = config.stash.get(SCREENSHOTS, None)
    if folder and folder.exists():
        terminalreporter.write_line(f"{len(list(folder.iterdir()))} screenshots are in {folder}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; where it is missing there is nothing to test, and the run ends with the way to it."""
    path = shutil.which("chromium")
    if path is None:
        pytest.exit("Chromium is missing: run tests/browser/install_chromium.sh", returncode=1)
    return path


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and notebooks/."""
    root = tmp_path_factory.mktemp("checkout")
    copy_checkout(root)
    return root


@pytest.fixture(scope="session")
def address(chromium: str, checkout: Path) -> Iterator[str]:
    """Where JupyterLab listens, with its token."""
    with jupyterlab(checkout) as address:
        yield address


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, and /dev/shm is small in many containers.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = request.config.getoption("--screenshots")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    request.config.stash[SCREENSHOTS] = folder
    return folder


@pytest.fixture(scope="class")
def notebook(request: pytest.FixtureRequest, browser: Browser, address: str, screenshots: Path) -> Iterator[Notebook]:
    """The notebook that the test class names, open, after Run All Cells; photographed when its tests are over."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    opened = Notebook(context.new_page(), address, request.cls.name)
    opened.run_all()
    yield opened
    opened.screenshots(screenshots)
    opened.shut_down()
    context.close()
