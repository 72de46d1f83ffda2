"""The notebooks with small values: what the tests that run them share, in a kernel alone or in JupyterLab."""

import ast
from pathlib import Path

import nbformat

import build

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ["01_preprocess", "02_char_embedding", "03_bilm", "04_train_encode", "05_what_layers_know"]
NAMES += ["appendix_a_old_tutorial", "appendix_b_large_corpora", "appendix_c_periods"]

# Values put after the cell tagged `parameters`; its paths in ../data become paths in a temporary directory.
SMALL: dict[str, dict] = {
    "01_preprocess": {},
    "02_char_embedding": {"QUICK_TITLES": 300, "FREQUENT_WORDS": 300},
    "03_bilm": {"QUICK_TITLES": 300, "STEPS": 20, "PRESET": "tiny"},
    "04_train_encode": {
        "PRESET": "tiny",
        "EPOCHS": 1,
        "TRAINING": {"learning_rate": 8e-3, "warmup_steps": 5},
        "FINE_TUNE_STEPS": 4,
    },
    "05_what_layers_know": {"PAIRS": 2, "TEST_EXAMPLES": 40, "LABELS": [20, 60], "TEST_TITLES": 60},
    "appendix_c_periods": {"PROBE_TITLES": 400, "MAP_TITLES": 150},
    "appendix_a_old_tutorial": {"PADDING_STEPS": 8, "PADDING_WORDS": 200},
    "appendix_b_large_corpora": {"DRAWS": [1, 4], "FEW_TITLES": 60},
}


def source_of(name: str) -> nbformat.NotebookNode:
    return build.read_notebook(FOLDER / f"{name}.py")


def parameters_of(name: str) -> dict:
    """Names and values of the one cell tagged `parameters`, each a plain literal."""
    cells = [cell for cell in source_of(name).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(cells) == 1
    values = {}
    for statement in ast.parse(cells[0].source).body:
        assert isinstance(statement, ast.Assign), f"{name}: {ast.unparse(statement)}"
        (target,) = statement.targets
        assert isinstance(target, ast.Name)
        assert target.id.isupper()
        values[target.id] = ast.literal_eval(statement.value)  # raises where a value has to be computed
    return values


def small_parameters(name: str, data: Path) -> dict:
    """The small values of a notebook, with all that it reads and writes in the folder `data`."""
    paths = {
        key: value.replace("../data", str(data))
        for key, value in parameters_of(name).items()
        if isinstance(value, str) and value.startswith("../data")
    }
    assert paths, f"{name} names no path in ../data, so its data would not be found here"
    return paths | SMALL[name]
