"""The committed notebooks keep the rules of the house, and their outputs are those of their code."""

import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import notebook_rules as rules  # noqa: E402

import notebooks as tool  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RULES = rules.REFUSED + rules.HOUSE

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_notebook
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(path, rule):
    assert list(rule(nbformat.read(path, as_version=4))) == []


@every_notebook
def test_outputs_are_those_of_the_code_cells(path):
    notebook = nbformat.read(path, as_version=4)
    written = notebook.metadata.get("cnnviz", {}).get("fingerprint", {}).get("code")
    assert written == tool.code_fingerprint(notebook), f"run `make notebooks ARGS={path.stem[:2]}`"


@every_notebook
def test_the_file_has_the_form_in_which_notebooks_are_committed(path):
    notebook = tool.read(path)
    assert tool.to_text(tool.tidy(notebook)) == path.read_text(encoding="utf-8"), "run `make notebooks`"


@every_notebook
def test_the_file_is_small(path):
    assert path.stat().st_size <= rules.LARGEST_FILE
