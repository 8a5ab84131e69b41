// The list of slides: search, sort, choose.

import { afterSilence, byId, element } from "./dom.js";
import { count, probability } from "./format.js";
import { Thumbs } from "./thumbs.js";

const PASSING = 150; // ms that a slide must stay chosen, when keys run through the list, before it is opened
const PAGE = 8; // rows of one press of Page Up or Down

const byName = new Intl.Collator("en", { numeric: true });
const VALUES = {
  score: (slide) => slide.score,
  lesions: (slide) => slide.lesions,
  area: (slide) => slide.positive_area_mm2,
  status: (slide) => ({ failed: 0, empty: 1 })[slide.status] ?? 2,
};
// What people want first: high scores, but names from A, and what went wrong on top.
const DOWN_FIRST = { score: true, lesions: true, area: true, status: false, name: false };

/** Slides in order; unknown values come last whichever way, equal ones by name. */
export function sorted(slides, key, down) {
  const sign = down ? -1 : 1;
  const names = (one, other) => byName.compare(one.slide_id, other.slide_id);
  if (key === "name") return [...slides].sort((one, other) => sign * names(one, other));
  const value = VALUES[key];
  return [...slides].sort((one, other) => {
    const [left, right] = [value(one), value(other)];
    if (left === null || right === null) return (left === null) - (right === null) || names(one, other);
    return sign * (left - right) || names(one, other);
  });
}

/** Events: `choose` (detail: the id of a slide that is to be opened). */
export class SlideList extends EventTarget {
  #slides = [];
  #shown = [];
  #rows = new Map();
  #chosen = null;
  #down = true;
  #list = byId("list");
  #search = byId("search");
  #sort = byId("sort");
  #direction = byId("direction");
  #thumbs = new Thumbs(this.#list);
  #openSoon = afterSilence(PASSING, () => this.#tell());

  constructor() {
    super();
    this.#search.addEventListener("input", () => this.#filter());
    this.#search.addEventListener("keydown", (event) => this.#searchKey(event));
    this.#sort.addEventListener("change", () => this.#turn(DOWN_FIRST[this.#sort.value]));
    this.#direction.addEventListener("click", () => this.#turn(!this.#down));
    this.#list.addEventListener("click", (event) => this.#click(event));
    this.#list.addEventListener("keydown", (event) => this.#listKey(event));
  }

  show(slides) {
    this.#slides = slides;
    this.#rows = new Map(slides.map((slide, index) => [slide.slide_id, this.#row(slide, index)]));
    this.#turn(DOWN_FIRST[this.#sort.value]);
  }

  /** Small pictures may load from now on. */
  startThumbs() {
    this.#thumbs.start();
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  /** Id of the first slide in the list that can be looked at, else of the first one. */
  first() {
    return (this.#shown.find((slide) => slide.status === "done") ?? this.#shown[0])?.slide_id ?? null;
  }

  /** Mark the slide that is open. */
  mark(id) {
    this.#rows.get(this.#chosen)?.setAttribute("aria-selected", "false");
    this.#chosen = id;
    const row = this.#rows.get(id);
    row?.setAttribute("aria-selected", "true");
    row?.scrollIntoView({ block: "nearest" });
    if (row) this.#list.setAttribute("aria-activedescendant", row.id);
    else this.#list.removeAttribute("aria-activedescendant");
  }

  /** Choose the slide so many rows further. */
  step(by) {
    if (!this.#shown.length) return;
    const at = this.#shown.findIndex((slide) => slide.slide_id === this.#chosen);
    const next = at < 0 ? 0 : Math.max(0, Math.min(this.#shown.length - 1, at + by));
    if (next === at) return;
    this.mark(this.#shown[next].slide_id);
    this.#openSoon();
  }

  #tell() {
    if (this.#chosen !== null) this.dispatchEvent(new CustomEvent("choose", { detail: this.#chosen }));
  }

  #click(event) {
    const row = event.target.closest("[role=option]");
    if (!row) return;
    this.mark(row.dataset.slide);
    this.#tell();
  }

  #listKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.step(by);
  }

  #searchKey(event) {
    if (event.key === "Escape") {
      this.#search.value = "";
      this.#filter();
      this.#search.blur();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      this.#list.focus();
      if (!this.#shown.some((slide) => slide.slide_id === this.#chosen)) this.step(1);
    }
  }

  #turn(down) {
    this.#down = down;
    this.#direction.textContent = down ? "↓" : "↑";
    this.#direction.title = down ? "Highest first" : "Lowest first";
    this.#direction.setAttribute("aria-label", `Order: ${down ? "descending" : "ascending"}`);
    this.#filter();
  }

  #filter() {
    const words = this.#search.value.trim().toLowerCase().split(/\s+/);
    const found = this.#slides.filter(({ slide_id: id }) => words.every((word) => id.toLowerCase().includes(word)));
    this.#shown = sorted(found, this.#sort.value, this.#down);
    this.#list.replaceChildren(...this.#shown.map((slide) => this.#rows.get(slide.slide_id)));
    byId("count").textContent = this.#summary();
    this.#rows.get(this.#chosen)?.scrollIntoView({ block: "nearest" });
  }

  #summary() {
    const all = this.#slides.length;
    const told = this.#shown.length === all ? [count(all, "slide")] : [`${this.#shown.length} of ${count(all, "slide")}`];
    for (const status of ["failed", "empty"]) {
      const number = this.#shown.filter((slide) => slide.status === status).length;
      if (number) told.push(`${number} ${status}`);
    }
    return told.join(" · ");
  }

  #row(slide, index) {
    const { slide_id: id, status, score, lesions, error } = slide;
    const picture = element("img", { className: "thumb", alt: "", width: 44, height: 44 });
    if (slide.width !== null) this.#thumbs.add(picture, id);
    const facts = element("span", { className: "row-facts" });
    if (score !== null) facts.append(this.#bar(score), element("b", { textContent: probability(score) }));
    if (lesions !== null) facts.append(element("span", { textContent: count(lesions, "lesion") }));
    if (status !== "done") facts.append(element("span", { className: `chip ${status === "failed" ? "bad" : ""}`, textContent: status }));
    const words = element("span", { className: "row-words" }, element("span", { className: "name", textContent: id, title: id }), facts);
    if (error) words.append(element("span", { className: "why", textContent: error, title: error }));
    const row = element("li", { id: `slide-${index}` }, picture, words);
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", "false");
    row.dataset.slide = id;
    return row;
  }

  #bar(score) {
    const filled = element("i");
    filled.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
    return element("span", { className: "bar", ariaHidden: "true" }, filled);
  }
}
