// The lanes over time, and the strip of pictures below them.

const strip = byId("strip");
const canvases = Object.fromEntries([...document.querySelectorAll("[data-lane]")].map((one) => [one.dataset.lane, one]));
const BEGINS = { start: "start of the title", cut: "hard cut", gradual: "gradual transition", split: "split for length" };
const PARTS = {
  train: "The model learned from this title.",
  validation: "The model never learned from this title: it was held out.",
  "": "The model never saw this title in training.",
};

function span(title) {
  return { from: title.start[0], length: title.end - title.start[0] };
}

function hatch(context, x, width, height) {
  context.save();
  context.beginPath();
  context.rect(x, 0, width, height);
  context.clip();
  context.strokeStyle = colour("ink");
  context.lineWidth = 1.5;
  context.beginPath();
  for (let at = x - height; at < x + width; at += 5) {
    context.moveTo(at, height);
    context.lineTo(at + height, 0);
  }
  context.stroke();
  context.restore();
}

const DRAW = {
  shots(context, width, height, title, place) {
    const fills = [colour("rule"), colour("bar")];
    title.start.forEach((start, shot) => {
      const left = place(start);
      context.fillStyle = shot === chosen.shot ? colour("ink") : fills[shot % 2];
      context.fillRect(left, shot === chosen.shot ? 0 : 4, Math.max(1, place(endOf(title, shot)) - left), height);
    });
    for (const [first, last] of Object.values(title.transitions)) {
      const left = place(first);
      context.fillStyle = colour("paper");
      context.fillRect(left, 4, Math.max(3, place(last) - left), height);
      hatch(context, left, Math.max(3, place(last) - left), height);
    }
  },
  captions(context, width, height, title, place) {
    context.lineWidth = 1.5;
    for (const [first, last, isSound] of title.captions) {
      const left = place(first);
      const long = Math.max(1.5, Math.min(place(last), width) - left - 1);
      if (isSound) {
        context.strokeStyle = colour("mark");
        context.strokeRect(left + 0.75, 3.75, Math.max(1, long - 1.5), height - 7.5);
      } else {
        context.fillStyle = colour("mark");
        context.fillRect(left, 3, long, height - 6);
      }
    }
  },
  wave(context, width, height, title, place) {
    const { low, high, part } = title.sound.bytes;
    context.fillStyle = colour("wave");
    const middle = height / 2;
    for (let number = 0; number < low.length; number += 1) {
      const left = place(number * part);
      const up = (high[number] / 255) * (middle - 1);
      const down = (low[number] / 255) * (middle - 1);
      context.fillRect(left, middle - up - 0.5, Math.max(1, place((number + 1) * part) - left), up + down + 1);
    }
  },
  level(context, width, height, title, place) {
    const { level, part } = title.sound.bytes;
    context.fillStyle = colour("rule");
    for (const share of [1 / 3, 2 / 3, 1]) context.fillRect(0, Math.min(height - 1, height * share), width, 1);
    context.strokeStyle = colour("wave");
    context.lineWidth = 1.5;
    context.beginPath();
    for (let number = 0; number < level.length; number += 1) {
      const y = height - 1 - (level[number] / 255) * (height - 2);
      if (number) context.lineTo(place((number + 0.5) * part), y);
      else context.moveTo(place(0.5 * part), y);
    }
    context.stroke();
    context.fillStyle = colour("soft");
    context.font = `10px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "right";
    context.strokeStyle = colour("paper");
    context.lineWidth = 4;
    context.strokeText("−20 dB", width - 2, height / 3 + 3);
    context.fillText("−20 dB", width - 2, height / 3 + 3);
  },
  axis(context, width, height, title) {
    const { from, length } = span(title);
    const least = (length * 64) / width;
    const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((one) => one >= least) || 7200;
    context.fillStyle = colour("soft");
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    for (let at = Math.ceil(from / step) * step; at <= from + length; at += step) {
      const x = ((at - from) / length) * width;
      context.fillRect(Math.min(x, width - 1), 0, 1, 4);
      context.textAlign = x < 16 ? "left" : x > width - 20 ? "right" : "center";
      context.fillText(clock(at, step >= 1), x, 17);
    }
  },
};

function drawLanes() {
  const title = TITLES[chosen.title];
  const { from, length } = span(title);
  for (const [name, canvas] of Object.entries(canvases)) {
    if (!canvas.offsetParent) continue;
    const { context, width, height } = prepare(canvas);
    const place = (seconds) => ((seconds - from) / length) * width;
    context.clearRect(0, 0, width, height);
    if (name !== "axis" && name !== "shots") {
      context.fillStyle = colour("pick");
      const left = place(startOf(title, chosen.shot));
      context.fillRect(left, 0, Math.max(2, place(endOf(title, chosen.shot)) - left), height);
    }
    DRAW[name](context, width, height, title, place);
  }
}
draws(drawLanes);

function shotAt(seconds) {
  const { start } = TITLES[chosen.title];
  let low = 0;
  let high = start.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (start[middle] <= seconds) low = middle;
    else high = middle - 1;
  }
  return low;
}

for (const [name, canvas] of Object.entries(canvases)) {
  if (name === "axis") continue;
  canvas.addEventListener("click", (event) => {
    const { from, length } = span(TITLES[chosen.title]);
    const box = canvas.getBoundingClientRect();
    choose(chosen.title, shotAt(from + ((event.clientX - box.left) / box.width) * length));
  });
}

function sayTitle(title) {
  const spoken = title.text.filter((text) => text.trim()).length;
  const counted = count(title) < title.all ? `The first ${grouped(count(title))} of ${grouped(title.all)} shots` : `${grouped(count(title))} shots`;
  const captions = title.captionsFrom === "none" ? "there are no captions" : `${grouped(spoken)} with text, from ${title.captionsFrom.replace(":", " ")}`;
  const about = `${title.media}. ${counted} in ${clock(span(title).length, true)}, found by the segmenter “${title.segmenter}”; ${captions}.`;
  byId("timeline-about").textContent = DATA.layer ? `${about} ${PARTS[title.part]}` : about;
  const gradual = Object.keys(title.transitions).length;
  const transitions = `${gradual} begin${gradual === 1 ? "s" : ""} with a gradual transition`;
  const sound = title.sound ? "Waveform and loudness below." : "";
  byId("lanes-alt").textContent = `Over ${clock(span(title).length)}: ${counted}, ${transitions}; ${title.captions.length} captions. ${sound}`;
  for (const lane of ["wave", "level"]) canvases[lane].parentElement.hidden = !title.sound;
  canvases.captions.parentElement.hidden = !title.captions.length;
  byId("key-gradual").hidden = !gradual;
  byId("key-sound").hidden = !title.captions.some(([, , isSound]) => isSound);
  byId("key-level").hidden = !title.sound;
  byId("sound-note").textContent = title.soundNote;
  byId("sound-note").hidden = !title.soundNote;
  byId("pictures-note").textContent = title.picturesNote;
  if (title.sound && !title.sound.bytes) {
    const { low, high, level, part } = title.sound;
    title.sound.bytes = { low: unpack(low), high: unpack(high), level: unpack(level), part };
  }
}

function describe(title, shot) {
  const text = title.text[shot].trim().replaceAll("\n", " ");
  return `shot ${shot}, ${clock(startOf(title, shot))}${text ? `: ${text}` : ""}`;
}

function fillStrip(title) {
  waiting.clear();
  watcher.disconnect();
  const options = document.createDocumentFragment();
  title.start.forEach((seconds, shot) => {
    const option = make("div", "", { role: "option", id: `shot-${shot}`, tabindex: "-1", "aria-selected": "false", "aria-label": describe(title, shot) });
    option.append(picture(title.first + shot, "", true));
    const line = make("span", "", { class: "line" });
    line.append(make("b", String(shot)), make("span", clock(seconds)));
    option.append(line, make("span", title.text[shot].replaceAll("\n", " "), { class: "said" }));
    options.append(option);
  });
  strip.replaceChildren(options);
  for (const image of waiting.keys()) watcher.observe(image);
}

function markOption() {
  const before = strip.querySelector("[aria-selected=true]");
  const option = strip.children[chosen.shot];
  if (before && before !== option) {
    before.setAttribute("aria-selected", "false");
    before.tabIndex = -1;
  }
  option.setAttribute("aria-selected", "true");
  option.tabIndex = 0;
  if (before && strip.contains(document.activeElement)) option.focus({ preventScroll: true });
  // Only the strip moves: the page stays where the reader is.
  const left = option.offsetLeft - (strip.clientWidth - option.offsetWidth) / 2;
  strip.scrollTo({ left, behavior: before ? "auto" : "instant" });
}

strip.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (!option) return;
  choose(chosen.title, [...strip.children].indexOf(option));
  strip.children[chosen.shot].focus({ preventScroll: true });
});

for (const element of [byId("lanes"), strip]) {
  whenStepped(element, (step) => choose(chosen.title, chosen.shot + step));
}

whenChosen((titleChanged) => {
  const title = TITLES[chosen.title];
  if (titleChanged) {
    sayTitle(title);
    fillStrip(title);
  }
  markOption();
  drawLanes();
  sayPlace(byId("lanes"), chosen.shot, count(title), describe(title, chosen.shot));
});
