// Thumbnails of the pictures to choose from, and a place to bring one's own: by button, or by dropping a file.

const LARGE = 5e6; // bytes; from here on a file is scaled down before it travels
const LONGEST = 2048; // pixels on the longer side after that

async function scaledDown(file) {
  const bitmap = await createImageBitmap(file);
  const factor = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff"; // what is transparent becomes white, as in the kernel
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  if (!blob) throw new Error("the canvas gave no picture");
  return blob;
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "cnnviz-picker";
  const label = document.createElement("div");
  label.className = "cnnviz-picker-label";
  const grid = document.createElement("div");
  grid.className = "cnnviz-picker-grid";
  grid.setAttribute("role", "radiogroup");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cnnviz-picker-upload jupyter-button";
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/*";
  input.hidden = true;
  box.append(label, grid, button, input);
  el.append(box);

  function draw() {
    const words = model.get("words");
    label.textContent = words.label;
    grid.setAttribute("aria-label", words.label);
    button.textContent = words.upload;
    button.title = words.upload_help;
    const focused = grid.contains(document.activeElement);
    grid.replaceChildren(
      ...model.get("choices").map((choice) => {
        const chosen = choice.name === model.get("value");
        const item = document.createElement("button");
        item.type = "button";
        item.className = "cnnviz-picker-item";
        item.setAttribute("role", "radio");
        item.setAttribute("aria-checked", String(chosen));
        item.tabIndex = chosen ? 0 : -1;
        item.title = choice.title;
        item.dataset.name = choice.name;
        const img = document.createElement("img");
        img.src = choice.thumbnail;
        img.alt = choice.title;
        img.draggable = false;
        item.append(img);
        item.addEventListener("click", () => choose(choice.name));
        return item;
      }),
    );
    if (focused) grid.querySelector('[aria-checked="true"]')?.focus();
  }

  function choose(name) {
    model.set("value", name); // which draws
    model.save_changes();
  }

  grid.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const names = model.get("choices").map((choice) => choice.name);
    const now = names.indexOf(model.get("value"));
    choose(names[(now + by + names.length) % names.length]);
    event.preventDefault();
    event.stopPropagation();
  });

  async function upload(file) {
    if (!file) return;
    button.disabled = true;
    try {
      let blob = file;
      if (file.size > LARGE) {
        try {
          blob = await scaledDown(file);
        } catch {
          model.send({ kind: "too large", name: file.name, megabytes: file.size / 1e6 });
          return;
        }
      }
      model.send({ kind: "upload", name: file.name }, undefined, [await blob.arrayBuffer()]);
    } finally {
      button.disabled = false;
      input.value = "";
    }
  }

  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => upload(input.files[0]));
  box.addEventListener("dragover", (event) => {
    event.preventDefault();
    box.classList.add("cnnviz-drop");
  });
  box.addEventListener("dragleave", () => box.classList.remove("cnnviz-drop"));
  box.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    box.classList.remove("cnnviz-drop");
    upload(event.dataTransfer.files[0]);
  });

  const names = ["choices", "value", "words"];
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of names) model.off(`change:${name}`, draw); };
}

export default { render };
