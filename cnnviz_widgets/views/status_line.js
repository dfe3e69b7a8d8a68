// The line below a panel that says what happened, also to readers who do not see it; and, for the same readers, the
// names that ipywidgets leaves out: of sliders, of groups of buttons, of the buttons that carry only an icon. It also
// leaves a list the keys that move through it, which JupyterLab takes for its own: to move on to the next cell, or worse.

const ICONS = { "fa-play": "play", "fa-pause": "pause", "fa-stop": "stop", "fa-retweet": "repeat" };

function give(node, name, value) {
  if (node && node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function nameControls(panel, words) {
  for (const row of panel.querySelectorAll(".widget-slider, .widget-toggle-buttons")) {
    const label = row.querySelector(".widget-label")?.textContent;
    if (!label) continue;
    if (row.classList.contains("widget-slider")) {
      for (const handle of row.querySelectorAll(".noUi-handle")) give(handle, "aria-label", label);
      give(row.querySelector(".widget-readout"), "role", "textbox");
      give(row.querySelector(".widget-readout"), "aria-label", label);
    } else {
      give(row, "role", "group");
      give(row, "aria-label", label);
    }
  }
  for (const button of panel.querySelectorAll(".widget-toggle-button")) {
    give(button, "aria-pressed", String(button.classList.contains("mod-active")));
  }
  for (const [icon, word] of Object.entries(ICONS)) {
    for (const mark of panel.querySelectorAll(`.widget-play .${icon}`)) {
      give(mark.parentElement, "aria-label", words[word]);
      give(mark.parentElement, "title", words[word]);
    }
  }
}

function keepInList(event) {
  const command = event.ctrlKey || event.metaKey || event.altKey;
  const moves = /^(Arrow|Page|Home|End)/.test(event.key);
  const types = !command && (event.key.length === 1 || (event.key === "Enter" && !event.shiftKey));
  if (event.target.tagName === "SELECT" && (moves || types)) event.stopPropagation();
}

function render({ model, el }) {
  const line = document.createElement("div");
  line.className = "cnnviz-status";
  line.setAttribute("role", "status"); // there before its first words, or they would not be announced
  el.append(line);

  function draw() {
    line.textContent = model.get("value");
    line.classList.toggle("cnnviz-wrong", model.get("wrong"));
  }
  for (const name of ["value", "wrong"]) model.on(`change:${name}`, draw);
  draw();

  let frame = 0;
  const observer = new MutationObserver(() => nameControls(el.closest(".cnnviz-panel"), model.get("words")));
  function begin() {
    const panel = el.closest(".cnnviz-panel");
    if (!panel) {
      frame = requestAnimationFrame(begin); // not in the page yet
      return;
    }
    nameControls(panel, model.get("words"));
    panel.addEventListener("keydown", keepInList);
    observer.observe(panel, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
  }
  begin();

  return () => {
    cancelAnimationFrame(frame);
    observer.disconnect();
    for (const name of ["value", "wrong"]) model.off(`change:${name}`, draw);
  };
}

export default { render };
