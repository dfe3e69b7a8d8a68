// A grid of numbers that can be typed over; every cell is tinted by its sign and size.

function tint(value, largest) {
  if (!largest || !value) return "transparent";
  const strength = Math.round((Math.abs(value) / largest) * 55);
  return `color-mix(in srgb, ${value > 0 ? "#b2182b" : "#2166ac"} ${strength}%, transparent)`;
}

function short(value) {
  const size = Math.abs(value);
  return String(size >= 1000 ? Math.round(value) : Number(value.toPrecision(size >= 1 ? 3 : 2)));
}

function exact(value) {
  return String(Number(value.toPrecision(7)));
}

function render({ model, el }) {
  const grid = document.createElement("div");
  grid.className = "cnnviz-grid";
  grid.setAttribute("role", "group");
  const place = document.createElement("div");
  place.className = "cnnviz-grid-place";
  el.append(grid, place);
  let cells = [];
  let shape = "";
  let edge = 0; // screen pixels

  function build(rows, columns) {
    grid.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    edge = Math.min(40, Math.floor(model.get("width") / columns));
    grid.style.width = `${edge * columns}px`;
    cells = [];
    shape = `${rows} × ${columns}`;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const cell = document.createElement("input");
        cell.className = "cnnviz-grid-cell";
        cell.style.height = `${edge}px`;
        cell.inputMode = "decimal";
        cell.addEventListener("focus", () => {
          cell.value = exact(model.get("value")[row][column]);
          cell.select();
          tellPlace(row, column);
        });
        cell.addEventListener("blur", () => {
          if (cell.isConnected) cell.value = short(model.get("value")[row][column]);
        });
        cell.addEventListener("pointerenter", () => tellPlace(row, column));
        cell.addEventListener("change", () => edit(row, column, cell.value));
        cell.addEventListener("keydown", (event) => {
          if (event.key === "Enter") cell.blur();
          event.stopPropagation();
        });
        cells.push(cell);
      }
    }
    grid.replaceChildren(...cells);
  }

  function tellPlace(row, column) {
    place.textContent = `[${row}, ${column}] = ${exact(model.get("value")[row][column])}`;
  }

  function edit(row, column, text) {
    const typed = text.trim().replace(",", ".").replace("−", "-");
    const number = Number(typed);
    if (typed === "" || !Number.isFinite(number)) {
      model.send({ kind: "not a number", text });
      draw();
      return;
    }
    if (Math.abs(number) > 1e15) {
      model.send({ kind: "too large", text });
      draw();
      return;
    }
    if (model.get("value")[row][column] === number) {
      draw();
      return;
    }
    const value = model.get("value").map((numbers) => [...numbers]);
    value[row][column] = number;
    model.set("value", value);
    model.save_changes();
    draw();
  }

  function draw() {
    const value = model.get("value");
    const [rows, columns] = [value.length, value[0].length];
    if (shape !== `${rows} × ${columns}`) build(rows, columns);
    const largest = Math.max(...value.flat().map(Math.abs));
    const longest = Math.max(...value.flat().map((number) => short(number).length));
    const size = Math.floor(Math.min(12, (edge - 4) / (0.62 * longest))); // the widest number still fits its cell
    grid.style.fontSize = `${Math.max(size, 8)}px`;
    grid.classList.toggle("cnnviz-grid-crowded", size < 8); // then the tints speak, and the line below
    grid.setAttribute("aria-label", model.get("description"));
    cells.forEach((cell, index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      const number = value[row][column];
      if (cell !== document.activeElement) cell.value = short(number);
      cell.readOnly = !model.get("editable");
      cell.style.background = tint(number, largest);
      cell.title = exact(number);
      cell.setAttribute("aria-label", `${row + 1}, ${column + 1}`);
    });
    place.textContent = "";
  }

  const names = ["value", "editable", "description"];
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of names) model.off(`change:${name}`, draw); };
}

export default { render };
