// A sheet to draw on with the pointer or with the keyboard. What travels is the strokes' points, not pixels.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.className = "cnnviz-pad";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  el.append(canvas);
  const context = canvas.getContext("2d");
  const edge = model.get("edge");
  const side = model.get("side");
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.height = Math.round(edge * ratio);
  canvas.style.width = canvas.style.height = `${edge}px`;

  let strokes = model.get("value"); // the newest state, ahead of the model while a frame is waited for
  let drawing = false; // the pointer is down
  let writing = false; // the keyboard's pen is down
  let cursor = [side / 2, side / 2];
  let frame = 0;

  function draw() {
    const unit = canvas.width / side;
    context.fillStyle = "#000000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = context.fillStyle = "#ffffff";
    context.lineWidth = model.get("pen") * unit;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of strokes) {
      context.beginPath();
      context.moveTo(stroke[0][0] * unit, stroke[0][1] * unit);
      for (const [x, y] of stroke) context.lineTo(x * unit, y * unit);
      context.stroke();
    }
    if (document.activeElement === canvas || canvas.getRootNode().activeElement === canvas) {
      context.lineWidth = Math.max(ratio, 1);
      context.strokeStyle = writing ? "#E69F00" : "#56B4E9";
      context.beginPath();
      context.arc(cursor[0] * unit, cursor[1] * unit, (model.get("pen") / 2) * unit, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function tell() {
    draw();
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      model.set("value", strokes);
      model.save_changes();
    });
  }

  function begin(point) {
    strokes = [...strokes, [point]];
    tell();
  }

  function goOn(point) {
    const last = strokes[strokes.length - 1];
    const [x, y] = last[last.length - 1];
    if (Math.hypot(point[0] - x, point[1] - y) < 0.3) return;
    strokes = [...strokes.slice(0, -1), [...last, point]];
    tell();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const within = (value) => Math.round(Math.min(Math.max(value * side, 0), side) * 100) / 100;
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    drawing = true;
    writing = false;
    cursor = place(event);
    begin(cursor);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    for (const step of event.getCoalescedEvents?.() ?? [event]) goOn(place(step));
    cursor = place(event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => { drawing = false; });
  }

  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = event.shiftKey ? 0.5 : 1;
      cursor = cursor.map((value, axis) => Math.min(Math.max(value + step * arrow[axis], 0), side));
      if (writing) goOn(cursor);
      else draw();
    } else if (event.key === " " || event.key === "Enter") {
      writing = !writing;
      if (writing) begin(cursor);
      else draw();
    } else if (event.key === "Escape") {
      writing = false;
      draw();
    } else if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) {
      writing = false;
      strokes = strokes.slice(0, -1);
      tell();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", () => { writing = false; draw(); });

  function fromKernel() {
    if (drawing || frame) return; // the hand is ahead of what comes back
    strokes = model.get("value");
    draw();
  }

  function words() {
    canvas.setAttribute("aria-label", model.get("help"));
    canvas.title = model.get("help");
  }

  model.on("change:value", fromKernel);
  model.on("change:help", words);
  words();
  draw();
  const seen = new IntersectionObserver(draw); // JupyterLab empties canvases that were scrolled out of sight
  seen.observe(canvas);
  return () => {
    seen.disconnect();
    model.off("change:value", fromKernel);
    model.off("change:help", words);
    if (frame) cancelAnimationFrame(frame);
  };
}

export default { render };
