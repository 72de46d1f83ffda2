"""The command line: `python -m elmo_helpers --help`."""

from elmo_helpers.cli import encoding, generation, interchange, preprocessing, training  # noqa: F401 - each adds its own
from elmo_helpers.cli.app import app

if __name__ == "__main__":
    app(prog_name="python -m elmo_helpers")
