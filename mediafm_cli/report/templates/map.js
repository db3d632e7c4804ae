// A map of all shots of all titles, before context and after.

// Corners of the marks, in their size; the circle has none. Each comes filled and then hollow: no two differ in colour alone.
const SHAPES = [
  null,
  [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]],
  [[0, -1.3], [1.1, 0], [0, 1.3], [-1.1, 0]],
  [[0, -0.5], [0.6, -1.1], [1.1, -0.6], [0.5, 0], [1.1, 0.6], [0.6, 1.1], [0, 0.5], [-0.6, 1.1], [-1.1, 0.6], [-0.5, 0], [-1.1, -0.6], [-0.6, -1.1]],
  [[-1, -1.1], [1, -1.1], [-1, 1.1], [1, 1.1]],
  [[0, 1.2], [1.1, -0.8], [-1.1, -0.8]],
];
const OTHERS = [[-0.8, -0.3], [0.8, -0.3], [0.8, 0.3], [-0.8, 0.3]];
const COLOURS = 6;
const MOST_MARKS = 2 * SHAPES.length;

const LABELS = [...new Set(TITLES.flatMap((title) => title.labels || []))].sort();
const WAYS = {
  ...(DATA.label ? { label: [DATA.label, () => LABELS.map((name) => name || "no label"), (title, shot) => LABELS.indexOf(TITLES[title].labels[shot])] } : {}),
  ...(TITLES.length > 1 ? { title: ["title", () => TITLES.map((one) => one.id), (title) => title] } : {}),
  spoken: ["whether there is text", () => ["with text", "without text"], (title, shot) => (TITLES[title].text[shot].trim() ? 0 : 1)],
  place: ["place in the title", () => ["first third", "second third", "last third"], (title, shot) => Math.min(2, Math.floor((3 * shot) / count(TITLES[title])))],
  length: ["length of the shot", () => ["under 2 s", "2 to 5 s", "over 5 s"], (title, shot) => {
    const seconds = endOf(TITLES[title], shot) - startOf(TITLES[title], shot);
    return seconds < 2 ? 0 : seconds <= 5 ? 1 : 2;
  }],
};
const map = { way: Object.keys(WAYS)[0], only: -1, groups: [], names: [] };

function group() {
  const [, names, of] = WAYS[map.way];
  const all = names();
  const groups = TITLES.flatMap((title, number) => title.start.map((_, shot) => of(number, shot)));
  // More marks than can be told apart say nothing: the rest are drawn as one, in grey.
  map.names = all.length <= MOST_MARKS ? all : [...all.slice(0, MOST_MARKS), "others"];
  map.groups = groups.map((one) => Math.min(one, map.names.length - 1));
  map.only = -1;
}

function drawMark(context, number, x, y, size) {
  const isOther = number === MOST_MARKS;
  const isHollow = !isOther && number >= SHAPES.length;
  const corners = isOther ? OTHERS : SHAPES[number % SHAPES.length];
  const r = isHollow ? size * 0.9 : size;
  context.fillStyle = colour(isOther ? "bar" : `c${number % COLOURS}`);
  context.strokeStyle = context.fillStyle;
  context.lineWidth = size * 0.3;
  context.beginPath();
  if (corners) for (const [dx, dy] of corners) context.lineTo(x + dx * r, y + dy * r);
  else context.arc(x, y, r, 0, 7);
  context.closePath();
  if (isHollow) context.stroke();
  else context.fill();
}

/** Where the rows lie on a square of this size: the same scale on both axes. */
function placesOf(space, width) {
  const { x, y } = DATA.maps[space];
  const reach = Math.max(1e-6, ...x.map(Math.abs), ...y.map(Math.abs));
  const scale = (width / 2 - 14) / reach;
  return x.map((value, number) => [width / 2 + value * scale, width / 2 - y[number] * scale]);
}

function drawMap(space) {
  const canvas = byId(`map-${space}`);
  const { context, width } = prepare(canvas);
  const places = placesOf(space, width);
  const size = places.length > 800 ? 2.6 : places.length > 200 ? 3.6 : 5.5;
  context.fillStyle = colour("rule");
  context.fillRect(0, width / 2, width, 1);
  context.fillRect(width / 2, 0, 1, width);
  const shown = (number) => map.only < 0 || map.groups[number] === map.only;
  for (const isShown of [false, true]) {
    context.globalAlpha = isShown ? 0.85 : 0.12;
    places.forEach(([x, y], number) => {
      if (shown(number) === isShown) drawMark(context, map.groups[number], x, y, size);
    });
  }
  context.globalAlpha = 1;
  const [x, y] = places[row()];
  for (const [style, wide] of [["paper", 6], ["ink", 2.5]]) {
    context.strokeStyle = colour(style);
    context.lineWidth = wide;
    context.beginPath();
    context.arc(x, y, size + 5, 0, 7);
    context.stroke();
  }
  const shares = DATA.maps[space].variance.map((share) => `${Math.round(100 * share)} %`);
  byId(`axes-${space}`).textContent = `Across ${shares[0]} of the variance, upward ${shares[1]}.`;
  canvas.setAttribute("aria-label", `Map of ${places.length} shots ${WORDS[space]}, marked by ${WAYS[map.way][0]}; the chosen shot is ringed`);
  sayPlace(canvas, row(), places.length, nameOf(row()));
}

function fillMarks() {
  const sizes = map.names.map((_, number) => map.groups.filter((one) => one === number).length);
  byId("marks").replaceChildren(...map.names.map((name, number) => {
    const item = make("li");
    const button = make("button", "", { type: "button", "aria-pressed": "false" });
    button.append(make("canvas", "", { width: "32", height: "32", "aria-hidden": "true" }), `${name} (${sizes[number]})`);
    button.addEventListener("click", () => {
      map.only = map.only === number ? -1 : number;
      drawMaps();
    });
    item.append(button);
    return item;
  }));
}

function drawMaps() {
  for (const space of DATA.spaces) drawMap(space);
  [...byId("marks").querySelectorAll("button")].forEach((button, number) => {
    button.setAttribute("aria-pressed", String(number === map.only));
    const { context } = prepare(button.firstChild);
    drawMark(context, number, 8, 8, 5.5);
  });
}

function nameOf(number) {
  const { title, shot } = ownerOf(number);
  const text = describe(TITLES[title], shot);
  return `${TITLES[title].id}, ${text.length > 90 ? `${text.slice(0, 90)}…` : text}`;
}

/** Choose the shot of a row of all shots, or the nearest row that there is. */
function chooseRow(number) {
  const { title, shot } = ownerOf(Math.max(0, Math.min(number, map.groups.length - 1)));
  choose(title, shot);
}

for (const space of DATA.spaces) {
  const canvas = byId(`map-${space}`);
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const far = placesOf(space, box.width).map(([left, top]) => Math.hypot(left - x, top - y));
    let best = 0;
    far.forEach((one, number) => {
      if (one < far[best]) best = number;
    });
    return far[best] < 28 ? best : -1;
  };
  canvas.addEventListener("pointermove", (event) => {
    const number = under(event);
    byId("map-readout").textContent = nameOf(number < 0 ? row() : number);
  });
  canvas.addEventListener("pointerleave", () => {
    byId("map-readout").textContent = nameOf(row());
  });
  canvas.addEventListener("click", (event) => {
    const number = under(event);
    if (number >= 0) chooseRow(number);
  });
  whenStepped(canvas, (step) => chooseRow(row() + step));
}

byId("mark").append(...Object.entries(WAYS).map(([way, [name]]) => make("option", name, { value: way })));
byId("mark").addEventListener("change", (event) => {
  map.way = event.target.value;
  group();
  fillMarks();
  drawMaps();
});
group();
fillMarks();

draws(drawMaps);
whenChosen(() => {
  for (const space of DATA.spaces) drawMap(space);
  byId("map-readout").textContent = nameOf(row());
});
