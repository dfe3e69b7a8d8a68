"""What a committed notebook must and must not hold: each rule reads a notebook and yields one sentence per breach.

``REFUSED`` is what ``make notebooks`` never writes. ``HOUSE`` is how the course's notebooks are built; the tests hold
committed notebooks to both.
"""

import ast
import difflib
import html.parser
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
Cell = dict[str, Any]
Rule = Callable[[Notebook], Iterator[str]]

ROOT = Path(__file__).resolve().parents[1]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "image/jpeg")
LARGEST_CELL = 20
LARGEST_FILE = 1_000_000
NBVAL_TAGS = {"nbval-check-output", "nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "nbval-test-name"}

DATA_URI = re.compile(r"data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/=\s]+)")
_ANY_DATA_URI = re.compile(r"data:[\w.+/-]*;base64,[A-Za-z0-9+/=\s]+")
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_WARNING = re.compile(r"\b[A-Za-z]*Warning:")
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:\s|$)")
_MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(")


def text_of(value: str | list[str]) -> str:
    """Return a multi-line string of the notebook format, which may be a list of lines, as one string."""
    return value if isinstance(value, str) else "".join(value)


def code_cells(notebook: Notebook) -> list[Cell]:
    """Return the code cells in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _named_cells(notebook: Notebook, kind: str | None = None) -> Iterator[tuple[str, Cell]]:
    """Yield cells with the name a message uses: the place, counted from 1, and the first line."""
    for index, cell in enumerate(notebook["cells"], 1):
        if kind in (None, cell["cell_type"]):
            first = text_of(cell["source"]).strip().partition("\n")[0]
            yield f"cell {index} ({first[:50]!r})", cell


def _outputs(notebook: Notebook) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, cell in _named_cells(notebook, "code"):
        for output in cell["outputs"]:
            yield name, output


def output_texts(output: dict[str, Any]) -> Iterator[str]:
    """Yield what one output says: its stream, error and text data, without pictures encoded in it."""
    if "text" in output:
        yield text_of(output["text"])
    if output["output_type"] == "error":
        yield "\n".join([output["ename"], output["evalue"], *output["traceback"]])
    for kind, value in output.get("data", {}).items():
        if kind not in PICTURES and kind != WIDGET_VIEW:
            yield _ANY_DATA_URI.sub("", text_of(value) if isinstance(value, (str, list)) else repr(value))


def _machine_path_pattern() -> re.Pattern[str]:
    here = {str(path) for path in (ROOT, Path.home(), Path(sys.prefix), Path(tempfile.gettempdir()))} - {"/"}
    named = "|".join(re.escape(path) for path in sorted(here, key=len, reverse=True))
    folder = rf"(?:{named}|/tmp|/root|/private/var)(?![\w.-])|/home/[\w.-]+|/Users/[\w.-]+|[A-Za-z]:\\+Users\\"
    elsewhere = r"\bsite-packages\b|\bipykernel_\d+"
    return re.compile(rf"(?:(?<![\w./:~-])|(?<=file://))(?:{folder})[^\s\"'<>)]*|{elsewhere}")


_MACHINE_PATH = _machine_path_pattern()


class _Html(html.parser.HTMLParser):
    """Collects the pictures and headings of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a picture or a heading."""
        if tag == "img":
            self.images.append(dict(attrs))
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def _read_html(text: str) -> _Html:
    reader = _Html()
    reader.feed(_ANY_DATA_URI.sub("data:", text))
    return reader


def _without_code(markdown: str) -> str:
    """Return markdown without its code blocks and code spans."""
    kept, fence = [], ""
    for line in markdown.splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence = mark[1]
        else:
            kept.append(re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", line))
    return "\n".join(kept)


def headings(notebook: Notebook) -> list[int]:
    """Return the levels of the headings in the markdown cells, in order."""
    levels = []
    for _, cell in _named_cells(notebook, "markdown"):
        lines = _without_code(text_of(cell["source"])).splitlines()
        for index, line in enumerate(lines):
            if mark := _HEADING.match(line):
                levels.append(len(mark[1]))
            elif index and lines[index - 1].strip() and re.fullmatch(r" {0,3}=+\s*", line):
                levels.append(1)
            else:
                levels.extend(_read_html(line).headings)
    return levels


# What is never written


def one_title(notebook: Notebook) -> Iterator[str]:
    """A notebook has one heading of the first level."""
    if (count := headings(notebook).count(1)) != 1:
        yield f"has {count} headings of level 1, where one is right"


def no_machine_path_in_sources(notebook: Notebook) -> Iterator[str]:
    """No cell names a path of the machine on which it was written."""
    for name, cell in _named_cells(notebook):
        if found := _MACHINE_PATH.search(_ANY_DATA_URI.sub("", text_of(cell["source"]))):
            yield f"{name} names a path of this machine: {found[0]}"


def no_machine_path_in_outputs(notebook: Notebook) -> Iterator[str]:
    """No output names a path of the machine on which it was made."""
    for name, output in _outputs(notebook):
        for text in output_texts(output):
            if found := _MACHINE_PATH.search(text):
                yield f"{name} puts out a path of this machine: {found[0]}"


def no_error(notebook: Notebook) -> Iterator[str]:
    """No cell fails."""
    for name, output in _outputs(notebook):
        if output["output_type"] == "error":
            yield f"{name} fails: {output['ename']}: {output['evalue']}"


def no_stderr(notebook: Notebook) -> Iterator[str]:
    """No cell writes to the error stream."""
    for name, output in _outputs(notebook):
        if output.get("name") == "stderr":
            yield f"{name} writes to stderr: {text_of(output['text']).strip()[:300]}"


def no_warning(notebook: Notebook) -> Iterator[str]:
    """No output holds a warning."""
    for name, output in _outputs(notebook):
        for text in output_texts(output):
            if output.get("name") != "stderr" and (found := _WARNING.search(text)):
                yield f"{name} shows a warning: {text[found.start() :].partition(chr(10))[0][:200]}"


def no_address(notebook: Notebook) -> Iterator[str]:
    """No output holds a memory address, which differs in every run."""
    for name, output in _outputs(notebook):
        for text in output_texts(output):
            if found := _ADDRESS.search(text):
                yield f"{name} shows a memory address: {text[max(0, found.start() - 60) : found.end()]}"


def no_widget(notebook: Notebook) -> Iterator[str]:
    """No output needs a kernel to be seen."""
    if "widgets" in notebook["metadata"]:
        yield "holds the state of widgets"
    for name, output in _outputs(notebook):
        if WIDGET_VIEW in output.get("data", {}):
            yield f"{name} shows a widget that leaves no picture or text behind"


# How the course is built


def executed(notebook: Notebook) -> Iterator[str]:
    """Every code cell has run, in order, in a fresh kernel."""
    for number, cell in enumerate(code_cells(notebook), 1):
        if cell["execution_count"] != number:
            yield f"code cell {number} has the execution count {cell['execution_count']}"
        for output in cell["outputs"]:
            if output.get("execution_count", number) != number:
                yield f"code cell {number} holds an output of run {output['execution_count']}"


def no_skipped_heading_level(notebook: Notebook) -> Iterator[str]:
    """Headings start at level 1 and go down one level at a time."""
    before = 0
    for level in headings(notebook):
        if level > before + 1:
            yield f"a heading of level {level} follows one of level {before}"
        before = level


def every_picture_has_alternative_text(notebook: Notebook) -> Iterator[str]:
    """Pictures in text and in outputs say what they show; one that is no HTML says it in its output's metadata."""
    for name, cell in _named_cells(notebook):
        if cell["cell_type"] == "markdown":
            text = _without_code(text_of(cell["source"]))
            if any(not alt.strip() for alt in _MARKDOWN_IMAGE.findall(text)):
                yield f"{name} has a picture without alternative text"
            pieces = [text]
        else:
            outputs = [output for output in cell.get("outputs", []) if "data" in output]
            pieces = [text_of(output["data"]["text/html"]) for output in outputs if "text/html" in output["data"]]
            for said, mime in _bare_pictures(outputs):
                if not said.get("alt", "").strip():
                    yield f"{name} has an {mime} without alternative text"
        for image in (image for piece in pieces for image in _read_html(piece).images):
            if not (image.get("alt") or "").strip():
                yield f"{name} has an <img> without alternative text"


def _bare_pictures(outputs: list[dict]) -> Iterator[tuple[dict, str]]:
    """The metadata and the kind of each picture that stands in no HTML."""
    for output in outputs:
        if "text/html" not in output["data"]:
            for mime in output["data"]:
                if mime.startswith("image/"):
                    yield output["metadata"].get(mime, {}), mime


def short_code_cells(notebook: Notebook) -> Iterator[str]:
    """A code cell holds one idea, and is not empty."""
    for name, cell in _named_cells(notebook, "code"):
        lines = text_of(cell["source"]).strip().splitlines()
        if not lines:
            yield f"{name} is empty"
        if len(lines) > LARGEST_CELL:
            yield f"{name} has {len(lines)} lines; split it, {LARGEST_CELL} are the most"


def text_between_code_cells(notebook: Notebook) -> Iterator[str]:
    """A notebook starts with text, and text stands between any two code cells."""
    before = "code"
    for name, cell in _named_cells(notebook):
        if cell["cell_type"] == before == "code":
            yield f"no text stands before {name}"
        before = cell["cell_type"] if text_of(cell["source"]).strip() else before


def tags_are_spelled_right(notebook: Notebook) -> Iterator[str]:
    """What looks like a tag for nbval is one; a misspelled one would check nothing, in silence."""
    for name, cell in _named_cells(notebook):
        for tag in cell["metadata"].get("tags", []):
            near = difflib.get_close_matches(tag.lower().replace("_", "-"), NBVAL_TAGS, 1, 0.7)
            if tag not in NBVAL_TAGS and (near or "nbval" in tag.lower()):
                yield f"{name} has the tag {tag!r}, which nbval does not know{f'; {near[0]!r}?' if near else ''}"
            if tag in NBVAL_TAGS and cell["cell_type"] != "code":
                yield f"{name} is no code cell, but has the tag {tag!r}"


def checked_cells_say_something(notebook: Notebook) -> Iterator[str]:
    """A cell whose output is compared puts out text, since pictures are not compared."""
    for name, cell in _named_cells(notebook, "code"):
        if "nbval-check-output" in cell["metadata"].get("tags", []):
            texts = [text for output in cell["outputs"] for text in output_texts(output)]
            if not any(text.strip() for text in texts):
                yield f"{name} is tagged nbval-check-output but puts out no text to compare"


def network_named_once(notebook: Notebook) -> Iterator[str]:
    """A notebook that uses ``NETWORK`` names it once, in one of its first two code cells, with the others that work."""
    assigned: list[tuple[int, ast.Assign, str]] = []
    uses = 0
    for index, cell in enumerate(code_cells(notebook)):
        source = text_of(cell["source"])
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "NETWORK" and isinstance(node.ctx, ast.Load):
                uses += 1
            if isinstance(node, ast.Assign) and "NETWORK" in map(ast.unparse, node.targets):
                assigned.append((index, node, source))
    if not assigned:
        if uses:
            yield "uses NETWORK but never names it"
        return
    index, node, source = assigned[0]
    if len(assigned) > 1:
        yield "names NETWORK more than once"
    if index > 1:
        yield f"names NETWORK in code cell {index + 1}; its place is one of the first two"
    if ast.unparse(node.value) != "'efficientnet_lite0'":
        yield f"has outputs of {ast.unparse(node.value)}; the committed ones are those of 'efficientnet_lite0'"
    if "#" not in source:
        yield "does not say in a comment beside NETWORK which other networks work here"


BEFORE_RUNNING: tuple[Rule, ...] = (one_title, no_machine_path_in_sources)
REFUSED: tuple[Rule, ...] = (
    *BEFORE_RUNNING,
    no_error,
    no_stderr,
    no_warning,
    no_machine_path_in_outputs,
    no_address,
    no_widget,
)
HOUSE: tuple[Rule, ...] = (
    executed,
    no_skipped_heading_level,
    every_picture_has_alternative_text,
    short_code_cells,
    text_between_code_cells,
    tags_are_spelled_right,
    checked_cells_say_something,
    network_named_once,
)


def breaches(notebook: Notebook, rules: tuple[Rule, ...] = REFUSED) -> list[str]:
    """Return every breach of some rules in a notebook, one sentence each."""
    return [breach for rule in rules for breach in rule(notebook)]
