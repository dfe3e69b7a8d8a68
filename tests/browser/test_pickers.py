"""The pickers of networks and channels in a page: what each says, takes and refuses."""

import re

import pytest

from tests.browser.panels import names_of_controls, status, wait_for_silence

# A panel that computes nothing, on a machine that seems to have the weights of resnet18 and no others.
MAKE = """
import os, pathlib, tempfile
cache = tempfile.TemporaryDirectory()
os.environ["TORCH_HOME"] = os.environ["XDG_CACHE_HOME"] = cache.name
folder = pathlib.Path(cache.name) / "hub" / "checkpoints"
folder.mkdir(parents=True)
(folder / "resnet18-f37072fd.pth").touch()

import ipywidgets
from cnnviz_widgets.controls import ChannelPicker, NetworkPicker
from cnnviz_widgets.explorers.base import Explorer
class Panel(Explorer):
    title = "Pickers"
    def update(self, changed=None):
        self.value = [control.value for control in self.settings.values()]
network, channel = NetworkPicker(), ChannelPicker(8, 5)
heard = []
network.observe(lambda change: change["new"] and heard.append(change["new"]), "error")
panel = Panel({"network": network, "channel": channel}, ipywidgets.VBox())
panel
"""
CHOSEN = r"select => select.selectedOptions[0].textContent.replace(/\s/g, ' ')"


@pytest.mark.parametrize("subshells", [True], indirect=True)
def test_networks_and_channels_by_keyboard_and_pointer(open_notebook):
    notebook = open_notebook([MAKE])
    notebook.page.set_viewport_size({"width": 1200, "height": 500})
    notebook.run_all()
    page = notebook.page
    controls = names_of_controls(notebook)  # none is without a name
    wanted = {("combobox", "Network"), ("slider", "Channel"), ("textbox", "Channel"), ("button", "Reset")}
    assert wanted <= set(controls)

    # What a network costs stands in the list; those that are here come first.
    networks = page.get_by_role("combobox", name="Network")
    titles = [title.replace("\xa0", " ") for title in networks.locator("option").all_text_contents()]
    assert titles[:2] == [
        "efficientnet_lite0 · 4.7 M parameters · bundled",
        "resnet18 · 12 M parameters · on this machine",
    ]
    assert "vgg16 · 138 M parameters · 528 MB to download" in titles
    assert all(title.endswith(" MB to download") for title in titles[2:])

    def wait_for_network(name):
        title = next(title for title in titles if title.startswith(f"{name} "))
        page.wait_for_function(f"([select, title]) => ({CHOSEN})(select) === title", arg=[select, title])
        notebook.wait_for("panel.value[0]", name)

    select = networks.element_handle()
    wait_for_network("efficientnet_lite0")
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    before = page.evaluate(active)
    networks.press("ArrowDown")
    wait_for_network("resnet18")

    # One that is not here is refused with the way to get it, and the list shows the one that stays; again as well.
    def refusal(name, size):
        how = f"python -m cnnviz_widgets fetch {name}"
        return f"The weights of {name} ({size} MB) are not on this machine; get them once with: {how}"

    networks.press("v")  # the first that begins with it
    status(notebook).get_by_text(refusal("vgg11", 507), exact=True).wait_for()
    wait_for_network("resnet18")
    networks.press("ArrowUp")
    wait_for_network("efficientnet_lite0")
    wait_for_silence(notebook)
    assert page.evaluate(active) == before  # the notebook's own keys keep out of the way
    assert networks.evaluate("select => select === document.activeElement")
    for count in range(2, 4):
        networks.select_option(label="vgg16 · 138 M parameters · 528 MB to download")
        notebook.wait_for("[len(heard), heard[-1]]", [count, refusal("vgg16", 528)])
        status(notebook).get_by_text(refusal("vgg16", 528), exact=True).wait_for()
        wait_for_network("efficientnet_lite0")
    notebook.screenshot("pickers_refused")
    networks.select_option(label=titles[1])
    wait_for_network("resnet18")
    wait_for_silence(notebook)

    # Channels: a step, the ends, a place on the slider, and a number typed.
    handle = page.get_by_role("slider", name="Channel")
    readout = page.get_by_role("textbox", name="Channel")

    def wait_for_channel(number):
        readout.filter(has_text=re.compile(f"^{number}$")).wait_for()
        notebook.wait_for("panel.value[1]", number)

    wait_for_channel(5)
    for key, number in [("ArrowRight", 6), ("ArrowLeft", 5), ("End", 7), ("Home", 0), ("ArrowUp", 1)]:
        handle.press(key)
        wait_for_channel(number)
    track = page.locator(".noUi-base").bounding_box()
    page.mouse.click(track["x"] + track["width"] * 4 / 7, track["y"] + track["height"] / 2)
    wait_for_channel(4)
    for typed, number in [("2", 2), ("70", 7), ("three", 7), ("3", 3)]:
        readout.fill(typed)
        readout.press("Enter")
        wait_for_channel(number)

    # The bounds follow the layer.
    notebook.kernel.run("channel.count = 3")
    wait_for_channel(2)
    notebook.kernel.run("channel.count = 512")
    page.locator(".noUi-handle[aria-valuemax='511.0']").wait_for()
    handle.press("ArrowRight")
    wait_for_channel(3)
    readout.fill("600")
    readout.press("Enter")
    wait_for_channel(511)
    page.get_by_role("button", name="Reset").click()
    wait_for_channel(5)
    notebook.screenshot("pickers")
    assert notebook.problems == []
    assert notebook.outside == []
