"""One JupyterLab and one Chromium for all tests of a worker, and each notebook opened and run once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import copy_checkout, jupyterlab
from opened import Notebook
from playwright.sync_api import Browser, sync_playwright


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="where the pictures of the notebooks are written and kept")


def pytest_sessionstart() -> None:
    """Where Chromium is missing there is nothing to test, and the run ends with the way to it."""
    if shutil.which("chromium") is None:
        pytest.exit("Chromium is missing: run tests/browser/install_chromium.sh", returncode=1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    chosen = config.getoption("--screenshots")
    if chosen and Path(chosen).exists():
        terminalreporter.write_line(f"{len(list(Path(chosen).iterdir()))} screenshots are in {chosen}")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and notebooks/."""
    root = tmp_path_factory.mktemp("checkout")
    copy_checkout(root)
    return root


@pytest.fixture(scope="session")
def address(checkout: Path) -> Iterator[str]:
    """Where JupyterLab listens, with its token."""
    with jupyterlab(checkout) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, and /dev/shm is small in many containers.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = request.config.getoption("--screenshots")
    return Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")


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
