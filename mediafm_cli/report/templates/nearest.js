// The chosen shot, the shots nearest to it, and the energy of the modalities of its title.

const isIn = { scope: "anywhere" };

function showShot() {
  const title = TITLES[chosen.title];
  const { shot } = chosen;
  const from = startOf(title, shot);
  const to = endOf(title, shot);
  const has = make("ul", "", { class: "has", "aria-label": "Modalities" });
  DATA.modalities.forEach((name, column) => {
    const isThere = title.present[shot][column];
    has.append(make("li", `${isThere ? "✓" : "✗ no"} ${name}`, { class: isThere ? "yes" : "no" }));
  });
  const begins = BEGINS[title.begins[shot]];
  const gradual = title.transitions[shot];
  const fade = gradual ? `, ${(gradual[1] - gradual[0]).toFixed(1)} s` : "";
  const parts = [
    picture(row(), describe(title, shot)),
    make("h3", TITLES.length > 1 ? `${title.id}, shot ${shot}` : `Shot ${shot}`),
    make("p", `${clock(from)}–${clock(to)}, ${(to - from).toFixed(1)} s${begins ? `; begins with ${shot ? "a " : "the "}${begins}${fade}` : ""}`),
    has,
  ];
  if (title.text[shot].trim()) parts.push(make("blockquote", title.text[shot].trim(), { tabindex: "0", "aria-label": "Captions of the shot" }));
  byId("shot").replaceChildren(...parts);
}

function showNearest() {
  const lists = DATA.spaces.map((space) => DATA.nearest[space][isIn.scope]);
  DATA.spaces.forEach((space, number) => {
    const { rows, cosines } = lists[number];
    const others = lists.filter((one) => one !== lists[number]).map((one) => new Set(one.rows[row()]));
    const items = rows[row()].map((near, place) => {
      const { title, shot } = ownerOf(near);
      const owner = TITLES[title];
      const button = make("button", "", { type: "button", class: "near" });
      const text = make("span");
      text.append(make("b", TITLES.length > 1 ? `${owner.id}, ${shot}` : `shot ${shot}`), make("small", `${clock(startOf(owner, shot))} · ${(endOf(owner, shot) - startOf(owner, shot)).toFixed(1)} s`));
      if (others.some((other) => !other.has(near))) text.append(make("span", "in this list only", { class: "only" }));
      button.append(picture(near, ""), text, make("span", signed(cosines[row()][place]), { class: "cosine", "aria-label": `cosine ${signed(cosines[row()][place])}` }));
      button.style.setProperty("--ratio", ratioOf(title));
      button.addEventListener("click", () => choose(title, shot));
      const item = make("li");
      item.append(button);
      return item;
    });
    if (!items.length) items.push(make("li", "There is no other shot.", { class: "note" }));
    byId(`near-${space}`).replaceChildren(...items);
  });
}

// Width and height are the first numbers after the marker of a JPEG's frame.
const ratios = [];
function ratioOf(number) {
  if (ratios[number]) return ratios[number];
  const { first } = TITLES[number];
  const found = PICTURES.slice(first, first + count(TITLES[number])).find((one) => one !== null);
  ratios[number] = "16/9";
  if (found) {
    const bytes = unpack(found);
    for (let at = 2; at + 9 < bytes.length; at += 2 + bytes[at + 2] * 256 + bytes[at + 3]) {
      if (bytes[at + 1] < 0xc0 || bytes[at + 1] > 0xc2) continue;
      ratios[number] = `${bytes[at + 7] * 256 + bytes[at + 8]}/${bytes[at + 5] * 256 + bytes[at + 6]}`;
      break;
    }
  }
  return ratios[number];
}

function bar(share, text, isInContext) {
  const shown = make("div", "", { class: isInContext ? "share in-context" : "share" });
  const rail = make("div", "", { class: "rail", "aria-hidden": "true" });
  const fill = make("i");
  fill.style.width = `${100 * share}%`;
  rail.append(fill);
  const figure = make("span", `${(100 * share).toFixed(1)} %`);
  if (text) figure.setAttribute("aria-label", `${(100 * share).toFixed(1)} % ${text}`);
  shown.append(rail, figure);
  return shown;
}

function showEnergy() {
  const title = TITLES[chosen.title];
  const rows = DATA.modalities.map((name, column) => {
    const line = make("tr");
    const shares = make("td");
    shares.append(bar(title.energy[column], WORDS.fused, false));
    if (title.energyInContext) shares.append(bar(title.energyInContext[column], WORDS.context, true));
    const there = title.present.filter((one) => one[column]).length;
    line.append(make("th", name, { scope: "row" }), shares, make("td", `${grouped(there)} of ${grouped(count(title))} shots`));
    return line;
  });
  byId("energies").tBodies[0].replaceChildren(...rows);
}

for (const input of document.querySelectorAll("input[name=scope]")) {
  input.addEventListener("change", () => {
    isIn.scope = input.value;
    showNearest();
  });
}

whenChosen((titleChanged) => {
  const ratio = ratioOf(chosen.title);
  document.documentElement.style.setProperty("--ratio", ratio);
  const [width, height] = ratio.split("/").map(Number);
  strip.style.setProperty("--tile", `${Math.round(Math.min(150, Math.max(72, (84 * width) / height)))}px`);
  showShot();
  showNearest();
  if (titleChanged) showEnergy();
});
