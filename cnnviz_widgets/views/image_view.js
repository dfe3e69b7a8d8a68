// One picture in a fixed box: an <img> fed from a Blob URL, marks and a movable patch drawn over it,
// a scale beside it, a caption below it, and the pointer's place told back in picture pixels.

const SVG = "http://www.w3.org/2000/svg";

function element(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent?.append(node);
  return node;
}

function render({ model, el }) {
  const figure = element("figure", "cnnviz-image", el);
  const row = element("div", "cnnviz-image-row", figure);
  const frame = element("div", "cnnviz-image-frame", row);
  let img = element("img", "cnnviz-image-img", frame);
  img.draggable = false;
  const marks = document.createElementNS(SVG, "svg");
  marks.setAttribute("class", "cnnviz-image-marks");
  marks.setAttribute("aria-hidden", "true");
  frame.append(marks);
  const ramp = element("div", "cnnviz-image-ramp", row);
  const caption = element("figcaption", "cnnviz-image-caption", figure);

  let url = null;
  let loading = null; // the next picture
  let frameRequest = 0;
  let waiting = null; // the pointer's newest place, not yet told
  let dragging = false;

  // A picture is loaded out of sight and put in place when it is there; what arrives meanwhile waits, the newest only.
  function drawPicture() {
    const bytes = model.get("data");
    if (loading || !bytes || bytes.byteLength === 0) return;
    const [old, serial] = [url, model.get("serial")];
    url = URL.createObjectURL(new Blob([bytes], { type: model.get("mime") }));
    loading = img.cloneNode();
    loading.onload = loading.onerror = () => {
      loading.alt = img.alt;
      loading.className = img.className;
      loading.dataset.serial = serial;
      img.replaceWith(loading); // the element itself: an address given to another one would be loaded once more
      [img, loading] = [loading, null];
      if (old) URL.revokeObjectURL(old);
      if (serial > model.get("shown")) {
        model.set("shown", serial);
        model.save_changes();
      }
      if (bytes !== model.get("data")) drawPicture();
    };
    loading.src = url;
  }

  function drawBox() {
    const [width, height, zoom] = ["width", "height", "zoom"].map((name) => model.get(name));
    frame.style.width = `${width * zoom}px`;
    frame.style.aspectRatio = `${Math.max(width, 1)} / ${Math.max(height, 1)}`;
    const room = Math.max(width * zoom, 160); // for the caption of a tiny picture
    figure.style.maxWidth = model.get("ramp").stops ? `${room + 64}px` : `${room}px`;
    img.classList.toggle("cnnviz-pixelated", model.get("pixelated"));
    img.classList.toggle("cnnviz-drawing", model.get("drawing"));
    marks.setAttribute("viewBox", `0 0 ${Math.max(width, 1)} ${Math.max(height, 1)}`);
    drawMarks();
  }

  function drawWords() {
    img.alt = model.get("alt");
    caption.textContent = model.get("caption");
    const active = model.get("follow") !== "";
    frame.tabIndex = active ? 0 : -1;
    frame.setAttribute("role", active ? "application" : "presentation");
    if (active) frame.setAttribute("aria-label", `${model.get("alt")} ${model.get("help")}`.trim());
    else frame.removeAttribute("aria-label");
    frame.title = active ? model.get("help") : "";
    frame.classList.toggle("cnnviz-active", active);
  }

  function drawRamp() {
    const { stops, low, high, label } = model.get("ramp");
    ramp.replaceChildren();
    ramp.style.display = stops ? "" : "none";
    if (!stops) return;
    element("span", "cnnviz-ramp-end", ramp).textContent = high;
    const strip = element("div", "cnnviz-ramp-strip", ramp);
    strip.style.background = `linear-gradient(to top, ${stops.join(", ")})`;
    element("span", "cnnviz-ramp-end", ramp).textContent = low;
    ramp.title = label;
    ramp.setAttribute("role", "img");
    ramp.setAttribute("aria-label", `${label}: ${low} – ${high}`);
  }

  function rectangle({ x, y, w, h, colour, fill }) {
    const node = document.createElementNS(SVG, "rect");
    const values = { x, y, width: w, height: h, stroke: colour, fill: fill || "none" };
    for (const [name, value] of Object.entries(values)) node.setAttribute(name, value);
    node.setAttribute("vector-effect", "non-scaling-stroke");
    return node;
  }

  function patchMark() {
    const [w, h] = model.get("patch");
    const place = waiting ?? model.get("pointer");
    if (!w || place.length === 0) return [];
    const x = Math.min(Math.max(place[0] - Math.floor(w / 2), 0), Math.max(model.get("width") - w, 0));
    const y = Math.min(Math.max(place[1] - Math.floor(h / 2), 0), Math.max(model.get("height") - h, 0));
    return [{ x, y, w, h, colour: "#ffffff", fill: model.get("patch_fill") }];
  }

  function drawMarks() {
    marks.replaceChildren(...[...model.get("marks"), ...patchMark()].map(rectangle));
  }

  function place(event) {
    const box = frame.getBoundingClientRect();
    const [width, height] = [model.get("width"), model.get("height")];
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
  }

  function tell(where) {
    waiting = where;
    if (frameRequest) return;
    frameRequest = requestAnimationFrame(() => {
      frameRequest = 0;
      const newest = waiting;
      waiting = null;
      model.set("pointer", newest);
      model.save_changes();
      drawMarks();
    });
  }

  function click(where) {
    const count = (model.get("click")[2] ?? 0) + 1;
    model.set("click", [...where, count]);
    model.save_changes();
  }

  frame.addEventListener("pointerdown", (event) => {
    if (model.get("follow") === "" || event.button !== 0) return;
    dragging = true;
    frame.setPointerCapture(event.pointerId);
    frame.focus({ preventScroll: true });
    tell(place(event));
    event.preventDefault();
  });
  frame.addEventListener("pointermove", (event) => {
    if (model.get("follow") === "hover" || (model.get("follow") === "drag" && dragging)) tell(place(event));
  });
  frame.addEventListener("pointerup", (event) => {
    if (!dragging) return;
    dragging = false;
    click(place(event));
  });
  frame.addEventListener("pointercancel", () => { dragging = false; });
  frame.addEventListener("pointerleave", () => {
    if (model.get("follow") === "hover") tell([]);
  });

  const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  frame.addEventListener("keydown", (event) => {
    if (model.get("follow") === "") return;
    const direction = DIRECTIONS[event.key];
    const [width, height] = [model.get("width"), model.get("height")];
    let now = waiting ?? model.get("pointer");
    if (now.length === 0) now = [Math.floor(width / 2), Math.floor(height / 2)];
    if (direction) {
      const step = model.get("key_step") * (event.shiftKey ? 4 : 1);
      tell([
        Math.min(Math.max(now[0] + step * direction[0], 0), width - 1),
        Math.min(Math.max(now[1] + step * direction[1], 0), height - 1),
      ]);
    } else if (event.key === "Enter" || event.key === " ") {
      click(now);
    } else return;
    event.preventDefault();
    event.stopPropagation(); // the arrows move the patch, not the notebook's selected cell
  });

  const draw = { data: drawPicture, marks: drawMarks, patch: drawMarks, patch_fill: drawMarks, pointer: drawMarks };
  for (const name of ["width", "height", "zoom", "pixelated", "drawing"]) draw[name] = drawBox;
  for (const name of ["alt", "caption", "follow", "help"]) draw[name] = drawWords;
  draw.ramp = () => { drawRamp(); drawBox(); };
  for (const [name, handler] of Object.entries(draw)) model.on(`change:${name}`, handler);

  drawWords();
  drawRamp();
  drawBox();
  drawPicture();
  return () => {
    for (const [name, handler] of Object.entries(draw)) model.off(`change:${name}`, handler);
    if (frameRequest) cancelAnimationFrame(frameRequest);
    if (loading) loading.onload = loading.onerror = null;
    if (url) URL.revokeObjectURL(url);
  };
}

export default { render };
