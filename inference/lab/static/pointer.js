// Place and probability under the pointer.

import { place, probability } from "./format.js";

const PAUSE = 80; // ms between two questions to the server

export class PointerReading {
  #viewer;
  #server;
  #output;
  #at = null;
  #asking = null;
  #timer = 0;

  constructor(stage, output, viewer, server) {
    this.#viewer = viewer;
    this.#server = server;
    this.#output = output;
    stage.addEventListener("pointermove", (event) => this.#move(stage, event));
    stage.addEventListener("pointerdown", (event) => this.#move(stage, event));
    // A finger that was lifted leaves its reading behind, else nobody could read it.
    stage.addEventListener("pointerleave", ({ pointerType }) => { if (pointerType !== "touch") this.clear(); });
  }

  clear() {
    this.#at = null;
    this.#asking?.abort();
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#output.textContent = "";
  }

  #move(stage, event) {
    const box = stage.getBoundingClientRect();
    const at = this.#viewer.placeAt(event.clientX - box.left, event.clientY - box.top);
    if (!at) return this.clear();
    this.#at = at;
    this.#say(this.#viewer.slide.heat ? "…" : "not judged");
    if (this.#viewer.slide.heat) this.#timer ||= setTimeout(() => this.#ask(), PAUSE);
  }

  async #ask() {
    this.#timer = 0;
    if (!this.#at || !this.#viewer.slide) return;
    const { x, y } = this.#at;
    this.#asking?.abort();
    this.#asking = new AbortController();
    try {
      const found = await this.#server.probability(this.#viewer.slide.slide_id, x, y, this.#asking.signal);
      if (this.#at?.x === x && this.#at.y === y) this.#say(found === null ? "not judged" : `tumor ${probability(found)}`);
    } catch (error) {
      if (error.name !== "AbortError" && this.#at) this.#say("unknown");
    }
  }

  #say(words) {
    this.#output.textContent = `${words} · ${place(this.#at.x, this.#at.y, this.#viewer.slide.mpp)}`;
  }
}
