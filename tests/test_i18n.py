"""What readers see follows their language: a catalogue is all that an edition in another language needs."""

import ast
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cnnviz_widgets import i18n

PACKAGE = Path(i18n.__file__).parent
GERMAN = {
    "Kernel size": "Kerngröße",
    "Reset": "Zurücksetzen",
    "Identity": "Identität",
    "Occlusion": "Verdeckung",
    "Grey": "Grau",
    "There is no {name} called {value!r}: choose one of {choices}.": "{value!r} gibt es nicht; es gibt {choices}.",
}


def write_catalogue(folder: Path, language: str, messages: dict[str, str]) -> None:
    """A compiled catalogue in gettext's binary format, as msgfmt writes it."""
    messages = {"": "Content-Type: text/plain; charset=UTF-8\n", **messages}
    pairs = sorted((original.encode(), translated.encode()) for original, translated in messages.items())
    tables, strings = [], b""
    start = 28 + 16 * len(pairs)
    for side in (0, 1):
        for pair in pairs:
            tables += [len(pair[side]), start + len(strings)]
            strings += pair[side] + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    file = folder / language / "LC_MESSAGES" / f"{i18n.DOMAIN}.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(header + struct.pack(f"<{len(tables)}I", *tables) + strings)


@pytest.fixture
def catalogues(tmp_path):
    write_catalogue(tmp_path, "de", GERMAN)
    return tmp_path


RUN = """
import sys
from functools import partial
from pathlib import Path
from cnnviz_widgets import i18n
i18n.catalogue = partial(i18n.catalogue.__wrapped__, folder=Path(sys.argv[1]))
from cnnviz_widgets.explorers import ConvolutionExplorer, OcclusionExplorer
from cnnviz_widgets.techniques.convolution import kernel
from cnnviz_widgets.techniques.fills import FILLS
panel = ConvolutionExplorer()
try:
    kernel("nonsense")
except ValueError as error:
    print(error)
print(panel.kernel_size.description)
print(panel.reset_button.description)
print(panel.kernel._picker.options[0][0])
print(OcclusionExplorer.title)
print(FILLS["grey"])
print(panel.stride.description)
"""


def in_another_process(catalogues, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_", "CNNVIZ_LANG"))}
    done = subprocess.run(
        [sys.executable, "-c", RUN, catalogues],
        capture_output=True,
        env={**clean, "PYTHONIOENCODING": "utf-8", **environment},
        timeout=120,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr.decode()
    refusal, *words = done.stdout.decode().splitlines()
    return refusal, words


@pytest.mark.parametrize("environment", [{"CNNVIZ_LANG": "de", "LANG": "fr_FR.UTF-8"}, {"LANGUAGE": "de"}])
def test_labels_titles_and_errors_are_in_the_reader_s_language(catalogues, environment):
    refusal, words = in_another_process(catalogues, **environment)
    assert words == ["Kerngröße", "Zurücksetzen", "Identität", "Verdeckung", "Grau", "Stride"]
    assert refusal.startswith("'nonsense' gibt es nicht; es gibt identity")


def test_without_a_catalogue_all_is_english(catalogues):
    refusal, words = in_another_process(catalogues, CNNVIZ_LANG="tlh")
    assert words == ["Kernel size", "Reset", "Identity", "Occlusion", "Grey", "Stride"]
    assert refusal.startswith("There is no kernel called 'nonsense'")


def test_the_environment_is_asked_at_every_message(catalogues, monkeypatch):
    real = i18n.catalogue
    monkeypatch.setattr(i18n, "catalogue", lambda language: real(language, catalogues))
    monkeypatch.setenv("CNNVIZ_LANG", "de")
    assert i18n._("Reset") == "Zurücksetzen"
    assert i18n._("not in the catalogue") == "not in the catalogue"
    monkeypatch.setenv("CNNVIZ_LANG", "tlh")
    assert i18n._("Reset") == "Reset"


def calls_of_gettext():
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", node


def test_messages_are_put_together_after_translation_never_before():
    """`_(f"…{name}")` and `_("…".format())` look up a message that no catalogue can hold; `_("")` is its header."""
    wrong = [
        place
        for place, call in calls_of_gettext()
        if len(call.args) != 1
        or call.keywords
        or isinstance(call.args[0], (ast.JoinedStr, ast.BinOp, ast.Call))
        or (isinstance(call.args[0], ast.Constant) and not (isinstance(call.args[0].value, str) and call.args[0].value))
    ]
    assert wrong == []


def test_a_message_with_more_than_one_gap_names_its_gaps():
    """A translator must be able to move them."""
    wrong = [
        place
        for place, call in calls_of_gettext()
        if isinstance(call.args[0], ast.Constant) and call.args[0].value.count("{}") > 1
    ]
    assert wrong == []
