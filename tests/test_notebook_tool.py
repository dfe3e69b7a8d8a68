"""`make notebooks` lets in what the course wants to show, refuses the rest, and changes no more than it has to."""

import base64
import io
import json
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import notebook_rules as rules  # noqa: E402

import notebooks as tool  # noqa: E402

TITLE = "# 01 · A title"
PICTURE_CODE = """
import base64, io
import numpy as np
from IPython.display import HTML, Image as Shown, display
from PIL import Image
y, x = np.mgrid[:40, :60]
grey = ((3 * x + 2 * y + {shift}) % 256).astype("uint8")
file = io.BytesIO()
Image.fromarray(grey).save(file, "{format}")
display(Shown(file.getvalue()))
HTML('<img alt="A slope" src="data:image/{format};base64,' + base64.b64encode(file.getvalue()).decode() + '">')
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "module.py").write_text("a = 1\n")
    return folder


@pytest.fixture
def write(tmp_path):
    def write_notebook(*codes, title=TITLE, name="01_case"):
        cells = [new_markdown_cell(title)]
        for code in codes:
            cells += [new_markdown_cell("Some text."), new_code_cell(code.strip())]
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write_notebook


def run(path, package, *arguments):
    return tool.main([path.stem, *arguments], path.parent, package)


def outputs(path):
    return [output for cell in rules.code_cells(nbformat.read(path, 4)) for output in cell.outputs]


def encode(array, kind="png", **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def slope(height=40, width=60):
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x + y, x + 2 * y, 100 + x - y], axis=2).clip(0, 255).astype(np.uint8)


# Running


def test_a_notebook_runs_in_order_without_network_and_in_its_own_folder(write, package, capsys):
    path = write(
        "import os, urllib.request\nprint(os.path.exists('01_case.ipynb'))",
        "try:\n    urllib.request.urlopen('http://example.org')\nexcept OSError as error:\n    print(error)",
    )
    assert run(path, package) == 0
    first, second = outputs(path)
    assert first.text == "True\n"
    assert "The network is cut off in tests" in second.text
    assert [cell.execution_count for cell in rules.code_cells(nbformat.read(path, 4))] == [1, 2]
    assert "01_case: " in capsys.readouterr().out


def test_what_is_written_has_no_trace_of_when_and_where(write, package):
    path = write("1 + 1")
    notebook = nbformat.read(path, 4)
    notebook.metadata = {"widgets": {"state": {}}, "kernelspec": {"name": "mine", "display_name": "Mine"}, "title": "x"}
    notebook.cells[2].metadata = {"ExecuteTime": "now", "scrolled": True, "tags": ["nbval-check-output"]}
    nbformat.write(notebook, path)
    assert run(path, package) == 0
    written = json.loads(path.read_text())
    assert set(written["metadata"]) == {"kernelspec", "language_info", "cnnviz"}
    assert written["metadata"]["kernelspec"]["name"] == "python3"
    assert "version" not in written["metadata"]["language_info"]
    assert written["cells"][2]["metadata"] == {"tags": ["nbval-check-output"]}


def test_only_what_is_stale_runs_again(write, package):
    path = write("import random\nrandom.random()")
    assert run(path, package) == 0
    written = path.read_bytes()
    assert run(path, package) == 0
    assert path.read_bytes() == written
    assert run(path, package, "--force") == 0
    assert outputs(path) != [output for cell in json.loads(written)["cells"] for output in cell.get("outputs", [])]


def test_changed_code_is_stale_and_changed_text_is_not(write, package):
    path = write("1 + 1")
    run(path, package)
    notebook = nbformat.read(path, 4)
    notebook.cells[1].source = "Other text."
    assert not tool.is_stale(notebook, package)
    notebook.cells[2].source = "1 + 2"
    assert tool.is_stale(notebook, package)


@pytest.mark.parametrize(
    ("file", "stale"),
    [("module.py", True), ("new.py", True), ("views/view.js", True), ("locale/zh.po", False), ("__pycache__/a", False)],
)
def test_the_package_makes_notebooks_stale_but_its_translations_do_not(write, package, file, stale):
    path = write("1 + 1")
    run(path, package)
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text("a = 2\n")
    assert tool.is_stale(nbformat.read(path, 4), package) == stale


def test_check_says_what_is_stale_and_writes_nothing(write, package, capsys):
    path = write("1 + 1")
    before = path.read_bytes()
    assert run(path, package, "--check") == 1
    assert "is stale" in capsys.readouterr().err
    assert path.read_bytes() == before
    run(path, package)
    assert run(path, package, "--check") == 0


def test_cell_ids_stay_when_other_cells_come_and_go(write, package):
    path = write("a = 1", "b = 2")
    run(path, package)
    before = {cell.source: cell.id for cell in rules.code_cells(nbformat.read(path, 4))}
    path = write("c = 3", "b = 2", "a = 1")
    run(path, package)
    notebook = nbformat.read(path, 4)
    after = {cell.source: cell.id for cell in rules.code_cells(notebook)}
    assert {**after, **before} == after
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_the_peak_of_memory_is_that_of_the_kernel(write, package, tmp_path):
    path = write("import numpy\nkept = numpy.ones(40_000_000)\ndel kept")
    table = tmp_path / "memory.json"
    assert run(path, package, "--memory", str(table)) == 0
    (measured,) = json.loads(table.read_text())
    assert 320e6 < measured["peak"] < 900e6
    assert measured["size"] == path.stat().st_size


def test_a_notebook_is_found_by_its_number_and_a_wrong_name_is_refused(write, package, capsys):
    path = write("1 + 1")
    assert tool.find(["01"], path.parent) == [path]
    assert tool.main(["99"], path.parent, package) == 1
    assert "01_case" in capsys.readouterr().err


# Refusing


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys\nprint('careful', file=sys.stderr)", "stderr"),
        ("import warnings\nwarnings.warn('old')", "stderr"),
        ("print('FutureWarning: old')", "warning"),
        ("import pathlib\nprint(pathlib.Path.home() / 'x')", "path of this machine"),
        ("import tempfile\ntempfile.gettempdir() + '/x'", "path of this machine"),
        ("import numpy\nnumpy.__file__", "path of this machine"),
        ("import os\nos.getcwd() + '/home/ann'", "path of this machine"),
        ("'C:' + chr(92) + 'Users' + chr(92) + 'ann'", "path of this machine"),
        ("object()", "memory address"),
        ("import ipywidgets\nipywidgets.IntSlider()", "leaves no picture"),
        ("'x' * 1_100_000", "kB large"),
        ("import os\nos._exit(1)", "does not come to an end"),
    ],
)
def test_what_may_not_be_shown_is_refused_and_nothing_is_written(write, package, capsys, code, message):
    path = write(code)
    before = path.read_bytes()
    assert run(path, package) == 1
    assert message in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("title", ["No title", "## Only a second level", "# One\n\n# Two", "One\n===\n\n# Two"])
def test_a_notebook_has_one_title(write, package, capsys, title):
    path = write("1 + 1", title=title)
    assert run(path, package) == 1
    assert "headings of level 1" in capsys.readouterr().err


def test_a_path_of_this_machine_in_a_cell_is_refused_before_anything_runs(write, package, capsys, tmp_path):
    path = write(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    assert run(path, package) == 1
    assert "names a path of this machine" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_what_merely_looks_like_a_path_is_let_in(write, package):
    path = write("print('and/or, ../home/x, https://example.org/tmp/a, a/root, ~/.cache')")
    assert run(path, package) == 0


def test_letters_of_an_encoded_picture_are_no_path():
    picture = "data:image/png;base64,AAAA/tmp/AAAA+/root/AAA="
    output = new_output("display_data", {"text/html": f'<img alt="x" src="{picture}">', "image/png": "/tmp/AAAA"})
    notebook = new_notebook(cells=[new_markdown_cell(TITLE), new_code_cell("1", outputs=[output])])
    assert rules.breaches(notebook) == []


def test_one_refused_notebook_does_not_hold_up_the_others(write, package):
    write("1 / 0", name="01_bad")
    good = write("1 + 1", name="02_good")
    assert tool.main([], good.parent, package) == 1
    assert outputs(good)[0].data["text/plain"] == "2"


# Widgets and pictures


def test_a_widget_with_a_picture_becomes_the_picture_and_a_progress_bar_goes(write, package):
    path = write(
        """
        from tqdm.notebook import tqdm
        for _ in tqdm(range(3), disable=False): pass
        """.replace("        ", ""),
        """
        import ipywidgets
        class Panel(ipywidgets.IntSlider):
            def _repr_mimebundle_(self, **kwargs):
                return {**super()._repr_mimebundle_(**kwargs), "text/html": "<b>a picture</b>"}
        Panel()
        """.replace("\n        ", "\n"),
    )
    assert run(path, package) == 0
    (panel,) = outputs(path)
    assert set(panel.data) == {"text/plain", "text/html"}


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_picture_that_looks_the_same_is_kept_and_one_that_does_not_is_replaced(write, package, tmp_path, kind):
    def pictures(path):
        shown, html = outputs(path)
        return shown.data[f"image/{kind}"].strip(), rules.DATA_URI.search(html.data["text/html"])[2]

    def after(shift):
        path = write(PICTURE_CODE.format(shift=shift, format=kind))
        former = nbformat.read(path, 4)
        rules.code_cells(former)[0].outputs = kept_outputs
        nbformat.write(former, path)
        assert run(path, package) == 0
        return pictures(path)

    kept_outputs = []
    first = after(0)
    kept_outputs = outputs(tmp_path / "01_case.ipynb")
    assert after(1) == first
    changed = after(9)
    assert changed[0] != first[0] and changed[1] != first[1]
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(changed[0])))).flat[0] == pytest.approx(9, abs=3)


def test_an_even_change_of_less_than_two_levels_is_not_seen():
    grey = np.full((32, 48, 3), 100, np.uint8)
    assert tool.looks_the_same(encode(grey), encode(grey + 1))
    assert not tool.looks_the_same(encode(grey), encode(grey + 2))


def test_a_change_in_one_channel_counts_in_full():
    grey = np.full((32, 48, 3), 100, np.uint8)
    assert not tool.looks_the_same(encode(grey), encode(grey + np.array([0, 0, 3], np.uint8)))


def test_a_changed_digit_in_a_large_picture_is_seen():
    page = np.full((300, 400), 255, np.uint8)
    changed = page.copy()
    changed[100:107, 200:203] = 0
    assert not tool.looks_the_same(encode(page), encode(changed))


def test_noise_of_the_jpeg_encoder_is_not_seen():
    assert tool.looks_the_same(encode(slope(), "jpeg", quality=92), encode(slope(), "jpeg", quality=90))


def test_pictures_of_two_sizes_are_two_pictures():
    assert not tool.looks_the_same(encode(slope(40, 60)), encode(slope(60, 40)))


def test_what_cannot_be_decoded_is_replaced():
    assert not tool.looks_the_same(b"no picture", encode(slope()))


# The rules of the house


def house(*cells, **metadata):
    return rules.breaches(new_notebook(cells=list(cells), metadata=metadata), rules.HOUSE)


def text(source=TITLE):
    return new_markdown_cell(source)


def code(source="1 + 1", count=1, *tags, said="2"):
    output = new_output("execute_result", {"text/plain": said}, execution_count=count) if said else None
    made = new_code_cell(source, execution_count=count, outputs=[output] if output else [])
    made.metadata = {"tags": list(tags)} if tags else {}
    return nbformat.from_dict(made)


def picture(html):
    made = code()
    made.outputs = [new_output("display_data", {"text/html": html})]
    return made


def bare_picture(**said):
    made = code()
    made.outputs = [new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": said})]
    return made


def test_a_notebook_of_the_house_passes():
    named = '# Also here: "vgg16".\nNETWORK = "efficientnet_lite0"\nprint(NETWORK)'
    assert house(text(), code(named), text("## More\n### Still"), code("1 + 1", 2, "nbval-check-output")) == []
    assert house(text(), bare_picture(alt="a cat")) == []


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([text(), code(count=2)], "execution count 2"),
        ([text(), code(count=None, said="")], "execution count None"),
        ([text(), text("### Deep")], "level 3 follows one of level 1"),
        ([text("## Late")], "level 2 follows one of level 0"),
        ([text(), text("![](a.png)")], "without alternative text"),
        ([text(), text('<img src="a.png">')], "without alternative text"),
        ([text(), picture('<img src="a.png" alt=" ">')], "without alternative text"),
        ([text(), bare_picture()], "image/png without alternative text"),
        ([text(), bare_picture(alt=" ")], "image/png without alternative text"),
        ([text(), code("\n".join(["a = 1"] * 21))], "has 21 lines"),
        ([text(), code("")], "is empty"),
        ([text(), code(), code("2", 2)], "no text stands before"),
        ([text(), code(), text(" "), code("2", 2)], "no text stands before"),
        ([code()], "no text stands before"),
        ([text(), code("1", 1, "nbval-check-outputs")], "nbval does not know"),
        ([text(), code("1", 1, "nbval_check_output")], "nbval does not know"),
        ([text(), code("1", 1, "NBVAL_SKIP")], "nbval does not know"),
        ([text(), code("1", 1, "nbval-check-output", said="")], "no text to compare"),
        ([text(), code("load_network(NETWORK)")], "never names it"),
        ([text(), code("NETWORK = 'vgg16'  # or another")], "outputs of 'vgg16'"),
        ([text(), code("NETWORK = 'efficientnet_lite0'")], "which other networks"),
        (
            [text(), code("1"), text("a"), code("2", 2), text("b"), code("NETWORK = 'efficientnet_lite0'  # or", 3)],
            "code cell 3",
        ),
    ],
)
def test_each_rule_of_the_house_is_noticed_when_broken(cells, message):
    found = house(*cells)
    assert any(message in breach for breach in found), found


def test_a_hash_in_a_code_block_is_no_heading():
    assert rules.headings(
        new_notebook(cells=[text(), text("```python\n# a comment\n```\n~~~\n# b\n~~~\n## Next")])
    ) == [1, 2]
