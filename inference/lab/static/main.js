// The page: list, viewer, layers and link put together.

import { Controls } from "./controls.js";
import { afterSilence, byId, tell } from "./dom.js";
import { describeRun, describeSlide } from "./facts.js";
import { HeatLayer } from "./heat.js";
import { listenToKeys } from "./keys.js";
import { LesionList } from "./lesions.js";
import { readLink, writeLink } from "./links.js";
import { SlideList } from "./list.js";
import { Overlay } from "./overlay.js";
import { PointerReading } from "./pointer.js";
import { Powers } from "./powers.js";
import { drawScale } from "./scalebar.js";
import { Server } from "./server.js";
import { SlideViewer } from "./viewer.js";

const ZOOM = 1.5; // of one press of + or -
const LOOK = { heat: true, opacity: 0.5, map: "turbo", truth: true, marks: true };
const AGAIN = 1000; // ms between looks for a slide that is being fetched
const ALONE = 3000; // ms at most that the first slide has the server for itself

const server = new Server();
const viewer = new SlideViewer(byId("viewer"));
const heat = new HeatLayer(viewer.osd);
const overlay = new Overlay(viewer);
const lesions = new LesionList(viewer, overlay);
const pointer = new PointerReading(byId("viewer"), byId("pointer"), viewer, server);
const powers = new Powers(viewer);
const list = new SlideList();

let controls;
let look;
let wanted = null; // id of the slide that is open or being opened
let opening = null; // what stops the opening of the one before

/** Words in the slide's place; none takes them away. What is waited for is nothing bad. */
function say(title = "", text = "", { waiting = false } = {}) {
  const box = byId("message");
  box.classList.toggle("waiting", waiting);
  box.hidden = !title;
  box.querySelector("h2").textContent = title;
  box.querySelector("p").textContent = text;
}

/** Words over the slide. */
function note(text = "") {
  byId("notice").hidden = !text;
  byId("notice").textContent = text;
}

function closeSlide() {
  heat.close();
  viewer.close();
  overlay.close();
  lesions.close();
  pointer.clear();
  controls.tellMissing(null);
  byId("facts").replaceChildren();
  byId("stage").classList.add("empty");
  note();
  say();
}

async function openSlide(id, view, asked = null) {
  opening?.abort();
  opening = new AbortController();
  const { signal } = opening;
  wanted = id;
  list.mark(id);
  document.title = `${id} · HistoSpark lab`;
  try {
    const slide = await (asked ?? server.slide(id, signal));
    if (!signal.aborted) await showSlide(slide, view, signal);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    closeSlide();
    say("This slide cannot be shown", error.message);
  }
}

async function showSlide(slide, view, signal) {
  if (slide.fetching) {
    waitFor(slide, view, signal);
    return;
  }
  closeSlide();
  describeSlide(slide);
  const { slide: hidden, ...problems } = slide.problems ?? {};
  if (slide.width === null || slide.max_level === null) {
    lesions.open(slide);
    const reasons = new Set([slide.error, hidden].filter(Boolean));
    say(slide.status === "failed" ? "This slide failed" : "This slide cannot be shown", [...reasons].join("\n") || "Its file could not be opened.");
    keepLink();
    return;
  }
  await viewer.open(slide, view);
  if (signal.aborted) return;
  byId("stage").classList.remove("empty");
  heat.open(slide, look);
  overlay.open(slide, look);
  lesions.open(slide);
  powers.open(slide);
  controls.tellMissing(slide);
  const stopped = slide.status === "done" ? slide.error : `${slide.status}: ${slide.error ?? "nothing of this slide was judged"}`;
  note([...new Set([stopped, ...Object.values(problems)].filter(Boolean))].join("\n"));
  keepLink();
}

/** Say that a slide is on its way, once, and look again until it is here or another one is wanted. */
function waitFor(slide, view, signal) {
  const { slide: where } = slide.problems;
  if (byId("message").querySelector("p").textContent !== where) {
    closeSlide();
    describeSlide(slide);
    say("Fetching this slide", where, { waiting: true });
  }
  setTimeout(() => { if (!signal.aborted) openSlide(slide.slide_id, view); }, AGAIN);
}

function change(part) {
  look = { ...look, ...part };
  controls.show(look);
  heat.change(look);
  overlay.change(look);
  keepLink();
}

const link = () => writeLink({ slide: wanted, ...(viewer.slide ? rounded(viewer.view()) : {}), ...look });
const rounded = ({ x, y, zoom }) => ({ x: +x.toFixed(2), y: +y.toFixed(2), zoom: +zoom.toPrecision(6) });
const keepLink = afterSilence(100, () => history.replaceState(null, "", link()));

async function copyLink() {
  history.replaceState(null, "", link());
  try {
    await navigator.clipboard.writeText(location.href);
    tell("The link to this view is copied.");
  } catch {
    tell("This browser lets no page copy here; the address above is the link to this view.");
  }
}

/** Show what a link tells, with the answer on its slide where that was asked for already; the whole slide where no view is named. */
function follow({ slide, x, y, zoom, ...rest }, asked = null) {
  change(rest);
  const view = x === undefined || y === undefined || zoom === undefined ? undefined : { x, y, zoom };
  const id = slide ?? wanted ?? list.first();
  if (id === null) say("There are no slides", "This run holds no slide yet.");
  else if (id !== wanted) openSlide(id, view, asked);
  else if (view && viewer.slide) viewer.go(view);
}

function drawer(open) {
  if (open === document.body.classList.contains("drawer-open")) return;
  const hadFocus = byId("slides").contains(document.activeElement);
  document.body.classList.toggle("drawer-open", open);
  if (open) byId("list").focus();
  else if (hadFocus) byId("drawer").focus();
  byId("drawer").setAttribute("aria-expanded", String(open));
}

const toggle = (name) => () => change({ [name]: !look[name] });

const KEYS = [
  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], shown: "← → ↑ ↓", does: "pan", act: pan },
  { keys: ["+", "="], shown: "+", does: "zoom in", act: () => viewer.zoomBy(ZOOM) },
  { keys: ["-", "_"], shown: "-", does: "zoom out", act: () => viewer.zoomBy(1 / ZOOM) },
  { keys: ["0"], shown: "0", does: "whole slide", act: () => viewer.home() },
  { keys: ["1", "2", "3", "4"], shown: "1 2 3 4", does: "5×, 10×, 20×, 40×", act: (key) => powers.press(Number(key) - 1) },
  { keys: ["h"], shown: "h", does: "heatmap on or off", act: toggle("heat") },
  { keys: ["t"], shown: "t", does: "truth on or off", act: toggle("truth") },
  { keys: ["m"], shown: "m", does: "lesion markers on or off", act: toggle("marks") },
  { keys: ["n"], shown: "n", does: "next lesion", act: () => lesions.step(1) },
  { keys: ["p"], shown: "p", does: "previous lesion", act: () => lesions.step(-1) },
  { keys: ["j"], shown: "j", does: "next slide of the list", act: () => list.step(1) },
  { keys: ["k"], shown: "k", does: "previous slide of the list", act: () => list.step(-1) },
  { keys: ["/"], shown: "/", does: "search slides", act: () => { drawer(true); list.focusSearch(); } },
  { keys: ["?"], shown: "?", does: "these keys", act: () => byId("keys").showModal() },
  { keys: ["Escape"], shown: "Esc", does: "close the list or this window", act: () => drawer(false) },
];

function pan(key) {
  viewer.panBy(...{ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key]);
}

function listen() {
  listenToKeys(KEYS);
  byId("zoom-in").addEventListener("click", () => viewer.zoomBy(ZOOM));
  byId("zoom-out").addEventListener("click", () => viewer.zoomBy(1 / ZOOM));
  byId("home").addEventListener("click", () => viewer.home());
  byId("copy").addEventListener("click", copyLink);
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("drawer").addEventListener("click", () => drawer(!document.body.classList.contains("drawer-open")));
  byId("stage").addEventListener("pointerdown", () => drawer(false));
  list.addEventListener("choose", ({ detail }) => { drawer(false); if (detail !== wanted) openSlide(detail); });
  controls.addEventListener("change", ({ detail }) => change(detail));
  addEventListener("hashchange", () => follow(readLink(location.hash)));
  listenToViewer();
}

function listenToViewer() {
  viewer.addEventListener("move", () => {
    drawScale(viewer.zoom(), viewer.slide.mpp);
    powers.show(viewer.zoom(), viewer.slide.mpp);
  });
  viewer.addEventListener("rest", keepLink);
  viewer.addEventListener("loaded", () => list.startThumbs());
  viewer.addEventListener("tap", ({ detail: { x, y } }) => {
    const index = overlay.lesionAt(x, y);
    if (index >= 0) lesions.mark(index);
  });
  viewer.addEventListener("unreadable", async ({ detail }) => {
    const why = await server.whyNot(detail).catch(() => null);
    if (why) note(`A part of this slide cannot be read: ${why}`);
  });
}

function listenToServer() {
  const lost = byId("lost");
  server.addEventListener("lost", () => {
    lost.textContent = "The lab's server does not answer. Is `histospark lab` still running? This page goes on by itself once it does.";
    lost.hidden = false;
  });
  server.addEventListener("found", () => {
    lost.hidden = true;
    if (!controls) location.reload(); // it was gone before the page began
    else if (wanted !== null) openSlide(wanted, viewer.slide ? viewer.view() : undefined); // with what failed to load
  });
}

async function start() {
  if (location.search) history.replaceState(null, "", location.pathname + location.hash); // a token stays in no link
  const first = readLink(location.hash);
  const asked = first.slide === undefined ? null : server.slide(first.slide);
  asked?.catch(() => {}); // told when the slide is opened
  const [run, slides] = await Promise.all([server.run(), server.slides()]);
  describeRun(run);
  controls = new Controls(run.threshold);
  look = { ...LOOK, threshold: run.threshold };
  controls.show(look);
  list.show(slides);
  listen();
  follow(first, asked);
  setTimeout(() => list.startThumbs(), ALONE);
}

listenToServer();
start().catch((error) => say("The lab cannot show this run", error.message));
