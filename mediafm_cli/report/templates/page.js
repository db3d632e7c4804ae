"use strict";
// What is chosen, and the parts of the page that say so. The other files add what is drawn, each with `whenChosen`.

const DATA = JSON.parse(document.getElementById("data").textContent);
const PICTURES = JSON.parse(document.getElementById("pictures").textContent);
const TITLES = DATA.titles;
const WORDS = { fused: "before context", context: "after context" };

const byId = (id) => document.getElementById(id);
const chosen = { title: 0, shot: 0 };
const listeners = [];

/** Call `show(titleChanged)` whenever another shot or title is chosen. */
function whenChosen(show) {
  listeners.push(show);
}

/** An element with text and attributes. Text is never read as HTML. */
function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Base64 as bytes. */
function unpack(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

const grouped = (number) => number.toLocaleString("en");
const count = (title) => title.start.length;
const startOf = (title, shot) => title.start[shot];
const endOf = (title, shot) => (shot + 1 < count(title) ? title.start[shot + 1] : title.end);
const row = () => TITLES[chosen.title].first + chosen.shot;

/** Title and shot of a row of all shots. */
function ownerOf(number) {
  let title = TITLES.length - 1;
  while (TITLES[title].first > number) title -= 1;
  return { title, shot: number - TITLES[title].first };
}

/** `1:02:03.4`; without the tenth where `whole`. */
function clock(seconds, whole = false) {
  const tenths = Math.round(seconds * (whole ? 1 : 10));
  const all = whole ? tenths : Math.floor(tenths / 10);
  const pad = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  const start = hours ? `${hours}:${pad(minutes)}` : String(minutes);
  return `${start}:${pad(all % 60)}${whole ? "" : `.${tenths % 10}`}`;
}

/** The picture of a row, or a plain tile that says there is none. */
function picture(number, text, isLazy = false) {
  if (PICTURES[number] === null) return make("span", "no picture", { class: "picture none" });
  const image = make("img", "", { class: "picture", alt: text, decoding: "async" });
  const source = `data:image/jpeg;base64,${PICTURES[number]}`;
  if (isLazy) waiting.set(image, source);
  else image.src = source;
  return image;
}

// Pictures of a long strip are decoded when they come near.
const waiting = new Map();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const source = waiting.get(entry.target);
      if (!entry.isIntersecting || !source) continue;
      entry.target.src = source;
      waiting.delete(entry.target);
      watcher.unobserve(entry.target);
    }
  },
  { rootMargin: "2000px 800px" },
);

/** Choose a shot; the address says which. */
function choose(title, shot, tellAddress = true) {
  const titleChanged = title !== chosen.title;
  chosen.title = Math.max(0, Math.min(title, TITLES.length - 1));
  chosen.shot = Math.max(0, Math.min(shot, count(TITLES[chosen.title]) - 1));
  if (tellAddress) history.replaceState(null, "", addressOf(chosen.title, chosen.shot));
  for (const show of listeners) show(titleChanged);
}

const addressOf = (title, shot) => `#${encodeURIComponent(TITLES[title].id)}:${shot}`;

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

/** Call `move(step, key)` when a key is pressed that goes one further, ten, or to an end; in a slider, up is further. */
function whenStepped(element, move) {
  const rises = element.getAttribute("role") === "slider";
  element.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(rises && /Up|Down/.test(event.key) ? -STEPS[event.key] : STEPS[event.key], event.key);
  });
}

/** Say of a slider where it is, of how many, and what is there. */
function sayPlace(slider, place, of, words) {
  slider.setAttribute("aria-valuenow", String(place));
  slider.setAttribute("aria-valuemax", String(of - 1));
  slider.setAttribute("aria-valuetext", words);
}

/** The title and shot that the address names, if it names any. */
function fromAddress() {
  const found = /^#(.+):(\d+)$/.exec(location.hash);
  if (!found) return null;
  let id;
  try {
    id = decodeURIComponent(found[1]);
  } catch {
    return null;
  }
  const title = TITLES.findIndex((one) => one.id === id);
  return title < 0 ? null : { title, shot: Number(found[2]) };
}

/** A canvas made ready for drawing in CSS pixels: its context, width and height. */
function prepare(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** A colour of the page, by its name in the style sheet. */
const colours = new Map();
function colour(name) {
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }
  return colours.get(name);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Draw now, and again when the window or the colours change. */
const drawings = [];
function draws(draw) {
  drawings.push(draw);
}
function redraw() {
  colours.clear();
  for (const draw of drawings) draw();
}

whenChosen(() => {
  const title = TITLES[chosen.title];
  byId("title").value = String(chosen.title);
  const span = `${clock(startOf(title, chosen.shot))}–${clock(endOf(title, chosen.shot))}`;
  byId("where").textContent = `shot ${chosen.shot} · ${span}`;
  byId("previous").disabled = chosen.shot === 0;
  byId("next").disabled = chosen.shot === count(title) - 1;
});

function start() {
  byId("title").addEventListener("change", (event) => choose(Number(event.target.value), 0));
  byId("previous").addEventListener("click", () => choose(chosen.title, chosen.shot - 1));
  byId("next").addEventListener("click", () => choose(chosen.title, chosen.shot + 1));
  window.addEventListener("hashchange", () => {
    const named = fromAddress();
    if (named) choose(named.title, named.shot, false);
  });
  dark.addEventListener("change", redraw);
  let pending = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(redraw);
  }).observe(document.querySelector("main"));
  const named = fromAddress() || { title: 0, shot: 0 };
  chosen.title = -1;
  choose(named.title, named.shot, false);
}
document.addEventListener("DOMContentLoaded", start);
