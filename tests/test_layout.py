"""The house: which names are public, in which order their arguments come, and that no floor imports from above."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

import cnnviz_widgets
from cnnviz_widgets import Network

PACKAGE = Path(cnnviz_widgets.__file__).parent
FLOORS = ("images", "networks", "layers", "techniques", "learning", "render", "views", "controls", "explorers")
BESIDE = {"exercises": "explorers"}  # stands beside the explorers, on one floor with them
PAGES = {"__init__", "__main__", "errors", "i18n", "jupyter", "seeds", "settings", "text"}
LONGEST, LONGEST_PANEL, PANELS = 350, 150, 12

# What readers import from the package. A name may be added here; one that goes breaks somebody's notebook.
PUBLIC = [
    "ACTIVATIONS",
    "ActivationExplorer",
    "CamMap",
    "ClassifierExplorer",
    "CnnvizError",
    "ConvolutionExplorer",
    "DigitPad",
    "EmbeddingExplorer",
    "FILLS",
    "FeatureMapExplorer",
    "FilterFormation",
    "GradCamExplorer",
    "ImageView",
    "KERNELS",
    "LayerExplorer",
    "LeNetExplorer",
    "Network",
    "OcclusionExplorer",
    "OcclusionMap",
    "PICTURES",
    "POOLINGS",
    "PatchExplorer",
    "PoolingExplorer",
    "Predict",
    "SlidingWindowExplorer",
    "TopPatches",
    "Training",
    "TrainingMemory",
    "TrainingMonitor",
    "UnitExplorer",
    "__version__",
    "activate",
    "additivity_gap",
    "architecture",
    "beside",
    "by_strength",
    "check",
    "contrast_normalised",
    "convolve",
    "draw_architecture",
    "evaluating",
    "feature_maps",
    "fetch",
    "filter_steps",
    "gabor_fit",
    "grad_cam",
    "hint",
    "images",
    "kernel",
    "kernels_of",
    "known_networks",
    "layer_codes",
    "layer_sheet",
    "layer_tree",
    "learn_filters",
    "load_network",
    "neighbour_accuracy",
    "neighbours",
    "occlude",
    "occlusion",
    "occlusion_steps",
    "orientation_selectivity",
    "output_size",
    "padding_amounts",
    "pca",
    "picture_crops",
    "picture_patches",
    "pool",
    "propose_layer",
    "random_kernels",
    "receptive_field",
    "record",
    "relative_change",
    "render",
    "shifted",
    "show",
    "solution",
    "strength",
    "strongest_channel",
    "top_patches",
    "top_patches_steps",
    "train",
    "training_memory",
    "trustworthiness",
    "tsne",
    "tsne_steps",
    "untrained",
    "visits",
    "write_graph",
    "zeroed",
]


def modules() -> dict[str, Path]:
    """Every module by its dotted name inside the package."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in files}


def floor_of(module: str) -> int | None:
    """How high a module stands; None for the pages beside the floors, which everybody may read."""
    folder = module.partition(".")[0]
    folder = BESIDE.get(folder, folder)
    return FLOORS.index(folder) if folder in FLOORS else None


def imported(module: str, file: Path) -> set[str]:
    """The modules of the package that `module` imports, wherever in the file it does so."""
    package = module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*package[: len(package) - node.level + 1], *filter(None, [node.module])]
            elif node.module and node.module.split(".")[0] == PACKAGE.name:
                base = node.module.split(".")[1:]
            else:
                continue
            found.update(".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[2] for alias in node.names if alias.name.startswith(PACKAGE.name))
    return found


def test_the_folders_are_the_floors():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ("__pycache__", "locale")}
    assert folders == {*FLOORS, *BESIDE}
    assert {path.stem for path in PACKAGE.glob("*.py")} == PAGES


@pytest.mark.parametrize("module", modules())
def test_no_module_imports_from_above(module):
    height = floor_of(module)
    for name in imported(module, modules()[module]):
        other = floor_of(name)
        if height is None:
            assert other is None or module in ("__init__", "__main__"), f"the page {module} imports {name}"
        else:
            assert other is None or other <= height, f"{module} imports {name}, which stands above it"


def test_an_import_from_above_would_be_seen(tmp_path):
    wrong = tmp_path / "wrong.py"
    for line in ("from ..explorers import base", "from .. import explorers", "from cnnviz_widgets import explorers"):
        wrong.write_text(f"def late():\n    {line}\n")
        assert floor_of(next(iter(imported("images.wrong", wrong)))) > floor_of("images.wrong")


@pytest.mark.parametrize("module", modules())
def test_no_module_is_too_long_to_read(module):
    assert len(modules()[module].read_text(encoding="utf-8").splitlines()) < LONGEST


def test_most_panels_are_short():
    from cnnviz_widgets import explorers

    panels = [getattr(explorers, name) for name in explorers.__all__]
    kinds = {kind for kind in panels if isinstance(kind, type) and issubclass(kind, explorers.Explorer)}
    kinds -= {explorers.Explorer, explorers.NetworkExplorer, explorers.SlowExplorer}
    lengths = sorted(len(Path(inspect.getfile(kind)).read_text(encoding="utf-8").splitlines()) for kind in kinds)
    assert len(lengths) >= 16
    assert lengths[PANELS - 1] < LONGEST_PANEL


def test_one_technique_and_its_panel_are_two_short_files():
    for file in ("techniques/grad_cam.py", "explorers/grad_cam.py"):
        assert len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) < 80


# Public names ---------------------------------------------------------------------------------------------------------


def test_the_public_names_are_these():
    assert sorted(cnnviz_widgets.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name):
    assert getattr(cnnviz_widgets, name) is not None
    assert name in dir(cnnviz_widgets)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        cnnviz_widgets.no_such_name  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, cnnviz_widgets; "
        "print([name for name in ('torch', 'numpy', 'ipywidgets', 'matplotlib') if name in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize(
    "name", ["occlusion", "layer_sheet", "grad_cam", "feature_maps", "train", "top_patches", "tsne"]
)
def test_the_plain_torch_library_imports_no_widget(name):
    code = (
        f"import sys; from cnnviz_widgets import {name}; print('ipywidgets' in sys.modules, 'anywidget' in sys.modules)"
    )
    assert run(code) == "False False"


def test_heavy_libraries_wait_until_they_are_needed():
    code = (
        "import sys; from cnnviz_widgets import *; load_network().predict('cat'); "
        "print([name for name in ('torchvision', 'timm', 'skimage', 'sklearn', 'openTSNE') if name in sys.modules])"
    )
    assert run(code) == "[]"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The order of arguments -----------------------------------------------------------------------------------------------

ASKING = {  # every public function that asks a network, and what comes behind the network
    "occlusion": ["inputs", "target"],
    "occlusion_steps": ["inputs", "target"],
    "grad_cam": ["inputs", "target", "layer"],
    "layer_tree": ["inputs"],
    "propose_layer": ["inputs"],
    "training_memory": ["inputs"],
    "write_graph": ["inputs"],
    "layer_sheet": ["inputs"],
    "receptive_field": ["inputs", "name"],
    "feature_maps": ["inputs", "layer"],
    "kernels_of": ["inputs", "layer"],
    "layer_codes": ["inputs", "names"],
    "top_patches": ["layer", "channel"],
    "top_patches_steps": ["layer", "channel"],
    "record": ["names"],
    "untrained": [],
    "evaluating": [],
    "train": ["examples"],
}
NETWORK = ("model", "network", "module")


def functions() -> dict[str, inspect.Signature]:
    found = {name: getattr(cnnviz_widgets, name) for name in PUBLIC}
    return {name: inspect.signature(one) for name, one in found.items() if inspect.isfunction(one)}


@pytest.mark.parametrize("name", ASKING)
def test_the_network_comes_first_then_what_it_is_asked(name):
    parameters = list(functions()[name].parameters)
    assert parameters[0] in NETWORK
    assert parameters[1 : 1 + len(ASKING[name])] == ASKING[name]


def test_every_function_that_takes_a_network_is_looked_at_here():
    asking = {name for name, signature in functions().items() if set(NETWORK) & set(signature.parameters)}
    assert asking == set(ASKING)


@pytest.mark.parametrize("name", sorted(functions()))
def test_public_functions_say_what_they_take_and_give(name):
    signature = functions()[name]
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, f"{name}({parameter.name})"
    assert inspect.getdoc(getattr(cnnviz_widgets, name))


def test_architecture_has_every_layer_and_no_number():
    network = cnnviz_widgets.architecture("vgg16")
    assert isinstance(network, Network)
    assert isinstance(network.module, nn.Module)
    assert sum(parameter.numel() for parameter in network.module.parameters()) == 138_357_544
    assert all(parameter.is_meta for parameter in network.module.parameters())
