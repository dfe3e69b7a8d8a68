"""What notebook 00 tells its readers is true."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from cnnviz_widgets import load_network

ROOT = Path(__file__).parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
TEXT = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
FLOWING = " ".join(TEXT.split())


@pytest.fixture(scope="module")
def network():
    return load_network()


def code(part: str) -> str:
    """The one code cell that contains `part`."""
    (source,) = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code" and part in cell.source]
    return source


def contents(text: str) -> dict[str, list[str]]:
    """The rows of a table of notebooks, by number: title (which may be a link) and subject."""
    rows = re.findall(r"^\| (\d\d) \|(.*)\|$", text, re.MULTILINE)
    return {number: [part.strip() for part in row.split("|")] for number, row in rows}


def test_the_first_code_cell_is_the_first_win(network):
    first = next(cell for cell in NOTEBOOK.cells if cell.cell_type == "code")
    assert NOTEBOOK.cells.index(first) == 1
    names = {}
    exec(first.source.replace("ClassifierExplorer(network)", "panel = ClassifierExplorer(network)"), names)
    assert names["panel"].value == network.predict("cat")
    assert any("image/jpeg" in output.get("data", {}) for output in first.outputs)


def test_what_is_said_of_the_cat(network):
    cats = dict(network.predict("cat", top=3))
    assert list(cats) == ["tiger cat", "Egyptian cat", "tabby"]
    assert "nearly nine tenths" in FLOWING and 0.85 < sum(cats.values()) < 0.9
    assert not {"cat", "astronaut", "person"} & {label.casefold() for label in network.labels}


def test_what_is_said_of_the_astronaut(network):
    first, second = network.predict("astronaut", top=2)
    assert (first[0], second[0]) == ("bobsled", "football helmet")
    assert "*Bobsled*, followed by *football helmet*" in FLOWING and round(first[1], 1) == 0.2
    options = re.search(r"\[(.*)\]", code("Predict("))[1]
    assert {"space shuttle", "suit", "bobsled"} <= set(network.labels) & set(re.findall(r'"(.*?)"', options))


def test_the_lines_to_change_do_what_the_panel_does(network, capsys):
    names = {"network": network}
    exec(code("def classify"), names)
    printed = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert printed == [label for label, _ in network.predict("cat")]
    for picture, top in [("cat", 5), ("camera", 10)]:
        ours, theirs = names["classify"](picture, top), network.predict(picture, top)
        assert [label for label, _ in ours] == [label for label, _ in theirs]
        assert [p for _, p in ours] == pytest.approx([p for _, p in theirs], rel=1e-4)
    sharper = {"network": network}
    exec(code("def classify").replace("scores.exp()", "(2 * scores).exp()"), sharper)
    assert sharper["classify"]("cat")[0][1] > 1.2 * names["classify"]("cat")[0][1]


def test_solution_can_be_written_for_hint():
    names = {}
    exec(code("import hint").replace("\nhint(", "\nanswer = hint(").replace("hint", "solution"), names)
    assert "return 1 - sum(" in repr(names["answer"])


def test_what_is_said_of_the_networks(network):
    from torchvision import models

    assert "about 80, go by torchvision's names" in FLOWING and 75 <= len(models.list_models(module=models)) <= 90
    parameters = sum(parameter.numel() for parameter in network.module.parameters())
    assert f"{parameters / 1e6:.1f} million" == "4.7 million"
    names = {}
    exec(code("known_networks"), names)
    assert names["rows"][2] == "| `efficientnet_lite0` | 2020 | 4.7 million | 18 MB | yes, with the course |"
    assert len(names["rows"]) == 2 + 6


def test_the_line_for_a_terminal_prints_versions_and_no_paths():
    line = re.search(r"^python -c .*$", TEXT, re.MULTILINE)[0]
    command = [sys.executable, *shlex.split(line)[1:]]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert printed.startswith("{}.{}.{} ".format(*sys.version_info))
    assert re.search(r" cnnviz-widgets=\d\S* torch=\d", printed)
    assert "/" not in printed and "\\" not in printed


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / "notebooks" / link).is_file()] == []


def test_the_table_holds_the_whole_course_and_links_what_is_there():
    table, readme = contents(TEXT), contents((ROOT / "README.md").read_text(encoding="utf-8"))
    assert list(table) == list(readme) == [f"{number:02}" for number in range(19)]
    for number, (title, subject) in table.items():
        here = [path.name for path in (ROOT / "notebooks").glob(f"{number}_*.ipynb")]
        linked = re.fullmatch(r"\[(.*)\]\((.*)\)", title)
        assert (linked[1] if linked else title) == readme[number][0]
        assert number == "00" or subject == readme[number][1]
        assert [linked[2]] == here if linked else number == "00" or not here, f"{number} is in the folder: {here}"
