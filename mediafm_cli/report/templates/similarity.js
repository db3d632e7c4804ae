// Matrices of all pairs of shots of a title, before context and after, in one scale.

// The pair that is told where no pointer is: the chosen shot and the one most like it, until keys move it.
const pair = { row: 0, column: 0 };

// Seaborn's "mako" without its black end: even steps of lightness, so that it also reads in grey.
const MAKO = ["#2e1e3b", "#413d7b", "#37659e", "#348fa7", "#40b7ad", "#8bdab2", "#def5e5"];
const RAMP = MAKO.map((code) => [1, 3, 5].map((at) => Number.parseInt(code.slice(at, at + 2), 16)));

/** Red, green and blue of a byte; the higher the value, the further it is from the paper. */
function shade(value) {
  const share = (dark.matches ? value : 255 - value) / 255;
  const place = Math.min(share * (RAMP.length - 1), RAMP.length - 1.000001);
  const before = RAMP[Math.floor(place)];
  const after = RAMP[Math.floor(place) + 1];
  return before.map((part, channel) => part + (after[channel] - part) * (place - Math.floor(place)));
}

function matrixOf(title, space) {
  const matrix = title.matrices[space];
  if (!matrix.bytes) matrix.bytes = unpack(matrix.cells);
  return matrix;
}

/** The byte of a pair of cells. */
function cellOf(matrix, first, second) {
  const [low, high] = first < second ? [first, second] : [second, first];
  return matrix.bytes[low * matrix.side - (low * (low - 1)) / 2 + high - low];
}

function cosineOf(title, space, first, second) {
  const byte = cellOf(matrixOf(title, space), Math.floor(first / title.cell), Math.floor(second / title.cell));
  return DATA.floor + (byte / 255) * (1 - DATA.floor);
}

const signed = (value) => value.toFixed(2).replace("-", "−");

function drawMatrix(space) {
  const title = TITLES[chosen.title];
  const matrix = matrixOf(title, space);
  const { side } = matrix;
  const image = new ImageData(side, side);
  const shades = Array.from({ length: 256 }, (_, value) => shade(value));
  for (let first = 0, at = 0; first < side; first += 1) {
    for (let second = 0; second < side; second += 1, at += 4) {
      const [red, green, blue] = shades[cellOf(matrix, first, second)];
      image.data[at] = red;
      image.data[at + 1] = green;
      image.data[at + 2] = blue;
      image.data[at + 3] = 255;
    }
  }
  const cells = new OffscreenCanvas(side, side);
  cells.getContext("2d").putImageData(image, 0, 0);
  title.drawn[space] = cells;
}

/** Draw the edges of boxes in a colour, on a rim of paper that shows them on any other. */
function outline(context, boxes, tone) {
  for (const [style, wide] of [["paper", 5], [tone, 2]]) {
    context.strokeStyle = colour(style);
    context.lineWidth = wide;
    for (const box of boxes) context.strokeRect(...box);
  }
}

function showMatrix(space) {
  const title = TITLES[chosen.title];
  const canvas = byId(`matrix-${space}`);
  if (!title.drawn) title.drawn = {};
  if (!title.drawn[space]) drawMatrix(space);
  const { context, width } = prepare(canvas);
  const scale = width / count(title);
  context.imageSmoothingEnabled = title.drawn[space].width > width;
  const reach = scale * matrixOf(title, space).side * title.cell; // the last cell may stand for fewer shots
  context.drawImage(title.drawn[space], 0, 0, reach, reach);
  const at = chosen.shot * scale;
  const thick = Math.max(scale, 3);
  outline(context, [[-4, at, width + 8, thick], [at, -4, thick, width + 8]], "ink");
  if (document.querySelector("[id^=matrix-]:focus-visible")) {
    const side = Math.max(scale * title.cell, 8);
    outline(context, [[cellStart(title, pair.column) * scale, cellStart(title, pair.row) * scale, side, side]], "focus");
  }
  canvas.setAttribute("aria-label", `Cosines of all pairs of ${count(title)} shots, ${WORDS[space]}; ${sayMean(title, space)}.`);
}

function sayMean(title, space) {
  const matrix = matrixOf(title, space);
  if (matrix.side < 2) return "there is one shot";
  let sum = 0;
  for (let first = 0; first < matrix.side; first += 1) {
    for (let second = first + 1; second < matrix.side; second += 1) sum += cellOf(matrix, first, second);
  }
  const mean = sum / ((matrix.side * (matrix.side - 1)) / 2);
  return `the mean of different ones is ${signed(DATA.floor + (mean / 255) * (1 - DATA.floor))}`;
}

function drawScale() {
  const { context, width, height } = prepare(byId("scale"));
  for (let x = 0; x < width; x += 1) {
    context.fillStyle = `rgb(${shade((255 * x) / width).join(" ")})`;
    context.fillRect(x, 0, 1.5, height);
  }
  byId("scale-low").textContent = DATA.floor.toFixed(1).replace("-", "−");
}

const cellStart = (title, shot) => shot - (shot % title.cell);

function sayPair(first, second) {
  const title = TITLES[chosen.title];
  if (count(title) < 2) {
    byId("similarity-readout").textContent = "There is one shot.";
    return;
  }
  const values = DATA.spaces.map((space) => `${signed(cosineOf(title, space, first, second))} ${WORDS[space]}`);
  const named = (shot) => (title.cell === 1 ? shot : `${cellStart(title, shot)}–${Math.min(cellStart(title, shot) + title.cell, count(title)) - 1}`);
  const what = title.cell === 1 ? "cosine" : "mean cosine";
  byId("similarity-readout").textContent = `Shots ${named(first)} and ${named(second)}: ${what} ${values.join(", ")}.`;
}

/** The shot of the same title that is most like the chosen one. */
function mostAlike() {
  const title = TITLES[chosen.title];
  const space = DATA.spaces.at(-1);
  let best = chosen.shot;
  for (let shot = 0; shot < count(title); shot += 1) {
    if (cellStart(title, shot) === cellStart(title, chosen.shot)) continue;
    if (best === chosen.shot || cosineOf(title, space, chosen.shot, shot) > cosineOf(title, space, chosen.shot, best)) best = shot;
  }
  return best;
}

function showMatrices() {
  for (const space of DATA.spaces) showMatrix(space);
}

/** Move the pair by cells: to another row with the keys that go up and down, to another column with the others. */
function movePair(step, key) {
  const title = TITLES[chosen.title];
  const side = /Up|Down/.test(key) ? "row" : "column";
  pair[side] = Math.max(0, Math.min(cellStart(title, pair[side]) + step * title.cell, count(title) - 1));
  showMatrices();
  sayPair(pair.row, pair.column);
}

for (const space of DATA.spaces) {
  const canvas = byId(`matrix-${space}`);
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const n = count(TITLES[chosen.title]);
    const index = (offset) => Math.max(0, Math.min(n - 1, Math.floor((offset / box.width) * n)));
    return [index(event.clientY - box.top), index(event.clientX - box.left)];
  };
  canvas.addEventListener("pointermove", (event) => sayPair(...under(event)));
  canvas.addEventListener("pointerleave", () => sayPair(pair.row, pair.column));
  canvas.addEventListener("click", (event) => choose(chosen.title, under(event)[0]));
  canvas.addEventListener("focus", showMatrices);
  canvas.addEventListener("blur", showMatrices);
  whenStepped(canvas, movePair);
  canvas.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(chosen.title, pair.row);
  });
}

draws(() => {
  for (const title of TITLES) delete title.drawn;
  showMatrices();
  drawScale();
});
whenChosen((titleChanged) => {
  const title = TITLES[chosen.title];
  if (titleChanged || pair.row !== chosen.shot) Object.assign(pair, { row: chosen.shot, column: mostAlike() });
  showMatrices();
  sayPair(pair.row, pair.column);
  if (!titleChanged) return;
  const means = DATA.spaces.map((space) => `${WORDS[space]} ${sayMean(title, space)}`);
  const cells = title.cell > 1 ? ` Each cell is the mean of ${title.cell} × ${title.cell} pairs.` : "";
  byId("similarity-about").textContent = `${means.join("; ").replace(/^./, (one) => one.toUpperCase())}.${cells}`;
});
